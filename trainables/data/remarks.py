"""What is said of a column that may be meant in another way than it is read, with the key that says so."""

from __future__ import annotations

import re

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from trainables.data.columns import Column
from trainables.data.row_names import is_version
from trainables.data.types import few, spelt_alike, told_apart

# Categories of a column whose spelling is looked at; of more, most come too seldom to matter.
MOST_SPELT = 2_000
_NAME_OF_PLACE = re.compile(r"(.*[^a-z])?(zip|zip.?code|post.?code|postal.?code|plz|area.?code|fips)s?")


def codes(column: Column) -> str:
    """Why numbers may be no quantity; empty where nothing says so. They stay numbers, as near places have near ones."""
    if column.kind == "numeric" and _NAME_OF_PLACE.fullmatch(column.name.lower()):
        return "numbers that name places, by its name; data.columns: {{name}: categorical} makes them categories"
    return ""


def versions(column: Column, raw: pa.ChunkedArray) -> str:
    """Which versions became one number; empty where none did: 1.10 comes after 1.9, and is no 1.1."""
    if column.kind != "numeric" or not pa.types.is_string(raw.type) or not is_version(column.name):
        return ""
    known: dict[float, str] = {}
    for text in pc.unique(raw.drop_null()).to_pylist():
        number = float(text) if column.notation is None else float(column.notation.parse(pd.Series([text]))[0])
        before = known.setdefault(number, text)
        if before != text:
            return f"{before!r} and {text!r} are one number; data.columns: {{{{name}}: categorical}} keeps them apart"
    return ""


def durations(column: pa.ChunkedArray) -> str:
    """Why times of day may be minutes and seconds: 09:30 is a time of day, and 21:15 either."""
    if any(str(value).startswith("0") for value in pc.unique(column.drop_null()).to_pylist()):
        return ""
    return "values are read as times of day; data.columns: {{name}: numeric} makes them durations"


def of(column: Column, raw: pa.ChunkedArray) -> tuple[str, ...]:
    """All that is to be said of a column of which the config says nothing."""
    return codes(column), versions(column, raw), alike(column, raw)


def alike(column: Column, raw: pa.ChunkedArray) -> str:
    """Which categories may be one, written in two ways; empty where none are."""
    if column.kind != "categorical" or not pa.types.is_string(raw.type):
        return ""
    values = pc.unique(raw.drop_null()).to_pylist()
    groups = [sorted(group) for group in spelt_alike(values[:MOST_SPELT])]
    if not groups:
        return ""
    more = f", and {len(groups) - 1} more such" if len(groups) > 1 else ""
    named = few(told_apart(groups[0]))
    return f"{named} are categories of their own{more}; write them alike in the table if they are one"
