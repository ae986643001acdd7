"""What in a table would make a study's answer worthless: leaks and traps, looked for before step 1.

Each finding is a ``Problem`` with what to do about it. They are warnings, or errors where the config says ``strict``.
Columns are looked at in a sample of the training rows, rows on both sides in all rows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trainables.data import written_dates
from trainables.data.columns import EXACT, MISSING, Column
from trainables.data.row_names import ID_SHARE, LEAST_ROWS_IDS
from trainables.data.schema import Schema
from trainables.data.targets import Task
from trainables.data.types import as_key, few, look, spelt_alike, told_apart
from trainables.errors import Problem

# Rows of the sample in which columns are looked at.
SAMPLE_ROWS = 5_000
# Cells of the sample: a table of many columns is looked at in fewer rows, but never fewer than LEAST_ROWS.
SAMPLE_CELLS, LEAST_ROWS = 500_000, 500
# Share of a part's rows that stand in the training rows too, from which it is said. Below, chance does that to
# tables of few and coarse columns, and a score moves by less than its noise.
IDENTICAL_SHARE = 0.01
# Share of the way from the trivial predictor to a perfect one that a single column may bring. The best honest column
# of scikit-learn's bundled sets, petal width in iris, brings 0.94.
ALONE = 0.98
# Rows below which a column's power to predict is left to chance.
LEAST_ROWS_ALONE = 40
# What people write for a missing number; and different numbers below which any is as far from the others as another.
MARKS_FOR_MISSING = frozenset(sign * float(digit * n) for sign in (1, -1) for digit in "89" for n in range(2, 8))
LEAST_NUMBERS = 4
# Days with which counting begins or ends.
DAYS_FOR_MISSING = frozenset(
    ["0001-01-01", "1753-01-01", "1899-12-30", "1899-12-31", "1900-01-01", "1970-01-01", "2999-12-31", "9999-01-01",
     "9999-12-31"]
)  # fmt: skip
# What is written as a number, its format, the first of the years 1900 to 2100 and the last; and an example.
_WITHOUT_MARKS = (
    ("days", "%Y%m%d", 19_000_101, 21_001_231, "20260224"),
    ("months", "%Y%m", 190_001, 210_012, "202602"),
    ("times", "%Y%m%d%H%M", 190_001_010_000, 210_012_312_359, "202602241345"),
    ("times", "%Y%m%d%H%M%S", 19_000_101_000_000, 21_001_231_235_959, "20260224134510"),
)
# What is expected of numbers, one of which may mean missing, and of classes, two of which may be one.
_MARK = "numbers that lie together; this one, far from all others, comes again and may mean missing"
_ALIKE = "classes that differ in more than blanks, capitals and how a sign is stored"
# What programs and people write for a missing class, where a file knows no other way; None may be the least of some.
_CLASSES_FOR_MISSING = frozenset(["", "?", "-", "--", ".", "n/a", "#n/a", "nan", "<na>", "nat", "null", "#null!"])
# Share of missing values from which a column is said to be nearly empty.
EMPTY_SHARE = 0.95


class Side(NamedTuple):
    """Prepared rows of a part: inputs ``[N, D]`` and targets ``[N]``."""

    inputs: NDArray[np.float32]
    targets: NDArray[Any]


def find(
    schema: Schema,
    sample: pd.DataFrame,
    targets: NDArray[Any],
    task: Task,
    sides: Mapping[str, Side],
    classes: Sequence[str],
    target: str,
) -> tuple[Problem, ...]:
    """Everything suspicious.

    Args:
        schema: Feature columns.
        sample: Some training rows, as ``Schema.typed`` gives them; see ``sample_rows``.
        targets: The sample's targets.
        task: Kind of target.
        sides: Prepared rows of train, validation and test.
        classes: Names, or none for numbers.
        target: Name of the target column.
    """
    return (
        *_of_target(targets, classes, target),
        *_of_columns(schema, sample),
        *_alone(schema, sample, targets, task),
        *_identical(sides),
        *_absent_classes(sides, classes),
    )


def sample_rows(n_rows: int, n_columns: int) -> NDArray[np.int64]:
    """Which training rows to look at, evenly spread."""
    wanted = min(SAMPLE_ROWS, max(LEAST_ROWS, SAMPLE_CELLS // max(1, n_columns)))
    return np.linspace(0, n_rows - 1, min(n_rows, wanted), dtype=np.float64).round().astype(np.int64)


def _of_target(targets: NDArray[Any], classes: Sequence[str], name: str) -> list[Problem]:
    """A class that is written in two ways, and a number that may mean missing: as of features."""
    if classes:
        fix = "write them alike in the table if they are one"
        alike = [Problem("data.target", few(told_apart(group)), _ALIKE, fix) for group in spelt_alike(classes)[:1]]
        return alike + [_class_for_missing(one, name) for one in classes if look(one) in _CLASSES_FOR_MISSING]
    mark = _mark_for_missing(pd.Series(targets))
    if mark is None:
        return []
    fix = f"if it does, data.columns: {{{as_key(name)}: {{null_values: [{mark:.15g}]}}}}, data.missing_target: drop"
    return [Problem("data.target", f"{mark:.15g}", _MARK, fix)]


def _class_for_missing(written: str, name: str) -> Problem:
    rule = "classes; this one may mean missing, and is learnt and predicted as the others are"
    key = f"{{{as_key(name)}: {{null_values: [{json.dumps(written, ensure_ascii=False)}]}}}}"
    return Problem("data.target", repr(written), rule, f"if it does, data.columns: {key}, data.missing_target: drop")


def _of_columns(schema: Schema, sample: pd.DataFrame) -> list[Problem]:
    constant, like_ids, empty, problems = [], [], [], []
    for column in schema.columns:
        values = sample[column.name]
        present = values[~values.isin([MISSING, ""])] if values.dtype == object else values.dropna()
        different = present.nunique()
        days = _days_in(column.name, present) if column.kind == "numeric" else None
        # A column with gaps says at least where they are.
        if different == 0 or (different == 1 and len(present) == len(values)):
            if column.kind == "numeric" and different and abs(present.iloc[0]) >= EXACT:
                rule = "numbers below 9.0e15 (2^53): larger ones that differ in their last digits are one number here"
                fix = f"if they are codes, data.columns: {{{as_key(column.name)}: categorical}}"
                problems.append(Problem(f"data.columns.{column.name}", f"{present.iloc[0]:.15g}", rule, fix))
                continue
            constant.append(column.name)
        elif len(present) <= (1 - EMPTY_SHARE) * len(values):
            empty.append(column.name)
        elif days is None and len(present) >= LEAST_ROWS_IDS and _is_like_id(column, present, different):
            like_ids.append(column.name)
        if days is not None:
            problems.append(days)
        if column.kind == "date" and column.storage != "clock" and (day := _day_for_missing(present)) is not None:
            rule = "dates; this one comes again and again, is the first or the last, and may mean missing"
            fix = f"if it does, data.columns: {{{as_key(column.name)}: {{null_values: ['{day}']}}}}"
            problems.append(Problem(f"data.columns.{column.name}", day, rule, fix))
        if column.kind == "numeric" and (mark := _mark_for_missing(present)) is not None:
            fix = f"if it does, data.columns: {{{as_key(column.name)}: {{null_values: [{mark:.15g}]}}}}"
            problems.append(Problem(f"data.columns.{column.name}", f"{mark:.15g}", _MARK, fix))
    if constant:
        rule = "columns that vary; these have one value in the rows looked at"
        problems.append(Problem("data.drop", few(constant), rule, "leave them out: they say nothing"))
    if empty:
        rule = f"columns with values; these miss more than {EMPTY_SHARE:.0%}"
        problems.append(Problem("data.drop", few(empty), rule, "leave them out, or fill them in"))
    if like_ids:
        rule = "columns with values that come again; these have a value of its own in nearly each row, as ids do"
        problems.append(Problem("data.drop", few(like_ids), rule, "leave them out: they can only be memorised"))
    return problems


def _is_like_id(column: Column, present: pd.Series[Any], different: int) -> bool:
    """Whether a column that was kept (``kinds.py`` leaves most ids out) only names rows."""
    if different < ID_SHARE * len(present):
        return False
    if column.kind == "categorical":
        return True
    if column.kind != "numeric" or column.storage != "whole":
        return False
    # Numbers in the order of the rows count them; other whole numbers may be amounts.
    return bool(present.is_monotonic_increasing or present.is_monotonic_decreasing)


def _day_for_missing(present: pd.Series[Any]) -> str | None:
    """A day that databases and spreadsheets write for none, if a hundredth of the rows and more than one have it."""
    for day in (present.min(), present.max()) if len(present) else ():
        # Not by strftime, which has no zeros before a year.
        shown = str(day.isoformat())[:10]
        if shown in DAYS_FOR_MISSING and (present == day).sum() > max(1, len(present) / 100):
            return shown
    return None


def _days_in(name: str, present: pd.Series[Any]) -> Problem | None:
    """Whole numbers that are days, months or times of the years 1900 to 2100, written without marks.

    Beside days, 0 is a day for none, as SAP writes it.
    """
    numbers = present[present != 0]
    if len(numbers) < LEAST_NUMBERS or (numbers % 1).any():
        return None
    for what, form, first, last, example in _WITHOUT_MARKS:
        # A few numbers of six digits may read as months by chance.
        if numbers.between(first, last).all() and (form != "%Y%m" or numbers.nunique() >= LEAST_NUMBERS):
            written = numbers.astype("int64").astype(str).astype(object)
            if written_dates.parse(written, form).isna().any():
                return None
            none = "" if len(numbers) == len(present) else f', null_values: [0, "{"0" * len(example)}"]'
            fix = f'if they are, data.columns: {{{as_key(name)}: {{kind: date, format: "{form}"{none}}}}}'
            rule = f"numbers; these read as {what}, such as {example}"
            return Problem(f"data.columns.{name}", f"{numbers.iloc[0]:.15g}", rule, fix)
    return None


def _mark_for_missing(present: pd.Series[Any]) -> float | None:
    """A number such as -999 that comes again and is further from all others than they are from one another."""
    numbers, counts = np.unique(present.to_numpy(np.float64), return_counts=True)
    if len(numbers) < LEAST_NUMBERS:
        return None
    for at, rest in ((0, numbers[1:]), (-1, numbers[:-1])):
        gap = np.abs(numbers[at] - rest).min()
        if numbers[at] in MARKS_FOR_MISSING and counts[at] > 1 and gap > rest[-1] - rest[0]:
            return float(numbers[at])
    return None


def _alone(schema: Schema, sample: pd.DataFrame, targets: NDArray[Any], task: Task) -> list[Problem]:
    """Columns by which alone the target can be told, on rows that were not used to find out how."""
    if len(sample) < LEAST_ROWS_ALONE:
        return []
    problems = []
    for column in schema.columns:
        power = _power(_as_number(sample[column.name]), targets, task)
        if power >= ALONE:
            rule = (
                f"no column that gives the target away; this one alone goes {power:.1%} of the way to a perfect score"
            )
            fix = "if it is not known when a prediction is made, leave it out: data.drop"
            problems.append(Problem("data.drop", column.name, rule, fix))
    return problems


def _power(values: NDArray[np.float64], targets: NDArray[Any], task: Task) -> float:
    """Share of the way from the trivial to the perfect predictor that a tree on one column goes, on held-out rows."""
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    column, half = values.reshape(-1, 1), np.arange(len(values)) % 2 == 0
    fitted, judged = targets[half], targets[~half]
    # 256 leaves tell 256 values apart; more would only cost time.
    make = DecisionTreeClassifier if task == "classification" else DecisionTreeRegressor
    predicted = make(max_leaf_nodes=256, random_state=0).fit(column[half], fitted).predict(column[~half])
    if task == "regression":
        least = float(np.square(judged - fitted.mean()).sum())
        return 1 - float(np.square(judged - predicted).sum()) / least if least > 0 else 0.0
    values_of, counts = np.unique(fitted, return_counts=True)
    trivial = float((judged == values_of[counts.argmax()]).mean())
    return (float((judged == predicted).mean()) - trivial) / (1 - trivial) if trivial < 1 else 0.0


def _as_number(column: pd.Series[Any]) -> NDArray[np.float64]:
    if column.dtype == object:
        return np.asarray(pd.factorize(column)[0], dtype=np.float64)
    if column.dtype.kind == "M":
        return np.asarray(column.astype("int64"), dtype=np.float64)
    # Missing is a value like another here: that it is missing may give the target away.
    return np.asarray(column.fillna(-1e30), dtype=np.float64)


def _identical(sides: Mapping[str, Side]) -> list[Problem]:
    """Rows of validation and test that stand among the training rows, target included."""
    known = np.unique(row_hashes(sides["train"]))
    problems = []
    for part in ("validation", "test"):
        hashes = row_hashes(sides[part])
        twice = int(np.isin(hashes, known).sum())
        if twice >= max(1, IDENTICAL_SHARE * len(hashes)):
            value = f"{twice} of {len(hashes)} {part} rows"
            rule = "rows that were not trained on; these stand among the training rows as well, target included"
            fix = "remove repeated rows, or keep them on one side, by a column that is the same in them: data.group"
            problems.append(Problem("data", value, rule, fix))
    return problems


def row_hashes(side: Side) -> NDArray[np.uint64]:
    """A number for each row, equal for equal rows, ``[N]``: random odd multiples of the bits, summed modulo 2⁶⁴."""
    rows, width = side.inputs.shape
    multipliers = np.random.default_rng(0).integers(0, 2**63, size=width + 1, dtype=np.uint64) * 2 + 1
    hashes = np.empty(rows, dtype=np.uint64)
    # At most 64 MB of products at a time.
    step = max(1, 8_000_000 // (width + 1))
    targets = np.ascontiguousarray(side.targets, dtype=np.float64).view(np.uint64)
    for start in range(0, rows, step):
        # + 0.0: minus zero is zero.
        bits = np.ascontiguousarray(side.inputs[start : start + step] + np.float32(0)).view(np.uint32)
        hashes[start : start + step] = (bits.astype(np.uint64) * multipliers[:-1]).sum(axis=1, dtype=np.uint64)
    mixed: NDArray[np.uint64] = hashes + (targets >> np.uint64(32)) * multipliers[-1] + targets
    return mixed


def _absent_classes(sides: Mapping[str, Side], classes: Sequence[str]) -> list[Problem]:
    problems = []
    for part, side in sides.items():
        if not classes:
            break
        counts = np.bincount(side.targets, minlength=len(classes))
        absent = [name for name, count in zip(classes, counts, strict=True) if count == 0]
        if absent:
            rule = f"rows of every class in each part; the {part} rows have none of these"
            fix = "divide in another way, or give these classes more rows"
            problems.append(Problem("data.split", few(absent), rule, fix))
    return problems
