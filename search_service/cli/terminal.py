"""What commands print for people."""

from __future__ import annotations

import time
from typing import Any

import psutil
from rich.console import Console

from search_service.records.numbers import score_text
from search_service.records.steps import Step

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


def number(value: float | None) -> str:
    """A score; nothing where there is none."""
    return "" if value is None else score_text(value)


def value_word(value: Any) -> str:
    """A hyperparameter's value, short."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def step_word(step: int | None) -> str:
    """A step of the recipe by its number, the finalists by their name; nothing before the first."""
    return "" if step is None else "finalists" if step == Step.FINALISTS else str(step)
