"""The target column: what kind of task it makes, and its values as class indices or numbers.

Reference: ``sklearn.preprocessing.LabelEncoder``; numbers sort by size, text by alphabet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trainables.data import stray_values, written_numbers
from trainables.data.columns import (
    LARGEST,
    NotOfItsKindError,
    category_names,
    counts_seconds,
    missing,
    require_per_cent,
    seconds,
)
from trainables.data.config import ColumnConfig
from trainables.data.number_marks import DecimalMark, TwoReadingsError
from trainables.data.types import as_key, canonical_names, few, look, plain
from trainables.data.written_durations import seconds_in
from trainables.data.written_numbers import Notation
from trainables.errors import DataError, Problem

Task = Literal["classification", "regression"]

# Whole numbers with more different values than this are taken for a quantity, unless the config says otherwise.
FEW_VALUES = 20
# A target of whole numbers with more distinct values than this is a quantity, not a set of classes.
MOST_CLASSES = 1_000
# Share of texts that are no numbers up to which a target is one of numbers.
STRAY_SHARE = 0.2


def infer_task(target: pa.ChunkedArray) -> tuple[Task, str]:
    """The task that a target makes, and the reason in words."""
    target = plain(target)
    kind = target.type
    if pa.types.is_boolean(kind):
        return "classification", "the target is true or false"
    if not _is_number(kind):
        return "classification", "the target is text"
    values = pc.unique(target)
    n = len(values)
    if _is_whole(values) and n <= FEW_VALUES:
        return "classification", f"the target has {n} different whole numbers"
    return "regression", f"the target has {n} different numbers"


@dataclass(frozen=True)
class Reader:
    """How the values of a target become numbers where they are written as something else; the training rows say it.

    Attributes:
        notation: How texts write numbers; None where they are none.
        notes: What should be said of it.
    """

    notation: Notation | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, target: pa.ChunkedArray, name: str, asked: ColumnConfig, task: Task | None, point: DecimalMark
    ) -> Reader:
        """Find it out.

        Args:
            target: The training rows' target, with a plain type.
            name: Its column's.
            asked: What the config says of its column.
            task: Kind of target, where it is known.
            point: The decimal mark of the file.

        Raises:
            DataError: It has dates, its numbers can be read in two ways, or a few are none.
        """
        kind, is_date = target.type, pa.types.is_date(target.type) or pa.types.is_timestamp(target.type)
        is_few = (is_date or pa.types.is_time(kind)) and task is None and len(pc.unique(target)) <= FEW_VALUES
        if task == "classification":
            return cls()
        if is_date and not is_few:
            rule, fix = "classes or numbers", "predict a number that you make of them, such as the days until then"
            raise DataError([Problem("data.target", f"dates such as {target.drop_null()[0].as_py()}", rule, fix)])
        is_time = pa.types.is_time(kind) and not is_few
        if is_time or pa.types.is_duration(kind):
            what = f"{'times' if is_time else 'durations'} are read as seconds"
            said = f"target {name}: {what}; data.task: classification keeps them as classes"
            return cls(Notation(is_duration=True, hours_first=is_time), (said,))
        notation, notes = _find_notation(target, name, asked, task, point)
        return cls(notation, tuple(notes))

    def read(self, target: pa.ChunkedArray, path: str) -> pa.ChunkedArray:
        """A target, of the training rows or later ones, as numbers if it is one.

        Raises:
            DataError: A value is none.
        """
        if self.notation is None:
            return target
        if counts_seconds(target.type):
            return pa.chunked_array([pa.array(seconds(target) / seconds_in(self.notation.unit), from_pandas=True)])
        found = _as_numbers(target, self.notation, path)
        if self.notation.unit == "%" and not self.notation.at_most_1 and _is_number(found.type):
            try:
                require_per_cent(plain(target), found.cast(pa.float64(), safe=False).to_numpy())
            except NotOfItsKindError as error:
                rule = f"{error.rule}, as the training file's target has"
                raise DataError([Problem(path, f"row {error.row + 1}: {error.value!r}", rule, error.fix)]) from error
        return found


def task_of(asked: ColumnConfig) -> Task | None:
    """The task that a config means by the kind of the target's column; None where it says none."""
    return "classification" if asked.meant in ("categorical", "boolean") else None


def _find_notation(
    target: pa.ChunkedArray, name: str, asked: ColumnConfig, task: Task | None, point: DecimalMark
) -> tuple[Notation | None, list[str]]:
    """How a target of text writes numbers, and what should be said of it; None where it names classes or is no text.

    Args:
        target: The training rows' target.
        name: Its column's.
        asked: What the config says of its column.
        task: Kind of target, where it is known.
        point: The decimal mark of the file.

    Raises:
        DataError: They can be read in two ways, or a few are none.
    """
    target = plain(target)
    texts = target.drop_null().to_pandas() if pa.types.is_string(target.type) else pd.Series([], dtype=object)
    given = asked.meant == "numeric" or task == "regression"
    if texts.empty or "classification" in (task, task_of(asked)) or not (given or texts.nunique() > FEW_VALUES):
        return None, []
    try:
        notation = written_numbers.find(
            texts, point=point, decimal=asked.decimal, thousands=asked.thousands, are_numbers=asked.meant == "numeric"
        )
    except TwoReadingsError as error:
        fix = error.fix.replace("{name}", as_key(name))
        raise DataError([Problem("data.target", error.value, error.rule, fix)]) from error
    notation = notation or written_numbers.clock_durations(texts)
    if notation is None:
        if asked.meant == "numeric":
            raise DataError([_problem_of_words(texts, name)])
        return None, []
    wrong = np.isnan(notation.parse(texts))
    if wrong.any() and (limited := written_numbers.with_limits(texts, notation)) is not None:
        limit = texts[wrong].iloc[0]
        return limited, [
            f"target {name}: {limit!r} and the like, {wrong.sum()} of {len(wrong)}, are the limits themselves"
        ]
    if wrong.mean() > STRAY_SHARE and asked.meant != "numeric":
        return None, []
    if wrong.any():
        raise DataError([_problem_of_stray_texts(target, texts, wrong)])
    value = max(texts, key=len)
    number = float(notation.parse(pd.Series([value]))[0])
    said = f"target {name}: {value!r} is read as {number:.15g} ({notation}{written_numbers.zero_in(texts)})"
    may_be_classes = texts.nunique() <= MOST_CLASSES
    return notation, [f"{said}; data.task: classification keeps it as classes" if may_be_classes else said]


def _problem_of_words(texts: pd.Series[str], name: str) -> Problem:
    """What to do about a target of words that is said to be numeric."""
    found = few([repr(text) for text in texts.drop_duplicates()])
    fix = f"remove {as_key(name)} from data.columns, since words are classes, or choose a target of numbers"
    return Problem(f"data.columns.{name}", f"numeric, and values are {found}", "a target of numbers", fix)


def _problem_of_stray_texts(target: pa.ChunkedArray, texts: pd.Series[str], wrong: NDArray[np.bool_]) -> Problem:
    """As of features."""
    means, words = stray_values.means_missing(texts[wrong])
    row = int(pc.index(target, words[0]).as_py()) + 1
    fix = (
        f"{stray_values.listed(means, words)} and data.missing_target: drop; "
        "if these are classes, data.task: classification; else mend the value"
    )
    return Problem("data.target", f"row {row}: {words[0]!r}", stray_values.rule(~wrong, "numbers"), fix)


def _as_numbers(target: pa.ChunkedArray, notation: Notation, path: str) -> pa.ChunkedArray:
    """A target of text as numbers.

    Raises:
        DataError: A value is none.
    """
    target = plain(target)
    if not pa.types.is_string(target.type):
        return target
    texts = target.to_pandas()
    found = notation.parse(texts)
    wrong = np.isnan(found) & texts.notna().to_numpy()
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        rule = f"{notation}, as the training file's target has"
        raise DataError([Problem(path, f"row {at + 1}: {texts.iloc[at]!r}", rule, "mend the value, or drop the row")])
    return pa.chunked_array([pa.array(found, pa.float64(), from_pandas=True)])


def find_classes(target: pa.ChunkedArray, name: str = "", *, are_meant: bool = False) -> tuple[str, ...]:
    """Names of the classes in a target, in the order of their indices.

    Args:
        target: Its values, of all training rows.
        name: Its column's, for messages.
        are_meant: Whether the config says of this target that it has classes, so that 0.5 and 1.5 are two.

    Raises:
        DataError: One class only, or so many that the target is a quantity.
    """
    target = plain(target)
    if pa.types.is_nested(target.type) or pa.types.is_binary(target.type) or pa.types.is_large_binary(target.type):
        rule, fix = "numbers, true/false or text", "choose another target, or save the file as UTF-8"
        raise DataError([Problem("data.target", str(target.type), rule, fix)])
    values = pc.unique(target)
    if len(values) < 2:
        name = category_names(pa.chunked_array([values]))[0].as_py()
        rule, fix = "at least two classes", "choose another target or add rows of another class"
        raise DataError([Problem("data.target", f"one class only: {name}", rule, fix)])
    are_fractions = pa.types.is_floating(values.type) and not _is_whole(values)
    if len(values) > MOST_CLASSES or (are_fractions and not are_meant):
        rule = f"classes: text, or at most {MOST_CLASSES} different whole numbers"
        fix = "set trial.loss: mse to predict a number" if _is_number(values.type) else "choose another target"
        if len(values) <= MOST_CLASSES:
            fix += f"; if these are classes, data.columns: {{{as_key(name)}: categorical}}"
        raise DataError([Problem("data.target", f"{len(values)} different values", rule, fix)])
    ordered = pa.chunked_array([values.take(pc.sort_indices(values))])
    return tuple(category_names(ordered).to_pylist())


def class_indices(target: pa.ChunkedArray, classes: tuple[str, ...], path: str) -> NDArray[np.int64]:
    """Index of each row's class.

    Args:
        target: N values.
        classes: Names, as ``find_classes`` gave them.
        path: Config key of the rows, for the message.

    Raises:
        DataError: A class that the training rows lack.
    """
    target = plain(target)
    names = category_names(target)
    index = pc.index_in(names, value_set=pa.array(classes, pa.string()))
    same = canonical_names(pa.chunked_array([pa.array(classes, pa.string())]))
    if index.null_count and len(pc.unique(same)) == len(classes):
        # Written otherwise than in the training file: 1.0 for 1, True for true.
        index = pc.coalesce(index, pc.index_in(canonical_names(target), value_set=same.combine_chunks()))
    if index.null_count:
        unknown = sorted(pc.unique(names.filter(pc.is_null(index))).to_pylist())
        rule, fix = "classes that the training rows have", "drop these rows or add such rows to the training file"
        known = {look(name): name for name in classes}
        if len(known) == len(classes) and (alike := [known[look(one)] for one in unknown if look(one) in known]):
            fix = f"write these as the training file does: {few([*map(repr, alike)])}"
        raise DataError([Problem(path, ", ".join(unknown[:8]), rule, fix)])
    return np.asarray(index.to_numpy(), dtype=np.int64)


def numbers(target: pa.ChunkedArray, path: str) -> NDArray[np.float64]:
    """A regression target as float64 ``[N]``.

    Raises:
        DataError: Text, or not finite.
    """
    target = plain(target)
    if not _is_number(target.type):
        shown = f"{target.type} such as {target[0].as_py()!r}"
        rule = "numbers, since data.task, the metric or the loss predicts one"
        fix = "choose a target of numbers, or remove what says so: data.task, objective.metric or trial.loss"
        raise DataError([Problem(path, shown.replace("string", "text"), rule, fix)])
    values = np.asarray(target.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
    if not (np.abs(values) < LARGEST).all():
        at = int(np.flatnonzero(~(np.abs(values) < LARGEST))[0])
        raise DataError([Problem(path, f"row {at + 1}: {values[at]}", "finite numbers", "drop or mend these rows")])
    return values


def gaps_in(target: pa.ChunkedArray, name: str, path: str) -> Problem:
    """What to do about a target with missing values: says how many, and the first row."""
    gaps = missing(plain(target))
    shown = f"column {name}: {int(gaps.sum())} missing, the first in row {int(np.flatnonzero(gaps)[0]) + 1}"
    fix = (
        "fill them in, or leave these rows out: data.missing_target: drop; if NA is a class of a CSV file, "
        "data.csv.usual_null_values: false"
    )
    return Problem(path, shown, "no missing values in the target", fix)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _is_whole(values: pa.Array) -> bool:
    if pa.types.is_integer(values.type):
        return True
    numbers = np.asarray(values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)
    return bool(np.array_equal(numbers, np.round(numbers)))
