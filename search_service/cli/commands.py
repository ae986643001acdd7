"""The command line, ``search-service COMMAND``: run, plan, inspect, validate, doctor, export, predict, and so on.

Those here work on this machine, without a service; those that speak to one are in ``service_commands.py``.

Exit codes: 0 done, 2 bad config, table or model, 3 a check failed (or a replay
differs), 4 something outside failed, 130 interrupted.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import time
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from search_service import __version__
from search_service.cli import service_commands
from search_service.errors import (
    EXIT_INTERRUPTED,
    CheckFailedError,
    DataError,
    InvalidSpecError,
    OutsideError,
    Problem,
    SearchServiceError,
)
from search_service.runners.interrupts import catch_interrupts
from search_service.settings import Settings
from search_service.spec import config_file
from search_service.spec.study_spec import StudySpec
from trainables.redaction import guard_process

if TYPE_CHECKING:
    from search_service.recorders.background import Backlog

app = typer.Typer(
    name="search-service",
    help="Hyperparameter search for PyTorch MLPs by the six-step recipe of a careful engineer.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
app.add_typer(service_commands.app)


class RunnerChoice(StrEnum):
    """Where trials run."""

    INLINE = "inline"
    RAY = "ray"


Config = Annotated[Path, typer.Argument(metavar="CONFIG", help="YAML or JSON file; see configs/ for examples.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the config, e.g. search.coarse.max_trials=8."),
]
Home = Annotated[Path | None, typer.Option(help="Folder for studies and their record.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document at the end, and nothing else.")]


@app.command()
def run(
    config: Annotated[
        Path | None, typer.Argument(metavar="CONFIG", help="YAML or JSON file; see configs/ for examples.")
    ] = None,
    study_id: Annotated[
        str | None,
        typer.Option("--study", metavar="ID", help="Instead of CONFIG: go on with a study that was cut short."),
    ] = None,
    runner: Annotated[
        RunnerChoice, typer.Option(help="inline: this process, no Ray. ray: Ray Tune.")
    ] = RunnerChoice.RAY,
    ray_address: Annotated[
        str | None, typer.Option(metavar="auto|ADDRESS", help="Join this Ray cluster instead of starting Ray here.")
    ] = None,
    home: Home = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Run a study, all six steps, recorded in MLflow; or go on with one that was cut short."""
    if (config is None) == (study_id is None):
        raise typer.BadParameter("give a config to run, or --study to go on with a study", param_hint="CONFIG")
    if study_id is not None and overrides:
        raise typer.BadParameter("a study goes on as it was asked for", param_hint="--set")
    if ray_address is not None and runner is RunnerChoice.INLINE:
        raise typer.BadParameter("an inline run uses no Ray", param_hint="--ray-address")
    settings = Settings() if home is None else Settings(home=home)
    # Progress is for people, the document for programs: with --json people read stderr's errors only.
    console = Console(stderr=as_json)
    spec = None if config is None else config_file.load(config, overrides or [])
    # Imported here: Ray and MLflow take seconds, and a bad config is reported without waiting for them.
    from search_service import wiring
    from search_service.cli.progress import ProgressDisplay
    from search_service.records.events import Event, Listener, StudyStarted
    from search_service.records.results import StudyStatus
    from search_service.report.study_report import as_document

    if spec is not None:
        study = wiring.prepare(spec, settings=settings)
    else:
        assert study_id is not None
        study = wiring.prepare_again(study_id, settings=settings)
    begun: list[str] = []

    def note(event: Event) -> None:
        if isinstance(event, StudyStarted):
            begun.append(event.study_id)

    listeners: list[Listener] = [note] if as_json else [note, ProgressDisplay(console)]
    try:
        finished = wiring.run(
            study,
            settings=settings,
            runner=runner.value,
            ray_address=ray_address,
            listeners=listeners,
            say=partial(_say, console),
        )
    except KeyboardInterrupt as interrupt:
        raise _interrupted(*begun) from interrupt
    result, places = finished.result, finished.places
    if as_json:
        typer.echo(json.dumps(as_document(study.spec, result, places), indent=2))
    else:
        # Step 6 has said it at length; its first clause will do here.
        _print_places(console, result.reason.split(";")[0] if result.finalists else "", result.seconds, places)
    _say_what_is_not_recorded(finished.backlog, places)
    if result.status is StudyStatus.FAILED:
        raise typer.Exit(CheckFailedError.exit_code)


@app.command()
def plan(
    config: Config,
    runner: Annotated[RunnerChoice, typer.Option(help="Which runner the time is for.")] = RunnerChoice.RAY,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Say what a study would do and how long it would take, without running it."""
    spec = config_file.load(config, overrides or [])
    from search_service import wiring
    from search_service.cli import planning_report
    from search_service.recipe import planning

    study = wiring.prepare(spec, settings=Settings())
    planned = wiring.plan(study, runner=runner.value)
    if as_json:
        typer.echo(json.dumps(planning.as_document(study.spec, study.dataset, planned), indent=2))
    else:
        planning_report.show(study.spec, study.dataset, planned, Console())


@app.command()
def replay(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A study's id.")],
    trials: Annotated[
        str, typer.Option("--trials", metavar="ID,ID", help="Only these, such as r1-003,r2-000; by default all.")
    ] = "",
    tolerance: Annotated[
        # replaying.TOLERANCE, whose module imports torch.
        float, typer.Option(min=0, help="Difference that still agrees, relative to the recorded value.")
    ] = 1e-6,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Train a study's trials again, and compare each curve with the record; exit code 3 if they do not agree."""
    settings = Settings() if home is None else Settings(home=home)
    console = Console()
    from search_service import wiring
    from search_service.cli import replay_display
    from search_service.runners.replaying import Replayed

    def show(trial: Replayed) -> None:
        if not as_json:
            replay_display.show_trial(trial, tolerance, console)

    chosen = [trial.strip() for trial in trials.split(",") if trial.strip()]
    found = wiring.replay(study, settings=settings, trials=chosen, tolerance=tolerance, listen=show)
    if as_json:
        typer.echo(json.dumps(replay_display.as_document(found), indent=2))
    else:
        replay_display.show_all(found, console)
    if not found.agrees:
        raise typer.Exit(CheckFailedError.exit_code)


@app.command("compare-optimizers")
def compare_optimizers(config: Config, home: Home = None, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Compare optimisers from the same start, each at its own best learning rate, recorded in MLflow."""
    settings = Settings() if home is None else Settings(home=home)
    console = Console(stderr=as_json)
    spec = config_file.load(config, overrides or [])
    # Imported here for the reason given in ``run``.
    from search_service import wiring
    from search_service.cli.progress import ProgressDisplay
    from search_service.report.comparison_report import as_document

    study = wiring.prepare(spec, settings=settings)
    listeners = [] if as_json else [ProgressDisplay(console)]
    try:
        finished = wiring.compare(study, settings=settings, listeners=listeners, say=partial(_say, console))
    except KeyboardInterrupt as interrupt:
        raise _interrupted() from interrupt
    result, places = finished.result, finished.places
    page = Path(places["folder"]) / "paths.html"
    if as_json:
        typer.echo(json.dumps(as_document(study.spec, result, places), indent=2))
    else:
        if page.exists():
            _say(console, f"  play the paths        {page}")
        _print_places(console, "", result.seconds, places)
    _say_what_is_not_recorded(finished.backlog, places)


@app.command()
def sync(
    study: Annotated[
        str | None, typer.Argument(metavar="STUDY", help="A study's id; by default every study that needs it.")
    ] = None,
    home: Home = None,
) -> None:
    """Complete the record of studies that are over, where MLflow was away when they were."""
    settings = Settings() if home is None else Settings(home=home)
    console = Console()
    from search_service import wiring

    studies = wiring.unrecorded(settings) if study is None else [study]
    for study_id in studies:
        try:
            finished = wiring.sync(study_id, settings=settings, say=partial(_say, console))
        except KeyboardInterrupt as interrupt:
            raise typer.Exit(EXIT_INTERRUPTED) from interrupt
        _say_what_is_not_recorded(finished.backlog, finished.places)
        if not finished.backlog.is_complete:
            raise typer.Exit(OutsideError.exit_code)
        _say(console, f"{study_id} is in the record at {escape(finished.places['page'])}")
    if not studies:
        _say(console, f"Every study under {settings.home} that is over is in the record.")


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
    settings = Settings() if home is None else Settings(home=home)
    console = Console()
    from search_service.cli import doctor
    from search_service.records.findings import State

    marks = {State.OK: "[green]✓[/]", State.WARNING: "[yellow]⚠[/]", State.FAILED: "[bold red]✗[/]"}
    found = []
    # One by one: a look may take seconds.
    for finding in doctor.look(settings, ray_address=ray_address, service=service):
        found.append(finding)
        if not as_json:
            _say(console, f"{marks[finding.state]} {finding.name:<14} {escape(finding.text)}")
            if finding.remedy:
                _say(console, f"{'':<16} [bold]to do:[/] {escape(finding.remedy)}")
    if as_json:
        typer.echo(json.dumps([finding.as_document() for finding in found], indent=2))
    if not doctor.is_fit(found):
        raise typer.Exit(OutsideError.exit_code)


@app.command()
def export(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A study's id, a folder, or models:/NAME@champion.")],
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder to make.")],
    home: Home = None,
) -> None:
    """Write a study's model into a folder: to serve with MLflow, to call, and to read as a torch module.

    With SEARCH_SERVICE_URL set, also that of a study of the service.
    """
    settings = Settings() if home is None else Settings(home=home)
    from search_service.export import exporting

    with tempfile.TemporaryDirectory(prefix="search-service-") as scratch:
        # With a service set, what is nothing here is a study of that one.
        away = (
            "SEARCH_SERVICE_URL" in os.environ and "/" not in study and not (settings.home / "studies" / study).is_dir()
        )
        if away:
            study = str(service_commands.fetched_model(study, Path(scratch)))
        for note in exporting.export(study, to, settings):
            typer.echo(note)
    typer.echo(f"{to}: read {to / 'README.md'}")


@app.command()
def predict(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="An exported folder, a study's id, or models:/NAME@champion.")
    ],
    file: Annotated[str, typer.Argument(metavar="FILE", help="Path or URL of a table; it needs no target column.")],
    to: Annotated[Path | None, typer.Option("--to", metavar="OUT.csv", help="Instead of standard output.")] = None,
    home: Home = None,
) -> None:
    """Predict the rows of a file, as CSV."""
    settings = Settings() if home is None else Settings(home=home)
    from search_service.export import exporting

    text = exporting.predict(model, file, settings).to_csv(index=False)
    if to is None:
        typer.echo(text, nl=False)
        return
    try:
        to.write_text(text, encoding="utf-8")
    except OSError as error:
        rule, fix = "a file that can be written", f"choose another place ({error.strerror})"
        raise DataError([Problem("--to", str(to), rule, fix)]) from error


@app.command()
def validate(config: Config, overrides: Overrides = None) -> None:
    """Check a config and its table, without running anything."""
    started = time.monotonic()
    spec = config_file.load(config, overrides or [])
    from search_service import wiring

    study = wiring.prepare(spec, settings=Settings())
    rows = len(study.dataset.train) + len(study.dataset.validation) + len(study.test_rows)
    typer.echo(
        f"{config} is valid: {rows} rows, {study.dataset.n_inputs} features, {study.dataset.task} "
        f"(checked in {time.monotonic() - started:.1f} s)"
    )


@app.command()
def inspect(config: Config, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Show the table of a config: columns, kinds, gaps, the target, how rows are divided, suspicious things."""
    spec = config_file.load(config, overrides or [])
    from search_service import wiring
    from search_service.cli import inspection

    table = wiring.inspect(spec, settings=Settings())
    if as_json:
        typer.echo(json.dumps(inspection.as_document(spec, table), indent=2))
    else:
        inspection.show(spec, table, Console())


@app.command()
def schema() -> None:
    """Print the JSON Schema of a config, for editors."""
    typer.echo(json.dumps(StudySpec.model_json_schema(), indent=2))


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """Entry point: every error that we raise on purpose becomes one clear message and an exit code."""
    errors = Console(stderr=True)
    guard_process()
    # Libraries' own log lines would run through the progress display.
    logging.getLogger().setLevel(logging.ERROR)
    logging.getLogger("search_service").setLevel(logging.WARNING)
    try:
        with catch_interrupts() as interrupts:
            try:
                app(standalone_mode=True)
            except SystemExit as end:
                # Typer ends a KeyboardInterrupt so, before or after a study had it; ``serve`` ends well by a signal.
                if interrupts.count and end.code == 1:
                    sys.exit(EXIT_INTERRUPTED)
                raise
    except (InvalidSpecError, DataError) as error:
        n = len(error.problems)
        what = "The config cannot be used" if isinstance(error, InvalidSpecError) else "This cannot be done"
        _say(errors, f"[bold red]{what}: {n} {'mistake' if n == 1 else 'mistakes'}[/]")
        for problem in error.problems:
            _say(errors, escape(str(problem)))
        sys.exit(InvalidSpecError.exit_code)
    except OutsideError as error:
        _say(errors, f"[bold red]Stopped by something outside:[/] {escape(str(error))}")
        sys.exit(error.exit_code)
    except SearchServiceError as error:
        _say(errors, f"[bold red]Refused:[/] {escape(str(error))}")
        sys.exit(error.exit_code)


def _say_what_is_not_recorded(backlog: Backlog, places: dict[str, str]) -> None:
    """Say what the record lacks, and how it is completed.

    Raises:
        typer.Exit: MLflow refuses something, which waiting does not mend.
    """
    errors = Console(stderr=True)
    go_on = f" Later: {places['sync']}" if "sync" in places else ""
    for refused in backlog.refused:
        _say(errors, f"[bold red]MLflow refuses a part of the record:[/] {escape(refused)}")
    if backlog.waiting:
        trouble = f": {escape(backlog.trouble)}" if backlog.trouble else ""
        _say(errors, f"[bold]The record is not complete[/] ({backlog.waiting} entries are missing){trouble}.{go_on}")
    if backlog.refused:
        raise typer.Exit(OutsideError.exit_code)


def _interrupted(study_id: str = "") -> typer.Exit:
    """Say so, and how a study goes on.

    Raised in the command and not in main: typer turns the exception into an exit of its own, wordless.
    """
    go_on = f" Go on with: search-service run --study {study_id}" if study_id else ""
    _say(Console(stderr=True), f"[bold]Interrupted.[/] What was finished is recorded.{go_on}")
    return typer.Exit(EXIT_INTERRUPTED)


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, soft_wrap=True)


def _print_places(console: Console, reason: str, seconds: float, places: dict[str, str]) -> None:
    if reason:
        _say(console, f"  why it stopped        {escape(reason)}")
    _say(console, f"  took                  {seconds:.0f} s")
    _say(console, f"  files                 {places['folder']}")
    if "model" in places:
        _say(console, f"  model                 {escape(places['model'])}")
    if "registered" in places:
        _say(console, f"  registered            {escape(places['registered'])}")
    if "open_record" in places:
        _say(console, f"  open the record with  [bold]{escape(places['open_record'])}[/]")
    _say(console, f"  and look at           {places['page']}")
