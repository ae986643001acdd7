"""What the winner's networks say at a column's values, a panel for each column that matters (partial dependence).

Numbers and dates are lines with a band of one standard deviation over the networks, the rest points with a bar. Panels
share the axis of what is said, so that a column that moves it little looks so.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from search_service.recorders.figures.style import COLOURS, DASHES, new_grid
from search_service.records.numbers import score_text
from search_service.report.partial_dependence import what_is_said
from trainables.records import PartialDependence
from trainables.visible import visible_lines

# Panels side by side; inches of one; letters of a name or a category, beyond which it is cut.
_COLUMNS, _WIDTH, _HEIGHT, _LETTERS = 3, 3.4, 2.6, 34


def draw(found: Sequence[PartialDependence], target: str | None) -> Figure:
    """Draw some columns.

    Args:
        found: At least one; all of the same classes or of a number.
        target: Name of the target column, if it has one.
    """
    columns = min(_COLUMNS, len(found))
    figure, axes = new_grid(len(found), columns, width=max(5.0, _WIDTH * columns), panel_height=_HEIGHT, sharey=True)
    for index, (axis, one) in enumerate(zip(axes, found, strict=True)):
        for number, label in enumerate(one.means):
            _draw_line(axis, one, label, number)
        axis.set_title(_cut(one.column), fontsize=9)
        axis.tick_params(labelsize=8)
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: score_text(value, 3)))
        if index % columns == 0:
            axis.set_ylabel(_cut(what_is_said(one, target)), fontsize=8)
    if len(found[0].means) > 1:
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, fontsize=8, frameon=False, loc="outside lower center", ncols=5)
    figure.suptitle("What the network says at a column's values", x=0.01, ha="left", fontweight="bold", fontsize=10)
    return figure


def _draw_line(axis: Axes, one: PartialDependence, label: str, number: int) -> None:
    colour, means, spreads = COLOURS[number], one.means[label], one.spreads[label]
    low = [mean - spread for mean, spread in zip(means, spreads, strict=True)]
    high = [mean + spread for mean, spread in zip(means, spreads, strict=True)]
    if one.kind in ("categorical", "boolean"):
        axis.errorbar(
            range(len(means)), means, yerr=spreads, fmt="o", color=colour, markersize=4, capsize=2, label=_cut(label)
        )
        axis.set_xticks(
            range(len(means)), [_cut(str(value), 12) for value in one.values], rotation=35, ha="right", fontsize=7
        )
        return
    xs = [_place(value) for value in one.values]
    axis.fill_between(xs, low, high, color=colour, alpha=0.2, linewidth=0)
    axis.plot(
        xs, means, color=colour, linestyle=DASHES[number % len(DASHES)], marker=".", markersize=4, label=_cut(label)
    )
    if one.kind == "date":
        locator = AutoDateLocator(maxticks=5)
        axis.xaxis.set_major_locator(locator)
        axis.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    else:
        axis.xaxis.set_major_locator(MaxNLocator(5))


def _place(value: float | str) -> float:
    """Where a value stands on its axis."""
    if not isinstance(value, str):
        return value
    when = datetime.fromisoformat(value)
    return float(date2num(when if when.tzinfo else when.replace(tzinfo=UTC)))


def _cut(name: str, most: int = _LETTERS) -> str:
    # Two dollars would be mathematics.
    short = visible_lines(name).replace("\n", " ").replace("$", r"\$")
    return short if len(short) <= most else short[: most - 1] + "…"
