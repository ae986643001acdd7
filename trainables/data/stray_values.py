"""What is said of a few values that are no numbers or dates as the others are: they mean "missing", or are mistakes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trainables.data.columns import NotOfItsKindError
from trainables.data.reading import Reading
from trainables.data.types import as_key
from trainables.data.written_numbers import LIMIT

# Different values that are listed as ways to say "missing"; of more, most are mistakes.
MOST_LISTED = 5
# What to write where the words mean missing in the whole file, or in a column alone.
LEAVE_OUT = "data.drop: [{name}]"
EVERYWHERE, HERE = "data.csv.null_values: [{words}]", "data.columns: {{name}: {null_values: [{words}]}}"


def rule(read: NDArray[np.bool_], kind: str) -> str:
    """What is expected of such a column.

    Args:
        read: Which of its values are of the kind, ``[N]``.
        kind: Of what, in the plural.
    """
    return f"one type of value: of {len(read)}, {int(read.sum())} are {kind} and {int((~read).sum())} are not"


def means_missing(stray: pd.Series[Any]) -> tuple[str, tuple[str, ...]]:
    """Half a sentence about the others, in which ``{words}`` stands for what is to be listed, and these values."""
    # A limit of what could be measured is no missing value.
    words = tuple(word for word in stray.unique() if not LIMIT.match(word)) or tuple(stray.unique())
    words = words if len(words) <= MOST_LISTED else words[:1]
    return f"if {'it means' if len(words) == 1 else 'these mean'} missing, {EVERYWHERE}", words


def listed(text: str, words: tuple[str, ...]) -> str:
    """A sentence with the values in the place of ``{words}``."""
    return text.replace("{words}", ", ".join(map(_quoted, words)))


def _quoted(word: str) -> str:
    """As YAML reads it: in single quotes a backslash is one, and what nobody sees has to be written out."""
    if word.isprintable() and "'" not in word:
        return f"'{word}'"
    return json.dumps(word)


def said_of(
    refused: Mapping[str, NotOfItsKindError], reading: Reading, whole: pa.Table
) -> Iterator[tuple[str, str, str]]:
    """Place, rule and fix of columns that are none; a key that several need is told with what all of them need."""
    words = dict.fromkeys([*reading.given.null_values, *(word for error in refused.values() for word in error.words)])
    # Said one by one, the second list would take the place of the first.
    drop = f"data.drop: [{', '.join(as_key(name) for name, error in refused.items() if LEAVE_OUT in error.fix)}]"
    for name, error in refused.items():
        where = f"column {name}, row {error.row + 1}: {error.value!r}" if error.row >= 0 else f"column {name}"
        fix = error.fix
        if len(refused) == 1 and _has_elsewhere(whole, name, error.words):
            fix, words = fix.replace(EVERYWHERE, HERE), dict.fromkeys(error.words)
        fix = listed(fix.replace(LEAVE_OUT, drop), tuple(words)).replace("{name}", as_key(name))
        yield where, error.rule, fix


def _has_elsewhere(whole: pa.Table, name: str, words: Sequence[str]) -> bool:
    """Whether a word is a value of another column, too: ``-`` may be missing in one and a sign in the other."""
    texts = [field.name for field in whole.schema if pa.types.is_string(field.type) and field.name != name]
    return any(pc.any(pc.is_in(whole.column(text), pa.array(words, pa.string()))).as_py() for text in texts)
