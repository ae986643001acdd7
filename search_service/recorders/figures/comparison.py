"""A comparison of optimisers: loss curves, and the paths over a slice through the loss.

The same colour means the same optimiser in every picture, whichever are compared. Curves have line styles too, and
names at their ends: colours alone are not asked to tell eight lines apart that cross.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm, hsv_to_rgb, to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import Normal, Stroke

from search_service.recorders.figures import paths_page
from search_service.recorders.figures.style import COLOURS, DASHES, GREY, ink, new_figure, plain_ticks, set_margins
from search_service.records.comparison_results import ComparisonResult, LossSlice, OptimizerOutcome, PathOnSlice
from search_service.report.comparison_report import score
from trainables.choices import OptimizerName
from trainables.metrics import METRICS, MetricName
from trainables.records import EpochPoint


def distinct_colours(n: int) -> list[str]:
    """``n`` colours, no two the same: those that everybody can tell apart, and when they are used up, further hues."""
    more = max(n - len(COLOURS), 0)
    return [*COLOURS[:n], *(to_hex(hsv_to_rgb(((i + 0.5) / more, 0.6, 0.6))) for i in range(more))]


_OPTIMIZERS = get_args(OptimizerName)
COLOUR_OF = dict(zip(_OPTIMIZERS, distinct_colours(len(_OPTIMIZERS)), strict=True))
DASH_OF = {name: DASHES[i % len(DASHES)] for i, name in enumerate(_OPTIMIZERS)}
# A loss this far above the untrained one is cut off: a diverging curve would flatten all others.
CUT_AT = 2.0
# Heights of the slice are grey, so that every path can be told from them; the lowest loss is white.
HEIGHTS = LinearSegmentedColormap.from_list("heights", ["#FFFFFF", "#D8DEE6", "#8E9AAB"])
CONTOURS = 12
# The lowest decades of a loss hold no place where a path goes; more of them would turn the slice into a pit.
MOST_DECADES = 4.0
# An optimiser that fails leaves the picture of the scores instead of pressing the others together at its edge.
SHOWN_SCORES = 0.9
# Height of a name at the end of a curve, as a share of a panel's.
NAME_HEIGHT = 0.045


def write(result: ComparisonResult, folder: Path) -> tuple[Path, ...]:
    """Draw everything there is to draw of a comparison into ``folder``; returns the files."""
    files = [folder / "loss_curves.png"]
    draw_curves(result).savefig(files[0])
    if result.slice is not None:
        files += [folder / "loss_slice.png", folder / "paths.html"]
        draw_slice(result.slice).savefig(files[1])
        files[2].write_text(paths_page.render(result, result.slice, COLOUR_OF), encoding="utf-8")
    return tuple(files)


def draw_curves(result: ComparisonResult) -> Figure:
    """Training loss, validation loss and validation score against epochs: mean over seeds, their range at the end."""
    figure, axes = new_figure(3, width=15.0, height=5.0, layout=None)
    set_margins(figure, left=0.75, right=2.9, top=0.75, bottom=0.95, between=0.42)
    seeds = max((len(outcome.curves) for outcome in result.outcomes), default=0)
    figure.suptitle(
        f"{result.data.source}: optimisers, each at its own best learning rate",
        x=0.01, ha="left", fontweight="bold", fontsize=10,
    )  # fmt: skip
    trained = [outcome for outcome in result.outcomes if outcome.curves]
    names = ("train_loss", "validation_loss", "validation_score")
    for axis, name, title in zip(
        axes, names, ("training loss", "validation loss", f"validation {result.metric}"), strict=True
    ):
        for number, outcome in enumerate(trained, start=1):
            _draw_curve(axis, outcome, name, number)
        axis.set_title(title, loc="left", fontsize=10)
        axis.set_xlabel("epoch")
        axis.margins(x=0.01)
    if result.start_loss > 0:  # Not where it is NaN: a log axis of nothing cannot be drawn.
        for axis in axes[:2]:
            axis.set_yscale("log")
            axis.set_ylim(top=CUT_AT * result.start_loss)
            plain_ticks(axis.yaxis, *axis.get_ylim())
    _focus(axes[2], trained, result.metric)
    for axis, name in zip(axes, names, strict=True):
        _name_ends(axis, trained, name)
    labels = [
        Line2D(
            [], [], color=COLOUR_OF[o.name], linestyle=DASH_OF[o.name], linewidth=2.0,
            label=f"{o.name}, rate {_rate(o)}\n{score(o)}",
        )
        for o in result.ranked
    ]  # fmt: skip
    title = f"best validation {result.metric},\nmean ± std over {seeds} seeds"
    legend = figure.legend(
        handles=labels, loc="center right", frameon=False, fontsize=8, title=title, handlelength=3.2, alignment="left"
    )
    legend.get_title().set_fontsize(8)
    note = "line: mean over seeds; bar at its end: smallest to largest; epoch 0 is untrained"
    axes[0].annotate(note, (0, -0.2), xycoords="axes fraction", fontsize=8, color=GREY)
    return figure


def _rate(outcome: OptimizerOutcome) -> str:
    return "none" if outcome.config is None else f"{outcome.config.optimizer.lr:.3g}"


def _values(points: Sequence[EpochPoint], name: str) -> list[float]:
    return [value if math.isfinite(value := getattr(point, name)) else math.nan for point in points]


def _draw_curve(axis: Axes, outcome: OptimizerOutcome, name: str, number: int) -> None:
    """The mean, and the range of the seeds at its end: a bar, since eight bands upon each other are mud."""
    epochs = [point.epoch for point in outcome.curves[0]]
    colour = COLOUR_OF[outcome.name]
    axis.plot(epochs, _values(outcome.mean_curve, name), color=colour, linestyle=DASH_OF[outcome.name], linewidth=1.6)
    ends = [values[-1] for curve in outcome.curves if (values := _values(curve, name))]
    beside = epochs[-1] + 0.018 * number * max(epochs[-1] - epochs[0], 1)
    axis.vlines([beside], [min(ends)], [max(ends)], color=colour, linewidth=2.0)


def _name_ends(axis: Axes, trained: Sequence[OptimizerOutcome], name: str) -> None:
    """Write each name where its curve ends, moved up or down as far as they would cover each other."""
    to_share = axis.transData + axis.transAxes.inverted()
    ends = []
    for outcome in trained:
        finite = [value for value in _values(outcome.mean_curve, name) if math.isfinite(value)]
        is_log = axis.get_yscale() == "log"
        if finite and not (is_log and finite[-1] <= 0):
            share = float(to_share.transform((0, finite[-1]))[1])
            ends.append((min(max(share, 0.0), 1.0), outcome.name))
    ends.sort()
    # From below upwards, then, as far as that went beyond the top, all of them down again.
    heights = [share for share, _ in ends]
    for i in range(1, len(heights)):
        heights[i] = max(heights[i], heights[i - 1] + NAME_HEIGHT)
    for i in reversed(range(len(heights))):
        heights[i] = min(heights[i], 1.0 - NAME_HEIGHT * (len(heights) - 1 - i))
    for height, (_, optimizer) in zip(heights, ends, strict=True):
        axis.text(
            1.02, height, optimizer, transform=axis.transAxes, fontsize=8, va="center", color=ink(COLOUR_OF[optimizer])
        )


def _focus(axis: Axes, trained: Sequence[OptimizerOutcome], metric: MetricName) -> None:
    """Show the scores of the later epochs; those of the first lie far below."""
    later = [
        point.validation_score
        for outcome in trained
        for point in outcome.mean_curve[len(outcome.mean_curve) // 5 + 1 :]
        if math.isfinite(point.validation_score)
    ]
    if not later:
        return
    rises = METRICS[metric].mode == "max"
    low, high = np.quantile(later, (1 - SHOWN_SCORES, 1) if rises else (0, SHOWN_SCORES))
    room = 0.25 * (high - low) or 0.1 * abs(high) or 1.0
    axis.set_ylim(low - room, min(high + room, 1.0) if rises else high + room)


def draw_slice(slice_: LossSlice) -> Figure:
    """Loss as heights over the plane, a line per optimiser from the common start to its end."""
    figure, (axis,) = new_figure(width=9.0, height=6.2)
    axis.grid(visible=False)
    levels = _levels(slice_)
    heights = np.clip(np.nan_to_num(np.array(slice_.losses), nan=levels[-1]), levels[0], levels[-1])
    scale = LogNorm(levels[0], levels[-1])
    filled = axis.contourf(
        slice_.x, slice_.y, heights, levels=np.geomspace(levels[0], levels[-1], 60), cmap=HEIGHTS, norm=scale
    )
    axis.contour(slice_.x, slice_.y, heights, levels=levels[1:-1], colors="#5B6675", linewidths=0.5)
    for path in slice_.paths:
        _draw_path(axis, path)
    start = slice_.paths[0].points[0]
    axis.plot(*start, marker="s", color="black", markersize=8, markeredgecolor="white", zorder=5)
    # On the left: on average the paths go right.
    word = axis.annotate("start", start, xytext=(-9, 0), textcoords="offset points", ha="right", va="center")
    word.set_path_effects([Stroke(linewidth=2.5, foreground="white"), Normal()])
    axis.set_xlim(slice_.x[0], slice_.x[-1])
    axis.set_ylim(slice_.y[0], slice_.y[-1])
    axis.set_aspect("equal")
    across, up = slice_.explained
    axis.set_xlabel(f"first principal direction of the paths ({across:.0%} of their extent)")
    axis.set_ylabel(f"second ({up:.0%})")
    axis.set_title(
        "Paths of the first seed over a slice through the training loss", loc="left", fontweight="bold", fontsize=10
    )
    bar = figure.colorbar(
        filled, ax=axis, label=f"training loss at each point of the slice ({slice_.rows} rows)", shrink=0.8
    )
    ticks = levels[::2]
    bar.set_ticks(ticks, labels=[f"{tick:.2g}" for tick in ticks])
    axis.legend(title="end of each path: its loss", fontsize=8, title_fontsize=8, frameon=True, loc="best")
    return figure


def _draw_path(axis: Axes, path: PathOnSlice) -> None:
    x, y = zip(*path.points, strict=True)
    colour = COLOUR_OF[path.name]
    around = [Stroke(linewidth=3.2, foreground="white"), Normal()]
    label = f"{path.name}  {path.losses[-1]:.2g}" + ("  diverged" if path.diverged else "")
    axis.plot(x, y, color=colour, linewidth=1.7, path_effects=around, label=label)
    # Above all lines: ends are what one looks for.
    marker = "X" if path.diverged else "o"
    axis.plot(x[-1], y[-1], marker=marker, color=colour, markersize=8, markeredgecolor="white", zorder=4)


def _levels(slice_: LossSlice) -> list[float]:
    """Losses of the contours, ascending in equal ratios."""
    heights = np.array(slice_.losses)
    positive = heights[np.isfinite(heights) & (heights > 0)]
    high = float(positive.max()) if positive.size else 1.0
    low = max(float(positive.min()) if positive.size else 0.1, high / 10**MOST_DECADES)
    low = min(low, high / 1.01)
    return [float(level) for level in np.geomspace(low, high, CONTOURS)]
