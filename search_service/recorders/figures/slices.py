"""Slices: a panel for each hyperparameter, its values against the scores, a colour per round.

So one sees which values are good, how sharp the optimum is, whether it lies at an edge, and how the ranges narrowed.
All other hyperparameters vary at the same time: what scatters is their doing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from search_service.recorders.figures.style import new_grid
from search_service.recorders.figures.trials import (
    LeafScale,
    ScoreWindow,
    all_trials,
    colour_of,
    draw_scores,
    has_score,
    label_of,
    leaves_of,
    round_handles,
    status_handles,
)
from search_service.records.rounds import RoundResult

# Panels side by side: more would be too narrow for their numbers.
MOST_COLUMNS = 4
# In inches: a panel's height, what lies between two rows, above the first and below the last; tilted names take more.
PANEL, BETWEEN, ABOVE, BELOW, TILTED = 1.9, 0.55, 0.6, 0.8, 0.35
# Choices up to which their names stand upright below the axis.
FEW_CHOICES, MOST_LETTERS = 4, 16


def draw(rounds: Sequence[RoundResult]) -> Figure:
    """Draw all rounds.

    Args:
        rounds: The study's rounds in order, at least one.
    """
    trials, metric = all_trials(rounds), rounds[-1].plan.metric
    window = ScoreWindow.of([trial.score for trial in trials if has_score(trial)], metric)
    scales = [LeafScale.of(leaf, rounds) for leaf in leaves_of(rounds)]
    columns = min(MOST_COLUMNS, len(scales))
    tall = TILTED if any(_is_tilted(scale) for scale in scales) else 0.0
    rows, between = -(-len(scales) // columns), BETWEEN + tall
    width, height = max(5.0, 2.7 * columns), ABOVE + rows * PANEL + (rows - 1) * between + BELOW + tall
    # Margins in inches: the constrained layout takes as long again as all the drawing.
    figure, axes = new_grid(len(scales), columns, width=width, panel_height=height / rows, layout=None, sharey=True)
    figure.subplots_adjust(
        left=0.75 / width,
        right=1 - 0.15 / width,
        top=1 - ABOVE / height,
        bottom=(BELOW + tall) / height,
        hspace=between / PANEL,
        wspace=0.12,
    )
    for index, (axis, scale) in enumerate(zip(axes, scales, strict=True)):
        for i, done in enumerate(rounds):
            # Choices side by side for each round: they would cover each other.
            shift = 0.5 * ((i + 0.5) / len(rounds) - 0.5) if scale.choices is not None else 0.0
            xs = [scale.place(trial.values) + shift for trial in done.trials]
            draw_scores(axis, done.trials, xs, window, colour_of(i), crowd=2 * len(trials))
        window.apply(axis)
        _finish(axis, scale)
        if index % columns:
            axis.set_ylabel("")
    handles = [*status_handles(trials), *round_handles(rounds)]
    figure.legend(handles=handles, fontsize=8, frameon=False, loc="lower center", ncols=4 if columns > 2 else 3)
    figure.suptitle("Slices: value against score", x=0.01, ha="left", fontweight="bold", fontsize=10)
    return figure


def _is_tilted(scale: LeafScale) -> bool:
    """Whether the names of choices would run into each other."""
    names = [label_of(choice) for choice in scale.choices or ()]
    return len(names) > FEW_CHOICES or sum(map(len, names)) > MOST_LETTERS


def _finish(axis: Axes, scale: LeafScale) -> None:
    """The x axis of a panel."""
    axis.set_title(scale.leaf, fontsize=9)
    axis.tick_params(labelsize=8)
    axis.yaxis.label.set_fontsize(7)
    if scale.choices is not None:
        long = _is_tilted(scale)
        axis.set_xticks(
            range(len(scale.choices)),
            [label_of(choice) for choice in scale.choices],
            rotation=35 if long else 0,
            ha="right" if long else "center",
        )
        axis.set_xlim(-0.6, len(scale.choices) - 0.4)
    elif scale.log:
        axis.set_xscale("log")
        # Fewer than two powers of ten are too few ticks.
        narrow = scale.high < 100 * scale.low
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if narrow else (1,), numticks=6))
        if narrow:
            axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.xaxis.set_minor_locator(NullLocator())
        pad = (scale.high / scale.low) ** 0.04 if scale.high > scale.low else 2.0
        axis.set_xlim(scale.low / pad, scale.high * pad)
    else:
        pad = 0.04 * (scale.high - scale.low) or 0.5 * abs(scale.high) or math.ulp(1.0) ** 0.5
        axis.set_xlim(scale.low - pad, scale.high + pad)
