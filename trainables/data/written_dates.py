"""Dates as people write them: ``24.02.2024``, ``02/24/2024 13:45``, ``24 Feb 2024``.

Which of two numbers is the day is decided by all values of a column together: a 24 is no month. Where all of them could
be either, nobody knows but the user, who is asked; only with points between them, the day comes first. ISO dates
(``2024-02-24``) are read without a format.

>>> find(pd.Series(["02/03/2024", "02/24/2024"]))
'%m/%d/%Y'
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pandas as pd

from trainables.data import calendar_words, zone_names
from trainables.data.types import visible

# Values at which is looked before all of them are.
_GLANCE = 200
# Times of day, as Arrow does not know them: 06:24 PM. The day is then 1 January 1900 for all.
_TIMES = ("%I:%M %p", "%I:%M:%S %p", "%I:%M%p", "%I:%M:%S%p")
# Of what may be the day or a year of two digits, so many times as many different values are days, and at least so many.
_DAYS_PER_YEAR, _FEWEST_DAYS = 2, 5
# Letters of the longest date: Sat Feb 24 2024 13:45:10 GMT+0100 (Central European Standard Time).
_LONGEST = 80
_DAYS = (
    "%d{0}%m{0}%Y", "%m{0}%d{0}%Y", "%d{0}%m{0}%y", "%m{0}%d{0}%y", "%Y{0}%m{0}%d", "%d{0}%b{0}%Y", "%d{0}%b{0}%y",
    "%Y{0}%b{0}%d", "%y{0}%m{0}%d",
)  # fmt: skip
_NAMED = (
    "%d %b %Y", "%d %B %Y", "%d. %b %Y", "%d-%B-%Y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%B %d %Y", "%d. %B %Y",
    "%a, %d %b %Y", "%A, %B %d, %Y", "%b-%y", "%b-%Y", "%B %Y", "%b %Y", "%a %b %d %H:%M:%S %Y", "%d%b%Y",
    "%d%b%Y:%H:%M:%S", "%Y年%m月%d日", "%a, %b %d, %Y", "%d%b%y", "%B-%Y", "%Y-%b", "%A, %d %B %Y", "%A %d %B %Y",
    # SAS, DB2, Twitter, JavaScript, Java; Korean.
    "%d%b%Y:%H:%M:%S.%f", "%d%b%y:%H:%M:%S", "%d%b%y:%H:%M:%S.%f", "%Y-%m-%d-%H.%M.%S.%f", "%Y-%m-%d-%H.%M.%S",
    "%a %b %d %H:%M:%S %z %Y", "%a %b %d %Y %H:%M:%S", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S.%f%z",
    "%Y년 %m월 %d일", "%Y년%m월%d일", "%Y. %m. %d", "%Y. %m. %d.",
)  # fmt: skip
_CLOCKS = (
    "", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p", ", %H:%M", ", %H:%M:%S",
    " %H:%M UTC", " %H:%M:%S UTC", " %H:%M:%S.%f UTC", " %H:%M:%S %z", ":%H:%M:%S %z",
    " %H:%M GMT", " %H:%M:%S GMT", " %H:%M:%S,%f", ", %I:%M %p", ", %I:%M:%S %p", " %I:%M%p", " @ %H:%M:%S.%f",
    # Oracle; Chinese and Korean.
    " %I.%M.%S.%f %p", " %I.%M.%S %p", " %p%I:%M:%S", " %p%I:%M", " %p %I:%M:%S", " %p %I:%M",
)  # fmt: skip
# Months of a year, which have no day.
_MONTHS = ("%m/%Y", "%m-%Y", "%m.%Y", "%Y年%m月", "%YM%m")
_LOOKS_LIKE_A_DATE = re.compile(
    r"\s*(\d{1,4}[./-](\d{1,2}|[A-Za-z]{3})[./-]\d{1,4}|\d{4}年\d{1,2}月\d{1,2}日|\d{4}(년|\.) ?\d{1,2}(월|\.) ?\d{1,2}"
    r"|.*[^\W\d_]{3,12}.*\d{2,4}).*"
)
# A quarter or a week, and a year before or behind it.
_LOOKS_LIKE_A_PERIOD = re.compile(
    r"\s*(\d{4}[ /-]?[QqWw]\d{1,2}|([QqWw]|KW ?)\d{1,2}[ /-]\d{4}"
    r"|(0?[1-9]|1[0-2])[./-](19|20)\d{2}|\d{4}年\d{1,2}月|(19|20)\d{2}[Mm]\d{1,2})\s*"
)
# Behind a time: its zone, where a format cannot say it (Google's forms: GMT+1), or a word.
_ZONE = re.compile(
    r"(?<=[\dMm.])\s*(\(?(GMT|UTC)[+-]\d{1,2}(:?\d{2})?\)?|CES?T|E[SD]T|C[SD]T|P[SD]T|M[SD]T|BST|IST|JST|MSK|Uhr|г\.)"
    r"(?=$| (19|20)\d{2}$)|(?<=\d) (UTC|GMT)(?= (19|20)\d{2}$)"
)
# Behind an offset, which says all: Java's [Europe/Berlin] and JavaScript's (Central European Standard Time).
_NAME_OF_OFFSET = re.compile(r"((?<=[+-]\d{4})|(?<=[+-]\d\d:\d\d)|(?<=Z))(\[[\w/+-]+\]| \([^()]+\))$")
_HALVES = {"上午": "AM", "오전": "AM", "午前": "AM", "下午": "PM", "오후": "PM", "午後": "PM"}
_HALF_IN_FRONT = re.compile("|".join(_HALVES))
# 1st of January; 10 a.m.
_ORDINAL = re.compile(r"(?<=\d)(st|nd|rd|th)\b")
_HALF_OF_DAY = re.compile(r"(?<=[\d ])([ap])\.?\s?m\.?$", re.IGNORECASE)
_LOOKS_LIKE_A_TIME = re.compile(r"\s*\d{1,2}:\d{2}(:\d{2})? ?[AaPp][Mm]\s*")
# Of a text, what its shape is made of; of a format, the letters that stand for a number or for a word.
_NUMBERS, _WORDS, _GAPS = re.compile(r"\d+"), re.compile(r"[^\W\d_]+"), re.compile(r"\s+")
_NUMBER_OF, _WORD_OF = re.compile("%[dmyYHIMSf]"), re.compile("%[abABp]")


class TwoOrdersError(Exception):
    """Dates of which day and month, or day and year, cannot be told apart.

    Args:
        value: One of them.
        formats: How it may be read.
    """

    def __init__(self, value: str, formats: tuple[str, str]) -> None:
        super().__init__(value)
        self.value, self.formats = value, formats


def find(values: pd.Series[Any]) -> str | None:
    """The format (of ``strftime``) of a text column in which every value is a date; None if it is none of them.

    Args:
        values: Texts, none missing.

    Raises:
        TwoOrdersError: Day and month may be either, or day and year.
    """
    different = values.drop_duplicates()
    try:
        # Dates that were copied from a page or a file's properties have marks of direction in them.
        return _find(different.map(visible))
    except TwoOrdersError as error:
        raise TwoOrdersError(str(different.iloc[0]), error.formats) from error


def _find(different: pd.Series[Any]) -> str | None:
    glance = different.iloc[:_GLANCE]
    if zone_names.differ(different):
        return _find_with_zones(different)
    if not glance.map(looks_like_one).all():
        return None
    # The longest: a sheet leaves midnight out.
    fitting = [form for form in _formats(max(glance.astype(str), key=len)) if parse(glance, form).notna().all()]
    fitting = [form for form in fitting if parse(different, form).notna().all()]
    if not fitting:
        return None
    first = _by_their_days(different, fitting)
    swapped = first.replace("%d", "%?").replace("%m", "%d").replace("%?", "%m")
    if first.startswith("%d") and first[2] != "." and swapped in fitting and swapped != first:
        raise TwoOrdersError(str(different.iloc[0]), (first, swapped))
    return first


def _find_with_zones(different: pd.Series[Any]) -> str | None:
    """The format of times that name several zones; None where they are no times of days.

    Raises:
        TwoOrdersError: As of ``find``.
    """
    _, plain = zone_names.split(different)
    try:
        form = find(plain)
    except TwoOrdersError as error:
        first, second = (form + zone_names.BEHIND for form in error.formats)
        raise TwoOrdersError(str(different.iloc[0]), (first, second)) from error
    return None if form is None else form + zone_names.BEHIND


def _by_their_days(different: pd.Series[Any], fitting: list[str]) -> str:
    """The first of some formats, or the one with the year in front: days are many, and years are few.

    Raises:
        TwoOrdersError: Neither is so.
    """
    first = fitting[0]
    other = first.replace("%d", "%?").replace("%y", "%d").replace("%?", "%y")
    if other == first or other not in fitting:
        return first
    days, years = (parse(different, form).dt.day.nunique() for form in (first, other))
    if days >= _FEWEST_DAYS and days > _DAYS_PER_YEAR * years:
        return first
    if years >= _FEWEST_DAYS and years > _DAYS_PER_YEAR * days:
        return other
    if first[2] == ".":
        return first
    raise TwoOrdersError(str(different.iloc[0]), (first, other))


def nearest(values: pd.Series[Any]) -> str | None:
    """The format that most of a text column's values have; None where none has any.

    Args:
        values: Texts that look like dates, none missing.
    """
    glance = values.drop_duplicates().iloc[:_GLANCE]
    # Of three values one at most is the odd one, where few are.
    forms = {form: None for example in glance.iloc[:3] for form in _formats(str(example))}
    return max(forms, key=lambda form: parse(glance, form).notna().sum(), default=None)


def looks_like_one(text: str) -> bool:
    """Whether it is worth trying to read a text as a date."""
    # Of a long text, the pattern would take minutes.
    if len(text) > _LONGEST:
        return False
    patterns = (_LOOKS_LIKE_A_DATE, _LOOKS_LIKE_A_TIME, _LOOKS_LIKE_A_PERIOD)
    return any(pattern.fullmatch(text) for pattern in patterns)


def parse(values: pd.Series[Any], form: str) -> pd.Series[Any]:
    """Texts as dates, those with an offset in UTC; NaT where one is missing or not of this format."""
    texts = values.where(values.isna(), values.astype(str).map(visible, na_action="ignore").str.strip())
    if calendar_words.is_ours(form):
        return calendar_words.parse(texts, form)
    if form.endswith(zone_names.BEHIND):
        hours, plain = zone_names.split(texts)
        known = parse(plain.where(hours.notna()), form.removesuffix(zone_names.BEHIND))
        known -= pd.to_timedelta(hours, unit="h").astype("timedelta64[us]")
        # Others may name zones in full: America/New_York.
        return known.fillna(_parse_plainly(texts.where(hours.isna()), form))
    return _parse_plainly(texts, form)


def _parse_plainly(texts: pd.Series[Any], form: str) -> pd.Series[Any]:
    """Texts by a format of ``strptime``'s; NaT for others."""
    texts = calendar_words.in_english(_plainly(texts, form), form)
    has_zone = "%z" in form or "%Z" in form
    dates = pd.to_datetime(texts, format=form, errors="coerce", utc=has_zone or None)
    dates = (dates.dt.tz_localize(None) if has_zone else dates).astype("datetime64[us]")
    day = re.split(r",? @?,? ?%[HI]", form)[0]
    if day and day != form and dates.isna().any():
        # Midnight, which sheets leave out.
        dates = dates.fillna(pd.to_datetime(texts, format=day, errors="coerce").astype("datetime64[us]"))
    return dates


def _plainly(texts: pd.Series[Any], form: str) -> pd.Series[Any]:
    """Texts without what no format says: zones by name, ordinals, points in a.m.; and halves of a day in English."""
    texts = texts.where(texts.isna(), texts.astype(str).str.replace(_NAME_OF_OFFSET, "", regex=True))
    if "%z" in form or "%Z" in form:
        return texts
    plain = texts.where(texts.isna(), texts.astype(str).str.replace(_ZONE, "", regex=True))
    plain = plain.where(plain.isna(), plain.astype(str).str.replace(_ORDINAL, "", regex=True))
    if "%p" not in form:
        return plain
    plain = plain.where(
        plain.isna(), plain.astype(str).str.replace(_HALF_IN_FRONT, lambda half: _HALVES[half[0]], regex=True)
    )
    return plain.where(
        plain.isna(), plain.astype(str).str.replace(_HALF_OF_DAY, lambda half: f"{half[1]}m", regex=True)
    )


def in_the_future(values: pd.Series[Any], form: str) -> str:
    """What is to be said of dates with years of two digits, if some have yet to come: of births, that is wrong.

    Args:
        values: Texts, none missing.
        form: Theirs.
    """
    late = values[parse(values, form) > pd.Timestamp.now()]
    if late.empty:
        return ""
    example = str(late.iloc[0])
    year = parse(late.iloc[:1], form).iloc[0].year
    rows = "1 value lies" if len(late) == 1 else f"{len(late):,} values lie"
    return (
        f"{rows} in the future, such as {example!r} in {year}: of two digits, 00 to 68 are years from 2000 on; "
        "where that is wrong, write years in full"
    )


def is_format(form: str) -> bool:
    """Whether ``parse`` knows what a format's letters stand for."""
    if calendar_words.is_ours(form):
        return form in calendar_words.SINCE_1970 or ("%Y" if "%q" in form else "%G") in form
    try:
        pd.to_datetime("", format=form, errors="coerce", utc=True)
    except (ValueError, KeyError):
        return False
    return True


def _formats(example: str) -> Iterator[str]:
    """Those that a value may be of."""
    if _LOOKS_LIKE_A_TIME.fullmatch(example):
        yield from (form for form in _TIMES if pd.notna(pd.to_datetime(example.strip(), format=form, errors="coerce")))
        return
    if _LOOKS_LIKE_A_PERIOD.fullmatch(example):
        periods = (*calendar_words.QUARTERS, *calendar_words.WEEKS, *_MONTHS)
        yield from (form for form in periods if parse(pd.Series([example]), form).notna().all())
        return
    # By whether months are short.
    plain = _plainly(pd.Series([example.strip()]), "%p")
    in_english = [calendar_words.in_english(plain, form).iloc[0] for form in ("%B", "%b")]
    shapes = [_shape(text) for text in in_english]
    for form, shape, is_whole in _dates_and_times():
        is_short = form.count("%b")
        of_text = shapes[is_short]
        if (of_text == shape if is_whole else of_text.startswith(shape)) and pd.notna(
            pd.to_datetime(in_english[is_short], format=form, errors="coerce")
        ):
            yield form


@cache
def _dates_and_times() -> tuple[tuple[str, str, bool], ...]:
    """Each format of a day, with each time of day behind it; its shape; whether that is all of its shape.

    There are a thousand, and each takes pandas milliseconds to prepare: a text of another shape is none of them.
    """
    days = (*(form.format(mark) for mark in "./-" for form in _DAYS), *_NAMED)
    forms = [day + clock for day in days for clock in (_CLOCKS if "%H" not in day else ("",))]
    found = []
    for form in forms:
        # An offset may be digits or a letter.
        fixed, offset, _ = form.partition("%z")
        found.append((form, _shape(_WORD_OF.sub("a", _NUMBER_OF.sub("0", fixed))), not offset))
    return tuple(found)


def _shape(text: str) -> str:
    """A text with one letter for each word, one digit for each number and one blank for each gap."""
    return _GAPS.sub(" ", _WORDS.sub("a", _NUMBERS.sub("0", text)))
