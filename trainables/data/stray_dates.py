"""Columns of dates in which a few values are none, or are written in another way."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from trainables.data import stray_values, written_dates
from trainables.data.columns import NotOfItsKindError, as_times

# Share of dates from which a column is one of dates, and the rest a mistake; a third that says "never" is a category.
MOSTLY = 0.8
# A day of nothing, of which a column may have any number: 0000-00-00 of MySQL, 00.00.0000, / / and the like.
_NOTHING = re.compile(r"[0\s./:-]+")


def refuse(column: pa.ChunkedArray, present: pd.Series[Any]) -> None:
    """As of numbers: what else stands in a column of dates is a way to say "missing", or a mistake.

    Args:
        column: A text column that is none of dates.
        present: Its values, without those that are missing.

    Raises:
        NotOfItsKindError: All but a few of the values are dates of one form, or of two.
    """
    days = ~present.map(lambda text: _NOTHING.fullmatch(text) is not None).astype(bool)
    read = as_times(present).notna()
    if read[days].sum() < MOSTLY * days.sum() or not days.any():
        alike = present[days & present.map(written_dates.looks_like_one).astype(bool)]
        form = written_dates.nearest(alike) if len(alike) and len(alike) >= MOSTLY * days.sum() else None
        if form is None:
            return
        read = written_dates.parse(present, form).notna()
        if read[days].sum() < MOSTLY * days.sum():
            _refuse_two_forms(column, present[days], read[days], form)
            return
    value = present[~read].iloc[0]
    means, words = stray_values.means_missing(present[~read])
    raise NotOfItsKindError(
        _row_of(column, value),
        value,
        stray_values.rule(read.to_numpy(), "dates"),
        f"{means}; if these are categories, data.columns: {{{{name}}: categorical}}; else mend the value",
        words,
    )


def _refuse_two_forms(column: pa.ChunkedArray, present: pd.Series[Any], read: pd.Series[Any], form: str) -> None:
    """Dates that are written in two ways: a sheet turns those that it understands into its own, and leaves the others.

    Raises:
        NotOfItsKindError: All but a few of the values are of one of two forms.
    """
    rest = present[~read]
    is_iso = bool(as_times(rest).notna().mean() >= MOSTLY)
    other = "%Y-%m-%d" if is_iso else written_dates.nearest(rest[rest.map(written_dates.looks_like_one).astype(bool)])
    if other is None:
        return
    too = as_times(rest).notna() if is_iso else written_dates.parse(rest, other).notna()
    if int(read.sum()) + int(too.sum()) < MOSTLY * len(present) or not too.any():
        return
    value = rest[too].iloc[0]
    rule = f"dates written in one way; of {len(present):,}, {read.sum():,} are {form} and {too.sum():,} are {other}"
    fix = "write all of them in one, or take them for categories: data.columns: {{name}: categorical}"
    raise NotOfItsKindError(_row_of(column, value), value, rule, fix)


def _row_of(column: pa.ChunkedArray, value: str) -> int:
    return int(pc.index(column, value).as_py())
