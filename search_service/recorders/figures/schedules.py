"""The learning rates that the finalists were trained with, epoch by epoch: a picture of the schedule."""

from __future__ import annotations

from matplotlib.figure import Figure

from search_service.recorders.figures.style import COLOURS, DASHES, new_figure, set_margins
from search_service.records.finalists import FinalistsResult


def draw(final: FinalistsResult) -> Figure:
    """Learning rate at the end of each epoch, a line per finalist."""
    bottom = 0.6 + 0.21 * (len(final.finalists) + 1)
    figure, (axis,) = new_figure(height=3.6 + bottom, layout=None)
    set_margins(figure, left=0.9, right=0.2, top=0.4, bottom=bottom, between=0.0)
    for i, finalist in enumerate(final.finalists):
        colour, dashes = COLOURS[i % len(COLOURS)], DASHES[i % len(DASHES)]
        epochs = range(1, len(finalist.learning_rates) + 1)
        schedule = finalist.config.schedule
        warmup = f", warm-up {schedule.warmup} {schedule.unit}" if schedule.warmup else ""
        shape = "constant" if schedule.name == "none" else schedule.name.replace("_", " ")
        first, last = finalist.learning_rates[0], finalist.learning_rates[-1]
        label = f"{finalist.trial_id}  {shape}{warmup}: {first:.3g} after the first epoch, {last:.3g} at the end"
        axis.plot(epochs, finalist.learning_rates, color=colour, linestyle=dashes, label=label)
    # One that ends at 0 lies on the frame: a little room shows it.
    top = max((rate for finalist in final.finalists for rate in finalist.learning_rates), default=1.0)
    axis.set(xlabel="epoch", ylabel="learning rate at the end of the epoch", ylim=(-0.03 * top, 1.05 * top))
    axis.set_title("Finalists: learning-rate schedule", loc="left", fontweight="bold", fontsize=10)
    figure.legend(title="finalist", fontsize=8, title_fontsize=8, frameon=False, loc="lower left", alignment="left")
    return figure
