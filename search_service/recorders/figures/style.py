"""What the figures share: size, colours, and axes without clutter.

Figures are made without pyplot, whose global state is neither needed nor safe in threads.
"""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart by people with any kind of colour vision.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
GREY = "#888888"
# Pixels per inch: figures are looked at in a browser.
DPI = 120


def new_figure(
    columns: int = 1, *, width: float = 7.0, height: float = 4.2, **subplot_options: Any
) -> tuple[Figure, list[Axes]]:
    """A figure with one row of plots.

    Args:
        columns: Plots.
        width: Of the figure, in inches.
        height: Of the figure, in inches.
        subplot_options: For matplotlib's ``subplots``.
    """
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False, **subplot_options)
    for axis in axes[0]:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25, linewidth=0.6)
        axis.set_axisbelow(True)
    return figure, list(axes[0])
