"""What commands print for people."""

from __future__ import annotations

import time

import psutil
from rich.console import Console

# Seconds in which a process gets from its start to its command; one that is older has been about something else.
FRESH_S = 10.0
_begun: list[float] = []


def note_begin() -> None:
    """Remember when the command that this process now runs was given: a fresh process, at its own start."""
    age = time.time() - psutil.Process().create_time()
    _begun[:] = [time.monotonic() - (age if age < FRESH_S else 0.0)]


def begun_at() -> float:
    """When this command was given, as an instant of ``time.monotonic()``."""
    return _begun[0] if _begun else time.monotonic()


def say(text: str, console: Console | None = None) -> None:
    """Print a line with its markup; it is never broken, so that paths and commands in it can be copied."""
    (console or Console()).print(text, highlight=False, soft_wrap=True)
