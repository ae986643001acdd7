"""Durations as people write them, in seconds: ``1h 30m``, ``6h45``, ``PT90S``, ``26:03:07``, ``3 years 2 months``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from trainables.data.units import singular

# Units in seconds; years and months of the Gregorian calendar's mean length.
_YEAR = 365.2425 * 86_400
_SECONDS = {
    unit: seconds
    for units, seconds in {
        "ms": 0.001, "s sec second": 1.0, "m min minute": 60.0, "h hr hour": 3_600.0, "d day": 86_400.0,
        "w week": 7 * 86_400.0, "mo mon mth month": _YEAR / 12, "y yr year": _YEAR,
    }.items()
    for unit in units.split()
}  # fmt: skip
_SECONDS_WITH_MONTHS = _SECONDS | {"m": _SECONDS["month"]}
# What tells an m apart: a month beside years, a minute beside hours and seconds.
YEARS = frozenset(["y", "yr", "year"])
WEEKS_AND_DAYS = frozenset(["w", "week", "d", "day"])
HOURS_AND_SECONDS = frozenset(["h", "hr", "hour", "s", "sec", "second"])
_PART = r"\d+(?:\.\d+)?\s*[a-zA-Z]+\.?[\s,]*(?:and\s+)?"
_DURATION = re.compile(
    r"[-+]?(?:P(?=.)(?:\d+D)?(?:T(?:\d+H)?(?:\d+M)?(?:\d+(?:\.\d+)?S)?)?"
    rf"|(?:{_PART})+(?:[-+]?\d{{1,2}}:\d{{2}}:\d{{2}}(?:\.\d+)?)?|\d+:\d{{2}}(?::\d{{2}})?(?:\.\d+)?|\d+\s?h\s?[0-5]\d)"
)

# As pandas writes all of its durations in CSV files, but for columns of whole days.
_DAYS_AND_CLOCK = re.compile(r"-?\d+ days? [-+]?\d{2}:\d{2}:\d{2}(\.\d+)?")
_CLOCK = re.compile(r"(\d+):(\d{2}(?:\.\d+)?)")
_HOURS_AND_MINUTES = re.compile(r"(\d+)\s?h\s?(\d{2})")


def is_duration(text: str) -> bool:
    """Whether a text is written as one."""
    return _DURATION.fullmatch(text.strip()) is not None


def are_durations(texts: Any) -> bool:
    """Whether texts of hours, minutes and so on are all that there is; times of day are none."""
    if not all(map(is_duration, texts)):
        return False
    words = units_of(text for text in texts if text[:1] != "P")
    # 26:03:07 is no time of day, nor is 59:59, minutes and seconds; where all could be, they are.
    clocks = [text for text in texts if re.fullmatch(r"\d+:[\d:.]+", text)]
    is_clear = bool(words) or any(text[0] == "P" or text[1:2] == "P" for text in texts)
    # 1:23.456 is a time of a lap.
    is_clear = is_clear or any(re.fullmatch(r"\d+:\d{2}\.\d+", text) for text in clocks)
    is_clear = is_clear or any(int(text.partition(":")[0]) > 23 for text in clocks)
    return words - {"and"} <= _SECONDS.keys() and is_clear and not np.isnan([*map(seconds_of, texts)]).any()


def in_unit(text: str, unit: str) -> float:
    """A duration as pandas writes it, in a unit of time; NaN for another text, or another unit."""
    seconds = _SECONDS.get(singular(unit), float("nan"))
    return seconds_of(text) / seconds if _DAYS_AND_CLOCK.fullmatch(text.strip()) else float("nan")


def seconds_in(unit: str) -> float:
    """Seconds of a unit of time; 1 of another, and of none."""
    return _SECONDS.get(singular(unit), 1.0)


def units_of(texts: Iterable[str]) -> set[str]:
    """The words and letters in texts, as units."""
    return {singular(word.lower()) for text in texts for word in re.findall(r"[a-zA-Z]+", text)}


def seconds_of(text: str, *, hours_first: bool = False, m_is_month: bool = False) -> float:
    """A duration in seconds; NaN where a text is none.

    Args:
        text: What is written.
        hours_first: Whether ``21:15`` is hours and minutes; else it is minutes and seconds.
        m_is_month: Whether ``6m`` is months; else it is minutes.
    """
    text = text.strip()
    # 98:87 is a score.
    if not is_duration(text) or re.fullmatch(r"\d+:[6-9]\d(?:\.\d+)?", text):
        return float("nan")
    sign, parts = (-1.0 if text[0] == "-" else 1.0), text.lstrip("+-")
    if short := _CLOCK.fullmatch(parts):
        return sign * (60.0 * float(short[1]) + float(short[2])) * (60.0 if hours_first else 1.0)
    if short := _HOURS_AND_MINUTES.fullmatch(parts):
        return sign * (3_600.0 * float(short[1]) + 60.0 * float(short[2]))
    if parts[0].isdigit() and ":" not in parts:
        return sign * _sum_of_parts(parts, _SECONDS_WITH_MONTHS if m_is_month else _SECONDS)
    try:
        return float(pd.Timedelta(text.replace(",", " ")).total_seconds())
    except ValueError:
        return float("nan")


def _sum_of_parts(text: str, seconds: Mapping[str, float]) -> float:
    """Numbers with a unit each; NaN where a unit is none of time."""
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*([a-zA-Z]+)", text)
    return sum(float(number) * seconds.get(singular(unit), float("nan")) for number, unit in parts)
