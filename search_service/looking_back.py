"""The report's sections that look back on the search as a whole: what mattered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from search_service.importance import BEST_SHARE, Importance, importance
from search_service.results import RoundResult


def what_mattered(rounds: Sequence[RoundResult]) -> list[str]:
    """Markdown: a hyperparameter a line, its share of each round's differences a column; nothing without rounds."""
    if not rounds:
        return []
    weighed = [importance(done) for done in rounds]
    lines = ["## What mattered", ""]
    told = [found for found in weighed if found.shares]
    if told:
        epochs = ", ".join(f"round {found.round_number} at epoch {found.epoch}" for found in told)
        lines += [
            f"By which hyperparameters the best {BEST_SHARE:.0%} of a round's trials differ from all of them "
            f"(PED-ANOVA; {epochs}: the last that all its trials have). Within its round's ranges, which narrow.",
            "",
            "| hyperparameter | " + " | ".join(f"round {found.round_number}" for found in told) + " |",
            "| --- |" + " --- |" * len(told),
        ]
        # As in the first round that tells; a leaf that only a later one has comes after.
        leaves = dict.fromkeys(leaf for found in told for leaf in found.shares)
        lines += [f"| {leaf} | " + " | ".join(_share(found, leaf) for found in told) + " |" for leaf in leaves]
        lines.append("")
    lines += [f"- Round {found.round_number}: {found.reason}" for found in weighed if not found.shares]
    return [*lines, ""]


def _share(found: Importance, leaf: str) -> str:
    return f"{found.shares[leaf]:.0%}" if leaf in found.shares else "—"


def importance_document(done: RoundResult) -> dict[str, Any]:
    """What mattered in a round, for programs; ``shares`` is empty where ``reason`` says why."""
    found = importance(done)
    return {"shares": dict(found.shares), "epoch": found.epoch, "trials": found.trials, "reason": found.reason}
