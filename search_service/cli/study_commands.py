"""The commands that run studies here, or work on what those left: run, extend, plan, replay, sync and others."""

from __future__ import annotations

import json
import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from search_service.cli import home_studies, last_words, service_commands
from search_service.cli.options import (
    DEFAULT_RUNNER,
    AsJson,
    Config,
    Drop,
    Home,
    Metric,
    Minutes,
    OptionalConfig,
    Overrides,
    RunnerChoice,
    StudyId,
    Target,
    changes_of,
    load,
    settings_for,
)
from search_service.cli.terminal import begun_at, say
from search_service.errors import (
    EXIT_INTERRUPTED,
    CheckFailedError,
    DataError,
    InvalidSpecError,
    OutsideError,
    RunnerError,
    StudyBusyError,
)
from search_service.folder import extending, study_folder
from search_service.runners.registry import RUNNERS

if TYPE_CHECKING:
    from search_service.settings import Settings
    from search_service.spec.study_spec import StudySpec
    from search_service.wiring import PreparedStudy

app = typer.Typer()

RayAddress = Annotated[
    str | None, typer.Option(metavar="auto|ADDRESS", help="Join this Ray cluster instead of starting Ray here.")
]


@app.command()
def run(
    config: OptionalConfig = None,
    target: Target = None,
    metric: Metric = None,
    minutes: Minutes = None,
    drop: Drop = None,
    study_id: Annotated[
        str | None,
        typer.Option("--study", metavar="ID", help="Instead of CONFIG: go on with a study that was cut short."),
    ] = None,
    runner: RunnerChoice = DEFAULT_RUNNER,
    ray_address: RayAddress = None,
    home: Home = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Run a study, all six steps, recorded in MLflow; or go on with one that was cut short."""
    changes = changes_of(overrides, target, metric, drop, minutes)
    _require_what_fits(config, study_id, runner, ray_address, changes)
    settings = settings_for(home)
    # Progress is for people, the document for programs: with --json people read stderr.
    console = Console(stderr=as_json)
    # Before the imports: Ray and MLflow take seconds, and a bad config is reported without waiting for them.
    spec = _asked(config, study_id, changes, None if as_json else console)
    study = _prepared(spec, study_id, settings)
    _run(study, settings, console, home=home, runner=runner, ray_address=ray_address, as_json=as_json)


@app.command()
def extend(
    study: StudyId,
    trials: Annotated[
        int | None, typer.Option(metavar="N", help="Another cycle of so many trials, both rounds together.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(metavar="N", help="Further cycles and finalists, within so many minutes.")
    ] = None,
    runner: RunnerChoice = DEFAULT_RUNNER,
    ray_address: RayAddress = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Give a study that is over more: a new study goes on from where it ended, and none of its trials is trained again.

    With SEARCH_SERVICE_URL the service does, in its turn.
    """
    _require_joins(runner, ray_address)
    if home_studies.studies_folder(home, study) is None:
        with service_commands.client_of_service() as client:
            service_commands.print_asked(client.extend(study, trials=trials, minutes=minutes), as_json)
        return
    settings = settings_for(home)
    console = Console(stderr=as_json)
    extending.require_extendable(study_folder.find(settings.studies, study), trials, minutes)
    if not as_json:
        _say_starting(f"{study}: what trains and records it takes some seconds to be imported", console)
    from search_service import wiring

    more = wiring.extend(study, settings=settings, trials=trials, minutes=minutes)
    _run(more, settings, console, home=home, runner=runner, ray_address=ray_address, as_json=as_json)


def _run(
    study: PreparedStudy,
    settings: Settings,
    console: Console,
    *,
    home: Path | None,
    runner: str,
    ray_address: str | None,
    as_json: bool,
) -> None:
    """Run a study that was prepared, and say what came of it.

    Raises:
        typer.Exit: It was interrupted, failed a check, or MLflow refuses a part of its record.
    """
    from search_service import wiring
    from search_service.records.events import Event, Listener, StudyStarted
    from search_service.records.results import StudyStatus
    from search_service.report.documents import StudyDocument
    from search_service.report.progress import ProgressDisplay

    begun: list[str] = []

    def note(event: Event) -> None:
        if isinstance(event, StudyStarted):
            begun.append(event.study_id)

    listeners: list[Listener] = [note] if as_json else [note, ProgressDisplay(console)]
    try:
        finished = wiring.run(
            study,
            settings=settings,
            runner=runner,
            ray_address=ray_address,
            listeners=listeners,
            say=partial(say, console=console),
            began_at=begun_at(),
        )
    except KeyboardInterrupt as interrupt:
        raise _interrupted(*begun, home=home, runner=runner, ray_address=ray_address) from interrupt
    result, places = finished.result, finished.places
    if as_json:
        typer.echo(json.dumps(StudyDocument.of(study.spec, result, places).plain(), indent=2))
    else:  # Step 6 has said it at length; its first clause will do here.
        reason = result.reason.split(";")[0] if result.finalists else ""
        last_words.print_places(console, reason, result.seconds, places, before=last_words.seconds_before(study.folder))
    last_words.say_what_is_not_recorded(finished.backlog, places)
    if result.status is StudyStatus.FAILED:
        raise typer.Exit(CheckFailedError.exit_code)


@app.command()
def plan(
    config: Config,
    target: Target = None,
    metric: Metric = None,
    minutes: Minutes = None,
    drop: Drop = None,
    runner: RunnerChoice = DEFAULT_RUNNER,
    home: Home = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Say what a study would do and how long it would take, without running it."""
    spec = load(config, changes_of(overrides, target, metric, drop, minutes))
    from search_service import wiring
    from search_service.cli import planning_report
    from search_service.recipe.plan_document import PlanDocument

    study = wiring.prepare(spec, settings=settings_for(home))
    planned = wiring.plan(study, runner=runner, began_at=begun_at())
    if as_json:
        typer.echo(json.dumps(PlanDocument.of(study.spec, study.dataset, planned).plain(), indent=2))
    else:
        planning_report.show(study.spec, study.dataset, planned, Console())


@app.command()
def replay(
    study: StudyId,
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
    settings = settings_for(home)
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
def compare_optimizers(
    config: Config,
    target: Target = None,
    metric: Metric = None,
    drop: Drop = None,
    home: Home = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Compare optimisers from the same start, each at its own best learning rate, recorded in MLflow."""
    settings = settings_for(home)
    console = Console(stderr=as_json)
    spec = load(config, changes_of(overrides, target, metric, drop))
    # Imported here for the reason given in ``run``.
    from search_service import wiring
    from search_service.report.comparison_documents import ComparisonDocument
    from search_service.report.progress import ProgressDisplay

    study = wiring.prepare(spec, settings=settings)
    listeners = [] if as_json else [ProgressDisplay(console)]
    try:
        finished = wiring.compare(study, settings=settings, listeners=listeners, say=partial(say, console=console))
    except KeyboardInterrupt as interrupt:
        raise _interrupted() from interrupt
    result, places = finished.result, finished.places
    page = Path(places["folder"]) / "paths.html"
    if as_json:
        typer.echo(json.dumps(ComparisonDocument.of(study.spec, result, places).plain(), indent=2))
    else:
        if page.exists():
            say(f"  play the paths        {page}", console)
        last_words.print_places(console, "", result.seconds, places)
    last_words.say_what_is_not_recorded(finished.backlog, places)


@app.command()
def sync(
    study: Annotated[
        str | None, typer.Argument(metavar="STUDY", help="A study's id; by default every study that needs it.")
    ] = None,
    home: Home = None,
) -> None:
    """Complete the record of studies that are over, where MLflow was away when they were."""
    settings = settings_for(home)
    console = Console()
    from search_service import wiring

    studies = wiring.unrecorded(settings) if study is None else [study]
    # Of several, one that cannot be told again does not keep the others from it.
    left: Exception | None = None
    for study_id in studies:
        try:
            finished = wiring.sync(study_id, settings=settings, say=partial(say, console=console))
        except KeyboardInterrupt as interrupt:
            raise typer.Exit(EXIT_INTERRUPTED) from interrupt
        except (InvalidSpecError, DataError, RunnerError, StudyBusyError) as error:
            left = error
            if len(studies) > 1:
                say(f"{study_id} is left out:\n{escape(str(error))}", console)
            continue
        last_words.say_what_is_not_recorded(finished.backlog, finished.places)
        if not finished.backlog.is_complete:
            raise typer.Exit(OutsideError.exit_code)
        say(f"{study_id} is in the record at {escape(finished.places['page'])}", console)
    if left is not None:
        raise left
    if not studies:
        say(f"Every study under {settings.home} that is over is in the record.", console)


def _say_starting(what: str, console: Console) -> None:
    """Something on the screen before what takes long, where the first step's line will stand."""
    say(f"[bold]Starting   [/]{escape(what)} ...", console)


def _asked(config: str | None, study_id: str | None, changes: list[str], console: Console | None) -> StudySpec | None:
    """The config, or that of a table, which takes longer; None for a study that goes on."""
    from search_service.spec import from_table

    if config is not None and console is not None and from_table.is_table(config):
        _say_starting(f"looking at {config}", console)
    spec = None if config is None else load(config, changes)
    if console is not None:
        _say_starting(f"{config or study_id}: what trains and records it takes some seconds to be imported", console)
    return spec


def _prepared(spec: StudySpec | None, study_id: str | None, settings: Settings) -> PreparedStudy:
    """A new study of ``spec``, or the one of ``study_id`` to go on with."""
    from search_service import wiring

    if spec is not None:
        return wiring.prepare(spec, settings=settings)
    return wiring.prepare_again(study_id or "", settings=settings)


def _interrupted(
    study_id: str = "", *, home: Path | None = None, runner: str = DEFAULT_RUNNER, ray_address: str | None = None
) -> typer.Exit:
    """Say so, and how a study goes on: with the options that this command was given.

    Raised in the command and not in main: typer turns the exception into an exit of its own, wordless.
    """
    given = {
        "--home": home,
        "--runner": None if runner == DEFAULT_RUNNER else runner,
        "--ray-address": ray_address,
    }
    options = "".join(f" {name} {shlex.quote(str(value))}" for name, value in given.items() if value is not None)
    go_on = f" Go on with: search-service run --study {study_id}{escape(options)}" if study_id else ""
    say(f"[bold]Interrupted.[/] What was finished is recorded.{go_on}", Console(stderr=True))
    return typer.Exit(EXIT_INTERRUPTED)


def _require_what_fits(
    config: str | None,
    study_id: str | None,
    runner: str,
    ray_address: str | None,
    overrides: list[str] | None,
) -> None:
    """See to it that the arguments of ``run`` go together.

    Raises:
        typer.BadParameter: They do not.
    """
    if (config is None) == (study_id is None):
        raise typer.BadParameter("give a config to run, or --study to go on with a study", param_hint="CONFIG")
    if study_id is not None and overrides:
        raise typer.BadParameter("a study goes on as it was asked for", param_hint="the config")
    _require_joins(runner, ray_address)


def _require_joins(runner: str, ray_address: str | None) -> None:
    """See to it that a runner that is given the address of a cluster joins one.

    Raises:
        typer.BadParameter: It does not.
        InvalidSpecError: It is no address.
    """
    if ray_address is None:
        return
    if not RUNNERS[runner].joins_cluster:
        raise typer.BadParameter(f"the runner {runner} joins no cluster", param_hint="--ray-address")
    RUNNERS[runner].require_address(ray_address)
