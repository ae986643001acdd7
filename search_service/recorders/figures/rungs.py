"""The rungs: learning curves of all trials of a round, and how many each rung let through.

So one sees whether early stopping stopped the right ones: curves that cross after a rung were judged too early.
"""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from search_service.recorders.figures.style import COLOURS, GREY, new_figure
from search_service.recorders.figures.trials import BROKEN, MARKERS, ScoreWindow, round_label
from search_service.records.rounds import RoundResult, TrialResult, TrialStatus

# Colour and width of a curve by how its trial ended.
_LINES = {
    TrialStatus.PRUNED: (GREY, 0.8),
    TrialStatus.DIVERGED: (BROKEN, 0.8),
    TrialStatus.FAILED: (BROKEN, 0.8),
    TrialStatus.COMPLETED: (COLOURS[0], 1.1),
}


def draw(done: RoundResult) -> Figure:
    """Draw one round."""
    plan = done.plan
    # Where trials come from, before the first rung, is nothing to compare by; curves may come from outside.
    first = plan.asha.grace_period if plan.asha else 1
    scores = [p.validation_score for trial in done.trials for p in trial.curve if p.epoch >= first]
    window = ScoreWindow.of(scores, plan.metric)
    figure, (axis,) = new_figure(width=8.0, height=4.6)
    for status, (colour, width) in _LINES.items():
        ended = [trial for trial in done.trials if trial.status is status]
        if not ended:
            continue
        alpha = float(np.clip(25 / len(ended), 0.15, 0.8))
        curves = [_curve(trial) for trial in ended]
        axis.add_collection(LineCollection([c for c in curves if c], colors=colour, linewidths=width, alpha=alpha))
        marker, _, label = MARKERS[status]
        axis.scatter(
            [trial.epochs for trial in ended],
            [window.place(curve[-1][1] if curve else math.nan) for curve in curves],
            s=12,
            marker=marker,
            color=colour,
            alpha=max(alpha, 0.4),
            label=f"{len(ended)} {label}",
        )
    best = done.best
    if best is not None:
        axis.plot(*zip(*_curve(best), strict=True), color="black", linewidth=2.0, label=f"best: {best.trial_id}")
    window.apply(axis, shown_at_edge=False)
    axis.set_xlim(min(1, plan.limits.max_epochs - 1), plan.limits.max_epochs * 1.02)
    axis.set_xlabel("epoch")
    _draw_rungs(axis, done)
    axis.set_title(f"Rungs of {round_label(done)}", loc="left", fontweight="bold", fontsize=10, pad=20)
    if done.trials:
        axis.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=5)
    return figure


def counts_at(done: RoundResult, epoch: int) -> tuple[int, int]:
    """Trials that were judged at a rung, and those that went on."""
    judged = [t for t in done.trials if t.status is not TrialStatus.FAILED and t.epochs >= epoch]
    stopped = sum(t.status is not TrialStatus.COMPLETED and t.epochs == epoch for t in judged)
    return len(judged), len(judged) - stopped


def _curve(trial: TrialResult) -> list[tuple[float, float]]:
    return [(p.epoch, p.validation_score) for p in trial.curve if math.isfinite(p.validation_score)]


def _draw_rungs(axis: Axes, done: RoundResult) -> None:
    for epoch in done.plan.rungs:
        entered, went_on = counts_at(done, epoch)
        axis.axvline(epoch, color="black", linestyle=":", linewidth=0.9)
        axis.annotate(
            f"{entered} → {went_on}",
            (epoch, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )
