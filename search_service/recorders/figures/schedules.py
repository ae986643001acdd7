"""The learning rates that the finalists were trained with, epoch by epoch: a picture of the schedule."""

from __future__ import annotations

from matplotlib.figure import Figure

from search_service.recorders.figures.style import COLOURS, new_figure
from search_service.records.finalists import FinalistsResult


def draw(final: FinalistsResult) -> Figure:
    """Learning rate at the end of each epoch, a line per finalist."""
    figure, (axis,) = new_figure()
    for colour, finalist in zip(COLOURS, final.finalists, strict=False):
        epochs = range(1, len(finalist.learning_rates) + 1)
        schedule = finalist.config.schedule
        warmup = f", warm-up {schedule.warmup} {schedule.unit}" if schedule.warmup else ""
        shape = "constant" if schedule.name == "none" else schedule.name.replace("_", " ")
        axis.plot(epochs, finalist.learning_rates, color=colour, label=f"{finalist.trial_id}  {shape}{warmup}")
    axis.set(xlabel="epoch", ylabel="learning rate at the end of the epoch", ylim=(0, None))
    axis.set_title("Finalists: learning-rate schedule", loc="left", fontweight="bold", fontsize=10)
    axis.legend(title="finalist", fontsize=8, title_fontsize=8, frameon=False)
    return figure
