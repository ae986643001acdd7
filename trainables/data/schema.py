"""What the columns of a table are, and raw values of any origin as values of those kinds.

A kind is found from a column's type and values, or given by the config. ``Schema.typed`` then turns rows (of the
training table, of a file to predict, of a request to a served model) into a data frame of three types only:

    numeric, boolean   float64, NaN where missing
    categorical        text, MISSING where missing; numbers are written as people write them: 3 and 3.0 are one category
    date               datetime64[us] in UTC, NaT where missing; a time of day is on the first day of 1970

What a column is has been decided once, by the training file, and is kept in the schema; it goes for every later value.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from trainables.data.columns import CONVERSIONS, Column, NotOfItsKindError, Storage, as_clock_times, as_times
from trainables.data.config import ColumnKind
from trainables.data.reading import Reading
from trainables.data.types import canonical_names, few, plain
from trainables.errors import DataError, Problem

KINDS: tuple[ColumnKind, ...] = get_args(ColumnKind)
# A column of whole numbers and words is one of categories up to so many numbers and words, each this often in the mean:
# children 0, 1, 2, 3, more. Beyond, the numbers are a quantity and the word a way to say "missing" or a mistake.
FEW_CATEGORIES, MOST_WORDS, LEAST_REPEATS = 10, 3, 10
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_WORD = re.compile(r"[^\W\d_]{3,}([ _-][^\W\d_]+)*")
# Numbers with commas before each three digits.
_GROUPED = r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?"


@dataclass(frozen=True)
class Schema:
    """The feature columns of a table, in their order there.

    Attributes:
        columns: What each is.
        reading: How the training file was read.
        notes: What was decided in doubt, in words.
    """

    columns: tuple[Column, ...]
    reading: Reading = field(default_factory=Reading, compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)

    def __len__(self) -> int:
        return len(self.columns)

    def names(self, *kinds: ColumnKind) -> list[str]:
        """Names of the columns of these kinds; of all without an argument."""
        return [column.name for column in self.columns if not kinds or column.kind in kinds]

    def require(self, names: Collection[str], path: str) -> None:
        """Refuse a table that lacks a column.

        Args:
            names: Names of the table's columns.
            path: The table's config key, for messages.

        Raises:
            DataError: With all that are missing.
        """
        known = set(names)
        missing = [name for name in self.names() if name not in known]
        if missing:
            found = few([repr(name) for name in names]) or "no columns"
            rule, fix = f"the columns that the training table has; it lacks {few(missing)}", "add or rename them"
            raise DataError([Problem(path, found, rule, fix)])

    def typed(self, table: pa.Table, path: str) -> pd.DataFrame:
        """Values of the kinds described above, for all columns of this schema; others are left out.

        Args:
            table: Rows.
            path: The table's config key, for messages.

        Raises:
            DataError: A column is missing, or holds values that are not of its kind; with all such columns.
        """
        self.require(table.column_names, path)
        columns = self._converted(table, path, self.columns)
        # Text stays Python's own, which is what scikit-learn's fitted categories and their file hold.
        texts = {name: pd.Series(columns[name], dtype=object) for name in self.names("categorical")}
        return pd.DataFrame(columns | texts, copy=False)

    def check(self, table: pa.Table, path: str) -> None:
        """Refuse a whole table that ``typed`` would refuse in parts, with the rows as the table numbers them.

        Raises:
            DataError: As ``typed``.
        """
        self.require(table.column_names, path)
        # Anything can be a category.
        self._converted(table, path, [column for column in self.columns if column.kind != "categorical"])

    def _converted(self, table: pa.Table, path: str, columns: Sequence[Column]) -> dict[str, Any]:
        problems: list[Problem] = []
        converted: dict[str, Any] = {}
        for column in columns:
            try:
                converted[column.name] = CONVERSIONS[column.kind](plain(table.column(column.name)), column)
            except NotOfItsKindError as error:
                where = f"column {column.name}, row {error.row + 1}: {error.value!r}"
                problems.append(Problem(path, where, f"{error.rule}, as column {column.name} has", error.fix))
        if problems:
            raise DataError(problems)
        return converted


# ---- finding kinds ---------------------------------------------------------------------------------------------------


def infer(table: pa.Table, given: Mapping[str, ColumnKind], path: str) -> Schema:
    """The schema of feature columns.

    Args:
        table: Feature columns only.
        given: Kinds by the config.
        path: Config key of the table, for messages.

    Raises:
        DataError: Columns that cannot be features; all of them.
    """
    problems: list[Problem] = []
    columns, notes = [], []
    for name in table.column_names:
        raw = plain(table.column(name))
        try:
            if given.get(name) == "categorical" and pa.types.is_string(raw.type):
                # Text that is to be categories may be anything.
                column = Column(name, "categorical", "text")
            else:
                kind, storage = _look(raw)
                column = Column(name, given.get(name, kind), storage)
            if name in given:
                CONVERSIONS[column.kind](raw, column)
            elif note := _note(raw, column):
                notes.append(f"column {name}: {note}")
        except NotOfItsKindError as error:
            where = f"column {name}, row {error.row + 1}: {error.value!r}" if error.row >= 0 else f"column {name}"
            problems.append(Problem(path, where, error.rule, error.fix.format(name=name)))
            continue
        columns.append(replace(column, canonical=column.kind == "categorical" and _tells_apart(raw)))
    if problems:
        raise DataError(problems)
    return Schema(tuple(columns), notes=tuple(notes))


def _tells_apart(column: pa.ChunkedArray) -> bool:
    """Whether canonical texts are as many as the column's own."""
    values = pa.chunked_array([pc.unique(column.drop_null())])
    return len(pc.unique(canonical_names(values))) == len(values)


def _note(column: pa.ChunkedArray, of: Column) -> str:
    """What should be said of a column whose kind could be another."""
    if of.kind != "categorical" or not pa.types.is_string(column.type):
        return ""
    values = pc.unique(column.drop_null()).to_pylist()
    numbers = [value for value in values if _NUMBER.fullmatch(value)]
    if len(values) > FEW_CATEGORIES + MOST_WORDS or not numbers or len(numbers) == len(values):
        return ""
    return f"{few(sorted(values))} are taken for categories; data.columns or data.csv.null_values say otherwise"


def _look(column: pa.ChunkedArray) -> tuple[ColumnKind, Storage]:
    kind = column.type
    if pa.types.is_boolean(kind):
        return "boolean", "truth"
    if pa.types.is_integer(kind):
        return "numeric", "whole"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind):
        return "numeric", "number"
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return "date", "time"
    if pa.types.is_time(kind):
        return "date", "clock"
    if pa.types.is_string(kind):
        return _look_at_text(column)
    fix = "leave it out: data.drop: [{name}]"
    if pa.types.is_duration(kind) or pa.types.is_interval(kind):
        fix += "; or write it as a number, of seconds for example"
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        fix += "; if it is text, save the file as UTF-8, or name its encoding in data.csv.encoding"
    raise NotOfItsKindError(-1, None, f"numbers, true/false, text or dates, not {kind}", fix)


def _look_at_text(column: pa.ChunkedArray) -> tuple[ColumnKind, Storage]:
    values = column.to_pandas()
    present = values[values.notna()].astype(object)
    if present.empty:
        return "categorical", "text"
    # A leading zero belongs to a code, not to a number.
    coded = present.str.match(r"^0\d").any()
    parsed = pd.to_numeric(present, errors="coerce")
    numbers = int(parsed.notna().sum())
    if numbers == len(present) and not coded:
        return "numeric", "text"
    if not coded and (
        present.str.fullmatch(_GROUPED).any() and (parsed.notna() | present.str.fullmatch(_GROUPED)).all()
    ):
        at = int(np.flatnonzero(present.str.fullmatch(_GROUPED))[0])
        raise NotOfItsKindError(
            int(np.flatnonzero(values.notna())[at]),
            present.iloc[at],
            "numbers that can be read in one way only; this comma may separate thousands or a fraction",
            "write numbers without it; if these are codes, data.columns: {{{name}: categorical}}",
        )
    if not coded and _are_few_categories(present, parsed):
        return "categorical", "text"
    # Mostly numbers: the rest is more likely a way to say "missing", or a mistake, than a category.
    if numbers > len(present) / 2 and not coded:
        at = int(np.flatnonzero(parsed.isna())[0])
        raise NotOfItsKindError(
            int(np.flatnonzero(values.notna())[at]),
            present.iloc[at],
            f"one type of value: of {len(present)}, {numbers} are numbers and {len(present) - numbers} are not",
            f"if it means missing, data.csv.null_values: [{present.iloc[at]!r}]; "
            "if these are codes, data.columns: {{{name}: categorical}}; else mend the value",
        )
    if as_times(present).notna().all():
        return "date", "text"
    if as_clock_times(present).notna().all():
        return "date", "clock"
    return "categorical", "text"


def _are_few_categories(present: pd.Series[Any], parsed: pd.Series[Any]) -> bool:
    """Whether a few whole numbers and words come again and again, as in 1, 2, 3, more."""
    different = present[parsed.notna()].unique()
    words = present[parsed.isna()].unique()
    return (
        0 < len(words) <= MOST_WORDS
        and len(different) <= FEW_CATEGORIES
        and len(present) >= LEAST_REPEATS * (len(different) + len(words))
        and all(_NUMBER.fullmatch(value) and "." not in value for value in different)
        # A mark such as ? or n/a is a way to say "missing".
        and all(_WORD.fullmatch(value) for value in words)
    )
