"""Texts of a table or a config on a terminal."""

from __future__ import annotations

from rich.markup import escape

from trainables.visible import visible_lines


def for_terminal(text: str) -> str:
    """A text for rich's console: brackets are no markup, and control characters of titles and labels are escapes."""
    return escape(visible_lines(text))
