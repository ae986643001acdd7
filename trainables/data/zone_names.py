"""Zones by name behind times, ``10:00 EST`` and ``10:00 GMT+1``, as hours before or after UTC; a year may follow them.

A zone that all values of a column share changes nothing but the hour that is called the first, and is left out. Where
they differ, an hour is another instant in each, so that all are read as UTC (format ``... %Z``).

>>> hours, plain = split(pd.Series(["2024-01-05 10:00 EST", "2024-01-05 10:00 GMT+1"]))
>>> hours.tolist(), plain.tolist()
([-5.0, 1.0], ['2024-01-05 10:00', '2024-01-05 10:00'])
"""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

# What ends a format whose times are read by their zones.
BEHIND = " %Z"
# In hours. IST is India, Ireland or Israel, and is left out.
_HOURS = {
    "UTC": 0, "GMT": 0, "WET": 0, "WEST": 1, "BST": 1, "CET": 1, "CEST": 2, "EET": 2, "EEST": 3, "MSK": 3, "JST": 9,
    "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
}  # fmt: skip
# Zones of two countries, and others of which one beside them says which is meant: of North America, not of China; of
# Britain, not of Bangladesh.
_KNOWN_BESIDE = {"CST": {"EST", "EDT", "CDT", "MST", "MDT", "PST", "PDT"}, "BST": {"GMT"}}
_ZONE = re.compile(
    rf"(?<=[\dMm.])\s*\(?(?P<zone>{'|'.join(_HOURS)}|IST|(?:GMT|UTC)(?P<sign>[+-])(?P<hours>\d\d?)(?::?(?P<minutes>\d\d))?)\)?"
    # JavaScript says the name of an offset, too. Java and the shell have the year last: Apr 06 22:19:45 PDT 2009.
    r"(?:(?<=\d) \([^()]+\))?(?=$| (?:19|20)\d\d$)"
)


def split(texts: pd.Series[Any]) -> tuple[pd.Series[float], pd.Series[Any]]:
    """Hours from UTC that texts name, NaN where they name none that is known; and texts without their zones.

    Args:
        texts: Times, or missing.
    """
    parts = texts.astype(object).str.extract(_ZONE)
    given = pd.to_numeric(parts["hours"]) + pd.to_numeric(parts["minutes"]).fillna(0) / 60
    given = given.where(parts["sign"] != "-", -given)
    plain = texts.astype(object).str.replace(_ZONE, "", regex=True)
    return parts["zone"].map(_HOURS).astype(float).fillna(given), plain


def differ(texts: pd.Series[Any]) -> bool:
    """Whether all times name zones, several of them, and all are known.

    Args:
        texts: Times, none missing.
    """
    names = set(texts.str.extract(_ZONE)["zone"])
    are_clear = all(names & beside for name, beside in _KNOWN_BESIDE.items() if name in names)
    return len(names) > 1 and are_clear and bool(split(texts)[0].notna().all())


def named(texts: pd.Series[Any]) -> str:
    """The zones in times, and how many have each, in words; empty where there are none.

    Args:
        texts: Times, none missing.
    """
    counts = texts.str.extract(_ZONE)["zone"].value_counts()
    if len(counts) == 1 and counts.iloc[0] == len(texts):
        return str(counts.index[0])
    return ", ".join(f"{name} in {count:,}" for name, count in counts.items())
