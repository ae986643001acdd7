"""What the network says at a column's values, in words (``trainables/partial_dependence.py``)."""

from __future__ import annotations

from collections.abc import Sequence

from search_service.records.numbers import score_text
from trainables.records import PartialDependence


def what_is_said(one: PartialDependence, target: str | None) -> str:
    """What the numbers are: a mean of the target, which may have no name, or the probability of a class."""
    labels = list(one.means)
    if labels == [""]:
        return f"mean prediction of {target}" if target else "mean prediction"
    return f"mean probability of {labels[0]}" if len(labels) == 1 else "mean probability"


def how_asked(found: Sequence[PartialDependence]) -> str:
    """Where the numbers come from, in sentences; empty without any."""
    if not found:
        return ""
    say = "network then says" if found[0].networks == 1 else f"{found[0].networks} networks then say"
    return (
        f"Each value is given to all of {found[0].rows:,} validation rows, their other columns as they are; shown is "
        f"the mean of what the winner's {say}. It is what was learnt, and not what a change would bring about: some of "
        "these rows do not exist."
    )


def partial_dependence_section(found: Sequence[PartialDependence], target: str | None) -> list[str]:
    """A section of the report, in Markdown; nothing of studies that did not ask."""
    if not found:
        return []
    lines = ["### What the network says at their values (partial dependence)", "", how_asked(found), ""]
    lines += [f"| column | {_cell(what_is_said(found[0], target))} is least at | and most at |", "| --- | --- | --- |"]
    for one in found:
        for label, means in one.means.items():
            of_class = f" ({_cell(label)})" if len(one.means) > 1 else ""
            ends = (min, max)
            least, most = (end(range(len(means)), key=means.__getitem__) for end in ends)
            cells = (f"{_cell(value_text(one, at))}: {score_text(means[at], 3)}" for at in (least, most))
            lines.append(f"| {_cell(one.column)}{of_class} | {' | '.join(cells)} |")
    return [*lines, ""]


def value_text(one: PartialDependence, at: int) -> str:
    """A value as people write it: a date without its midnight, a number with the digits that it has."""
    value = one.values[at]
    if isinstance(value, str):
        return value.removesuffix("T00:00:00").removesuffix("T00:00:00+00:00") if one.kind == "date" else value
    return score_text(value, 6)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
