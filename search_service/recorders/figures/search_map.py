"""The search map: every trial of the rounds so far over the learning rate and what mattered most beside it.

Colour is the score, size the epochs that it was reached in, the marker says how the trial ended, and a box is drawn
around each round's ranges: so one sees where a round looked, what it found, and why the next one looked where it did.
The star is the best trial of the whole study.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from search_service.recorders.figures.style import GREY, new_figure, plain_ticks, set_margins
from search_service.recorders.figures.trials import (
    BROKEN,
    CROWD,
    MARKERS,
    LeafScale,
    all_trials,
    best_trial,
    colour_of,
    label_of,
    round_label,
    score_colours,
    status_handles,
)
from search_service.records.numbers import score_text
from search_service.records.rounds import RoundResult, TrialResult, TrialStatus
from search_service.report.importance import Importance, importance
from search_service.space.ranges import NumericRange
from trainables.metrics import METRICS

X = "optimizer.lr"
# Area in points² of the marker of a trial of no epochs, and what the longest training adds.
SMALLEST, MORE = 16.0, 75.0
# Places that are numbered where several trials have the same values; of more, the numbers would cover the map.
MOST_NUMBERS = 12


def draw(rounds: Sequence[RoundResult], *, weighed: Sequence[Importance] = (), winner: str = "") -> Figure:
    """Draw the rounds so far.

    Args:
        rounds: The study's rounds in order, at least one.
        weighed: What mattered in each of them; weighed here if nobody has: it takes scikit-learn, which who only draws
            would have to import.
        winner: Id of the trial that won among the finalists; empty if that is not known.
    """
    last = rounds[-1].plan
    y, why = _second_leaf(rounds, weighed)
    scale = LeafScale.of(y, rounds) if y is not None else None
    shown = [trial for trial in all_trials(rounds) if X in trial.values and math.isfinite(_y_of(trial, scale))]
    figure, (axis,) = new_figure(width=8.0, height=5.6, layout=None)
    set_margins(figure, left=1.2, right=0.1, top=0.4, bottom=1.5, between=0.0)
    colours = score_colours([trial.score for trial in all_trials(rounds)], last.metric)
    _draw_trials(axis, shown, scale, colours)
    for i, done in enumerate(rounds):
        _draw_box(axis, done, y, colour_of(i))
    marks = _draw_best(axis, rounds, winner, scale)
    _number(axis, shown, scale)
    axis.set(xscale="log", xlabel="learning rate", ylabel=f"{y}\n({why})" if y else f"validation {last.metric}")
    if any(X in done.plan.space for done in rounds):
        x_scale = LeafScale.of(X, rounds)
        if x_scale.choices is None:
            plain_ticks(axis.xaxis, x_scale.low, x_scale.high)
    if not shown:
        axis.set_xlim(1e-5, 1.0)  # A log axis of nothing needs limits to be drawn at all.
    if scale is not None:
        _finish_y(axis, scale)
    rises = METRICS[last.metric].mode == "max"
    bar = figure.colorbar(colours, ax=axis, label=f"validation {last.metric}", extend="min" if rises else "max")
    if not rises:
        bar.ax.invert_yaxis()
    title = f"Search map: round {last.number}, {last.step.title} (step {last.step}), {last.sampling.sampler} samples"
    axis.set_title(title, loc="left", fontweight="bold", fontsize=10)
    handles = [*status_handles(shown), *_size_handles(shown), *marks, *_round_handles(rounds)]
    axis.legend(handles=handles, fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3)
    return figure


def _second_leaf(rounds: Sequence[RoundResult], weighed: Sequence[Importance]) -> tuple[str | None, str]:
    """The hyperparameter drawn upwards, and why that one; None if only the learning rate was searched.

    What mattered most in the last round that tells and, where none does, a log range. One that every trial has comes
    first.
    """
    space = {leaf: range_ for leaf, range_ in rounds[-1].plan.space.items() if leaf != X}
    if not space:
        return None, ""
    shares: Mapping[str, float] = {}
    if len(space) > 1:
        latest = reversed(weighed) if weighed else map(importance, reversed(rounds))
        shares = next((found.shares for found in latest if found.shares), {})

    def rank(leaf: str) -> tuple[bool, float, bool, bool, str]:
        range_ = space[leaf]
        is_number = isinstance(range_, NumericRange)
        is_log = isinstance(range_, NumericRange) and range_.log
        return bool(range_.when), -shares.get(leaf, 0.0), not is_number, not is_log, leaf

    chosen = min(space, key=rank)
    return chosen, "of the others it mattered most" if shares.get(chosen) else "searched too"


def _y_of(trial: TrialResult, scale: LeafScale | None) -> float:
    """Height at which a trial is drawn; NaN if it has none (a conditional leaf, or no score)."""
    if scale is None:
        return trial.score
    at = scale.place(trial.values)
    # Trials with the same choice beside each other, by their number, over half the way to the next choice.
    return at if scale.choices is None else at + 0.5 * (trial.number * 0.618034 % 1 - 0.5)


def _size(trial: TrialResult, most_epochs: int, n: int) -> float:
    return (SMALLEST + MORE * math.sqrt(trial.epochs / max(most_epochs, 1))) * min(1.0, max(0.25, CROWD / max(n, 1)))


def _draw_trials(axis: Axes, trials: Sequence[TrialResult], scale: LeafScale | None, colours: ScalarMappable) -> None:
    most = max((trial.epochs for trial in trials), default=0)
    # The large first and the small and hollow above them: none hides another.
    for status, (marker, _, _) in MARKERS.items():
        points = sorted((t for t in trials if t.status is status), key=lambda t: -t.epochs)
        if not points:
            continue
        broken = status in (TrialStatus.DIVERGED, TrialStatus.FAILED)
        colour = [
            BROKEN if broken or not math.isfinite(t.score) else colours.to_rgba(np.array(t.score)) for t in points
        ]
        axis.scatter(
            [t.values[X] for t in points],
            [_y_of(t, scale) for t in points],
            s=[_size(t, most, len(trials)) for t in points],
            marker=marker,
            linewidths=1.2,
            facecolors="none" if status is TrialStatus.PRUNED else colour,
            edgecolors=None if marker == "x" else colour,
        )


def _draw_best(axis: Axes, rounds: Sequence[RoundResult], winner: str, scale: LeafScale | None) -> list[Line2D]:
    """Mark the study's best trial and the winner; returns what the legend says of them."""
    best = best_trial(rounds)
    won = next((trial for trial in all_trials(rounds) if trial.trial_id == winner), None)
    marked = [(best, "*", 200.0, "best of all rounds" + (", and the winner" if best is won else ""))]
    if won is not best:
        marked.append((won, "D", 190.0, "winner among the finalists"))
    handles = []
    for trial, marker, size, what in marked:
        if trial is None or X not in trial.values or not math.isfinite(_y_of(trial, scale)):
            continue
        at = ([trial.values[X]], [_y_of(trial, scale)])
        # White within the star: an outline on a dark dot cannot be seen.
        face = "white" if marker == "*" else "none"
        axis.scatter(*at, s=size, marker=marker, facecolors=face, edgecolors="black", linewidths=1.3, zorder=5)
        label = f"{what}: {trial.trial_id}, {score_text(trial.score)}"
        handles.append(
            Line2D([], [], linestyle="none", marker=marker, markersize=9, mfc="none", mec="black", label=label)
        )
    return handles


def _number(axis: Axes, trials: Sequence[TrialResult], scale: LeafScale | None) -> None:
    """Say how many trials lie on the same place: a configuration that was tried again covers the first."""
    places = Counter((float(trial.values[X]), _y_of(trial, scale)) for trial in trials)
    several = [(place, n) for place, n in places.items() if n > 1]
    for place, n in several[:MOST_NUMBERS]:
        axis.annotate(f"{n} ×", place, xytext=(6, 4), textcoords="offset points", fontsize=8, zorder=6)


def _draw_box(axis: Axes, done: RoundResult, y: str | None, colour: str) -> None:
    x_range = done.plan.space.get(X)
    y_range = done.plan.space.get(y) if y else None
    if not isinstance(x_range, NumericRange):
        return
    if isinstance(y_range, NumericRange):
        size = (x_range.high - x_range.low, y_range.high - y_range.low)
        axis.add_patch(Rectangle((x_range.low, y_range.low), *size, fill=False, edgecolor=colour, linewidth=1.4))
    else:
        axis.axvspan(x_range.low, x_range.high, facecolor="none", edgecolor=colour, linewidth=1.4)


def _finish_y(axis: Axes, scale: LeafScale) -> None:
    if scale.choices is not None:
        axis.set_yticks(range(len(scale.choices)), [label_of(choice) for choice in scale.choices])
        axis.set_ylim(-0.6, len(scale.choices) - 0.4)
    elif scale.log:
        axis.set_yscale("log")
        plain_ticks(axis.yaxis, scale.low, scale.high)


def _size_handles(trials: Sequence[TrialResult]) -> list[Line2D]:
    """Sizes of the shortest and of the longest training, if they differ."""
    epochs = sorted({trial.epochs for trial in trials if trial.epochs})
    if not epochs[1:]:
        return []
    sizes = [math.sqrt(SMALLEST + MORE * math.sqrt(n / epochs[-1])) for n in (epochs[0], epochs[-1])]
    return [
        Line2D([], [], linestyle="none", marker="o", markersize=size, mfc="none", mec=GREY, label=f"{n} epochs")
        for size, n in zip(sizes, (epochs[0], epochs[-1]), strict=True)
    ]


def _round_handles(rounds: Sequence[RoundResult]) -> list[Line2D]:
    return [Line2D([], [], color=colour_of(i), label=round_label(done)) for i, done in enumerate(rounds)]
