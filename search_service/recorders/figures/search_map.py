"""The search map: every trial of the rounds so far over the learning rate and one other hyperparameter, log–log.

Colour is the score, the marker says how the trial ended, and a box is drawn around each round's ranges: so one sees
where a round looked, what it found, and why the next one looked where it did.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from search_service.recorders.figures.style import COLOURS, GREY, new_figure
from search_service.recorders.figures.trials import BROKEN, MARKERS
from search_service.records.rounds import RoundResult, TrialResult, TrialStatus
from search_service.space.ranges import NumericRange
from trainables.metrics import METRICS

X = "optimizer.lr"


def draw(rounds: Sequence[RoundResult]) -> Figure:
    """Draw the rounds so far; the last one in full strength.

    Args:
        rounds: The study's rounds in order, at least one.
    """
    last = rounds[-1].plan
    y = _second_leaf(rounds)
    figure, (axis,) = new_figure(width=7.5, height=5.0)
    mode = METRICS[last.metric].mode
    shown = [trial for done in rounds for trial in done.trials]
    finite = sorted(trial.score for trial in shown if math.isfinite(trial.score)) or [0.0, 1.0]
    # The colour scale spans the better two thirds: hopeless trials would use up all the colours.
    cut = len(finite) // 3
    low, high = (finite[cut], finite[-1]) if mode == "max" else (finite[0], finite[-1 - cut])
    colours = ScalarMappable(Normalize(low, high), "viridis" if mode == "max" else "viridis_r")
    for i, done in enumerate(rounds):
        strength = 1.0 if done is rounds[-1] else 0.35
        for status, (marker, size, _) in MARKERS.items():
            points = [t for t in done.trials if t.status is status and X in t.values and math.isfinite(_y_of(t, y))]
            broken = status in (TrialStatus.DIVERGED, TrialStatus.FAILED)
            axis.scatter(
                [t.values[X] for t in points],
                [_y_of(t, y) for t in points],
                s=size,
                marker=marker,
                color=[
                    BROKEN if broken or not math.isfinite(t.score) else colours.to_rgba(np.array(t.score))
                    for t in points
                ],
                alpha=strength,
            )
        _draw_box(axis, done, y, COLOURS[i % len(COLOURS)])
    best = rounds[-1].best
    if best is not None and X in best.values:
        axis.scatter(
            [best.values[X]], [_y_of(best, y)], s=260, marker="*", facecolors="none", edgecolors="black", zorder=5
        )
    if not any(X in trial.values for trial in shown):
        axis.set_xlim(1e-5, 1.0)  # A log axis of nothing needs limits to be drawn at all.
    axis.set(xscale="log", xlabel="learning rate", ylabel=y or f"validation {last.metric}")
    if y is not None and all(_is_log(done, y) for done in rounds):
        axis.set_yscale("log")
    figure.colorbar(colours, ax=axis, label=f"validation {last.metric}", extend="min" if mode == "max" else "max")
    title = f"Search map: round {last.number}, {last.step.title} (step {last.step}), {last.sampling.sampler} samples"
    axis.set_title(title, loc="left", fontweight="bold", fontsize=10)
    _legend(axis, rounds)
    return figure


def _second_leaf(rounds: Sequence[RoundResult]) -> str | None:
    """The numeric hyperparameter drawn upwards: one that every trial has, and a log one, first; None if there is none.

    Then the score is drawn.
    """
    numeric = {leaf: r for leaf, r in rounds[0].plan.space.items() if isinstance(r, NumericRange) and leaf != X}
    return min(numeric, key=lambda leaf: (bool(numeric[leaf].when), not numeric[leaf].log, leaf), default=None)


def _y_of(trial: TrialResult, leaf: str | None) -> float:
    """Height at which a trial is drawn; NaN if it has none (a conditional leaf, or no score)."""
    return trial.score if leaf is None else float(trial.values.get(leaf, math.nan))


def _is_log(done: RoundResult, leaf: str) -> bool:
    range_ = done.plan.space[leaf]
    return isinstance(range_, NumericRange) and range_.log


def _draw_box(axis: Axes, done: RoundResult, y: str | None, colour: str) -> None:
    x_range = done.plan.space.get(X)
    y_range = done.plan.space.get(y) if y else None
    if not isinstance(x_range, NumericRange):
        return
    if isinstance(y_range, NumericRange):
        size = (x_range.high - x_range.low, y_range.high - y_range.low)
        axis.add_patch(Rectangle((x_range.low, y_range.low), *size, fill=False, edgecolor=colour, linewidth=1.4))
    else:
        axis.axvspan(x_range.low, x_range.high, facecolor=colour, alpha=0.06, edgecolor=colour)


def _legend(axis: Axes, rounds: Sequence[RoundResult]) -> None:
    used = {trial.status for done in rounds for trial in done.trials}
    handles = [
        Line2D([], [], linestyle="none", marker=marker, color=GREY, label=label)
        for status, (marker, _, label) in MARKERS.items()
        if status in used
    ]
    handles.append(Line2D([], [], linestyle="none", marker="*", markersize=12, mfc="none", mec="black", label="best"))
    handles += [
        Line2D([], [], color=COLOURS[i % len(COLOURS)], label=f"round {done.plan.number}: {done.plan.step.title}")
        for i, done in enumerate(rounds)
    ]
    axis.legend(handles=handles, fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3)
