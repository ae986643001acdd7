"""What the rows of a CSV file's first bytes, and of some later ones, tell of its columns."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from trainables.data import text_encoding
from trainables.data.config import CsvConfig
from trainables.data.reading import NULL_VALUES
from trainables.data.row_names import is_version

# Enough lines to see how a CSV file is written; encodings differ in rare letters, so not too few.
SAMPLE_BYTES = 256 * 1024
# Later places of a larger file at which is looked, too, for so much of these bytes together.
PLACES = 8
# Digits from which on a number that begins with zeros is a code: four may be a time, 0830.
CODE_DIGITS = 5
# Points between thousands, with or without a decimal comma behind.
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(\.\d{3})+(,\d+)?")
_MONTH = re.compile(r"(0[1-9]|1[0-2])\.(19|20)\d{2}")
_DAY = re.compile(r"(19|20)\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")
_VERSION = re.compile(r"\d+(\.\d+)?")
_TIME_OF_DAY = re.compile(r"([01]\d|2[0-3])[0-5]\d[0-5]\d")


def rows_of(text: str, delimiter: str, *, blanks: bool = False) -> list[list[str]]:
    """The rows of a text, as cells, which may hold line breaks in quotes and have blanks before these."""
    try:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=blanks))
    except csv.Error:
        # A quotation mark that is never closed makes a cell that is too long.
        return [cells_of(line, delimiter) for line in text.splitlines()]


def cells_of(line: str, delimiter: str) -> list[str]:
    """The cells of a line."""
    return next(csv.reader([line], delimiter=delimiter), [])


def with_rows_further_on(rows: list[list[str]], file: Path, written: CsvConfig) -> list[list[str]]:
    """Rows of a sample and, of a larger file, some of later places: where rows are in order, others look otherwise."""
    size, more = file.stat().st_size, []
    if size <= SAMPLE_BYTES or str(written.encoding).startswith("utf-16"):
        return rows
    with file.open("rb") as opened:
        for place in range(1, PLACES + 1):
            opened.seek(SAMPLE_BYTES + (size - SAMPLE_BYTES) * place // PLACES - SAMPLE_BYTES // PLACES)
            text = text_encoding.decode(opened.read(SAMPLE_BYTES // PLACES), str(written.encoding))
            # The first line and the last may be cut, and a value of several lines, which then makes rows of none.
            found = rows_of("\n".join(text.splitlines()[1:-1]), str(written.delimiter))
            more += found if all(len(row) == len(rows[0]) for row in found) else []
    return [*rows[:-1], *more, rows[-1]]


def _different(rows: Sequence[list[str]]) -> Iterator[tuple[str, set[str]]]:
    """Each column's name and its different values, of the rows of a sample, the last of which may be cut."""
    names, *whole = rows[:-1] or [[]]
    columns = zip(*(row for row in whole if len(row) == len(names)), strict=False)
    for name, cells in zip(names, columns, strict=False):
        yield name, {cell.strip() for cell in cells} - {*NULL_VALUES}


def codes_in(rows: Sequence[list[str]]) -> list[str]:
    """Names of columns whose values are digits, as many in each, of which some begin with a zero: 01009, 000028.

    Fewer than CODE_DIGITS may be months, hours or the like, and six a time of day (093000).
    """
    found = []
    for name, values in _different(rows):
        lengths = {len(value) for value in values}
        are_digits = len(lengths) == 1 and min(lengths) >= CODE_DIGITS and all(map(str.isdecimal, values))
        are_times = are_digits and all(map(_TIME_OF_DAY.fullmatch, values))
        if are_digits and not are_times and any(value[0] == "0" for value in values) and any(map(int, values)):
            # SAP's day for none, beside days.
            rest = values - {"00000000"}
            if not (rest < values and all(map(_DAY.fullmatch, rest))):
                found.append(name)
    return found


def not_numbers_in(rows: Sequence[list[str]]) -> list[str]:
    """Names of columns that a reader takes for fractions and that may be something else, by all of their values.

    Thousands with points beside numbers below a thousand without (1.064, 858), months (03.2024), and versions of which
    two would be one number (1.1, 1.10): what they are is found out, said or asked, where columns are looked at by
    themselves (kinds.py).
    """
    found = []
    for name, values in _different(rows):
        grouped = {value for value in values if THOUSANDS.fullmatch(value)}
        bare = values - grouped
        are_thousands = grouped and bare and all(re.fullmatch(r"[1-9]\d{0,2}|0", value) for value in bare)
        # Fractions of three digits lie about as low as the whole numbers beside them.
        if are_thousands and any(len(value) == 3 for value in bare):
            found.append(name)
        if len(values) > 1 and all(map(_MONTH.fullmatch, values)):
            found.append(name)
        if is_version(name) and all(map(_VERSION.fullmatch, values)) and len({*map(float, values)}) < len(values):
            found.append(name)
    return found
