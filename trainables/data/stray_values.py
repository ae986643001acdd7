"""What is said of a few values that are no numbers or dates as the others are: they mean "missing", or are mistakes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

# Different values that are listed as ways to say "missing"; of more, most are mistakes.
MOST_LISTED = 5


def rule(read: NDArray[np.bool_], kind: str) -> str:
    """What is expected of such a column.

    Args:
        read: Which of its values are of the kind, ``[N]``.
        kind: Of what, in the plural.
    """
    return f"one type of value: of {len(read)}, {int(read.sum())} are {kind} and {int((~read).sum())} are not"


def means_missing(stray: pd.Series[Any]) -> tuple[str, tuple[str, ...]]:
    """Half a sentence about the others, in which ``{words}`` stands for what is to be listed, and these values."""
    words = tuple(stray.unique())
    words = words if len(words) <= MOST_LISTED else words[:1]
    return f"if {'it means' if len(words) == 1 else 'these mean'} missing, data.csv.null_values: [{{words}}]", words


def listed(text: str, words: tuple[str, ...]) -> str:
    """A sentence with the values in the place of ``{words}``."""
    return text.replace("{words}", ", ".join(map(_quoted, words)))


def _quoted(word: str) -> str:
    """As YAML reads it: in single quotes a backslash is one, and what nobody sees has to be written out."""
    if word.isprintable() and "'" not in word:
        return f"'{word}'"
    return json.dumps(word)
