"""What the figures share: size, colours, and axes without clutter.

Figures are made without pyplot, whose global state is neither needed nor safe in threads.
"""

from __future__ import annotations

import math
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LinearSegmentedColormap, to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import (
    FuncFormatter,
    LogFormatterMathtext,
    LogLocator,
    MaxNLocator,
    NullLocator,
    StrMethodFormatter,
)

# Contrast to white that WCAG 2 asks of what is drawn, and of text.
MARK_CONTRAST, TEXT_CONTRAST = 3.0, 4.5
# Found by search: each at least 3 : 1 on white, and any two at least 25 apart in CIELAB for normal eyes and for those
# without the red or the green cones (Okabe and Ito's eight come to 17, and three of them cannot be read on white).
COLOURS = ("#0072B2", "#D55E00", "#4E9C5D", "#654664", "#8B79FF", "#823411", "#0831F3", "#000000")
# For text and markers, and for lines that are background.
GREY, PALE = "#767676", "#949494"
# Scores from the worst to the best: what is dark stands out on white. Its light end is no colour of a grey for anybody.
SCORES = LinearSegmentedColormap.from_list("scores", ["#E06B12", "#B5352F", "#6A176E", "#1A0B5E"])
# Line styles and markers that go with COLOURS where more is told apart than colours can.
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)))
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


def luminance(colour: str) -> float:
    """Relative luminance of a colour, 0 for black to 1 for white (WCAG 2)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(colour: str) -> float:
    """Contrast of a colour to white, 1 to 21 (WCAG 2)."""
    return 1.05 / (luminance(colour) + 0.05)


def ink(colour: str) -> str:
    """The colour for text: as it is, or as much darker as it takes to be read on white."""
    red, green, blue = to_rgb(colour)
    share = 1.0
    while contrast(text := to_hex((share * red, share * green, share * blue))) < TEXT_CONTRAST:
        share -= 0.05
    return text


def set_margins(figure: Figure, *, left: float, right: float, top: float, bottom: float, between: float) -> None:
    """Margins in inches, and between two panels side by side as a share of a panel's width.

    For figures without a layout: the constrained one takes as long again as all the drawing.
    """
    width, height = figure.get_size_inches()
    figure.subplots_adjust(
        left=left / width, right=1 - right / width, top=1 - top / height, bottom=bottom / height, wspace=between
    )


def plain_ticks(axis: Axis, low: float, high: float, *, percent: bool = False) -> None:
    """Ticks of a log axis that people read: 0.6 and not 6 × 10⁻¹.

    Args:
        axis: The x or the y axis, already logarithmic.
        low: Where what is shown begins.
        high: Where it ends.
        percent: Whether values are shares, written in per cent.
    """
    decades = math.log10(high / low) if high > low > 0 else 0.0
    # Fewer than two powers of ten are too few ticks, and within one there may be only one of 1, 2 and 5.
    subs = tuple(range(1, 10)) if decades < 0.6 else (1, 2, 5) if decades < 2 else (1,)
    # Within a factor of 2.5, none of them may lie there, or one.
    axis.set_major_locator(LogLocator(subs=subs, numticks=8) if decades > 0.4 else MaxNLocator(5))
    if percent:
        axis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.4g}%"))
    else:
        axis.set_major_formatter(StrMethodFormatter("{x:g}") if decades < 4 else LogFormatterMathtext())
    axis.set_minor_locator(NullLocator())
