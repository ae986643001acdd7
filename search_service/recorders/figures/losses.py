"""Loss curves: step 2 (small sample) and, by these names too, step 3 (learning rates) and the finalists."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.figure import Figure

from search_service.recorders.figures import finalists, learning_rates
from search_service.recorders.figures.style import COLOURS, DASHES, new_figure, plain_ticks, set_margins
from search_service.records.checks import OverfitResult

# A loss this far above the untrained one is cut off: an exploding curve would flatten all others.
HIGHEST = 10.0
# Inches of a line of the legend, and of what is above it.
LINE, ABOVE_LEGEND = 0.21, 0.55

draw_learning_rates = learning_rates.draw
draw_finalists = finalists.draw


def draw_small_sample(check: OverfitResult) -> Figure:
    """Loss on the sample against steps, a curve per learning rate, the loss that is needed, and when it was reached."""
    rows = -(-(len(check.curves) + 1) // 2)
    bottom = ABOVE_LEGEND + LINE * (rows + 1)
    figure, (axis,) = new_figure(width=8.0, height=4.1 + bottom, layout=None)
    set_margins(figure, left=0.8, right=0.25, top=0.45, bottom=bottom, between=0.0)
    for i, (rate, curve) in enumerate(check.curves):
        reached = reached_at(check.steps, curve, check.threshold)
        told = "not reached" if reached is None else f"reached at step {reached}"
        label = f"{rate:.3g}" + (" (configured)" if i == 0 else "") + f": {told}"
        axis.plot(
            check.steps, curve, color=COLOURS[i % len(COLOURS)], linestyle=DASHES[i // len(COLOURS) % len(DASHES)],
            linewidth=2.4 if i == 0 else 1.2, marker="o" if reached is not None else "", label=label,
            markersize=7, markeredgecolor="white", markevery=[] if reached is None else [check.steps.index(reached)],
        )  # fmt: skip
    axis.axhline(check.threshold, color="black", linestyle=":", linewidth=1.2, label=f"needed: {check.threshold:.3g}")
    axis.set(yscale="log", xlabel="step", ylabel="loss on the sample")
    start = max((curve[0] for _, curve in check.curves if math.isfinite(curve[0])), default=1.0)
    top = HIGHEST * max(start, check.threshold)
    # Curves go on falling for ever, and some explode; what happens far from start and threshold is of no interest.
    known = [loss for _, curve in check.curves for loss in curve if math.isfinite(loss)]
    low, high = check.threshold / 30, min(top, 1.4 * max([*known, check.threshold]))
    axis.set_ylim(low, high)
    axis.set_xlim(0, 1.02 * max(check.steps[-1], 1))
    plain_ticks(axis.yaxis, low, high)
    axis.set_title(_title(check), loc="left", fontweight="bold", fontsize=10)
    figure.legend(
        loc="lower left", ncols=2, fontsize=8, frameon=False, title="learning rate (dot: memorised)",
        title_fontsize=8, alignment="left",
    )  # fmt: skip
    return figure


def reached_at(steps: Sequence[int], curve: Sequence[float], threshold: float) -> int | None:
    """The first of the steps at which the loss was at most ``threshold``; None if it never was."""
    return next((step for step, loss in zip(steps, curve, strict=True) if loss <= threshold), None)


def _title(check: OverfitResult) -> str:
    """The question and the answer, with the steps it took of those there were."""
    question = f"Step 2: can it memorise {check.measured['rows']:.0f} rows?"
    of = f" of at most {check.max_steps:,}" if check.max_steps else ""
    if not check.passed:
        return f"{question}  failed within {check.measured['steps']:,.0f} steps"
    if reached_at(check.steps, check.curves[0][1], check.threshold) is None:
        return f"{question}  passed, but not at the configured learning rate"
    return f"{question}  passed in {check.measured['steps']:,.0f}{of} steps"
