"""The Pareto set: score against the second objective of every trial that was trained to the end."""

from __future__ import annotations

from matplotlib.figure import Figure

from search_service.recorders.figures.style import COLOURS, GREY, new_figure
from search_service.recorders.figures.trials import ScoreWindow
from search_service.records.pareto import ParetoSet
from trainables.metrics import MetricName

# More names than this would cover each other.
MOST_NAMES = 8


def draw(pareto: ParetoSet, metric: MetricName, finalists: tuple[str, ...] = ()) -> Figure:
    """Draw the set.

    Args:
        pareto: Trials by both objectives.
        metric: The first.
        finalists: Trial ids of those that were trained again, the winner first.
    """
    figure, (axis,) = new_figure(width=7.5)
    window = ScoreWindow.of([point.score for point in pareto.points], metric)
    for is_optimal, colour, size, label in ((False, GREY, 22, "dominated"), (True, COLOURS[0], 55, "Pareto set")):
        shown = [point for point in pareto.points if point.is_optimal is is_optimal]
        if not shown:
            continue
        heights = [window.place(point.score) for point in shown]
        axis.scatter([point.second for point in shown], heights, s=size, color=colour, label=label, zorder=3)
    optimal = sorted(pareto.optimal, key=lambda point: point.second)
    # In steps: between two of them there is nothing that is as good as the larger and as cheap as the smaller.
    axis.plot(
        [point.second for point in optimal],
        [window.place(point.score) for point in optimal],
        color=COLOURS[0],
        linewidth=1.0,
        drawstyle="steps-post",
    )
    named = [point for point in pareto.optimal if point.trial_id in finalists] or list(pareto.optimal)
    # Equal trials are one point, with all their names.
    names: dict[tuple[float, float], list[str]] = {}
    for point in named[:MOST_NAMES]:
        is_winner = finalists[:1] == (point.trial_id,)
        at = (point.second, window.place(point.score))
        names.setdefault(at, []).append(point.trial_id + (" (winner)" if is_winner else ""))
    for at, texts in names.items():
        axis.annotate("\n".join(texts), at, xytext=(5, -5), textcoords="offset points", fontsize=8, va="top")
    if pareto.points:
        axis.set_xscale("log")
        axis.legend(fontsize=8, frameon=False, loc="best")
    window.apply(axis)
    axis.margins(x=0.12)
    axis.set_xlabel(pareto.label)
    axis.set_title(f"Pareto set: {metric} and {pareto.name}", loc="left", fontweight="bold", fontsize=10)
    return figure
