"""Which columns the winner's networks go by: a bar for each column, by how much the score is worse without it.

Bars have the standard deviation over networks and shuffles. Columns that nobody misses are counted below and not drawn.
"""

from __future__ import annotations

from matplotlib.figure import Figure

from search_service.recorders.figures.style import COLOURS, GREY, new_figure
from search_service.report.columns import shown_of
from trainables.records import ColumnImportances
from trainables.visible import visible_lines

# Height of a bar and of what surrounds them, in inches; letters of a name, beyond which it is cut.
_BAR, _MARGINS, _LETTERS = 0.28, 1.5, 32


def draw(found: ColumnImportances) -> Figure:
    """Draw the columns that are missed most, the first above.

    Args:
        found: With at least one column.
    """
    shown, rest = shown_of(found)
    figure, (axis,) = new_figure(width=7.5, height=_MARGINS + _BAR * max(4, len(shown)))
    names = [_name(column.name) for column in shown]
    axis.barh(
        range(len(shown)),
        [column.worse for column in shown],
        xerr=[column.spread for column in shown],
        color=COLOURS[0],
        height=0.7,
        error_kw={"ecolor": GREY, "elinewidth": 1.2, "capsize": 2},
    )
    axis.set_yticks(range(len(shown)), names)
    axis.invert_yaxis()
    axis.axvline(0.0, color="black", linewidth=0.8)
    axis.grid(visible=False, axis="y")
    more = f"; of the others {rest}" if rest else ""
    axis.set_xlabel(f"validation {found.metric} is worse by so much\n(its values shuffled{more})")
    axis.set_title("Which columns does the network go by?", loc="left", fontweight="bold", fontsize=10)
    return figure


def _name(name: str) -> str:
    # Two dollars would be mathematics.
    short = visible_lines(name).replace("\n", " ").replace("$", r"\$")
    return short if len(short) <= _LETTERS else short[: _LETTERS - 1] + "…"
