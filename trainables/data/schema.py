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
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trainables.data.config import ColumnKind
from trainables.data.reading import Reading
from trainables.data.types import canonical_names, few, plain
from trainables.errors import DataError, Problem

KINDS: tuple[ColumnKind, ...] = get_args(ColumnKind)
# The category of a missing value.
MISSING = "(missing)"
# How raw values look, which is what a served model's signature says. A column may look like whole numbers and be
# categorical (a postal code).
Storage = Literal["number", "whole", "text", "truth", "time", "clock"]
# A column of whole numbers and words is one of categories up to so many numbers and words, each this often in the mean:
# children 0, 1, 2, 3, more. Beyond, the numbers are a quantity and the word a way to say "missing" or a mistake.
FEW_CATEGORIES, MOST_WORDS, LEAST_REPEATS = 10, 3, 10
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_WORD = re.compile(r"[^\W\d_]{3,}([ _-][^\W\d_]+)*")
# Numbers with commas before each three digits.
_GROUPED = r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?"
_CLOCK = r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?"
# float32 ends at 3.4e38: what is larger would become infinite on the way into a tensor.
LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Column:
    """A feature column.

    Attributes:
        name: In the table.
        kind: What it means.
        storage: How its raw values look; ``clock`` is a time of day, also where it comes as text.
        canonical: Whether categories are known by their canonical texts (``1`` for 1.0). Not where the training table
            tells apart what these would make one (versions 1.1 and 1.10), nor in models of earlier versions.
    """

    name: str
    kind: ColumnKind
    storage: Storage
    canonical: bool = False


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
            names: Of the table's columns.
            path: Of the table, for messages.

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
            path: Of the table, for messages.

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
                converted[column.name] = _CONVERSIONS[column.kind](plain(table.column(column.name)), column)
            except _NotOfItsKindError as error:
                where = f"column {column.name}, row {error.row + 1}: {error.value!r}"
                problems.append(Problem(path, where, f"{error.rule}, as column {column.name} has", error.fix))
        if problems:
            raise DataError(problems)
        return converted


class _NotOfItsKindError(Exception):
    def __init__(self, row: int, value: object, rule: str, fix: str) -> None:
        super().__init__(rule)
        self.row, self.value, self.rule, self.fix = row, value, rule, fix


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
                _CONVERSIONS[column.kind](raw, column)
            elif note := _note(raw, column):
                notes.append(f"column {name}: {note}")
        except _NotOfItsKindError as error:
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


def missing(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Which rows have no value; NaN written into a Parquet file is a number to Arrow and missing to everyone else."""
    return np.asarray(pc.is_null(column, nan_is_null=True).to_numpy(), dtype=bool)


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
    raise _NotOfItsKindError(-1, None, f"numbers, true/false, text or dates, not {kind}", fix)


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
        raise _NotOfItsKindError(
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
        raise _NotOfItsKindError(
            int(np.flatnonzero(values.notna())[at]),
            present.iloc[at],
            f"one type of value: of {len(present)}, {numbers} are numbers and {len(present) - numbers} are not",
            f"if it means missing, data.csv.null_values: [{present.iloc[at]!r}]; "
            "if these are codes, data.columns: {{{name}: categorical}}; else mend the value",
        )
    if _as_times(present).notna().all():
        return "date", "text"
    if _as_clock_times(present).notna().all():
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


# ---- conversions ---------------------------------------------------------------------------------------------------


def _to_numbers(column: pa.ChunkedArray, of: Column) -> NDArray[np.float64]:
    kind = column.type
    if pa.types.is_string(kind):
        values = column.to_pandas()
        numbers = pd.to_numeric(values, errors="coerce")
        _require_all(
            values.notna().to_numpy(),
            numbers.notna().to_numpy(),
            values,
            "numbers",
            "mend the value, or make the column categorical",
        )
        result = np.asarray(numbers.to_numpy(np.float64, na_value=np.nan))
    elif pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        result = np.asarray(column.to_numpy(), dtype=np.float64)
    elif pa.types.is_decimal(kind) or pa.types.is_null(kind):
        result = np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
    else:
        raise _NotOfItsKindError(0, _first(column), f"numbers, not {kind}", "choose another kind for the column")
    beyond = np.abs(result) >= LARGEST
    if beyond.any():
        at = int(np.flatnonzero(beyond)[0])
        fix = "replace infinite values, and numbers beyond 3.4e38"
        raise _NotOfItsKindError(at, float(result[at]), "finite numbers", fix)
    return result


def _to_truths(column: pa.ChunkedArray, of: Column) -> NDArray[np.float64]:
    if pa.types.is_string(column.type):
        values = column.to_pandas()
        truths = values.str.lower().map({"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0, "1": 1.0, "0": 0.0})
        _require_all(values.notna().to_numpy(), truths.notna().to_numpy(), values, "true or false", "mend the value")
        return np.asarray(truths.to_numpy(np.float64, na_value=np.nan))
    result = _to_numbers(column, of)
    other = ~np.isnan(result) & (result != 0) & (result != 1)
    if other.any():
        at = int(np.flatnonzero(other)[0])
        raise _NotOfItsKindError(at, float(result[at]), "true or false (1 or 0)", "mend the value, or make it numeric")
    return result


def _to_categories(column: pa.ChunkedArray, of: Column) -> NDArray[Any]:
    if of.canonical:
        texts = canonical_names(column, numbers=of.storage in ("whole", "number"))
    else:
        texts = category_names(column)
    names = texts.to_pandas().to_numpy(dtype=object)
    names[missing(column)] = MISSING
    return np.asarray(names, dtype=object)


def _to_dates(column: pa.ChunkedArray, of: Column) -> NDArray[np.datetime64]:
    kind = column.type
    if pa.types.is_string(kind):
        values = column.to_pandas()
        times = _as_clock_times(values) if of.storage == "clock" else _as_times(values)
        shown = "times of day such as 13:45" if of.storage == "clock" else "dates such as 2026-11-24"
        rule = f"{shown} or {'13:45:10.5' if of.storage == 'clock' else '2026-11-24 13:45'}"
        _require_all(
            values.notna().to_numpy(),
            times.notna().to_numpy(),
            values,
            rule,
            "mend the value, or make the column categorical",
        )
        return np.asarray(times.to_numpy(), dtype="datetime64[us]")
    if pa.types.is_time(kind) and of.storage == "clock":
        # Arrow takes microseconds for numbers of them since 1970, and no coarser ones.
        column = column.cast(pa.time64("us"), safe=False).cast(pa.int64())
        return np.asarray(column.cast(pa.timestamp("us")).to_numpy(), dtype="datetime64[us]")
    if not (pa.types.is_date(kind) or pa.types.is_timestamp(kind) or pa.types.is_null(kind)):
        raise _NotOfItsKindError(0, _first(column), f"dates, not {kind}", "choose another kind for the column")
    return np.asarray(column.cast(pa.timestamp("us"), safe=False).to_numpy(), dtype="datetime64[us]")


def category_names(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values as text, as people write them: 3.0 is 3, and truth is true."""
    kind = column.type
    if pa.types.is_floating(kind):
        values = column.cast(pa.float64())
        if (
            pc.all(pc.equal(values, pc.floor(values)), min_count=0).as_py()
            and not pc.any(pc.greater(pc.abs(values), 2**53)).as_py()
        ):
            gaps = pc.if_else(pc.is_nan(values), pa.scalar(None, pa.float64()), values)
            return gaps.cast(pa.int64()).cast(pa.string())
    return column.cast(pa.string())


def _as_times(values: pd.Series[Any]) -> pd.Series[Any]:
    times = pd.to_datetime(values, errors="coerce", utc=True, format="ISO8601")
    return times.dt.tz_localize(None)


def _as_clock_times(values: pd.Series[Any]) -> pd.Series[Any]:
    """Times of day on the first day of 1970; NaT where a text is none."""
    texts = values.astype(object)
    clock = texts.where(texts.str.fullmatch(_CLOCK).fillna(False).astype(bool))
    return _as_times("1970-01-01T" + clock.str.rjust(2, "0").str.replace(r"^(\d):", r"0\1:", regex=True))


def _require_all(present: NDArray[np.bool_], parsed: NDArray[np.bool_], values: Any, rule: str, fix: str) -> None:
    wrong = present & ~parsed
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise _NotOfItsKindError(at, values.iloc[at], rule, fix)


def _first(column: pa.ChunkedArray) -> object:
    return column[0].as_py() if len(column) else None


_CONVERSIONS: Mapping[ColumnKind, Any] = {
    "numeric": _to_numbers,
    "boolean": _to_truths,
    "categorical": _to_categories,
    "date": _to_dates,
}
