"""What ``compare-studies`` prints for people."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from search_service.cli.terminal import say
from search_service.records.numbers import score_text
from search_service.report.study_comparison import StudyComparison

# Letters of a value of a config; what is longer is a range or a list, of which --json has all.
MOST_LETTERS = 40


def show(found: StudyComparison) -> None:
    """Scores, then what differs, then who is better."""
    console = Console()
    scores = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("study", "status", "test", "validation", "trials", "seconds"):
        scores.add_column(title, overflow="fold", justify="left" if title in ("study", "status") else "right")
    for study in found.studies:
        test = f"{_number(study.test_score)} {study.metric or ''}".rstrip()
        numbers = (test, _number(study.validation_score), str(study.trials), f"{study.seconds:.0f}")
        scores.add_row(escape(study.id), study.status, *numbers)
    console.print(scores)
    console.print()
    if found.differences:
        differ = Table(box=None, pad_edge=False, header_style="bold")
        for title in ("what differs", *(study.id for study in found.studies)):
            differ.add_column(escape(title), overflow="fold")
        for key, values in found.differences.items():
            differ.add_row(escape(key), *(escape(_value(value)) for value in values))
        console.print(differ)
    else:
        say("Their configs are alike.", console)
    console.print()
    for verdict in found.verdicts:
        say(escape(verdict), console)


def _number(value: float | None) -> str:
    return "–" if value is None else score_text(value)


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else "–" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MOST_LETTERS else text[: MOST_LETTERS - 1] + "…"
