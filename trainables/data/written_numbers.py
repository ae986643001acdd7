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
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

DecimalMark = Literal[".", ","]
ThousandsMark = Literal["", ",", ".", " ", "'"]

# What numbers of several sizes end with, in tables of money.
_SIZES = {
    "k": 1e3, "K": 1e3, "tsd": 1e3, "thousand": 1e3, "M": 1e6, "mn": 1e6, "mio": 1e6, "mil": 1e6, "million": 1e6,
    "B": 1e9, "bn": 1e9, "mrd": 1e9, "billion": 1e9, "T": 1e12, "trillion": 1e12,
    "mln": 1e6, "mld": 1e9, "тыс": 1e3, "млн": 1e6, "млрд": 1e9, "lakh": 1e5, "lakhs": 1e5, "crore": 1e7, "crores": 1e7,
    "千": 1e3, "万": 1e4, "萬": 1e4, "百万": 1e6, "亿": 1e8, "億": 1e8,
}  # fmt: skip
# Words, and no single letters, may be written large.
MULTIPLIERS = _SIZES | {
    form: size for word, size in _SIZES.items() if len(word) > 2 for form in (word.capitalize(), word.upper())
}
# Currencies by ISO 4217 and as they are written; symbols are known by their Unicode category.
_CURRENCIES = frozenset(
    """usd eur gbp jpy chf inr cny rmb rub brl cad aud nzd sek nok dkk pln czk huf try zar krw mxn sgd hkd ils thb
    rs kr zł fr us$ r$ a$ c$ ca$ au$ nz$ hk$ s$""".split()  # noqa: SIM905 (a list would be forty lines)
)
# Units that are known not to mean the same beside one another.
_UNITS = frozenset(
    """% ‰ bps mcg µg mg g kg t lb oz mm cm m km in ft yd mi ml cl l gal ms s sec min h hr hour d day week month year
    yr mo
    mph km/h kmh kn m/s rpm hp kw w kwh wh v mv a ma hz khz mhz ghz kb mb gb tb °c °f k pa hpa kpa bar psi m² m2 sqm
    ft² sqft ha acre m³ m3 kcal cal kj j""".split()  # noqa: SIM905
)
_TIME_UNITS = frozenset(["ms", "s", "sec", "second", "m", "min", "minute", "h", "hr", "hour", "d", "day", "w", "week"])
# A value is a sign, a currency, digits with marks, and a unit: letters or a sign, and no number but for m2 and m3.
_VALUE = re.compile(
    r"(?P<open>\()?(?P<sign>[-+]?)\s*(?P<before>[^\d\s.,'()+-][^\d\s()+-]{0,3})?\s*(?P<inner>[-+]?)"
    r"(?P<number>(?:\d[\d., ']*|[.,]\d+)(?:[eE][-+]?\d+)?)"
    r"\s*(?P<after>[^\W\d_][^\s()\d]{0,11}[23]?(?: [^\W\d_]{1,8})?"
    r"|[%‰°²µ\"][^\s\d()]{0,5}|(?![-+.,'/:;()])[^\w\s]{1,2})?"
    r"(?P<behind>-)?(?P<close>\))?"
)
_SPACES = str.maketrans(dict.fromkeys("\u00a0\u202f\u2009\u2007", " ") | {"’": "'", "−": "-", "–": "-"})
# Instead of a fraction, a dash says that there is none: 139,- and 2.950,-- and 296.- as in Germany and Switzerland.
_NO_FRACTION = re.compile(r"(?<=\d)[.,]--?(?=\D*$)")
_DURATION = re.compile(
    r"[-+]?(?:P(?=.)(?:\d+D)?(?:T(?:\d+H)?(?:\d+M)?(?:\d+(?:\.\d+)?S)?)?"
    r"|(?:\d+(?:\.\d+)?\s*[a-zA-Z]+\.?[\s,]*)+(?:\d{1,2}:\d{2}:\d{2}(?:\.\d+)?)?|\d+:\d{2}(?::\d{2})?(?:\.\d+)?)"
)
# Before a number: it is less, or more.
_LIMIT = re.compile(r"\s*[<>≤≥]=?\s*(?=[\d.,$€£])")
_COMPARISONS = frozenset("<>≤≥~")
_CLOCK = re.compile(r"\s*\d{1,2}:\d{2}:\d{2}(?:\.\d+)?\s*")
# Values at which is looked before all of them are: words are found out by a few.
_GLANCE = 200
# A unit is a column's own if this share of the values that have one have it; the others are mistakes.
_SHARE_OF_UNIT = 0.9


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


@dataclass(frozen=True)
class Notation:
    """How a column writes its numbers.

    Attributes:
        decimal: Between the whole part and the fraction.
        thousands: Between groups of three digits; empty for none.
        unit: Stands beside the numbers, or some of them; empty for none. All are of this unit.
        has_limits: Whether ``<0.5`` is 0.5: what could not be measured is taken for the limit below which it was.
        is_duration: Values such as ``1h 30m``, ``PT90S`` or ``26:03:07``, which are read as seconds.
    """

    decimal: DecimalMark = "."
    thousands: ThousandsMark = ""
    unit: str = ""
    has_limits: bool = False
    is_duration: bool = False

    def __str__(self) -> str:
        """In words, for notes."""
        if self.is_duration:
            return "durations, in seconds"
        marks = {",": "a comma", ".": "a point", " ": "a space", "'": "an apostrophe"}
        parts = [f"{marks[self.thousands]} between thousands"] if self.thousands else []
        parts += ["a decimal comma"] if self.decimal == "," else []
        parts += [f"the unit {self.unit}"] if self.unit else []
        return f"numbers with {', '.join(parts)}" if parts else "numbers"

    def parse(self, values: pd.Series[Any]) -> NDArray[np.float64]:
        """Texts as numbers, ``[N]``; NaN where one is missing or no number of this notation."""
        codes, different = pd.factorize(values, use_na_sentinel=True)
        numbers = np.fromiter(map(self._parse_one, different), np.float64, len(different))
        return np.asarray(np.append(numbers, np.nan)[codes])

    def _parse_one(self, text: str) -> float:
        if self.is_duration:
            return _seconds(text)
        found = _parts(_LIMIT.sub("", text) if self.has_limits else text)
        if found is None:
            return float("nan")
        digits, sign, unit = found
        factor = MULTIPLIERS.get(unit, 0.0)
        mine = _plural(self.unit)
        if unit and _plural(unit) != mine and not factor:
            head, _, tail = unit.rpartition(" ")
            factor = MULTIPLIERS.get(tail, 0.0) if _plural(head) == mine else 0.0
            if not factor:
                return float("nan")
        # A column of numbers below a thousand does not say what stands between thousands; a later file may.
        marks = [self.thousands] if self.thousands else ["", *(mark for mark in "., '" if mark != self.decimal)]
        thousands = next((mark for mark in marks if _shape(self.decimal, mark).fullmatch(digits)), None)
        if thousands is None:
            return float("nan")
        plain = digits.replace(thousands, "") if thousands else digits
        return sign * float(plain.replace(self.decimal, ".")) * (factor or 1.0)


def find(
    values: pd.Series[Any], *, point: DecimalMark = ".", decimal: DecimalMark | None = None,
    thousands: ThousandsMark | None = None,
) -> Notation | None:  # fmt: skip
    """How a text column writes its numbers; None where it does not hold numbers for the most part.

    Args:
        values: Texts, none missing.
        point: The decimal mark of the file's other columns, which decides where a value says nothing.
        decimal: The column's decimal mark, where the config gives it.
        thousands: The mark between its thousands, where the config gives it.

    Raises:
        TwoReadingsError: They can be read in two ways.
    """
    different = values.drop_duplicates()
    glance = list(different.iloc[np.linspace(0, len(different) - 1, min(len(different), _GLANCE)).astype(int)])
    if 2 * sum(_parts(text) is not None or _is_duration(text) for text in glance) <= len(glance):
        return None
    counts = values.value_counts()
    read = {text: found for text in counts.index if (found := _parts(text)) is not None}
    weights = {text: int(counts[text]) for text in read}
    if not read or _has_leading_zeros(read):
        return Notation(is_duration=True) if _are_durations(counts.index) else None
    units, written = Counter[str](), {"": ""}
    for text, (_, _, unit) in read.items():
        units[_plural(_base(unit))] += weights[text]
        written.setdefault(_plural(_base(unit)), _base(unit))
    bare = units.pop("", 0)
    if len(units) > 1 and _are_durations(counts.index):
        return Notation(is_duration=True)
    own = _own_unit(units, bare, read)
    if own is None:
        return None
    if own == "m" and (million := next((text for text, (_, _, its) in read.items() if its in MULTIPLIERS), None)):
        fix = "write M where millions are meant, or take them for categories: data.columns: {{name}: categorical}"
        raise TwoReadingsError(million, "amounts of one unit in a column; beside this one m may be million", fix)
    numbers = [digits for digits, _, its in read.values() if _plural(_base(its)) in ("", own)]
    marks = _marks(numbers, point, decimal, thousands)
    return None if marks is None else Notation(*marks, written[own])


def with_limits(values: pd.Series[Any], notation: Notation | None) -> Notation | None:
    """How a column of numbers and limits (``<0.5``, ``> 90``) is read; None where others are more, or something else.

    Args:
        values: Texts, none missing.
        notation: Of those that are numbers.
    """
    limits = values.str.match(_LIMIT).to_numpy(bool)
    if not limits.any() or 2 * limits.sum() >= len(values):
        return None
    read = replace(notation or Notation(), has_limits=True)
    return None if np.isnan(read.parse(values)).any() else read


def clock_durations(values: pd.Series[Any]) -> Notation | None:
    """How texts such as ``2:52:27`` are amounts, where it is known that they are; by themselves, they are times of day.

    Args:
        values: Texts, none missing.
    """
    return Notation(is_duration=True) if values.drop_duplicates().str.fullmatch(_CLOCK).all() else None


def is_known_unit(unit: str) -> bool:
    """Whether a unit says that a value is an amount: none at all, a currency, per cent, a unit of measurement."""
    return not unit or unit.lower() in _UNITS or _is_currency(unit)


def _parts(text: str) -> tuple[str, float, str] | None:
    """Digits with their marks, the sign (1 or -1), and the unit, of a text that is a number; None of another."""
    found = _VALUE.fullmatch(_NO_FRACTION.sub("", text.strip().translate(_SPACES)))
    if found is None:
        return None
    part = {name: value or "" for name, value in found.groupdict().items()}
    signs = [mark for mark in (part["sign"], part["inner"], part["behind"]) if mark]
    if bool(part["open"]) != bool(part["close"]) or len(signs) > 1 or (part["open"] and signs):
        return None
    before, after = part["before"], part["after"].rstrip(".")
    if any(unicodedata.category(letter) == "No" and letter not in "²³" for letter in before + after):
        # 11½ is no 11 of a unit.
        return None
    if before and not _is_currency(before):
        return None
    negative = bool(part["open"]) or "-" in signs
    return part["number"].strip(), -1.0 if negative else 1.0, " ".join(filter(None, (before.rstrip("."), after)))


def _is_currency(text: str) -> bool:
    if set(text) & _COMPARISONS:
        # <$10k is no amount, but anything below one.
        return False
    return any(unicodedata.category(letter) == "Sc" for letter in text) or text.rstrip(".").lower() in _CURRENCIES


def _base(unit: str) -> str:
    """A unit without what only says how many zeros are left out."""
    if unit in MULTIPLIERS:
        return ""
    head, _, tail = unit.rpartition(" ")
    return head if head and tail in MULTIPLIERS else unit


def _plural(unit: str) -> str:
    """Year and years are one unit, and so are USD and usd."""
    lower = unit.lower()
    # Two letters and an s: most words of three letters end in it by themselves.
    if lower in ("lbs", "yrs", "mos", "hrs"):
        return lower[:-1]
    if lower in _UNITS or _is_currency(lower):
        return lower
    return lower[:-1] if len(lower) > 3 and lower.endswith("s") else lower


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
        return next(text for text, (_, _, its) in read.items() if _plural(_base(its)) == of)

    rule = "amounts of one unit in a column"
    fix = "write all of them in one, or take them for categories: data.columns: {{name}: categorical}"
    if len(units) == len(known) > 1:
        raise TwoReadingsError(example(units.most_common()[-1][0]), f"{rule}; others are in {unit}", fix)
    if unit == "%" and bare:
        raise TwoReadingsError(example(""), f"{rule}; {most:,} others are per cent", fix)
    return unit if most >= _SHARE_OF_UNIT * total and total > bare / 9 else None


def _has_leading_zeros(read: dict[str, Any]) -> bool:
    """Whether a number begins like a code: 007."""
    return any(len(digits) > 1 and digits[0] == "0" and digits[1].isdigit() for digits, _, _ in read.values())


# ---- marks between digits --------------------------------------------------------------------------------------------


@cache
def _shape(decimal: str, thousands: str) -> re.Pattern[str]:
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


def _candidates(point: DecimalMark) -> Iterator[tuple[DecimalMark, ThousandsMark]]:
    """Marks in the order in which they are tried: those of the file first, and none before some."""
    first: DecimalMark = point
    other: DecimalMark = "," if point == "." else "."
    for decimal, grouping in ((first, other), (other, first)):
        for thousands in ("", grouping, " ", "'"):
            yield decimal, thousands


def _marks(
    numbers: list[str], point: DecimalMark, decimal: DecimalMark | None, thousands: ThousandsMark | None
) -> tuple[DecimalMark, ThousandsMark] | None:
    """The first marks by which all numbers can be read, else those by which most can; None if that is half of them."""
    best, most = None, len(numbers) / 2
    for marks in _candidates(point):
        if (decimal or marks[0], marks[1] if thousands is None else thousands) != marks:
            continue
        shape = _shape(*marks)
        fitting = sum(shape.fullmatch(number) is not None for number in numbers)
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


def _require_fractions(numbers: list[str]) -> None:
    """Refuse fractions that may as well be thousands: three digits each, beside numbers of up to three without any."""
    with_point = [number for number in numbers if "." in number]
    bare = [number for number in numbers if "." not in number]
    if with_point and bare and all(map(_shape(",", ".").fullmatch, with_point)) and max(map(len, bare)) <= 3:
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


# ---- durations -------------------------------------------------------------------------------------------------------


def _is_duration(text: str) -> bool:
    return _DURATION.fullmatch(text.strip()) is not None


def _are_durations(texts: Any) -> bool:
    """Whether texts of hours, minutes and so on are all that there is; times of day are none."""
    if not all(map(_is_duration, texts)):
        return False
    words = {_plural(word.lower()) for text in texts for word in re.findall(r"[a-zA-Z]+", text) if text[:1] != "P"}
    # 26:03:07 is no time of day, nor is 59:59, minutes and seconds; where all could be, they are.
    clocks = [text for text in texts if re.fullmatch(r"\d+:[\d:.]+", text)]
    is_clear = bool(words) or any(text[0] == "P" or text[1:2] == "P" for text in texts)
    is_clear = is_clear or any(int(text.partition(":")[0]) > 23 for text in clocks)
    return words <= _TIME_UNITS and is_clear and not np.isnan([*map(_seconds, texts)]).any()


def _seconds(text: str) -> float:
    if not _is_duration(text):
        return float("nan")
    if short := re.fullmatch(r"(\d+):(\d{2}(?:\.\d+)?)", text.strip()):
        return 60 * float(short[1]) + float(short[2])
    try:
        return float(pd.Timedelta(text.strip().replace(",", " ")).total_seconds())
    except ValueError:
        return float("nan")
