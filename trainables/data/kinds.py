"""What the columns of a table are, found from their types and values, or given by the config.

Everything that could be meant in another way is said (``Schema.notes``) with the key that says otherwise; what can be
read in two ways that matter is refused, with both. Columns that only name rows (ids, free text) are left out, and this
is said: a network can but memorise them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from trainables.data import (
    calendar_words,
    number_marks,
    remarks,
    row_names,
    stray_dates,
    stray_values,
    units,
    written_dates,
    written_numbers,
    year_months,
    zone_names,
)
from trainables.data.columns import (
    CONVERSIONS,
    Column,
    NotOfItsKindError,
    Storage,
    as_clock_times,
    as_times,
    whole_numbers,
    without_nulls,
)
from trainables.data.config import ColumnConfig, ColumnKind
from trainables.data.number_marks import DecimalMark, TwoReadingsError
from trainables.data.reading import Reading
from trainables.data.row_names import in_words
from trainables.data.schema import Schema
from trainables.data.types import as_key, canonical_names, few, plain
from trainables.data.written_dates import TwoOrdersError
from trainables.data.written_numbers import Notation
from trainables.errors import DataError, Problem

# A column of whole numbers and words is one of categories up to so many numbers and words, each this often in the mean:
# children 0, 1, 2, 3, more. Beyond, the numbers are a quantity and the word a way to say "missing" or a mistake.
FEW_CATEGORIES, MOST_WORDS, LEAST_REPEATS = 10, 3, 10
_DATE_FIX = "data.columns: {{name}: {kind: date, format: '{format}'}}"
# By the first letter of a format.
_AHEAD = {"d": "day", "m": "month", "y": "year"}
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_WORD = re.compile(r"[^\W\d_]{3,}([ _-][^\W\d_]+)*")
_NAME_OF_INSTANT = re.compile(
    r"(.*[^a-z])?(ts|unix|epoch|utc|when|at|on|created|updated|modified|seen|start|end|begin|login)([^a-z].*)?|.*(date|time|stamp).*"
)


def infer(
    table: pa.Table,
    given: Mapping[str, ColumnConfig],
    path: str,
    reading: Reading | None = None,
    whole: pa.Table | None = None,
) -> Schema:
    """The schema of feature columns.

    Args:
        table: Feature columns only.
        given: What the config says of columns.
        path: Config key of the table, for messages.
        reading: How the file was read.
        whole: The table with its other columns: what means missing in one may be a value in another.

    Raises:
        DataError: Columns that cannot be features; all of them.
    """
    reading = reading or Reading()
    point = (reading.found and reading.found.decimal_point) or "."
    refused: dict[str, NotOfItsKindError] = {}
    columns, notes, named = [], [], dict[str, str]()
    for name in table.column_names:
        asked = given.get(name, ColumnConfig())
        raw = without_nulls(plain(table.column(name)), asked.null_values)
        try:
            column, note = _find(name, raw, asked, point)
        except NotOfItsKindError as error:
            refused[name] = error
            continue
        if asked.meant is None and (reason := row_names.why_left_out(column, raw)):
            named[column.name] = f"column {name}: {reason.replace('{name}', as_key(name))}"
        else:
            doubts = [] if asked.meant is not None else remarks.of(column, raw)
            notes += [f"column {name}: {said.replace('{name}', as_key(name))}" for said in (note, *doubts) if said]
        columns.append(replace(column, canonical=column.kind == "categorical" and _tells_apart(raw)))
    if refused:
        found = stray_values.said_of(refused, reading, table if whole is None else whole)
        raise DataError([Problem(path, *said) for said in found])
    if len(named) == len(columns):
        # A table of nothing else: whoever wants to learn from it has nothing better.
        named = {}
    kept = tuple(column for column in columns if column.name not in named)
    return Schema(kept, reading, (*notes, *named.values()), tuple(named))


def _find(name: str, raw: pa.ChunkedArray, asked: ColumnConfig, point: DecimalMark) -> tuple[Column, str]:
    """A column, and what should be said of it."""
    kind, texts = asked.meant, pa.types.is_string(raw.type)
    if kind == "text":
        # Numbers are words, too.
        column, note = Column(name, "text", "text"), ""
    elif kind == "categorical" and texts:
        # Text that is to be categories may be anything.
        column, note = Column(name, "categorical", "text", digits=_digits_of(raw.drop_null().to_pandas())), ""
    elif kind == "date" and asked.format is not None:
        if not written_dates.is_format(asked.format):
            rule, fix = "a format of dates, as of Python's strftime", "for example %d.%m.%Y, or %Y-%m-%d %H:%M:%S"
            raise DataError([Problem(f"data.columns.{name}.format", asked.format, rule, fix)])
        column, note = Column(name, "date", "text", format=asked.format), ""
    elif kind == "numeric" and texts:
        column, note = _numeric(name, raw, asked, point), ""
    elif kind == "numeric" and pa.types.is_time(raw.type):
        column, note = Column(name, "numeric", "number", notation=Notation(is_duration=True, hours_first=True)), ""
    else:
        column, note = _look(name, raw, point)
        column = replace(column, kind=kind or column.kind)
    column = replace(column, null_values=asked.null_values)
    if kind is not None:
        CONVERSIONS[kind](raw, column)
    return column, note


def _numeric(name: str, raw: pa.ChunkedArray, asked: ColumnConfig, point: DecimalMark) -> Column:
    """A text column that is said to hold numbers."""
    texts = raw.drop_null().to_pandas().astype(object)
    column = Column(name, "numeric", "text")
    if _plain_numbers(texts, point).notna().all() and asked.decimal is None and asked.thousands is None:
        return column
    try:
        notation = written_numbers.find(
            texts, point=point, decimal=asked.decimal, thousands=asked.thousands, are_numbers=True
        )
    except TwoReadingsError as error:
        raise _of_two_readings(error, raw) from error
    return replace(column, notation=notation or written_numbers.clock_durations(texts))


def _plain_numbers(texts: pd.Series[Any], point: DecimalMark) -> pd.Series[Any]:
    """Texts that are numbers as programs write them; NaN for others.

    Beside decimal commas, what a point stands for is seen from all values of a column together.
    """
    numbers = pd.to_numeric(texts, errors="coerce")
    return numbers if point == "." else numbers.where(~texts.str.contains(".", regex=False))


def _tells_apart(column: pa.ChunkedArray) -> bool:
    """Whether canonical texts are as many as the column's own."""
    values = pa.chunked_array([pc.unique(column.drop_null())])
    return len(pc.unique(canonical_names(values))) == len(values)


# ---- by values -------------------------------------------------------------------------------------------------------


def _look(name: str, column: pa.ChunkedArray, point: DecimalMark) -> tuple[Column, str]:
    kind = column.type
    if pa.types.is_string(kind):
        is_empty = column.null_count == len(column)
        return (Column(name, "categorical", "text"), "") if is_empty else _look_at_text(name, column, point)
    by_type: Mapping[Any, tuple[ColumnKind, Storage]] = {
        pa.types.is_boolean: ("boolean", "truth"),
        pa.types.is_integer: ("numeric", "whole"),
        pa.types.is_floating: ("numeric", "number"),
        pa.types.is_decimal: ("numeric", "number"),
        pa.types.is_null: ("numeric", "number"),
        pa.types.is_duration: ("numeric", "number"),
        pa.types.is_date: ("date", "time"),
        pa.types.is_timestamp: ("date", "time"),
        pa.types.is_time: ("date", "clock"),
    }
    if (instants := _look_at_instants(name, column)) is not None:
        return instants
    for is_of_it, (found, storage) in by_type.items():
        if is_of_it(kind):
            if pa.types.is_duration(kind):
                durations = Notation(is_duration=True)
                return Column(name, found, storage, notation=durations), "durations are read as seconds"
            return Column(name, found, storage), remarks.durations(column) if pa.types.is_time(kind) else ""
    fix = f"leave it out: {stray_values.LEAVE_OUT}"
    if pa.types.is_interval(kind):
        fix += "; or write it as a number, of seconds for example"
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        fix += "; if it is text, save the file as UTF-8, or name its encoding in data.csv.encoding"
    raise NotOfItsKindError(-1, None, f"numbers, true/false, text or dates, not {kind}", fix)


def _look_at_instants(name: str, column: pa.ChunkedArray) -> tuple[Column, str] | None:
    """Whole numbers that count seconds, or thousandths of them and less, since 1970, as logs do; None for others.

    As numbers they tell earlier from later; as dates, the hour and the weekday, too.
    """
    is_number = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    whole = whole_numbers(column) if is_number and _NAME_OF_INSTANT.fullmatch(in_words(name)) else None
    if whole is None or whole.null_count == len(whole):
        return None
    ends = pc.min_max(whole).as_py()
    form = calendar_words.since_1970(ends["min"], ends["max"])
    if form is None:
        return None
    unit = calendar_words.UNITS_SINCE_1970[form]
    first = calendar_words.parse(pd.Series([ends["min"]]), form).iloc[0]
    said = f"{ends['min']} is read as {unit} since 1970, {first:%Y-%m-%d %H:%M}"
    said += "; data.columns: {{name}: numeric} keeps the number"
    return Column(name, "date", "whole" if pa.types.is_integer(column.type) else "number", format=form), said


def _look_at_text(name: str, column: pa.ChunkedArray, point: DecimalMark) -> tuple[Column, str]:
    """A text column in which at least one value is there."""
    values = column.to_pandas()
    present = values[values.notna()].astype(object)
    as_text = Column(name, "categorical", "text", digits=_digits_of(present))
    # A leading zero belongs to a code, not to a number.
    coded = bool(present.str.match(r"^0\d").any())
    numbers = _plain_numbers(present, point)
    if numbers.notna().all() and not coded:
        try:
            number_marks.require_fractions(present)
        except TwoReadingsError as error:
            raise _of_two_readings(error, column) from error
        return Column(name, "numeric", "text"), ""
    # 0871 is no year.
    is_code = (coded and present.str.fullmatch(r"\d+").all()) or year_months.are_codes(present)
    if not is_code and as_times(present).notna().all():
        return Column(name, "date", "text"), year_months.said_of(present)
    if not coded:
        if _are_few_categories(present, numbers):
            words = few(sorted(present.unique()))
            return as_text, f"{words} are taken for categories; data.columns or data.csv.null_values say otherwise"
        if (found := _look_at_numbers(name, column, present, numbers, point)) is not None:
            return found
    if as_clock_times(present).notna().all():
        return Column(name, "date", "clock"), remarks.durations(column)
    found = None if is_code else _look_at_dates(name, column, present)
    if found is None and not is_code:
        stray_dates.refuse(column, present)
    return found or (as_text, "")


def _digits_of(present: pd.Series[Any]) -> int:
    """How many digits codes have of which some begin with a zero; 0 where values are something else."""
    different = present.drop_duplicates()
    lengths = different.str.len()
    is_code = lengths.nunique() == 1 and different.str.startswith("0").any() and different.str.fullmatch(r"\d+").all()
    return int(lengths.iloc[0]) if is_code else 0


def _look_at_numbers(
    name: str, column: pa.ChunkedArray, present: pd.Series[Any], plainly: pd.Series[Any], point: DecimalMark
) -> tuple[Column, str] | None:
    """A column of numbers as people write them; None for one that has no numbers for the most part.

    Raises:
        NotOfItsKindError: It has for the most part, or they can be read in two ways.
    """
    try:
        notation = written_numbers.find(present, point=point)
    except TwoReadingsError as error:
        raise _of_two_readings(error, column) from error
    numbers = plainly.to_numpy(np.float64) if notation is None else notation.parse(present)
    read = ~np.isnan(numbers)
    if not read.all() and (limited := written_numbers.with_limits(present, notation)) is not None:
        limit = present[~read].iloc[0]
        said = f"{limit!r} and the like, {int((~read).sum())} of {len(read)}, are read as the limits themselves"
        return Column(name, "numeric", "text", notation=limited), f"{said}; data.columns can say otherwise"
    if notation is not None and read.all():
        at = int(np.argmax(present.map(len).to_numpy()))
        said = f"{present.iloc[at]!r} is read as {numbers[at]:.15g} ({notation}{written_numbers.zero_in(present)})"
        return Column(name, "numeric", "text", notation=notation), f"{said}; data.columns can say otherwise"
    # Mostly numbers: the rest is more likely a way to say "missing", or a mistake, than a category.
    if 2 * read.sum() > len(read) and (notation is None or units.may_be_unit(notation.unit)):
        rule = stray_values.rule(read, "numbers")
        means, words = stray_values.means_missing(present[~read])
        # Of a limit beside it, such as < 1 year, nothing has to be said.
        value = words[0]
        raise NotOfItsKindError(
            _row_of(column, value),
            value,
            rule,
            f"{means}; if these are codes, data.columns: {{{{name}}: categorical}}; else mend the value",
            words,
        )
    return None


def _look_at_dates(name: str, column: pa.ChunkedArray, present: pd.Series[Any]) -> tuple[Column, str] | None:
    """A column of dates as people write them; None for others.

    Raises:
        NotOfItsKindError: Day and month cannot be told apart.
    """
    try:
        form = written_dates.find(present)
    except TwoOrdersError as error:
        first, second = (_DATE_FIX.replace("{format}", form) for form in error.formats)
        ahead, behind = (_AHEAD[form[1]] for form in error.formats)
        raise NotOfItsKindError(
            _row_of(column, error.value),
            error.value,
            f"dates of which one is clear; in all of these, {ahead} and {behind} may be either",
            f"if the {ahead} comes first, {first}; if the {behind} does, {second}",
        ) from error
    if form is None:
        return None
    # The last day of a month tells best which of the numbers is the day.
    clearest = present.iloc[int(written_dates.parse(present, form).dt.day.to_numpy().argmax())]
    said = f"{clearest!r} is read as a date written {form}; data.columns can say otherwise"
    if (zones := zone_names.named(present)) not in ("", "UTC", "GMT"):
        said += f"; zones are {'read, times are in UTC' if '%Z' in form else 'left out'}: {zones}"
    if "%y" in form and (late := written_dates.in_the_future(present, form)):
        said += f"; {late}"
    return Column(name, "date", "text", format=form), said


def _of_two_readings(error: TwoReadingsError, column: pa.ChunkedArray) -> NotOfItsKindError:
    return NotOfItsKindError(_row_of(column, error.value), error.value, error.rule, error.fix)


def _row_of(column: pa.ChunkedArray, value: str) -> int:
    return int(pc.index(column, value).as_py())


def _are_few_categories(present: pd.Series[Any], parsed: pd.Series[Any]) -> bool:
    """Whether a few whole numbers and words come again and again, as in 1, 2, 3, more."""
    different = present[parsed.notna()].unique()
    words = present[parsed.isna()].unique()
    return (
        0 < len(words) <= MOST_WORDS
        and 0 < len(different) <= FEW_CATEGORIES
        and len(present) >= LEAST_REPEATS * (len(different) + len(words))
        and all(_NUMBER.fullmatch(value) and "." not in value for value in different)
        # A mark such as ? or n/a is a way to say "missing".
        and all(_WORD.fullmatch(value) for value in words)
    )
