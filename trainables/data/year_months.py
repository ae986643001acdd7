"""Texts of a year and another number: months (``2024-03``), codes (``4000-1``) or seasons (``2005-06``, ``2006-07``).

pandas takes all of them for months, of whatever year.
"""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from trainables.data.columns import as_times

_FORM = re.compile(r"(\d{4})-(\d{1,2})")
# Those that tables are of.
YEARS = 1900, 2100


def are_codes(present: pd.Series[Any]) -> bool:
    """Whether texts of this form are codes or seasons; not so for texts of another.

    Args:
        present: A column's texts, one at least, without those that are missing.
    """
    # Nearly all columns are of another form, and their first value says so.
    if _FORM.fullmatch(present.iloc[0]) is None:
        return False
    parts = present.drop_duplicates().str.extract(rf"^{_FORM.pattern}$")
    if parts.isna().any(axis=None):
        return False
    years, second = parts[0].astype(int), parts[1].astype(int)
    are_seasons = len(parts) > 1 and (second == (years + 1) % 100).all()
    # One of them may be mistyped.
    return bool(are_seasons or years.between(*YEARS).mean() < 0.5)


def said_of(present: pd.Series[Any]) -> str:
    """What is said of dates that are months, one at least; empty of others."""
    first = present.iloc[0]
    if _FORM.fullmatch(first) is None or not present.str.fullmatch(_FORM).all():
        return ""
    return f"{first!r} is read as {as_times(present[:1]).iloc[0]:%B %Y}; data.columns can say otherwise"
