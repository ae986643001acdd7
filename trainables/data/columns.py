"""A feature column, and raw values of any origin as values of its kind: ``CONVERSIONS``.

A conversion takes the raw column and says which value is not of the kind; ``Schema`` calls them for all its columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trainables.data import calendar_words, written_dates
from trainables.data.config import ColumnKind
from trainables.data.types import TRUTHS, canonical_names
from trainables.data.written_durations import seconds_in
from trainables.data.written_numbers import Notation

# The category of a missing value.
MISSING = "(missing)"
# How raw values look, which is what a served model's signature says. A column may look like whole numbers and be
# categorical (a postal code).
Storage = Literal["number", "whole", "text", "truth", "time", "clock"]
_CLOCK = r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?"
# float32 ends at 3.4e38: what is larger would become infinite on the way into a tensor.
LARGEST = float(np.finfo(np.float32).max)
# Whole numbers up to here are told apart as float64.
EXACT = 2**53


@dataclass(frozen=True)
class Column:
    """A feature column.

    Attributes:
        name: The column's name in the table.
        kind: What it means.
        storage: How its raw values look; ``clock`` is a time of day, also where it comes as text.
        canonical: Whether categories are known by their canonical texts (``1`` for 1.0). Not where the training table
            tells apart what these would make one (versions 1.1 and 1.10), nor in models of earlier versions.
        notation: How texts write numbers, where it is not as programs do.
        format: How texts write dates, as in ``strftime``, where it is not ISO.
        null_values: Values that mean missing.
        digits: Of a code of digits such as 01009, how many it has: 1009 and 1009.0 are the same code. 0 for others.
    """

    name: str
    kind: ColumnKind
    storage: Storage
    canonical: bool = False
    notation: Notation | None = None
    format: str | None = None
    null_values: tuple[str | float, ...] = ()
    digits: int = 0


def missing(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Which rows have no value; NaN written into a Parquet file is a number to Arrow and missing to everyone else."""
    return np.asarray(pc.is_null(column, nan_is_null=True).to_numpy(), dtype=bool)


# What to do with a value, also in rows to predict; with a column while its kind is still to be decided; with rows of
# another kind than training had.
MEND = "mend the value"
OR_CATEGORICAL = f"{MEND}, or make the column categorical"
AS_TRAINED = "give values as training had them"


class NotOfItsKindError(Exception):
    """A value is none of its column's kind.

    Args:
        row: The value's row, from 0; -1 if it is the whole column.
        value: The value as it is in the table.
        rule: What it should have been.
        fix: What to do; ``{name}`` stands for the column's name, ``{words}`` for those of all columns.
        words: What may mean "missing" in it.
        of_rows: What to do with rows to predict, of which what a column is has been decided; empty: ``fix``.
    """

    def __init__(
        self, row: int, value: object, rule: str, fix: str, words: tuple[str, ...] = (), *, of_rows: str = ""
    ) -> None:
        super().__init__(rule)
        self.row, self.value, self.rule, self.fix, self.words = row, value, rule, fix, words
        self.of_rows = of_rows or fix


def _to_numbers(column: pa.ChunkedArray, of: Column) -> NDArray[np.float64]:
    kind = column.type
    if pa.types.is_string(kind):
        values = column.to_pandas()
        if of.notation is None:
            result = np.asarray(pd.to_numeric(values, errors="coerce").to_numpy(np.float64, na_value=np.nan))
            if of.storage != "text":
                # Truths, as they are in a file whose format knows them: True is 1.
                truths = values.str.strip().str.lower().map({"true": 1.0, "false": 0.0})
                result = np.where(np.isnan(result), truths.to_numpy(np.float64, na_value=np.nan), result)
        else:
            result = of.notation.parse(values)
            if of.notation.is_duration and of.storage == "number":
                # Of a column of durations, which elsewhere are the numbers of their seconds.
                result = np.where(np.isnan(result), pd.to_numeric(values, errors="coerce").to_numpy(np.float64), result)
        rule = str(of.notation or "numbers")
        _require_all(values.notna().to_numpy(), ~np.isnan(result), values, rule, OR_CATEGORICAL)
    elif counts_seconds(kind):
        # A column of whole days is written in days: 3 days.
        result = seconds(column) / seconds_in(of.notation.unit if of.notation is not None else "")
    elif pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        result = np.asarray(column.to_numpy(), dtype=np.float64)
    elif pa.types.is_decimal(kind) or pa.types.is_null(kind):
        result = np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
    else:
        fix = "choose another kind for the column"
        raise NotOfItsKindError(0, _first(column), f"numbers, not {kind}", fix, of_rows=AS_TRAINED)
    if of.notation is not None and of.notation.unit == "%" and not of.notation.at_most_1:
        require_per_cent(column, result)
    if of.null_values:
        # However they are written: -999 kg is -999, and so is the float32 that is nearest to -999.9.
        marks = pd.to_numeric(pd.Series([*of.null_values], dtype=object), errors="coerce").dropna().to_numpy(np.float64)
        marks = np.concatenate([marks, marks.astype(np.float32).astype(np.float64)])
        result = np.where(np.isin(result, marks), np.nan, result)
    beyond = np.abs(result) >= LARGEST
    if beyond.any():
        at = int(np.flatnonzero(beyond)[0])
        fix = "replace infinite values, and numbers beyond 3.4e38"
        raise NotOfItsKindError(at, float(result[at]), "finite numbers", fix)
    return result


def require_per_cent(column: pa.ChunkedArray, numbers: NDArray[np.float64]) -> None:
    """Refuse shares where training had per cent: a sheet holds 47.4 % as 0.474, and shows the former.

    Raises:
        NotOfItsKindError: No value has a sign, and none is beyond 1.
    """
    bare = ~np.isnan(numbers)
    if pa.types.is_string(column.type):
        bare &= ~pc.fill_null(pc.match_substring(column, "%"), fill_value=False).to_numpy()
    present = np.flatnonzero(bare)
    shares = np.abs(numbers[present])
    if len(shares) and shares.max() <= 1 and shares.max() > 0:
        at = int(present[int(shares.argmax())])
        rule = "numbers in per cent; these look like shares, of which 1 is 100 %"
        fix = "multiply them by 100, or write them with their sign: 47.4%"
        raise NotOfItsKindError(at, column[at].as_py(), rule, fix)


def counts_seconds(kind: pa.DataType) -> bool:
    """Whether values are durations, or times of day, which as numbers are seconds."""
    return bool(pa.types.is_duration(kind) or pa.types.is_time(kind))


def seconds(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """Durations, or times of day since midnight, as numbers ``[N]``; NaN where one is missing."""
    exact = column.cast(pa.duration("ns") if pa.types.is_duration(column.type) else pa.time64("ns"), safe=False)
    return np.asarray(exact.cast(pa.int64()).cast(pa.float64()).to_numpy(), dtype=np.float64) / 1e9


def _to_truths(column: pa.ChunkedArray, of: Column) -> NDArray[np.float64]:
    if pa.types.is_string(column.type):
        values = column.to_pandas()
        # A column with gaps is one of floats to pandas: 1.0.
        truths = values.str.strip().str.lower().str.replace(r"^([01])\.0$", r"\1", regex=True).map(TRUTHS)
        _require_all(values.notna().to_numpy(), truths.notna().to_numpy(), values, "true or false", MEND)
        return np.asarray(truths.to_numpy(np.float64, na_value=np.nan))
    result = _to_numbers(column, of)
    other = ~np.isnan(result) & (result != 0) & (result != 1)
    if other.any():
        at = int(np.flatnonzero(other)[0])
        rule, fix = "true or false (1 or 0)", f"{MEND}, or make it numeric"
        raise NotOfItsKindError(at, float(result[at]), rule, fix, of_rows=MEND)
    return result


def _to_categories(column: pa.ChunkedArray, of: Column) -> NDArray[Any]:
    if of.canonical:
        texts = canonical_names(column, numbers=of.storage in ("whole", "number"))
    else:
        texts = category_names(column)
    if of.digits:
        # Without its zeros, as a sheet or a column of numbers has it: all codes have as many digits.
        are_digits = pc.match_substring_regex(texts, r"^\d+$")
        texts = pc.if_else(are_digits, pc.utf8_lpad(texts, of.digits, padding="0"), texts)
    names = texts.to_pandas().to_numpy(dtype=object)
    names[missing(column)] = MISSING
    return np.asarray(names, dtype=object)


def _to_dates(column: pa.ChunkedArray, of: Column) -> NDArray[np.datetime64]:
    dates = _read_dates(column, of)
    if not of.null_values:
        return dates
    words = pd.Series([str(value) for value in of.null_values], dtype=object)
    marks = as_clock_times(words) if of.storage == "clock" else as_times(words)
    marks = marks if of.format is None else written_dates.parse(words, of.format).fillna(marks)
    return np.where(np.isin(dates, marks.dropna().to_numpy(dates.dtype)), np.datetime64("NaT"), dates)


def _read_dates(column: pa.ChunkedArray, of: Column) -> NDArray[np.datetime64]:
    is_number = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    if of.format in calendar_words.SINCE_1970 and is_number:
        numbers = pd.Series(column.cast(pa.float64(), safe=False).to_numpy())
        return np.asarray(calendar_words.parse(numbers, of.format).to_numpy(), dtype="datetime64[us]")
    if of.format is not None and is_number and (whole := whole_numbers(column)) is not None:
        # 20260224 may have been read as a number, and be one with a fraction where the column has gaps.
        column = whole.cast(pa.string())
    kind = column.type
    if pa.types.is_string(kind):
        values = column.to_pandas()
        times = as_clock_times(values) if of.storage == "clock" else as_times(values)
        if of.format is not None:
            if "." not in of.format:
                # As pandas writes whole numbers of a column with gaps: 20260224.0.
                values = values.str.replace(r"^(\d+)\.0$", r"\1", regex=True)
            # Whoever asks a model may write ISO dates all the same.
            times = written_dates.parse(values, of.format).fillna(times)
        shown = "times of day such as 13:45" if of.storage == "clock" else "dates such as 2026-11-24"
        rule = f"{shown} or {'13:45:10.5' if of.storage == 'clock' else of.format or '2026-11-24 13:45'}"
        _require_all(values.notna().to_numpy(), times.notna().to_numpy(), values, rule, OR_CATEGORICAL)
        return np.asarray(times.to_numpy(), dtype="datetime64[us]")
    if pa.types.is_time(kind) and of.storage == "clock":
        # Arrow takes microseconds for numbers of them since 1970, and no coarser ones.
        column = column.cast(pa.time64("us"), safe=False).cast(pa.int64())
        return np.asarray(column.cast(pa.timestamp("us")).to_numpy(), dtype="datetime64[us]")
    if not (pa.types.is_date(kind) or pa.types.is_timestamp(kind) or pa.types.is_null(kind)):
        fix = "leave its kind out: {{name}: numeric}"
        whole = whole_numbers(column) if is_number else None
        written = None if whole is None else whole.drop_null().cast(pa.string()).to_pandas()
        if written is not None and written_dates.parse(written, "%Y%m%d").notna().all():
            fix = 'say how they are written: data.columns: {{name}: {kind: date, format: "%Y%m%d"}}'
        raise NotOfItsKindError(0, _first(column), f"dates, not {kind}", fix, of_rows=AS_TRAINED)
    return np.asarray(column.cast(pa.timestamp("us"), safe=False).to_numpy(), dtype="datetime64[us]")


def _to_texts(column: pa.ChunkedArray, of: Column) -> NDArray[Any]:
    texts = category_names(column).to_pandas().to_numpy(dtype=object)
    texts[missing(column)] = ""
    return np.asarray(texts, dtype=object)


def without_nulls(column: pa.ChunkedArray, null_values: Sequence[str | float]) -> pa.ChunkedArray:
    """A column in which some values are missing: texts by their letters, numbers by what they are."""
    if not null_values:
        return column
    kind = column.type
    if pa.types.is_string(kind):
        written = [value for value in null_values if isinstance(value, str)]
        for number in (value for value in null_values if not isinstance(value, str)):
            # As pandas writes whole numbers of a column with gaps, too: 99.0.
            written += [f"{number:.15g}", f"{number:.1f}"] if number == round(number) else [f"{number:.15g}"]
        gaps = pc.is_in(column, value_set=pa.array(written, pa.string()))
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers = pd.to_numeric(pd.Series([*null_values], dtype=object), errors="coerce").dropna()
        gaps = pc.is_in(column.cast(pa.float64(), safe=False), value_set=pa.array(numbers, pa.float64()))
    else:
        return column
    return pc.if_else(gaps, pa.scalar(None, kind), column)


def category_names(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values as text, as people write them: 3.0 is 3, and truth is true."""
    if pa.types.is_floating(column.type) and (whole := whole_numbers(column)) is not None:
        return whole.cast(pa.string())
    return column.cast(pa.string())


def whole_numbers(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """Numbers as integers where all are whole, as pandas makes floats of a column with gaps; None for others."""
    if pa.types.is_integer(column.type):
        return column
    values = column.cast(pa.float64())
    values = pc.if_else(pc.is_nan(values), pa.scalar(None, pa.float64()), values)
    are_whole = pc.and_(pc.equal(values, pc.floor(values)), pc.less_equal(pc.abs(values), EXACT))
    return values.cast(pa.int64()) if pc.all(are_whole, min_count=0).as_py() else None


def as_times(values: pd.Series[Any]) -> pd.Series[Any]:
    """Dates in UTC; NaT where a text is none."""
    # Of these, pandas makes the moment in which they are read.
    values = values.mask(values.isin(["now", "today"]))
    times = pd.to_datetime(values, errors="coerce", utc=True, format="ISO8601")
    return times.dt.tz_localize(None)


def as_clock_times(values: pd.Series[Any]) -> pd.Series[Any]:
    """Times of day on the first day of 1970; NaT where a text is none."""
    texts = values.astype(object)
    clock = texts.where(texts.str.fullmatch(_CLOCK).fillna(False).astype(bool))
    return as_times("1970-01-01T" + clock.str.rjust(2, "0").str.replace(r"^(\d):", r"0\1:", regex=True))


def _require_all(present: NDArray[np.bool_], parsed: NDArray[np.bool_], values: Any, rule: str, fix: str) -> None:
    wrong = present & ~parsed
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise NotOfItsKindError(at, values.iloc[at], rule, fix, of_rows=MEND)


def _first(column: pa.ChunkedArray) -> object:
    return column[0].as_py() if len(column) else None


CONVERSIONS: Mapping[ColumnKind, Any] = {
    "numeric": _to_numbers,
    "boolean": _to_truths,
    "categorical": _to_categories,
    "date": _to_dates,
    "text": _to_texts,
}
