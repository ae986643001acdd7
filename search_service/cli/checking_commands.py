"""The commands that check a config, its table or this machine, and run nothing: validate, inspect, schema, doctor."""

from __future__ import annotations

import json
import time
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from search_service.cli.options import (
    AsJson,
    Config,
    Drop,
    Home,
    Metric,
    Minutes,
    Overrides,
    Target,
    changes_of,
    load,
    settings_for,
)
from search_service.cli.terminal import say, wide_console
from search_service.errors import OutsideError
from trainables.redaction import shown

app = typer.Typer()


@app.command()
def validate(
    config: Config,
    target: Target = None,
    metric: Metric = None,
    minutes: Minutes = None,
    drop: Drop = None,
    overrides: Overrides = None,
    home: Home = None,
) -> None:
    """Check a config and its table, without running anything."""
    started = time.monotonic()
    spec = load(config, changes_of(overrides, target, metric, drop, minutes))
    from search_service import wiring
    from search_service.cli import inspection

    study = wiring.prepare(spec, settings=settings_for(home))
    rows = len(study.dataset.train) + len(study.dataset.validation) + len(study.test_rows)
    typer.echo(
        f"{shown(config)} is valid: {rows} rows, {study.dataset.n_inputs} features, {study.dataset.task} "
        f"(checked in {time.monotonic() - started:.1f} s)"
    )
    inspection.show_findings(study.table, Console())


@app.command()
def inspect(
    config: Config,
    target: Target = None,
    drop: Drop = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Show the table of a config: columns, kinds, gaps, the target, how rows are divided, suspicious things."""
    spec = load(config, changes_of(overrides, target, None, drop))
    from search_service import wiring
    from search_service.cli import inspection

    table = wiring.inspect(spec, settings=settings_for(None))
    if as_json:
        typer.echo(json.dumps(inspection.as_document(spec, table), indent=2))
    else:
        inspection.show(spec, table, wide_console())


@app.command()
def init(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="A file, folder, URL or name.")],
    target: Target = None,
    metric: Metric = None,
    minutes: Minutes = None,
    drop: Drop = None,
    overrides: Overrides = None,
) -> None:
    """Print the config that a table stands for, with the reason of each line: search-service init t.csv > t.yaml."""
    from search_service import wiring
    from search_service.spec.study_spec import parse

    starting = wiring.config_of(
        table, changes_of(overrides, target, metric, drop, minutes), settings=settings_for(None)
    )
    parse(starting.plain)
    typer.echo(starting.text, nl=False)


@app.command()
def schema() -> None:
    """Print the JSON Schema of a config, for editors."""
    from search_service.spec.study_spec import StudySpec

    typer.echo(json.dumps(StudySpec.model_json_schema(), indent=2))


@app.command()
def doctor(
    home: Home = None,
    ray_address: Annotated[
        str | None, typer.Option(metavar="auto|ADDRESS", help="Also whether this Ray cluster answers.")
    ] = None,
    service: Annotated[
        str | None, typer.Option(metavar="URL", help="Also this service [default: SEARCH_SERVICE_URL].")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look whether this machine, the home and the record are fit for a study, and say what to do; nothing is changed.

    Exit code 4 if something keeps a study from running.
    """
    settings = settings_for(home)
    console = Console()
    from search_service.cli import doctor
    from search_service.records.findings import State

    marks = {State.OK: "[green]✓[/]", State.WARNING: "[yellow]⚠[/]", State.FAILED: "[bold red]✗[/]"}
    found = []
    # One by one: a look may take seconds.
    for finding in doctor.look(settings, ray_address=ray_address, service=service):
        found.append(finding)
        if not as_json:
            say(f"{marks[finding.state]} {finding.name:<14} {escape(finding.text)}", console)
            if finding.remedy:
                say(f"{'':<16} [bold]to do:[/] {escape(finding.remedy)}", console)
    if as_json:
        typer.echo(json.dumps([finding.as_document() for finding in found], indent=2))
    if not doctor.is_fit(found):
        raise typer.Exit(OutsideError.exit_code)
