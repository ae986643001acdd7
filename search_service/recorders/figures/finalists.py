"""The finalists: how sure each one's score is, what the winner reaches on test rows, and what simpler models reach.

On the left a forest plot: a dot for each seed's best epoch, the mean and its interval, the winner and the model on
test rows, and lines at what baselines and ignoring the inputs reach there. On the right the curves behind the dots, by
epoch: mean over the seeds and their range. The mean curve stays behind the mean of the dots, for each seed has its best
epoch elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from search_service.recorders.figures.style import COLOURS, DASHES, GREY, new_figure, plain_ticks, set_margins
from search_service.records import curves as records_of
from search_service.records.finalists import Finalist, FinalistsResult, possible
from search_service.records.numbers import mean_text, score_text
from trainables.metrics import METRICS
from trainables.records import EpochPoint

# Test rows have one colour, whatever stands on them.
TEST = COLOURS[1]
# Lines further from the finalists' scores than this many times their spread are named at the edge and not drawn.
REACH = 3.0
# Inches: a row of the forest plot, what is above and below the panels.
ROW, ABOVE, BELOW = 0.55, 0.6, 1.5
# Panels are at least that high, in inches.
LOWEST = 2.9


def draw(final: FinalistsResult) -> Figure:
    """Scores with their intervals, and the curves behind them."""
    rows = len(final.finalists) + 1
    height = ABOVE + max(LOWEST, ROW * rows) + BELOW
    figure, (forest, score_axis, loss_axis) = new_figure(
        3, width=14.0, height=height, layout=None, gridspec_kw={"width_ratios": (1.3, 1, 1)}
    )
    set_margins(figure, left=1.75, right=0.15, top=ABOVE, bottom=BELOW, between=0.27)
    _draw_forest(forest, final)
    _draw_lines(forest, final)
    for i, finalist in enumerate(final.finalists):
        colour = COLOURS[i % len(COLOURS)]
        label = finalist.trial_id + (" (winner)" if i == 0 else "")
        _draw_curve(score_axis, finalist, "validation_score", colour, DASHES[0], label)
        _draw_curve(loss_axis, finalist, "validation_loss", colour, DASHES[0], f"{label}, validation")
        _draw_curve(loss_axis, finalist, "train_loss", colour, DASHES[2], f"{label}, training")
        best = [point for curve in finalist.curves if (point := records_of.best(curve, final.metric)) is not None]
        score_axis.plot(
            [point.epoch for point in best], [point.validation_score for point in best], linestyle="none", marker="o",
            markersize=5, color=colour, markeredgecolor="white", zorder=4,
        )  # fmt: skip
    score_axis.set(xlabel="epoch", ylabel=f"validation {final.metric}")
    loss_axis.set(xlabel="epoch", ylabel="loss", yscale="log")
    low, high = loss_axis.get_ylim()
    plain_ticks(loss_axis.yaxis, low, high)
    for axis, title in (
        (forest, f"Finalists: {final.metric}, mean and 95 % interval"),
        (score_axis, "By epoch: mean over seeds, range,\neach seed's best epoch (dots)"),
        (loss_axis, "Loss: mean over seeds and range"),
    ):
        axis.set_title(title, loc="left", fontweight="bold", fontsize=10)
    # The colours of the two panels on the right are the same: one legend for both, under the last one.
    for axis, left in ((forest, -0.3), (loss_axis, -0.1)):
        axis.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(left, -0.16), ncols=2, columnspacing=1)
    return figure


def _draw_forest(axis: Axes, final: FinalistsResult) -> None:
    """A row for each finalist, the winner above, and one for the winner and the model on test rows."""
    names = []
    for row, finalist in enumerate(final.finalists):
        colour = COLOURS[0]
        units = [score for score in finalist.units if math.isfinite(score)]
        unit = "a fold, mean over seeds" if finalist.fold_scores else "a seed's best epoch on validation rows"
        label = unit if row == 0 else "_"
        axis.plot(units, [row + 0.16] * len(units), "o", color=colour, markersize=4, label=label)
        low, high = possible(final.metric, finalist.interval) if finalist.interval else (math.nan, math.nan)
        label = f"mean, and its 95 % interval over {finalist.unit}s" if row == 0 else "_"
        axis.plot([low, high], [row - 0.08] * 2, color=colour, linewidth=2.0)
        axis.plot([finalist.mean], [row - 0.08], "D", color=colour, markersize=7, markeredgecolor="white", label=label)
        interval = f" [{score_text(low)}, {score_text(high)}]" if finalist.interval else ""
        title = finalist.trial_id + (" (winner)" if row == 0 else "")
        names.append(f"{title}\n{score_text(finalist.mean)}{interval}")
    at = len(final.finalists)
    scores = [score for score in final.test_scores if math.isfinite(score)]
    axis.plot(
        scores, [at + 0.16] * len(scores), "s", color=TEST, markersize=4, label="a seed of the winner on test rows"
    )
    axis.plot(
        [final.test_mean], [at - 0.08], "D", color=TEST, markersize=7, markeredgecolor="white", label="their mean"
    )
    tested = mean_text(final.test_mean, final.test_std, len(final.test_scores))
    names.append(f"winner, test rows\n{tested}" + (" (std)" if "±" in tested else ""))
    model = final.model_test_score
    axis.plot(
        [model], [at - 0.08], "*", color="white", markersize=14, markeredgecolor="black",
        label=f"the model, test rows: {score_text(model)}",
    )  # fmt: skip
    axis.axhline(at - 0.5, color=GREY, linewidth=0.8)
    axis.set_yticks(range(at + 1), names, fontsize=8)
    axis.set_ylim(at + 0.5, -0.5)
    axis.tick_params(axis="y", length=0)
    axis.grid(visible=False, axis="y")
    better = "larger" if METRICS[final.metric].mode == "max" else "smaller"
    axis.set_xlabel(f"{final.metric} ({better} is better)")


def _draw_lines(axis: Axes, final: FinalistsResult) -> None:
    """What simpler models reach on the same test rows; what is far off is named and lies beyond the edge."""
    known = [(b.model, b.test[final.metric]) for b in final.baselines if final.metric in b.test]
    known.append(("ignoring the inputs", final.trivial_test_score))
    own = [score for finalist in final.finalists for score in (*finalist.units, *(finalist.interval or ()))]
    own = [score for score in (*own, *final.test_scores, final.model_test_score) if math.isfinite(score)]
    low, high = min(own, default=0.0), max(own, default=1.0)
    reach = REACH * (high - low) or 0.1 * abs(high)
    shown = [low, high]
    for i, (name, score) in enumerate(known):
        is_far = not low - reach <= score <= high + reach
        beyond = f", {'left' if score < low else 'right'} of what is shown" if is_far else ""
        line = axis.axvline(
            math.nan if is_far else score, color="black", linestyle=DASHES[1:][i % 3], linewidth=1.2,
            label=f"{name}, test rows: {score_text(score)}{beyond}", zorder=1,
        )  # fmt: skip
        if is_far:
            line.set_visible(False)
        else:
            shown.append(score)
    room = 0.06 * (max(shown) - min(shown)) or 0.05 * abs(high) or 0.05
    axis.set_xlim(min(shown) - room, max(shown) + room)


def _draw_curve(axis: Axes, finalist: Finalist, name: str, colour: str, dashes: object, label: str) -> None:
    """Mean over the seeds, and their range as a band; a gap where a seed has no finite value."""

    def values(points: Sequence[EpochPoint]) -> list[float]:
        return [value if math.isfinite(value := getattr(point, name)) else math.nan for point in points]

    epochs = [point.epoch for point in finalist.curves[0]]
    by_seed = np.array([values(curve) for curve in finalist.curves])  # (seeds, epochs)
    axis.plot(epochs, by_seed.mean(axis=0), color=colour, linestyle=dashes, linewidth=1.6, label=label)
    axis.fill_between(epochs, by_seed.min(axis=0), by_seed.max(axis=0), color=colour, alpha=0.13, linewidth=0)
