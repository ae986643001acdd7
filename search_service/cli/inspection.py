"""What ``search-service inspect`` says about a table: for people (``show``) and for programs (``as_document``)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from search_service.report.documents import finite
from search_service.report.terminal_text import for_terminal
from search_service.spec.study_spec import StudySpec
from trainables.data.dataset import Loaded
from trainables.data.profile import ColumnProfile, Profile
from trainables.redaction import shown

# Columns listed one by one; of wider tables the rest is counted.
LISTED_COLUMNS = 60
# Characters of a column's values at least, which otherwise have the rest of the line, and of its name at most.
LEAST_VALUES, MOST_NAME = 12, 28
# Characters of the bar that stands for the most frequent class.
BAR_WIDTH = 30


def as_document(spec: StudySpec, table: Loaded) -> dict[str, Any]:
    """One JSON document."""
    dataset, profile = table.dataset, _profile(table)
    document = {
        "name": spec.name,
        "rows": profile.rows,
        "parts": _parts(table),
        "task": dataset.task,
        "task_reason": table.task_reason,
        "target": {"name": table.target, "distribution": dict(profile.target)},
        "columns": [asdict(column) for column in profile.columns],
        "features": {"raw": len(table.preparation.schema), "prepared": dataset.n_inputs},
        "fingerprint": dataset.fingerprint,
        "notes": list(table.notes),
        "suspicious": [vars(problem) for problem in table.warnings],
    }
    plain: dict[str, Any] = finite(document)
    return plain


def show(spec: StudySpec, table: Loaded, console: Console) -> None:
    """The same, to be read."""
    dataset, profile = table.dataset, _profile(table)
    parts = ", ".join(f"{rows} {part}" for part, rows in _parts(table).items())
    facts = Table.grid(padding=(0, 2))
    facts.add_row("[bold]table[/]", for_terminal(shown(str(spec.data.source or spec.data.train))))
    facts.add_row("[bold]rows[/]", f"{profile.rows} read; divided: {parts}")
    facts.add_row(
        "[bold]features[/]", f"{len(table.preparation.schema)} columns, {dataset.n_inputs} numbers once prepared"
    )
    facts.add_row("[bold]target[/]", f"{for_terminal(table.target)}: {dataset.task}, {for_terminal(table.task_reason)}")
    for note in table.notes:
        facts.add_row("[bold]note[/]", for_terminal(note))
    for block in (facts, _columns(profile, console.width)):
        console.print(Padding(block, (0, 0, 1, 0), expand=False), highlight=False)
    hidden = len(profile.columns) - LISTED_COLUMNS
    if hidden > 0:
        console.print(f"... and {hidden} more columns (--json lists them all)\n")
    console.print(Padding(_target(table, profile), (0, 0, 1, 0), expand=False), highlight=False)
    _say_suspicious(table, console)


def show_findings(table: Loaded, console: Console) -> None:
    """What was decided in doubt, and what is suspicious; nothing if there is nothing."""
    for note in table.notes:
        console.print(f"note: {for_terminal(note)}", highlight=False, soft_wrap=True)
    if table.warnings:
        _say_suspicious(table, console)


def _profile(table: Loaded) -> Profile:
    assert table.profile is not None, "the table was read without a profile"
    return table.profile


def _parts(table: Loaded) -> dict[str, int]:
    dataset = table.dataset
    return {"training": len(dataset.train), "validation": len(dataset.validation), "test": len(table.test_rows)}


def _columns(profile: Profile, width: int) -> Table:
    shown = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    listed = profile.columns[:LISTED_COLUMNS]
    names = [for_terminal(_cut(column.name, MOST_NAME)) for column in listed]
    beside = [max(map(len, names)), len("categorical"), len("missing"), len("different")]
    prepared = max(len(column.prepared) for column in listed)
    room = width - sum(beside) - prepared - 2 * (len(beside) + 1)
    # On a narrow screen it would have three letters a line, and none left for the values.
    is_narrow = room < LEAST_VALUES
    room = max(LEAST_VALUES, room + prepared + 2) if is_narrow else room
    for title in ("column", "kind", "missing", "different", "values", *(() if is_narrow else ("prepared",))):
        numbers = title in ("missing", "different")
        least = len("categorical") if title == "kind" else len(title)
        shown.add_column(title, justify="right" if numbers else "left", no_wrap=True, min_width=least)
    for column, name in zip(listed, names, strict=True):
        gaps = f"{column.missing / profile.rows:.1%}" if column.missing else "–"
        kind = column.kind if column.role == "feature" else f"[dim]{for_terminal(column.kind)}[/]"
        if is_narrow and column.role != "feature":
            kind = f"[dim]{column.role}[/]"
        values = for_terminal(_cut(column.values, room))
        row = [f"[bold]{name}[/]", kind, gaps, str(column.distinct), values, _use(column)]
        shown.add_row(*row[: len(shown.columns)])
    return shown


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _use(column: ColumnProfile) -> str:
    return column.prepared if column.role == "feature" else f"[dim]{column.role}[/]"


def _target(table: Loaded, profile: Profile) -> Table:
    shown = Table.grid(padding=(0, 2))
    most = max(profile.target.values(), default=1.0)
    for name, value in profile.target.items():
        if table.dataset.class_names:
            bar = "█" * max(1, round(BAR_WIDTH * value / most))
            shown.add_row(f"[bold]{for_terminal(name)}[/]", f"{value:.1%}", f"[dim]{bar}[/]")
        else:
            shown.add_row(f"[bold]{name}[/]", f"{value:.6g}")
    hidden = len(table.dataset.class_names) - len(profile.target)
    if hidden > 0:
        shown.add_row(f"and {hidden} more classes")
    return shown


def _say_suspicious(table: Loaded, console: Console) -> None:
    if not table.warnings:
        console.print("[bold green]✓[/] nothing suspicious", highlight=False)
        return
    console.print("[bold yellow]Suspicious[/] (errors with data.strict: true)", highlight=False)
    for problem in table.warnings:
        console.print(for_terminal(str(problem)), highlight=False, soft_wrap=True)
