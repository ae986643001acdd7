"""The report's sections that look back on the search: what mattered, and what the last act can tell apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from search_service.records.finalists import Finalist, FinalistsResult, possible
from search_service.records.numbers import mean_text, score_text
from search_service.records.rounds import RoundResult
from search_service.report.importance import BEST_SHARE, Importance, importance
from trainables.metrics import MetricName


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
    untold = [f"- Round {found.round_number}: {found.reason}" for found in weighed if not found.shares]
    return [*lines, *untold, ""] if untold else lines


def compare_finalists(final: FinalistsResult, prefer: Literal["best", "simplest"]) -> list[str]:
    """Markdown: a finalist a line, with its interval and whether it can be told from the best; nothing for one."""
    if len(final.finalists) < 2:
        return [final.rule, ""] if final.rule else []
    lines = [
        "| finalist | validation | 95 % interval | parameters | optimizer.lr | can be told from the best |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for finalist in final.finalists:
        verdict = "no" if finalist.trial_id in final.contenders[1:] else "yes"
        cells = [
            finalist.trial_id,
            mean_text(finalist.mean, finalist.std, len(finalist.units)),
            format_interval(finalist, final.metric),
            f"{finalist.parameters:,}",
            f"{finalist.config.optimizer.lr:.3g}",
            "best mean" if finalist.trial_id == final.contenders[0] else verdict,
        ]
        lines.append("| " + " | ".join(cells) + " |")
    said = f"{describe_contenders(final, prefer)}. {final.rule}"
    return [*lines, "", said.rstrip(), ""]


def describe_pareto(final: FinalistsResult) -> list[str]:
    """Markdown: the trials that no other beats in both objectives, a line each; nothing with a single objective."""
    pareto = final.pareto
    if pareto is None:
        return []
    lines = [f"## Score and {pareto.name}", ""]
    if not pareto.points:
        return [*lines, "No trial was trained to the end; the finalists are the best of all.", ""]
    again = {
        finalist.trial_id: mean_text(finalist.mean, finalist.std, len(finalist.units)) for finalist in final.finalists
    }
    lines += [
        f"Of {len(pareto.points)} trials that were trained to the end, those that no other beats in both. The "
        "finalists are the best of them.",
        "",
        f"| trial | validation {final.metric} | {pareto.label} | from fresh seeds |",
        "| --- | --- | --- | --- |",
    ]
    lines += [
        f"| {point.trial_id} | {score_text(point.score)} | {point.second:,g} | {again.get(point.trial_id, '—')} |"
        for point in pareto.optimal
    ]
    return [*lines, ""]


def describe_contenders(final: FinalistsResult, prefer: Literal["best", "simplest"]) -> str:
    """Which finalists are as good as the winner as far as seeds or folds can tell, in a sentence."""
    winner, n = final.winner, len(final.winner.units)
    same = [other.trial_id for other in final.finalists[1:] if other.mean == winner.mean]
    why = f"won by the best mean, {winner.trial_id}"
    if same:
        why = f"{winner.trial_id} won, which the search had ahead of {' and '.join(same)} with the same mean"
    if prefer == "simplest" and winner.trial_id != final.contenders[0]:
        why = f"won by the simplest, {winner.trial_id}, rather than by the best mean, {final.contenders[0]}"
    test = f"paired t-test over the {winner.unit}s, 5 %"
    if len(final.finalists) < 2:
        return f"The only finalist, {winner.trial_id}"
    if n < 2:
        return f"With a single seed nothing can be told apart; {why}"
    if not final.alike:
        return f"Every other finalist is worse by more than chance ({test}); {why}"
    return f"Cannot be told from the best ({test}): {', '.join(final.contenders[1:])}; {why}"


def format_interval(finalist: Finalist, metric: MetricName) -> str:
    """``0.9712 to 0.9874``; a dash with fewer than two seeds or folds."""
    return "—" if finalist.interval is None else " to ".join(map(score_text, possible(metric, finalist.interval)))


def _share(found: Importance, leaf: str) -> str:
    return f"{found.shares[leaf]:.0%}" if leaf in found.shares else "—"
