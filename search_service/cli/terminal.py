"""What commands print for people."""

from __future__ import annotations

from rich.console import Console


def say(text: str, console: Console | None = None) -> None:
    """Print a line with its markup; it is never broken, so that paths and commands in it can be copied."""
    (console or Console()).print(text, highlight=False, soft_wrap=True)
