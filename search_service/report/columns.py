"""Which columns the network goes by, in words (``trainables/column_importance.py``)."""

from __future__ import annotations

from collections.abc import Sequence

from search_service.records.numbers import spread_text
from trainables.records import ColumnImportance, ColumnImportances

# Columns that a table has, and a sentence: of more, people read the first.
MOST, NAMED = 12, 5


def shown_of(found: ColumnImportances) -> tuple[Sequence[ColumnImportance], str]:
    """The columns that are missed, and how many are not, in words; empty if none.

    Missed is what makes the score worse by more than one standard deviation over networks and shuffles, and the first
    in any case.
    """
    missed = [column for column in found.columns if column.is_missed]
    shown = (missed or list(found.columns[:1]))[:MOST]
    parts = []
    if (more := len(missed) - len(shown)) > 0:
        parts.append(f"{more} matter{'s' if more == 1 else ''} less")
    if (others := len(found.columns) - max(len(missed), len(shown))) > 0:
        parts.append(f"{others} {'is' if others == 1 else 'are'} not missed")
    return shown, " and ".join(parts)


def how_measured(found: ColumnImportances) -> str:
    """What the numbers are, in sentences."""
    networks = "network" if found.networks == 1 else f"{found.networks} networks"
    return (
        f"The values of a column are shuffled among {found.rows:,} validation rows, {found.repeats} times: by so much "
        f"is the {found.metric} of the winner's {networks} worse then (mean ± standard deviation). Columns that say "
        "the same stand in for each other."
    )


def describe_columns(found: ColumnImportances) -> str:
    """Which columns matter most, in a sentence."""
    if found.reason:
        return f"not measured which matter: {found.reason}"
    named = shown_of(found)[0][:NAMED]
    first, *others = [f"by {spread_text(column.worse)} with {column.name} shuffled" for column in named]
    rest = len(found.columns) - len(named)
    of_rest = f"; {f'{rest} others are' if rest > 1 else 'another is'} missed less, or not at all" if rest else ""
    return f"validation {found.metric} is worse {', '.join([first, *others])}{of_rest}"


def columns_section(found: ColumnImportances | None) -> list[str]:
    """A section of the report, in Markdown; nothing of studies that did not measure it."""
    if found is None:
        return []
    lines = ["## Which columns matter", ""]
    if found.reason:
        return [*lines, f"Not measured: {found.reason}.", ""]
    shown, rest = shown_of(found)
    lines += [
        how_measured(found),
        "",
        f"| column | {found.metric} is worse by |",
        "| --- | --- |",
        *(f"| {_cell(column.name)} | {spread_text(column.worse)} ± {spread_text(column.spread)} |" for column in shown),
        "",
    ]
    return [*lines, f"Of the others, {rest}.", ""] if rest else lines


def _cell(name: str) -> str:
    return " ".join(name.split()).replace("|", "\\|")
