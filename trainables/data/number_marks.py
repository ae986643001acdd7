"""Which marks stand between thousands and before a fraction, found from all numbers of a column together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, Literal

import pandas as pd

DecimalMark = Literal[".", ","]
ThousandsMark = Literal["", ",", ".", " ", "'"]


class TwoReadingsError(Exception):
    """Numbers that may be read in two ways.

    Args:
        value: One of them.
        rule: What would be clear.
        fix: What to do; ``{name}`` stands for the column's name.
    """

    def __init__(self, value: str, rule: str, fix: str) -> None:
        super().__init__(rule)
        self.value, self.rule, self.fix = value, rule, fix


@cache
def shape(decimal: str, thousands: str) -> re.Pattern[str]:
    """What a number looks like that has these marks."""
    fraction, exponent = rf"(?:{re.escape(decimal)}\d*)?", r"(?:[eE][-+]?\d+)?"
    plain = rf"\d+{fraction}{exponent}|{re.escape(decimal)}\d+{exponent}"
    if not thousands:
        return re.compile(plain)
    mark = re.escape(thousands)
    grouped = rf"[1-9]\d{{0,2}}(?:{mark}\d{{3}})+{fraction}"
    if thousands == ",":
        # As in India: 12,34,567.
        grouped += rf"|[1-9]\d?(?:,\d\d)+,\d{{3}}{fraction}"
    return re.compile(f"{grouped}|{plain}")


def with_a_point(digits: str, decimal: str, marks: Iterable[str]) -> str | None:
    """Digits as programs write them, read by the first of some marks between thousands that fits; None if none does."""
    for mark in marks:
        if shape(decimal, mark).fullmatch(digits):
            return (digits.replace(mark, "") if mark else digits).replace(decimal, ".")
    return None


def _candidates(point: DecimalMark) -> Iterator[tuple[DecimalMark, ThousandsMark]]:
    """Marks in the order in which they are tried: those of the file first, and none before some."""
    first: DecimalMark = point
    other: DecimalMark = "," if point == "." else "."
    for decimal, grouping in ((first, other), (other, first)):
        for thousands in ("", grouping, " ", "'"):
            yield decimal, thousands


def find_marks(
    numbers: list[str], point: DecimalMark, decimal: DecimalMark | None, thousands: ThousandsMark | None
) -> tuple[DecimalMark, ThousandsMark] | None:
    """The first marks by which all numbers can be read, else those by which most can; None if that is half of them."""
    best, most = None, len(numbers) / 2
    for marks in _candidates(point):
        if (decimal or marks[0], marks[1] if thousands is None else thousands) != marks:
            continue
        shaped = shape(*marks)
        fitting = sum(shaped.fullmatch(number) is not None for number in numbers)
        if fitting > most:
            best, most = marks, fitting
        if fitting == len(numbers):
            break
    if best is not None and thousands is None and decimal is None:
        if best[1] in (",", "."):
            _require_clear(numbers, *best)
        elif best == (".", ""):
            _require_fractions(numbers)
    return best


def _require_clear(numbers: list[str], decimal: DecimalMark, thousands: ThousandsMark) -> None:
    """Refuse groups of three digits that may as well be fractions: where some thousands have no mark."""
    once = [number for number in numbers if number.count(thousands) == 1 and decimal not in number]
    sure = any(number.count(thousands) > 1 or decimal in number for number in numbers)
    bare = any(thousands not in number and len(number) > 3 for number in numbers)
    if once and bare and not sure:
        raise _two_readings(once[0], thousands)


def require_fractions(texts: pd.Series[Any]) -> None:
    """Refuse plain numbers that may as well be thousands: 1.064 beside 858, which lies about as high as 1 064.

    Args:
        texts: Each a number with a point for its fraction, or without any.

    Raises:
        TwoReadingsError: Three digits behind each point, and beside them whole numbers of up to three digits.
    """
    different = [text.strip() for text in texts.drop_duplicates()]
    if any(len(text) == 3 and text.isdigit() for text in different):
        _require_fractions(different)


def _require_fractions(numbers: list[str]) -> None:
    """Refuse fractions that may as well be thousands: three digits each, beside numbers of up to three without any."""
    with_point = [number for number in numbers if "." in number]
    bare = [number for number in numbers if "." not in number]
    if with_point and bare and all(map(shape(",", ".").fullmatch, with_point)) and max(map(len, bare)) <= 3:
        raise _two_readings(with_point[0], ".")


def _two_readings(number: str, mark: str) -> TwoReadingsError:
    name = "comma" if mark == "," else "point"
    return TwoReadingsError(
        number,
        f"numbers that can be read in one way only; this {name} may separate thousands or a fraction",
        "if a fraction, data.columns: {{name}: {kind: numeric, decimal: '{mark}'}}; if thousands, "
        "data.columns: {{name}: {kind: numeric, thousands: '{mark}'}}; if these are codes, "
        "data.columns: {{name}: categorical}".replace("{mark}", mark),
    )
