"""What the figures share: size, colours, and axes without clutter.

Figures are made without pyplot, whose global state is neither needed nor safe in threads.
"""

from __future__ import annotations

from typing import Any, Literal

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
        width: Inches of the figure.
        height: Inches of the figure.
        subplot_options: Passed on to matplotlib's ``subplots``.
    """
    return new_grid(columns, columns, width=width, panel_height=height, **subplot_options)


def new_grid(
    panels: int,
    columns: int,
    *,
    width: float,
    panel_height: float,
    layout: Literal["constrained"] | None = "constrained",
    **subplot_options: Any,
) -> tuple[Figure, list[Axes]]:
    """A figure with rows of plots, the last of which may be shorter.

    Args:
        panels: Plots in all.
        columns: Panels in a row.
        width: Inches of the figure.
        panel_height: Inches of a row.
        layout: What finds the margins; None leaves them to the caller.
        subplot_options: Passed on to matplotlib's ``subplots``.
    """
    rows = -(-panels // columns)
    figure = Figure(figsize=(width, rows * panel_height), dpi=DPI, layout=layout)
    axes = figure.subplots(rows, columns, squeeze=False, **subplot_options).flatten().tolist()
    for axis in axes[panels:]:
        axis.remove()
    for axis in axes[:panels]:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25, linewidth=0.6)
        axis.set_axisbelow(True)
    return figure, axes[:panels]
