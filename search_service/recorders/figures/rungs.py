"""The rungs: learning curves of all trials of a round, and how many each rung let through.

So one sees whether early stopping stopped the right ones: curves that cross after a rung were judged too early. The
search ranks by each trial's best epoch; the curve that ends best is black, and the best epoch has a star, which may be
another trial's.
"""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from search_service.recorders.figures.style import COLOURS, GREY, PALE, new_figure
from search_service.recorders.figures.trials import BROKEN, MARKERS, ScoreWindow, round_label
from search_service.records.numbers import score_text
from search_service.records.rounds import RoundResult, TrialResult, TrialStatus
from trainables.metrics import METRICS

# Colour and width of a curve by how its trial ended.
_LINES = {
    TrialStatus.PRUNED: (PALE, 0.8),
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
        # Of many, thinner and not paler: a single one can still be seen.
        thin = float(np.clip(25 / len(ended), 0.3, 1.0))
        curves = [_curve(trial) for trial in ended]
        axis.add_collection(LineCollection([c for c in curves if c], colors=colour, linewidths=width * thin))
        marker, _, label = MARKERS[status]
        axis.scatter(
            [trial.epochs for trial in ended],
            [window.place(curve[-1][1] if curve else math.nan) for curve in curves],
            s=12,
            marker=marker,
            color=GREY if status is TrialStatus.PRUNED else colour,
            label=f"{len(ended)} {label}",
        )
    _draw_best(axis, done, window)
    window.apply(axis, shown_at_edge=False)
    axis.set_xlim(min(1, plan.limits.max_epochs - 1), plan.limits.max_epochs * 1.02)
    axis.set_xlabel("epoch")
    _draw_rungs(axis, done)
    axis.set_title(f"Rungs of {round_label(done)}", loc="left", fontweight="bold", fontsize=10, pad=20)
    if done.trials:
        axis.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=4)
    return figure


def best_at_the_end(done: RoundResult) -> TrialResult | None:
    """Of the trials that went furthest, the one with the best score at its last epoch; None if none has a score."""
    able = [trial for trial in done.ranked if _curve(trial)]
    rank = METRICS[done.plan.metric].rank
    furthest = [trial for trial in able if trial.epochs == able[0].epochs]
    return min(furthest, key=lambda trial: rank(_curve(trial)[-1][1]), default=None)


def _draw_best(axis: Axes, done: RoundResult, window: ScoreWindow) -> None:
    best, last = done.best, best_at_the_end(done)
    if last is not None:
        end = _curve(last)[-1][1]
        label = f"best at the end: {last.trial_id}, {score_text(end)}"
        axis.plot(*zip(*_curve(last), strict=True), color="black", linewidth=2.0, label=label)
    if best is not None and best.best_point is not None:
        at = (best.best_point.epoch, window.place(best.score))
        label = f"best epoch: {best.trial_id}, {score_text(best.score)}"
        axis.plot(*at, marker="*", markersize=13, mfc="white", mec="black", linestyle="none", label=label, zorder=5)


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
