"""What commands print for people."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psutil
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from search_service.records.numbers import score_text
from search_service.records.steps import Step

# Seconds in which a process gets from its start to its command; one that is older has been about something else.
FRESH_S = 10.0
_begun: list[float] = []
# Characters of a line where there is no screen: the widest tables of columns have some 180.
WITHOUT_A_SCREEN = 200
# Characters that the columns beside an id need in a list of studies.
OTHERS_WIDTH = 34


def note_begin() -> None:
    """Remember when the command that this process now runs was given: a fresh process, at its own start."""
    age = time.time() - psutil.Process().create_time()
    _begun[:] = [time.monotonic() - (age if age < FRESH_S else 0.0)]


def begun_at() -> float:
    """When this command was given, as an instant of ``time.monotonic()``."""
    return _begun[0] if _begun else time.monotonic()


def wide_console() -> Console:
    """The screen; where there is none, as in a file or a pipe, there is room for everything."""
    console = Console()
    return console if console.is_terminal or "COLUMNS" in os.environ else Console(width=WITHOUT_A_SCREEN)


def say(text: str, console: Console | None = None) -> None:
    """Print a line with its markup; it is never broken, so that paths and commands in it can be copied."""
    (console or Console()).print(text, highlight=False, soft_wrap=True)


def number(value: float | None) -> str:
    """A score; nothing where there is none."""
    return "" if value is None else score_text(value)


def value_word(value: Any) -> str:
    """A hyperparameter's value, short."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def at_step(step: int | None) -> str:
    """Where in the recipe a study is."""
    if step is None:
        return "at its beginning"
    return "finalists" if step == Step.FINALISTS else f"step {step}"


def asked_to(wanted: str) -> str:
    """What was asked of a study and is still to happen, behind its state; nothing where it is to run."""
    return "" if wanted == "run" else f", asked to {wanted}"


@dataclass(frozen=True)
class StudyRow:
    """A study in a list of them."""

    id: str
    state: str
    trials: int
    metric: str | None
    best: float | None
    test: float | None


def say_studies(studies: Sequence[StudyRow]) -> None:
    """Print a table of studies, whose ids are whole on any terminal: one copies them."""
    table, longest = Table(box=None, pad_edge=False, header_style="bold"), max((len(s.id) for s in studies), default=0)
    table.add_column("study", min_width=longest)
    table.add_column("state")
    for title in ("trials", "best", "test"):
        table.add_column(title, no_wrap=True, justify="right")
    table.add_column("")
    for study in studies:
        scores = (number(study.best), number(study.test))
        metric = study.metric if study.best is not None else ""
        table.add_row(escape(study.id), study.state, str(study.trials), *scores, metric)
    # Where an id and its scores are wider than the screen, the terminal breaks the lines, and nothing is left out.
    console = Console()
    console.print(table, width=max(console.width, longest + OTHERS_WIDTH), crop=False)
