"""What mattered: a bar for each hyperparameter and round, its share of what sets the best trials apart."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from search_service.recorders.figures.style import GREY, new_figure
from search_service.recorders.figures.trials import colour_of
from search_service.report.importance import BEST_SHARE, Importance

# Height of a bar and of what surrounds them, in inches.
_BAR, _MARGINS = 0.2, 1.5


def draw(weighed: Sequence[Importance]) -> Figure:
    """Draw the rounds side by side.

    Args:
        weighed: Importances of the rounds so far, in order, at least one; those without an answer are sentences below.
    """
    told = [(i, found) for i, found in enumerate(weighed) if found.shares]
    # The last round's order; what only an earlier one has comes after.
    leaves = list(dict.fromkeys(leaf for _, found in reversed(told) for leaf in found.shares))
    height = _MARGINS + _BAR * max(4 if told else 0, len(leaves) * (len(told) + 0.6)) + 0.2 * (len(weighed) - len(told))
    figure, (axis,) = new_figure(width=7.5, height=height)
    for row, (i, found) in enumerate(told):
        offset = (row + 0.5) / len(told) - 0.5
        shown = [(leaves.index(leaf) + 0.78 * offset, share) for leaf, share in found.shares.items()]
        label = f"round {found.round_number}, {found.trials} trials at epoch {found.epoch}"
        bars = axis.barh(
            [y for y, _ in shown],
            [share for _, share in shown],
            height=0.72 / len(told),
            color=colour_of(i),
            label=label,
        )
        axis.bar_label(bars, [f"{share:.0%}" for _, share in shown], fontsize=8, padding=3)
    axis.set_yticks(range(len(leaves)), leaves)
    axis.invert_yaxis()
    axis.set_xlim(0, 1.08)
    axis.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axis.grid(visible=False, axis="y")
    axis.set_xlabel(f"share of what sets the best {BEST_SHARE:.0%} of a round's trials apart")
    axis.set_title("What mattered (PED-ANOVA)", loc="left", fontweight="bold", fontsize=10)
    if told:
        axis.legend(fontsize=8, frameon=False, loc="lower right")
    else:
        axis.set_axis_off()
    untold = "\n".join(f"round {found.round_number}: {found.reason}" for found in weighed if not found.shares)
    if untold:
        figure.supxlabel(untold, x=0.02, ha="left", fontsize=8, color=GREY)
    return figure
