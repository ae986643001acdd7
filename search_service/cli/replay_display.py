"""What ``search-service replay`` says: for people, a line for each trial and one for all; for programs, a document."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Console

from search_service.report.documents import finite
from search_service.report.study_report import counted
from search_service.report.terminal_text import for_terminal
from search_service.runners.replaying import Replay, Replayed


def as_document(replay: Replay) -> dict[str, Any]:
    """One JSON document; a difference that is no number is null."""
    document = {
        "study_id": replay.study_id,
        "agrees": replay.agrees,
        "tolerance": replay.tolerance,
        "largest_difference": replay.largest,
        "trials": [asdict(trial) for trial in replay.trials],
        "versions": {name: {"then": then, "now": now} for name, (then, now) in replay.versions.items()},
    }
    plain: dict[str, Any] = finite(document)
    return plain


def show_trial(trial: Replayed, tolerance: float, console: Console) -> None:
    """A trial, when it has been compared."""
    mark = "[bold green]✓[/]" if trial.difference <= tolerance else "[bold red]✗[/]"
    found = f"differs by {trial.difference:.2g} ({trial.where})" if trial.difference else "the same, bit for bit"
    console.print(f"{trial.trial_id}  {mark} {counted(trial.epochs, 'epoch')}, {found}", highlight=False)


def show_all(replay: Replay, console: Console) -> None:
    """The verdict."""
    total = counted(len(replay.trials), "trial")
    same = sum(trial.difference == 0 for trial in replay.trials)
    lines = [f"{same} of {total} gave the same numbers, bit for bit."]
    if same < len(replay.trials):
        verdict = "agree" if replay.agrees else "do NOT all agree"
        lines.append(
            f"The others {verdict} within a tolerance of {replay.tolerance:g}, relative to the recorded value (below 1 "
            f"absolute): the largest difference is {replay.largest:.2g}."
        )
    for name, (then, now) in replay.versions.items():
        lines.append(f"{name} is {now}; the study began with {then}.")
    for line in lines:
        console.print(for_terminal(line), highlight=False, soft_wrap=True)
