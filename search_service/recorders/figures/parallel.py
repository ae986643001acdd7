"""Parallel coordinates: a vertical axis for each hyperparameter and one for the score, a line for each trial.

So one sees which values go together in the best trials. The best of those trained to the end are coloured by their
score, the others grey. A line passes below the axis of a hyperparameter that its trial does not have.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from search_service.recorders.figures.style import GREY, new_figure
from search_service.recorders.figures.trials import LeafScale, ScoreWindow, all_trials, has_score, leaves_of
from search_service.records.rounds import RoundResult, TrialResult, TrialStatus
from trainables.metrics import METRICS

# Lines that are coloured: a tenth of the trials, but not fewer than 5 nor more than the eye follows.
BEST_SHARE, FEWEST_BEST, MOST_BEST = 0.1, 5, 15
# Where lines pass whose trial has no such hyperparameter, below the axis from 0 to 1.
BELOW = -0.12


def draw(rounds: Sequence[RoundResult]) -> Figure:
    """Draw all rounds.

    Args:
        rounds: The study's rounds in order, at least one.
    """
    metric = rounds[-1].plan.metric
    scales = [LeafScale.of(leaf, rounds) for leaf in leaves_of(rounds)]
    trials = [trial for trial in all_trials(rounds) if has_score(trial)]
    window = ScoreWindow.of([trial.score for trial in trials], metric)
    best = best_of(trials)
    figure, (axis,) = new_figure(width=max(6.0, 1.15 * (len(scales) + 1)), height=4.6)
    axis.grid(visible=False)
    axis.spines[["left", "bottom"]].set_visible(False)

    others = [trial for trial in trials if trial not in best]
    alpha = float(np.clip(30 / max(len(others), 1), 0.08, 0.5))
    axis.add_collection(
        LineCollection([_line(t, scales, window) for t in others], colors=GREY, linewidths=0.7, alpha=alpha)
    )
    low, high = min((t.score for t in best), default=0.0), max((t.score for t in best), default=1.0)
    # Yellow, where viridis ends, is hard to see on white.
    colours = ScalarMappable(Normalize(low, high + 0.15 * (high - low)), "viridis")
    if METRICS[metric].mode == "min":
        colours = ScalarMappable(Normalize(low - 0.15 * (high - low), high), "viridis_r")
    axis.add_collection(
        LineCollection(
            [_line(t, scales, window) for t in reversed(best)],
            colors=[colours.to_rgba(np.array(t.score)) for t in reversed(best)],
            linewidths=[1.4] * (len(best) - 1) + [2.6] * min(len(best), 1),
        )
    )
    _draw_axes(axis, scales, window)
    missing = any(scale.leaf not in trial.values for trial in trials for scale in scales)
    axis.set_ylim(BELOW - 0.06 if missing else -0.07, 1.08)
    if missing:
        axis.text(-0.08, BELOW, "not used", fontsize=7, ha="right", va="center", color=GREY)
    what = f"the best {len(best)} of {len(trials)} trials with a score" if trials else "no trial has a score"
    axis.set_title(f"Parallel coordinates: {what}", loc="left", fontweight="bold", fontsize=10)
    return figure


def best_of(trials: Sequence[TrialResult]) -> list[TrialResult]:
    """Those that are coloured, best first: of the trials that went furthest."""
    able = [trial for trial in trials if trial.status is TrialStatus.COMPLETED] or list(trials)
    n = int(np.clip(math.ceil(BEST_SHARE * len(trials)), FEWEST_BEST, MOST_BEST))
    ranked = sorted(able, key=lambda trial: (-trial.epochs, METRICS[trial.metric].rank(trial.score)))
    return ranked[:n]


def _line(trial: TrialResult, scales: Sequence[LeafScale], window: ScoreWindow) -> list[tuple[float, float]]:
    shares = [scale.share(trial.values) for scale in scales]
    heights = [BELOW if math.isnan(share) else share for share in shares]
    return list(enumerate([*heights, _score_share(trial.score, window)]))


def _score_share(score: float, window: ScoreWindow) -> float:
    width = window.high - window.low
    return (window.place(score) - window.low) / width if width else 0.5


def _draw_axes(axis: Axes, scales: Sequence[LeafScale], window: ScoreWindow) -> None:
    for x, scale in enumerate(scales):
        for share, text in scale.ends():
            axis.text(x + 0.04, share, text, fontsize=7, va="center", bbox=_BOX, zorder=4)
    for share, score in ((0.0, window.low), (1.0, window.high)):
        axis.text(len(scales) + 0.04, share, f"{score:.4g}", fontsize=7, va="center", bbox=_BOX, zorder=4)
    axis.vlines(range(len(scales) + 1), 0, 1, color="black", linewidth=0.8, zorder=3)
    names = [scale.leaf.replace(".", ".\n") + ("\n(log)" if scale.log else "") for scale in scales]
    axis.set_xticks(range(len(scales) + 1), [*names, f"validation\n{window.metric}"], fontsize=7)
    axis.tick_params(length=0)
    axis.set_yticks([])
    axis.set_xlim(-0.35, len(scales) + 0.6)


_BOX = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.6}
