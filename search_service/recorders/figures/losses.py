"""Loss curves: step 2 (small sample), step 3 (learning rates) and the finalists."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from search_service.recorders.figures import finalists, learning_rates
from search_service.recorders.figures.style import COLOURS, new_figure
from search_service.records.checks import OverfitResult

draw_learning_rates = learning_rates.draw
draw_finalists = finalists.draw


def draw_small_sample(check: OverfitResult) -> Figure:
    """Loss on the sample against steps, a curve per learning rate, and the loss that counts as memorised."""
    figure, (axis,) = new_figure()
    for colour, (rate, curve) in zip(COLOURS, check.curves, strict=False):
        configured = rate == check.curves[0][0]
        label = f"{rate:.3g}" + (" (configured)" if configured else "")
        axis.plot(check.steps, curve, color=colour, linewidth=2.2 if configured else 1.2, label=label)
    axis.axhline(check.threshold, color="black", linestyle=":", linewidth=1.2, label="memorised")
    axis.set(yscale="log", xlabel="step", ylabel="loss on the sample")
    # Curves go on falling for ever; what happens far below the threshold is of no interest.
    axis.set_ylim(bottom=check.threshold / 30)
    _finish(
        axis, f"Step 2: can it memorise {check.measured['rows']:.0f} rows?  {_verdict(check.passed)}", "learning rate"
    )
    return figure


def _verdict(passed: bool) -> str:
    return "passed" if passed else "failed"


def _finish(axis: Axes, title: str, legend: str) -> None:
    axis.set_title(title, loc="left", fontweight="bold", fontsize=10)
    axis.legend(title=legend, fontsize=8, title_fontsize=8, frameon=False)
