"""Durations as people write them: ``1h 30m``, ``PT90S``, ``26:03:07``, ``59:59``; in seconds."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from trainables.data.units import singular

_TIME_UNITS = frozenset(["ms", "s", "sec", "second", "m", "min", "minute", "h", "hr", "hour", "d", "day", "w", "week"])
_DURATION = re.compile(
    r"[-+]?(?:P(?=.)(?:\d+D)?(?:T(?:\d+H)?(?:\d+M)?(?:\d+(?:\.\d+)?S)?)?"
    r"|(?:\d+(?:\.\d+)?\s*[a-zA-Z]+\.?[\s,]*)+(?:\d{1,2}:\d{2}:\d{2}(?:\.\d+)?)?|\d+:\d{2}(?::\d{2})?(?:\.\d+)?)"
)


def is_duration(text: str) -> bool:
    """Whether a text is written as one."""
    return _DURATION.fullmatch(text.strip()) is not None


def are_durations(texts: Any) -> bool:
    """Whether texts of hours, minutes and so on are all that there is; times of day are none."""
    if not all(map(is_duration, texts)):
        return False
    words = {singular(word.lower()) for text in texts for word in re.findall(r"[a-zA-Z]+", text) if text[:1] != "P"}
    # 26:03:07 is no time of day, nor is 59:59, minutes and seconds; where all could be, they are.
    clocks = [text for text in texts if re.fullmatch(r"\d+:[\d:.]+", text)]
    is_clear = bool(words) or any(text[0] == "P" or text[1:2] == "P" for text in texts)
    # 1:23.456 is a time of a lap.
    is_clear = is_clear or any(re.fullmatch(r"\d+:\d{2}\.\d+", text) for text in clocks)
    is_clear = is_clear or any(int(text.partition(":")[0]) > 23 for text in clocks)
    return words <= _TIME_UNITS and is_clear and not np.isnan([*map(seconds_of, texts)]).any()


def seconds_of(text: str) -> float:
    """A duration in seconds; NaN where a text is none."""
    if not is_duration(text):
        return float("nan")
    if re.fullmatch(r"\d+:[6-9]\d(?:\.\d+)?", text.strip()):
        # 98:87 is a score.
        return float("nan")
    if short := re.fullmatch(r"(\d+):(\d{2}(?:\.\d+)?)", text.strip()):
        return 60 * float(short[1]) + float(short[2])
    try:
        return float(pd.Timedelta(text.strip().replace(",", " ")).total_seconds())
    except ValueError:
        return float("nan")
