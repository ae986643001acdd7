"""Parallel coordinates: a vertical axis for each hyperparameter and one for the score, a line for each trial.

So one sees which values go together in the best trials. The best of those trained to the end are coloured by their
score, the others grey, and the best of the whole study is thick. Better scores are above, whatever the metric. Lines
through a choice are spread, so that each can be followed. A line passes below the axis of a hyperparameter that its
trial does not have.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from search_service.recorders.figures.style import DASHES, GREY, PALE, SCORES, new_figure, set_margins
from search_service.recorders.figures.trials import LeafScale, ScoreWindow, all_trials, has_score, leaves_of
from search_service.records.numbers import score_text
from search_service.records.rounds import RoundResult, TrialResult, TrialStatus
from trainables.metrics import METRICS

# Lines that are coloured: a tenth of the trials, but not fewer than 5 nor more than the eye follows.
BEST_SHARE, FEWEST_BEST, MOST_BEST = 0.1, 5, 15
# Where lines pass whose trial has no such hyperparameter, below the axis from 0 to 1.
BELOW = -0.12
# Lines through a choice are spread over this share of the way to the next one, and over no more of the axis than that.
SPREAD, MOST_SPREAD = 0.5, 0.14


def draw(rounds: Sequence[RoundResult], *, winner: str = "") -> Figure:
    """Draw all rounds.

    Args:
        rounds: The study's rounds in order, at least one.
        winner: Id of the trial that won among the finalists; empty if that is not known.
    """
    metric = rounds[-1].plan.metric
    scales = [LeafScale.of(leaf, rounds) for leaf in leaves_of(rounds)]
    trials = [trial for trial in all_trials(rounds) if has_score(trial)]
    window = ScoreWindow.of([trial.score for trial in trials], metric)
    best = best_of(trials)
    figure, (axis,) = new_figure(width=max(7.0, 1.15 * (len(scales) + 1)), height=5.0, layout=None)
    set_margins(figure, left=0.45, right=0.15, top=0.4, bottom=1.1, between=0.0)
    axis.grid(visible=False)
    axis.spines[["left", "bottom"]].set_visible(False)

    coloured = {trial.trial_id for trial in best}
    others = [trial for trial in trials if trial.trial_id not in coloured]
    # Of many, thinner and not paler: a single one can still be seen.
    thin = float(np.clip(30 / max(len(others), 1), 0.25, 0.7))
    axis.add_collection(
        LineCollection([_line(t, scales, window) for t in others], colors=PALE, linewidths=thin, label="others")
    )
    low, high = min((t.score for t in best), default=0.0), max((t.score for t in best), default=1.0)
    colours = ScalarMappable(Normalize(low, high), SCORES if METRICS[metric].mode == "max" else SCORES.reversed())
    axis.add_collection(
        LineCollection(
            [_line(t, scales, window) for t in reversed(best)],
            colors=[colours.to_rgba(np.array(t.score)) for t in reversed(best)],
            linewidths=[1.4] * (len(best) - 1) + [3.0] * min(len(best), 1),
        )
    )
    won = next((trial for trial in trials if trial.trial_id == winner), None)
    if won is not None:
        axis.plot(*zip(*_line(won, scales, window), strict=True), **_WON)
    _draw_axes(axis, scales, window)
    missing = any(scale.leaf not in trial.values for trial in trials for scale in scales)
    axis.set_ylim(BELOW - 0.06 if missing else -0.07, 1.08)
    if missing:
        axis.text(-0.08, BELOW, "not used", fontsize=7, ha="right", va="center", color=GREY)
    what = f"the best {len(best)} of {len(trials)} trials with a score" if trials else "no trial has a score"
    axis.set_title(f"Parallel coordinates: {what}", loc="left", fontweight="bold", fontsize=10)
    if best:
        figure.legend(
            handles=_handles(best, won, colours, len(others)), loc="lower center", ncols=2, fontsize=8, frameon=False
        )
    return figure


def best_of(trials: Sequence[TrialResult]) -> list[TrialResult]:
    """Those that are coloured, best first: of the trials that were trained to the end, if there are any."""
    able = [trial for trial in trials if trial.status is TrialStatus.COMPLETED]
    furthest = max((trial.epochs for trial in trials), default=0)
    able = able or [trial for trial in trials if trial.epochs == furthest]
    n = int(np.clip(math.ceil(BEST_SHARE * len(trials)), FEWEST_BEST, MOST_BEST))
    return sorted(able, key=lambda trial: (METRICS[trial.metric].rank(trial.score), -trial.epochs))[:n]


def _handles(
    best: Sequence[TrialResult], won: TrialResult | None, colours: ScalarMappable, n_others: int
) -> list[Line2D]:
    """What the colours and widths of the lines mean."""
    first, last = best[0], best[-1]

    def line(trial: TrialResult, width: float, label: str) -> Line2D:
        return Line2D([], [], color=colours.to_rgba(np.array(trial.score)), linewidth=width, label=label)

    also = ", and the winner" if won is first else ""
    handles = [line(first, 3.0, f"best of all rounds{also}: {first.trial_id}, {score_text(first.score)}")]
    if len(best) > 1:
        handles.append(
            line(last, 1.4, f"the {len(best)} best, the darker the better, down to {score_text(last.score)}")
        )
    if won is not None and won is not first:
        label = f"winner among the finalists: {won.trial_id}, {score_text(won.score)}"
        handles.append(Line2D([], [], label=label, **_WON))
    if n_others:
        handles.append(Line2D([], [], color=PALE, linewidth=0.7, label=f"the {n_others} others"))
    return handles


def _line(trial: TrialResult, scales: Sequence[LeafScale], window: ScoreWindow) -> list[tuple[float, float]]:
    heights = [_height(trial, scale) for scale in scales]
    return list(enumerate([*heights, _score_share(trial.score, window)]))


def _height(trial: TrialResult, scale: LeafScale) -> float:
    """Where a trial's line crosses an axis: at its value, beside it where that is a choice, or below all."""
    share = scale.share(trial.values)
    # By the golden ratio: trials one after the other lie far apart, however many there are.
    beside = trial.number * 0.618034 % 1 - 0.5
    if math.isnan(share):
        return BELOW + 0.05 * beside
    if scale.choices is None:
        return share
    return share + beside * min(MOST_SPREAD, SPREAD / max(len(scale.choices) - 1, 1))


def _score_share(score: float, window: ScoreWindow) -> float:
    """Height of a score, 1 for the best."""
    width = window.high - window.low
    share = (window.place(score) - window.low) / width if width else 0.5
    return share if METRICS[window.metric].mode == "max" else 1 - share


def _draw_axes(axis: Axes, scales: Sequence[LeafScale], window: ScoreWindow) -> None:
    for x, scale in enumerate(scales):
        for share, text in scale.ends():
            axis.text(x + 0.04, share, text, fontsize=7, va="center", bbox=_BOX, zorder=4)
    for score in (window.low, window.high):
        share = _score_share(score, window)
        axis.text(len(scales) + 0.04, share, score_text(score), fontsize=7, va="center", bbox=_BOX, zorder=4)
    axis.vlines(range(len(scales) + 1), 0, 1, color="black", linewidth=0.8, zorder=3)
    names = [scale.leaf.replace(".", ".\n") + ("\n(log)" if scale.log else "") for scale in scales]
    better = "larger" if METRICS[window.metric].mode == "max" else "smaller"
    last = f"validation\n{window.metric}\n({better} is better: up)"
    axis.set_xticks(range(len(scales) + 1), [*names, last], fontsize=7)
    axis.tick_params(length=0)
    axis.set_yticks([])
    axis.set_xlim(-0.35, len(scales) + 0.6)


# The winner's line: diamonds, as in the search map, since dashes alone are lost on a dark line.
_WON: dict[str, Any] = {
    "color": "black", "linestyle": DASHES[1], "linewidth": 1.2, "marker": "D", "markersize": 6, "mfc": "white",
}  # fmt: skip
_BOX = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.6}
