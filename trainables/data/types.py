"""Arrow's many types as the few that are told apart here, and texts as people mean them.

A type also says how a value is stored (as a view, in a dictionary, in half precision), which changes nothing of what it
is. ``canonical`` does the same for texts: ``1.0`` and ``1`` are one number, ``True`` and ``true`` one truth.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainables.data import periods

# Names listed in one message; a table with thousands of columns needs no list of them all.
NAMED_COLUMNS = 8
# Floats from here on are not all whole numbers that can be told apart, and are written with an exponent.
LARGEST_WHOLE = 2.0**53
SMALLEST_PLAIN = 1e-5

# A letter first, and no word that YAML takes for something else.
_PLAIN_KEY = re.compile(r"(?!(?i:yes|no|on|off|y|n|true|false|null)$)[A-Za-z]([\w .()/%$-]*[\w)%$])?")
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")
_CODED_NUMBER = re.compile(r"([+-]?)0*(\d+)(\.\d+)?")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d[ T])?(\d\d:\d\d)(:\d\d)?(\.\d+)?(Z|[+-]00:?00)?")
# Signs without a width: marks of direction, joiners, a mark of byte order in the middle of a joined file.
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
# What no text has: bytes with such signs are a picture, a key or a number.
_CONTROL = r"[\x00-\x08\x0e-\x1f]"
# Quotation marks and dashes, which one program writes as another does not.
_LOOK = str.maketrans(
    dict.fromkeys("\u2018\u2019\u02bc\u00b4`", "'")
    | dict.fromkeys("\u201c\u201d\u201e", '"')
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-")
)
# What people write for true and false.
TRUTHS = dict.fromkeys(["true", "yes", "y", "t", "on", "1"], 1.0) | dict.fromkeys(
    ["false", "no", "n", "f", "off", "0"], 0.0
)


def visible(text: str) -> str:
    """A text without signs that nobody sees."""
    return text if text.isascii() else _INVISIBLE.sub("", text)


def look(text: str) -> str:
    """What a text looks like: one for all ways to store an é, to quote and to write a dash.

    Without capitals, and without a point at its end: Adult's test rows have ``>50K.`` for ``>50K``.
    """
    plainly = unicodedata.normalize("NFKC", visible(text)).translate(_LOOK)
    return " ".join(plainly.split()).casefold().rstrip(".")


def names_as_asked(names: Sequence[str], asked: Iterable[str]) -> list[str]:
    """Names of columns as they are asked for, where they are stored otherwise: an é in two ways, or with blanks.

    Args:
        names: Those of a file.
        asked: Names that somebody has given, or another file.
    """
    known, wanted = set(names), set(asked)
    absent = {_composed(name): name for name in wanted - known}
    stored = Counter(_composed(name) for name in names if name not in wanted)
    meant = {name: _composed(name) for name in known - wanted}
    return [absent.get(meant[name], name) if name in meant and stored[meant[name]] == 1 else name for name in names]


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", visible(name)).strip()


def spelt_alike(values: Iterable[str]) -> list[list[str]]:
    """Groups of texts that look alike but for blanks and capitals, or say one truth; each has two or more."""
    spelt: dict[str, list[str]] = {}
    for value in values:
        spelt.setdefault(look(value), []).append(value)
    groups = [group for group in spelt.values() if len(group) > 1]
    if groups or len(spelt) < 3 or not spelt.keys() <= TRUTHS.keys():
        return groups
    # yes and no beside 1 and 0.
    truths = [[text for word in spelt if TRUTHS[word] == truth for text in spelt[word]] for truth in (1.0, 0.0)]
    return [group for group in truths if len(group) > 1]


def told_apart(values: Iterable[str]) -> list[str]:
    """Texts as they are shown where two look alike: with the numbers of their letters, if nothing else tells."""
    values = list(values)
    is_seen = len({unicodedata.normalize("NFC", value) for value in values}) == len(values)
    return [repr(value) if is_seen else ascii(value) for value in values]


def few(names: list[str]) -> str:
    """The first names of a list, and how many more there are."""
    more = len(names) - NAMED_COLUMNS
    return ", ".join(names[:NAMED_COLUMNS]) + (f" and {more} more" if more > 0 else "")


def as_key(name: str) -> str:
    """A column's name as it can stand in YAML, in a flow such as ``{name: categorical}``."""
    return name if _PLAIN_KEY.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column without the types that only say how it is stored."""
    while True:
        kind = column.type
        if periods.is_of_periods(pa.field("", kind)):
            return periods.as_dates(column, pa.field("", kind))
        if isinstance(kind, pa.BaseExtensionType):
            column = pa.chunked_array([chunk.storage for chunk in column.chunks], kind.storage_type)
        elif pa.types.is_run_end_encoded(kind):
            column = pa.chunked_array([pc.run_end_decode(chunk) for chunk in column.chunks], kind.value_type)
        elif pa.types.is_dictionary(kind):
            column = column.cast(kind.value_type)
        elif pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
            return column.cast(pa.string())
        elif pa.types.is_binary_view(kind):
            column = column.cast(pa.binary())
        elif pa.types.is_float16(kind):
            return column.cast(pa.float32())
        elif pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
            column = column.cast(pa.binary())
        else:
            return _as_text(column) if pa.types.is_binary(kind) else column


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Bytes as the text that they are to who wrote them, such as Hive, Impala and SciPy's ARFF; others as they are."""
    try:
        texts = column.cast(pa.string())
    except pa.ArrowInvalid:
        return column
    return column if pc.any(pc.match_substring_regex(texts, _CONTROL)).as_py() else texts


def plain_table(table: pa.Table) -> pa.Table:
    """The same for all columns; those of a type whose rows cannot be taken (views of lists) become empty lists.

    No feature can be made of lists, whatever is in them, but the table they stand in has to be divided.
    """
    columns = []
    for field, column in zip(table.schema, table.columns, strict=True):
        made = periods.as_dates(column, field) if periods.is_of_periods(field) else plain(column)
        try:
            made.slice(0, 1).take(pa.array([0] if len(made) else [], pa.int64()))
        except pa.ArrowNotImplementedError:
            made = pa.chunked_array([pa.array([[]] * len(made), pa.list_(pa.null()))])
        columns.append(made)
    return pa.table(columns, names=table.column_names)


def canonical_names(column: pa.ChunkedArray, *, numbers: bool = False) -> pa.ChunkedArray:
    """Values of a plain column as the texts by which a category is known, whatever type and format they come in.

    Args:
        column: N values.
        numbers: Whether texts are numbers for certain, so that 01 is 1.
    """
    encoded = column.dictionary_encode().unify_dictionaries()
    if not encoded.num_chunks:
        return pa.chunked_array([], pa.string())
    values = encoded.chunk(0).dictionary
    if pa.types.is_floating(column.type):
        names = [_of_float(value) for value in values.to_numpy(zero_copy_only=False)]
    else:
        texts = values.cast(pa.string()).to_pylist()
        names = [None if text is None else canonical(text, numbers=numbers) for text in texts]
    dictionary = pa.array(names, pa.string())
    return pa.chunked_array([dictionary.take(chunk.indices) for chunk in encoded.chunks])


def canonical(text: str, *, numbers: bool = False) -> str:
    """A text in the one form that it shares with all texts of the same meaning; other texts as they are."""
    if _NUMBER.fullmatch(text):
        return _without_zeros(text)
    if numbers and (found := _CODED_NUMBER.fullmatch(text.strip())):
        return _without_zeros(found[1].replace("+", "") + found[2] + (found[3] or ""))
    if text.lower() in ("true", "false"):
        return text.lower()
    if found := _TIME.fullmatch(text):
        day, minutes, seconds, fraction, zone = (part or "" for part in found.groups())
        clock = minutes + (seconds or ":00") + fraction.rstrip("0").rstrip(".")
        day, zone = day[:10], "Z" if zone else ""
        return day if day and clock == "00:00:00" and not zone else f"{day} {clock}{zone}".strip()
    return text


def _without_zeros(number: str) -> str:
    shorter = number.rstrip("0").rstrip(".") if "." in number else number
    return "0" if shorter == "-0" else shorter


def _of_float(value: Any) -> str | None:
    """Text of a number in its own precision: a float32 of 0.1 is 0.1."""
    if np.isnan(value):
        return None
    plainly = value == 0 or SMALLEST_PLAIN <= abs(value) <= LARGEST_WHOLE
    return _without_zeros(np.format_float_positional(value, trim="-")) if plainly else str(value)
