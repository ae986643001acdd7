"""What mattered: a bar for each hyperparameter and round, its share of what sets the best trials apart.

Where no round tells, a sentence says why and there is no empty plot; where a round had few trials, its bars say so.
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from search_service.recorders.figures.style import DPI, GREY, new_figure
from search_service.recorders.figures.trials import colour_of
from search_service.report.importance import BEST_SHARE, Importance

# Trials below which a share is rough: it is written to the next 5 %, and the legend warns. Of 24 trials that depend on
# one of five leaves, that leaf gets 0.83 of 1 in the mean, and of 500 it gets 0.99 (report/importance.py).
FEW_TRIALS = 30
# Height of a bar and of what surrounds them, in inches.
_BAR, _MARGINS = 0.2, 1.5
TITLE = "Which hyperparameters mattered?"


def draw(weighed: Sequence[Importance]) -> Figure:
    """Draw the rounds side by side.

    Args:
        weighed: Importances of the rounds so far, in order, at least one; those without an answer are sentences below.
    """
    untold = "\n".join(f"round {found.round_number}: {found.reason}" for found in weighed if not found.shares)
    if not any(found.shares for found in weighed):
        return _sentence(untold)
    told = [(i, found) for i, found in enumerate(weighed) if found.shares]
    # The last round's order; what only an earlier one has comes after.
    leaves = list(dict.fromkeys(leaf for _, found in reversed(told) for leaf in found.shares))
    height = _MARGINS + _BAR * max(4, len(leaves) * (len(told) + 0.6)) + 0.2 * (len(weighed) - len(told))
    figure, (axis,) = new_figure(width=7.5, height=height)
    for row, (i, found) in enumerate(told):
        offset = (row + 0.5) / len(told) - 0.5
        shown = [(leaves.index(leaf) + 0.78 * offset, share) for leaf, share in found.shares.items()]
        is_rough = found.trials < FEW_TRIALS
        label = f"round {found.round_number}, {found.trials} trials at epoch {found.epoch}"
        label += ": few, so take shares as rough" if is_rough else ""
        bars = axis.barh(
            [y for y, _ in shown],
            [share for _, share in shown],
            height=0.72 / len(told),
            color=colour_of(i),
            label=label,
        )
        axis.bar_label(bars, [_percent(share, rough=is_rough) for _, share in shown], fontsize=8, padding=3)
    axis.set_yticks(range(len(leaves)), leaves)
    axis.invert_yaxis()
    axis.set_xlim(0, 1.08)
    axis.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axis.grid(visible=False, axis="y")
    axis.set_xlabel(f"share of what sets the best {BEST_SHARE:.0%} of a round's trials apart (by PED-ANOVA)")
    axis.set_title(TITLE, loc="left", fontweight="bold", fontsize=10)
    # Below: bars of any length leave no place inside.
    axis.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(-0.1, -0.62 / (height - _MARGINS)))
    if untold:
        figure.supxlabel(untold, x=0.02, ha="left", fontsize=8, color=GREY)
    return figure


def _percent(share: float, *, rough: bool) -> str:
    rounded = 0.05 * round(share / 0.05)
    return f"about {rounded:.0%}" if rough and rounded else "below 5%" if rough else f"{share:.0%}"


def _sentence(reasons: str) -> Figure:
    """Instead of an empty plot."""
    figure = Figure(figsize=(7.5, 0.75 + 0.2 * (1 + reasons.count("\n"))), dpi=DPI)
    figure.suptitle(TITLE, x=0.02, ha="left", fontweight="bold", fontsize=10)
    figure.text(0.02, 0.15, f"It cannot be told.\n{reasons}", fontsize=9, va="bottom")
    return figure
