"""Columns that only name rows: ids, counters and free text, which a network can but memorise."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

from trainables.data.columns import Column

# Share of different values from which texts name rows, and rows below which that is left to chance.
ID_SHARE, LEAST_ROWS_IDS = 0.95, 20
# Whole numbers of which none comes twice, out of at most this many times as many: drawn by chance, a hundred of two
# hundred would have some twenty pairs. They count something, in whatever order.
DENSE = 2
# Words of a value in the mean, and share of different values, from which a column is free text.
WORDS, DIFFERENT_TEXTS = 4, 0.5
_INDEX_OF_PANDAS = re.compile(r"__index_level_\d+__")
_NAME_OF_ID = re.compile(r"(^|.*[^a-z])(id|ids|uuid|guid|key|number|no|nr|num|idx|index|rowid|row)|unnamed: \d+")
_NAME_OF_ORDER = re.compile(r".*(year|date|time|day|month|week|hour|age|rank|size|count|amount|price).*")
_NAME_OF_VERSION = re.compile(r"(.*[^a-z])?(version|ver|release|build|firmware|revision)s?([^a-z].*)?")


def why_left_out(column: Column, raw: pa.ChunkedArray) -> str:
    """Why a column is no feature unless somebody says that it is one; empty where it is."""
    kept = "data.columns: {{name}: %s} keeps it"
    if column.storage == "whole" and _INDEX_OF_PANDAS.fullmatch(column.name):
        # Of rows that were drawn from a sorted table the numbers lie far apart, and tell the target.
        return f"the index of a data frame, as pandas writes it into Parquet: left out; {kept % 'numeric'}"
    present = len(raw) - raw.null_count
    if present < LEAST_ROWS_IDS:
        return ""
    if column.kind == "categorical" and pa.types.is_string(raw.type):
        different = len(pc.unique(raw.drop_null()))
        if different >= DIFFERENT_TEXTS * present and _words(raw) >= WORDS:
            return f"text of many words: left out; {kept % 'text'}, by its words"
        if different >= ID_SHARE * present:
            return f"{different:,} different texts in {present:,} rows, as ids have: left out; {kept % 'categorical'}"
    if column.storage == "whole" and not raw.null_count and _counts_rows(column.name, raw):
        return f"whole numbers of which none comes twice, as ids are: left out; {kept % 'numeric'}"
    return ""


def _words(raw: pa.ChunkedArray) -> float:
    """Words of a text in the mean, of the first that there are."""
    texts = raw.slice(0, 1_000).drop_null().to_pylist()
    return sum(len(text.split()) for text in texts) / max(1, len(texts))


def _counts_rows(name: str, raw: pa.ChunkedArray) -> bool:
    """Whether whole numbers all differ, and lie close together or are called an id."""
    if _NAME_OF_ORDER.fullmatch(name.lower()) or pc.count_distinct(raw).as_py() < len(raw):
        return False
    ends = pc.min_max(raw).as_py()
    return ends["max"] - ends["min"] < DENSE * len(raw) or _NAME_OF_ID.fullmatch(in_words(name)) is not None


def is_version(name: str) -> bool:
    """Whether a column is called a version or a release, of which 1.10 is another than 1.1."""
    return _NAME_OF_VERSION.fullmatch(in_words(name)) is not None


def in_words(name: str) -> str:
    """A column's name in small letters, its words apart: ``createdAt`` is ``created_at``."""
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
