"""Numbers as people write them: ``$1,234.50``, ``1.234,50 €``, ``24.4 %``, ``27.5 kg``, ``(1,234)``, ``1h 30m``.

How a column writes its numbers is found once, from all values of the training table together (``find``): a single
``1,921`` could be either, a column with ``1,921`` and ``1,234,567`` cannot. ``Notation.parse`` then reads later values
by it. A unit beside the numbers is taken off, not converted: all values of a column have the same one.

>>> values = pd.Series(["$1,234.50", "($377.00)", "$12"])
>>> notation = find(values)
>>> notation.parse(values).tolist()
[1234.5, -377.0, 12.0]
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trainables.data.number_marks import DecimalMark, ThousandsMark, TwoReadingsError, find_marks, with_a_point
from trainables.data.types import visible
from trainables.data.units import MULTIPLIERS, base_of, is_currency, is_known_unit, singular
from trainables.data.written_durations import (
    HOURS_AND_SECONDS,
    WEEKS_AND_DAYS,
    YEARS,
    are_durations,
    in_unit,
    is_duration,
    seconds_of,
    units_of,
)
from trainables.data.written_lengths import are_lengths, inches_of

# Letters that are as often part of a code (14B), a size (2T) or another unit beside the column's own (1.6L, 2.0T).
_DOUBTFUL = frozenset("MBT")
# Of engines, 1.6 beside 2.0T.
_SMALL_FRACTION = re.compile(r"\d{1,2}[.,]\d{1,2}")
# A thousand in Spanish and Portuguese, a million in English.
_TWO_SIZES = "mil"
# A value is a sign, a currency, digits with marks, and a unit: letters or a sign, and no number but for m2 and m3.
_VALUE = re.compile(
    r"(?P<open>\()?(?P<sign>[-+]?)\s*(?P<before>[^\d\s.,'()+-][^\d\s()+-]{0,3})?\s*(?P<inner>[-+]?)"
    r"(?P<number>(?:\d[\d., ']*|[.,]\d+)(?:[eE][-+]?\d+)?)"
    r"\s*(?P<after>[^\W\d_][^\s()\d]{0,11}[23]?(?: (?:[^\W\d_]{1,8}|[€$£¥₹]))?"
    r"|[€$£¥₹]?/ ?[^\W\d_]{1,7}|[€$£¥₹]|[%‰°²µ\"][^\s\d()]{0,5}|° [NSEW]|(?![-+.,'/:;()])[^\w\s]{1,2})?"
    r"(?P<behind>-)?(?P<close>\))?"
)
# An amount below zero as Excel shows it, with its currency or sign outside: $ (55.10) and (5.2)%.
_BRACKETS = re.compile(r"^([^\d\s(),.+-]{1,3})?\s*\(([^()]*\d)\)\s*(%)?$")
_SPACES = str.maketrans(dict.fromkeys("\u00a0\u202f\u2009\u2007", " ") | {"’": "'", "−": "-", "–": "-"})
# A dash behind a comma says that the points before it stand between thousands, and the other way round.
_NO_FRACTION_OF_THOUSANDS = re.compile(r"(?<=\.\d{3})(,)--?(?=\D*$)|(?<=[,']\d{3})(\.)--?(?=\D*$)")
# Instead of a fraction, a dash says that there is none: 139,- and 2.950,-- and 296.- as in Germany and Switzerland.
_NO_FRACTION = re.compile(r"(?<=\d)[.,]--?(?=\D*$)")
# Nothing, as sheets show it in columns of money: $ -, - €, and a dash with room behind it for a point and two digits.
_ZERO = re.compile(r"\s*(?P<before>[^\d\s(),.+-]{1,3})?\s*-(?P<room>\s*)(?P<after>[^\d\s(),.+-]{1,3})?\s*")
# Before a number: it is less, or more.
LIMIT = re.compile(r"\s*[<>≤≥]=?\s*(?=[\d.,$€£])")
_CLOCK = re.compile(r"\s*\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?\s*")
# Instead of a sign: degrees north and south, east and west; what is credited and debited. 12E and 14W are doors.
_BELOW_ZERO = {"n": "s", "e": "w", "°n": "°s", "°e": "°w", "cr": "dr"}
# Values at which is looked before all of them are: words are found out by a few.
_GLANCE = 200
# A unit is a column's own if this share of the values that have one have it; the others are mistakes.
_SHARE_OF_UNIT = 0.9


@dataclass(frozen=True)
class Notation:
    """How a column writes its numbers.

    Attributes:
        decimal: Between the whole part and the fraction.
        thousands: Between groups of three digits; empty for none.
        unit: Stands beside the numbers, or some of them; empty for none. All are of this unit.
        has_limits: Whether ``<0.5`` is 0.5: what could not be measured is taken for the limit below which it was.
        is_duration: Values such as ``1h 30m``, ``PT90S`` or ``26:03:07``, which are read as seconds.
        is_length: Values such as ``5'10"``, which are read as inches.
        hours_first: Whether a duration such as ``21:15`` is one of hours and minutes, as a time of day is.
        m_is_month: Whether ``6m`` is a duration of months, as beside ``2y``.
        at_most_1: Whether per cents are all so small (0.15%) that bare numbers as small are no shares.
        below_zero: A unit that stands instead of a minus, as ``12.5 S`` beside ``12.5 N``; empty for none.
    """

    decimal: DecimalMark = "."
    thousands: ThousandsMark = ""
    unit: str = ""
    has_limits: bool = False
    is_duration: bool = False
    is_length: bool = False
    hours_first: bool = False
    m_is_month: bool = False
    at_most_1: bool = False
    below_zero: str = ""

    def __str__(self) -> str:
        """In words, for notes."""
        if self.is_duration:
            return "durations, in seconds"
        if self.is_length:
            return "feet and inches, in inches"
        marks = {",": "a comma", ".": "a point", " ": "a space", "'": "an apostrophe"}
        parts = [f"{marks[self.thousands]} between thousands"] if self.thousands else []
        parts += ["a decimal comma"] if self.decimal == "," else []
        if self.below_zero:
            parts += [f"{self.below_zero} for a minus and {self.unit} for a plus"]
        elif self.unit:
            parts += [f"the unit {self.unit}"]
        return f"numbers with {', '.join(parts)}" if parts else "numbers"

    def parse(self, values: pd.Series[Any]) -> NDArray[np.float64]:
        """Texts as numbers, ``[N]``; NaN where one is missing or no number of this notation."""
        codes, different = pd.factorize(values, use_na_sentinel=True)
        numbers = np.fromiter(map(self._parse_one, different), np.float64, len(different))
        return np.asarray(np.append(numbers, np.nan)[codes])

    def _parse_one(self, text: str) -> float:
        if self.is_duration:
            return seconds_of(text, hours_first=self.hours_first, m_is_month=self.m_is_month)
        if self.is_length:
            return inches_of(text)
        found = parts_of(LIMIT.sub("", text) if self.has_limits else text)
        if found is None:
            return in_unit(text, self.unit)
        digits, sign, unit = found
        if self.below_zero and singular(unit) == singular(self.below_zero):
            sign, unit = -sign, self.unit
        factor = MULTIPLIERS.get(unit, 0.0)
        mine = singular(self.unit)
        if unit and singular(unit) != mine and not factor:
            head, _, tail = unit.rpartition(" ")
            factor = MULTIPLIERS.get(tail, 0.0) if singular(head) == mine else 0.0
            if not factor:
                return float("nan")
        # A column of numbers below a thousand does not say what stands between thousands; a later file may.
        marks = [self.thousands] if self.thousands else ["", *(mark for mark in "., '" if mark != self.decimal)]
        plain = with_a_point(digits, self.decimal, marks)
        return float("nan") if plain is None else sign * float(plain) * (factor or 1.0)


def find(
    values: pd.Series[Any], *, point: DecimalMark = ".", decimal: DecimalMark | None = None,
    thousands: ThousandsMark | None = None, are_numbers: bool = False,
) -> Notation | None:  # fmt: skip
    """How a text column writes its numbers; None where it does not hold numbers for the most part.

    Args:
        values: Texts, none missing.
        point: The decimal mark of the file's other columns, which decides where a value says nothing.
        decimal: The column's decimal mark, where the config gives it.
        thousands: The mark between its thousands, where the config gives it.
        are_numbers: Whether the config says that they are numbers.

    Raises:
        TwoReadingsError: They can be read in two ways.
    """
    different = values.drop_duplicates()
    if are_lengths(different):
        return Notation(is_length=True)
    glance = list(different.iloc[np.linspace(0, len(different) - 1, min(len(different), _GLANCE)).astype(int)])
    if 2 * sum(parts_of(text) is not None or is_duration(text) for text in glance) <= len(glance):
        return None
    counts = values.value_counts()
    read = {text: found for text in counts.index if (found := parts_of(text)) is not None}
    is_none = not read or _has_leading_zeros(read)
    # Hours beside hours and minutes are of two units, too.
    has_units = len({singular(base_of(unit)) for _, _, unit in read.values()} - {""}) > 1 or len(read) < len(counts)
    durations = _of_durations(counts.index) if is_none or has_units else None
    if is_none or durations is not None:
        return durations
    return _of_amounts(read, counts, (point, decimal, thousands), are_numbers=are_numbers)


def _of_amounts(
    read: dict[str, tuple[str, float, str]],
    counts: pd.Series[int],
    marks_given: tuple[DecimalMark, DecimalMark | None, ThousandsMark | None],
    *,
    are_numbers: bool,
) -> Notation | None:
    """How amounts are written, by their parts and how often each comes; None where a unit is none.

    Raises:
        TwoReadingsError: They can be read in two ways.
    """
    units, written = Counter[str](), {"": ""}
    for text, (_, _, unit) in read.items():
        units[singular(base_of(unit))] += int(counts[text])
        written.setdefault(singular(base_of(unit)), base_of(unit))
    bare = units.pop("", 0)
    above = _unit_above_zero(units, bare, read)
    own = None if _are_grades(read) else above or _own_unit(units, bare, read)
    if own is None:
        return None
    _require_sizes(read, own, are_numbers=are_numbers)
    if own == "m" and (million := next((text for text, (_, _, its) in read.items() if its in MULTIPLIERS), None)):
        fix = "write M where millions are meant, or take them for categories: data.columns: {{name}: categorical}"
        raise TwoReadingsError(million, "amounts of one unit in a column; beside this one m may be million", fix)
    below = _BELOW_ZERO[above] if above else ""
    numbers = [digits for digits, _, its in read.values() if singular(base_of(its)) in ("", own, below)]
    marks = find_marks(numbers, *marks_given)
    if marks is None:
        return None
    notation = Notation(*marks, written[own], below_zero=written[below] if below else "")
    return replace(notation, at_most_1=own == "%" and bool(np.nanmax(np.abs(notation.parse(pd.Series([*read])))) <= 1))


def _of_durations(different: pd.Index[Any]) -> Notation | None:
    """How durations are read, where texts are such.

    Raises:
        TwoReadingsError: An m may be a minute or a month.
    """
    if not are_durations(different):
        return None
    units = units_of(different)
    if "m" in units and not units & YEARS and units & WEEKS_AND_DAYS and not units & HOURS_AND_SECONDS:
        value = next(text for text in different if "m" in units_of([text]))
        rule = "durations that can be read in one way only; this m may be minutes or months"
        raise TwoReadingsError(
            value, rule, "write min or mo, or take them for categories: data.columns: {{name}: categorical}"
        )
    return Notation(is_duration=True, m_is_month=bool(units & YEARS))


def with_limits(values: pd.Series[Any], notation: Notation | None) -> Notation | None:
    """How a column of numbers and limits (``<0.5``, ``> 90``) is read; None where others are more, or something else.

    Args:
        values: Texts, none missing.
        notation: Of those that are numbers.
    """
    limits = values.str.match(LIMIT).to_numpy(bool)
    if not limits.any() or 2 * limits.sum() >= len(values):
        return None
    read = replace(notation or Notation(), has_limits=True)
    return None if np.isnan(read.parse(values)).any() else read


def clock_durations(values: pd.Series[Any]) -> Notation | None:
    """How texts such as ``2:52:27`` are amounts, where it is known that they are; by themselves, they are times of day.

    ``21:15`` is hours and minutes then, as it is in a file whose format knows times.

    Args:
        values: Texts, none missing.
    """
    are_clocks = values.drop_duplicates().str.fullmatch(_CLOCK).all()
    return Notation(is_duration=True, hours_first=True) if are_clocks else None


def parts_of(text: str) -> tuple[str, float, str] | None:
    """Digits with their marks, the sign (1 or -1), and the unit, of a text that is a number; None of another."""
    written = visible(text).strip().translate(_SPACES)
    written = _NO_FRACTION_OF_THOUSANDS.sub(lambda mark: f"{mark[1] or mark[2]}00", written)
    written = _BRACKETS.sub(lambda found: f"({found[1] or ''}{found[2]}{found[3] or ''})", written)
    found = _VALUE.fullmatch(_NO_FRACTION.sub("", written))
    if found is None:
        return _parts_of_zero(text)
    part = {name: value or "" for name, value in found.groupdict().items()}
    signs = [mark for mark in (part["sign"], part["inner"], part["behind"]) if mark]
    if bool(part["open"]) != bool(part["close"]) or len(signs) > 1 or (part["open"] and signs):
        return None
    before, after = part["before"], part["after"].rstrip(".").replace("° ", "°")
    if any(unicodedata.category(letter) == "No" and letter not in "²³" for letter in before + after):
        # 11½ is no 11 of a unit.
        return None
    if before and before != "%" and not is_currency(before):
        return None
    first, _, last = after.partition(" ")
    if last and first.rstrip(".") in MULTIPLIERS and is_currency(last):
        # 1,5 Mio. € as € 1,5 Mio.
        before, after = last, first.rstrip(".")
    negative = bool(part["open"]) or "-" in signs
    return part["number"].strip(), -1.0 if negative else 1.0, " ".join(filter(None, (before.rstrip("."), after)))


def _parts_of_zero(text: str) -> tuple[str, float, str] | None:
    """The same of a dash that is nothing; None of any other, such as one that means missing."""
    found = _ZERO.fullmatch(visible(text).translate(_SPACES))
    if found is None:
        return None
    beside = [part for part in (found["before"], found["after"]) if part]
    if len(beside) == 1 and is_currency(beside[0]):
        return "0", 1.0, beside[0]
    return ("0", 1.0, "") if not beside and len(found["room"]) > 1 else None


def zero_in(values: pd.Series[Any]) -> str:
    """What is to be said of dashes that are nothing, if there are any among numbers; empty if not.

    Args:
        values: Texts that were all read as numbers.
    """
    dash = next((text for text in values.unique() if not any(map(str.isdigit, text))), None)
    return "" if dash is None else f", {dash!r} as 0"


def _own_unit(units: Counter[str], bare: int, read: dict[str, Any]) -> str | None:
    """The unit of a column; None where what stands beside its numbers is no unit.

    Raises:
        TwoReadingsError: Amounts of several units, or per cent beside plain numbers.
    """
    if not units:
        return ""
    (unit, most), total = units.most_common(1)[0], sum(units.values())
    known = [it for it in units if is_known_unit(it)]

    def example(of: str) -> str:
        return next(text for text, (_, _, its) in read.items() if singular(base_of(its)) == of)

    rule = "amounts of one unit in a column"
    fix = "write all of them in one, or take them for categories: data.columns: {{name}: categorical}"
    if len(units) == len(known) > 1:
        raise TwoReadingsError(example(units.most_common()[-1][0]), f"{rule}; others are in {unit}", fix)
    if unit == "%" and bare:
        raise TwoReadingsError(example(""), f"{rule}; {most:,} others are per cent", fix)
    return unit if most >= _SHARE_OF_UNIT * total and total > bare / 9 else None


def _unit_above_zero(units: Counter[str], bare: int, read: dict[str, Any]) -> str:
    """Of two units that are signs, the one that means plus; empty where they are units or part of a code."""
    found = next((above for above, below in _BELOW_ZERO.items() if {above, below} == set(units) and not bare), "")
    return found if len(found) > 1 or any("." in digits or "," in digits for digits, _, _ in read.values()) else ""


def _are_grades(read: dict[str, Any]) -> bool:
    """Whether a minus stands behind numbers of one digit: 4- is a mark at school, and 1.234,50- an amount."""
    behind = [text for text in read if text.strip().endswith("-") and not _NO_FRACTION.search(text)]
    return bool(behind) and all(digits.isdigit() and len(digits) == 1 for digits, _, _ in read.values())


def _require_sizes(read: dict[str, Any], own: str, *, are_numbers: bool) -> None:
    """Refuse letters that may be millions or part of a code, and words that are two sizes.

    Raises:
        TwoReadingsError: There are some.
    """
    for text, (_, _, unit) in read.items():
        if unit.rpartition(" ")[2].lower() == _TWO_SIZES:
            rule = "numbers that can be read in one way only; mil is a thousand in Spanish, and a million in English"
            raise TwoReadingsError(text, rule, "write thousand or million, or the number in full")
    sized = {text: (digits, unit) for text, (digits, _, unit) in read.items() if unit in MULTIPLIERS}
    if not sized or is_currency(own):
        return
    if own and own != "m":
        fix = "write all of them in one, or take them for categories: data.columns: {{name}: categorical}"
        raise TwoReadingsError(next(iter(sized)), f"amounts of one unit in a column; others are in {own}", fix)
    sized = {text: found for text, found in sized.items() if len(found[1]) == 1}
    # Who writes millions writes 1.2M, or thousands beside them, and no 1.6, of which millions are no more.
    doubtful = all(unit in _DOUBTFUL and digits.isdigit() for digits, unit in sized.values())
    beside_fractions = any(not unit and _SMALL_FRACTION.fullmatch(digits) for digits, _, unit in read.values())
    if beside_fractions:
        doubtful = any(unit in _DOUBTFUL for _, unit in sized.values())
        sized = dict(sorted(sized.items(), key=lambda item: item[1][1] not in _DOUBTFUL))
    if sized and doubtful and not are_numbers and not own:
        text = next(iter(sized))
        rule = f"numbers that can be read in one way only; the {sized[text][1]} of this may be a size or part of a code"
        fix = "if a size such as million, data.columns: {{name}: numeric}; else data.columns: {{name}: categorical}"
        raise TwoReadingsError(text, rule, fix)


def _has_leading_zeros(read: dict[str, Any]) -> bool:
    """Whether a number begins like a code: 007."""
    return any(len(digits) > 1 and digits[0] == "0" and digits[1].isdigit() for digits, _, _ in read.values())
