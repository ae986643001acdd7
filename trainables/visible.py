r"""Texts of a table or a config (names, labels) where they are shown: what cannot be seen is written as an escape.

A column title may hold the sequences that clear a terminal, turn the direction of writing, or break a line that a
program reads. They are shown as Python would write them in a string: ``\x1b``, ``\u202e``.
"""

from __future__ import annotations

import json
import re
from typing import Any


def visible(text: str) -> str:
    """The text with control, format and other characters that cannot be printed as escapes; it stays one line."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def visible_lines(text: str) -> str:
    """A text of several lines, each of them made visible."""
    return "\n".join(visible(line) for line in text.split("\n"))


def visible_json(value: Any, indent: int | None = None) -> str:
    """A value as JSON, readable beyond ASCII, in which nothing is hidden; it reads back as it was."""
    lines = json.dumps(value, ensure_ascii=False, indent=indent).split("\n")
    return "\n".join("".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line) for line in lines)


def code_span(text: str) -> str:
    """The text as a code span of Markdown, which shows markup as it stands; also within a table.

    Reference: CommonMark 6.1 (a span ends at as many backticks as it began with) and GFM 4.10 (bars in a table's cell).
    """
    shown = visible(text).replace("|", r"\|")
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    fence = "`" * (longest + 1)
    # One space on each side is taken away again; it keeps a backtick of the text from joining the fence.
    padded = f" {shown} " if shown.strip() != shown or shown.startswith("`") or shown.endswith("`") else shown
    return f"{fence}{padded or ' '}{fence}"


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
