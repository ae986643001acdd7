"""The commands that speak to a service, and the one that starts it: ``commands.py`` takes them in.

``list``, ``show``, ``stop`` and ``cancel`` are for the studies of a home, too (home_studies.py).

Which service: ``SEARCH_SERVICE_URL``; who we are: ``SEARCH_SERVICE_TOKEN``. With ``--json`` a command prints the
service's own documents, for programs.
"""

from __future__ import annotations

import io
import time
import zipfile
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from search_service.cli import home_studies
from search_service.cli.options import Drop, Home, Metric, Minutes, Overrides, StudyId, Target, changes_of
from search_service.cli.terminal import StudyRow, asked_to, at_step, number, say, say_studies, value_word
from search_service.errors import CheckFailedError, OutsideError
from search_service.folder import layout

if TYPE_CHECKING:
    from pydantic import BaseModel

    from search_service.client import Client
    from search_service.service.documents import Study, StudyEvent

PANEL = "With a service (SEARCH_SERVICE_URL)"
app = typer.Typer()

# Seconds between two looks at a log that is followed.
LOG_EVERY_S = 1.0

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")]
Follow = Annotated[bool, typer.Option("--follow", help="Watch until it has ended.")]


class JobsChoice(StrEnum):
    """Where studies run."""

    LOCAL = "local"
    RAY = "ray"


@app.command(rich_help_panel=PANEL)
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on [default: 127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on [default: 8000]; 0 for a free one.")] = None,
    home: Annotated[Path | None, typer.Option(help="Folder for studies, uploads and the database.")] = None,
    jobs: Annotated[
        JobsChoice | None, typer.Option(help="local: processes of this machine. ray: jobs of a Ray cluster.")
    ] = None,
) -> None:
    """Serve the API and its page; docs/service.md has every setting."""
    import uvicorn

    from search_service.service.app import make_app
    from search_service.service.settings import ServiceSettings

    given: dict[str, Any] = {"host": host, "port": port, "home": home, "jobs": jobs and jobs.value}
    settings = ServiceSettings(**{key: value for key, value in given.items() if value is not None})
    api = make_app(settings)
    uvicorn.run(api, host=settings.host, port=settings.port, log_level="info", timeout_graceful_shutdown=5)


@app.command(rich_help_panel=PANEL)
def submit(
    config: Annotated[
        str, typer.Argument(metavar="CONFIG|TABLE", help="YAML or JSON file, or a table as it is; tables are uploaded.")
    ],
    target: Target = None,
    metric: Metric = None,
    minutes: Minutes = None,
    drop: Drop = None,
    follow: Follow = False,
    priority: Annotated[int, typer.Option(min=-100, max=100, help="Larger ones begin first.")] = 0,
    key: Annotated[
        str | None, typer.Option("--idempotency-key", help="Said again with the same key, it is submitted once.")
    ] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Submit a study to the service; exit code 3 if it was followed and failed a check."""
    from search_service.spec import from_table

    # A config of nothing else stands for the study that is right for the table.
    asked = from_table.least(config) if from_table.is_table(config) else Path(config)
    changes = changes_of(overrides, target, metric, drop, minutes)
    with client_of_service() as client:
        study = client.submit(asked, overrides=changes, priority=priority, idempotency_key=key)
        if not as_json:
            say(f"[bold]{study.id}[/] is {study.state} at {client.url}")
        if not follow:
            if as_json:
                print_json(study)
            else:
                say(f"  watch it with  search-service logs -f {study.id}")
                say(f"  or look at it  search-service show {study.id}")
                say(f"  or at its page {client.url}{study.links.page}")
            return
        done = _follow(client, study.id, as_json)
    _exit_as(done)


def _follow(client: Client, study: str, as_json: bool) -> Study:
    """Print what happens until a study has ended, and how it did."""
    for event in client.events(study):
        if not as_json:
            _print_event(event)
    done = client.study(study)
    if as_json:
        print_json(done)
    else:
        _print_study(done)
        _print_answer(client, done)
    return done


@app.command("list")
def list_studies(
    state: Annotated[list[str] | None, typer.Option(help="Only these; may be repeated.")] = None,
    name: Annotated[str | None, typer.Option(help="Only names that contain this.")] = None,
    sort: Annotated[str, typer.Option(help="Column; with a minus, largest first.")] = "-submitted_at",
    limit: Annotated[int, typer.Option(min=1, max=200, help="At most so many.")] = 20,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List the studies of a home or, with SEARCH_SERVICE_URL, of a service, newest first."""
    if (studies := home_studies.studies_folder(home)) is not None:
        home_studies.show_list(studies, states=state or [], name=name, sort=sort, limit=limit, as_json=as_json)
        return
    with client_of_service() as client:
        page = client.studies(states=state or [], name=name, sort=sort, limit=limit)
    if as_json:
        print_json(page)
        return
    rows = []
    for one in page.items:
        where = _state_words(one)
        if one.step and not one.has_ended:
            where += f", {at_step(one.step)}"
        rows.append(StudyRow(one.id, where, one.trials, one.metric, one.best_score, one.test_score))
    say_studies(rows)
    if page.total > len(page.items):
        say(f"{len(page.items)} of {page.total}; --limit shows more")


@app.command()
def show(study: StudyId, home: Home = None, as_json: AsJson = False) -> None:
    """Show a study: where it stands, its checks, its best trials."""
    if (studies := home_studies.studies_folder(home, study)) is not None:
        home_studies.show_one(studies, study, as_json=as_json)
        return
    with client_of_service() as client:
        found = client.study(study)
        if as_json:
            print_json(found)
            return
        _print_study(found)
        for check in client.checks(study):
            mark = "[green]passed[/]" if check.passed else "[bold red]failed[/]"
            say(f"  step {check.step}  {mark}  {escape(check.summary)}")
            if check.advice:
                say(f"          to do: {escape(check.advice)}")
        best = client.trials(study, limit=5)
    for trial in best.items:
        values = ", ".join(f"{leaf}={value_word(value)}" for leaf, value in trial.values.items())
        say(f"  {trial.id}  {number(trial.score)}  {trial.epochs} epochs  {trial.status}  {escape(values)}")
    if best.total > len(best.items):
        say(f"  the best {len(best.items)} of {best.total} trials")


@app.command(rich_help_panel=PANEL)
def logs(
    study: StudyId,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until the study has ended.")] = False,
    attempt: Annotated[int | None, typer.Option(min=1, help="Of which job; by default the last.")] = None,
) -> None:
    """Print what a study's job prints."""
    with client_of_service() as client:
        number, offset = attempt, 0
        while True:
            # Looked at first: what was printed until then is read below.
            found = client.study(study)
            if found.attempt or not follow:
                text, offset, number = client.logs(study, attempt=number, offset=offset)
                typer.echo(text, nl=False)
                if text:
                    continue
                if attempt is None and found.attempt > number:
                    number, offset = found.attempt, 0
                    continue
            if found.has_ended or not follow:
                return
            time.sleep(LOG_EVERY_S)


@app.command()
def stop(study: StudyId, home: Home = None, as_json: AsJson = False) -> None:
    """End a study's search well: trials under way are trained, the finalists are found."""
    if (studies := home_studies.studies_folder(home, study)) is not None:
        home_studies.ask(studies, study, layout.STOP, as_json=as_json)
        return
    with client_of_service() as client:
        print_asked(client.stop(study), as_json)


@app.command()
def cancel(study: StudyId, home: Home = None, as_json: AsJson = False) -> None:
    """End a study now; resume, or run --study, goes on with it."""
    if (studies := home_studies.studies_folder(home, study)) is not None:
        home_studies.ask(studies, study, layout.CANCEL, as_json=as_json)
        return
    with client_of_service() as client:
        print_asked(client.cancel(study), as_json)


@app.command(rich_help_panel=PANEL)
def resume(study: StudyId, follow: Follow = False, as_json: AsJson = False) -> None:
    """Go on with a study that was cancelled or interrupted; followed, it exits as ``submit --follow`` does."""
    home_studies.require_of_a_service(study)
    with client_of_service() as client:
        going_on = client.resume(study)
        if not follow:
            print_asked(going_on, as_json)
            return
        done = _follow(client, study, as_json)
    _exit_as(done)


@app.command(rich_help_panel=PANEL)
def delete(study: StudyId) -> None:
    """Forget a study and its files; its record in MLflow stays."""
    with client_of_service() as client:
        client.delete(study)
    say(f"{study} is gone; its record in MLflow is kept")


@app.command(rich_help_panel=PANEL)
def upload(file: Annotated[Path, typer.Argument(metavar="FILE", help="A table.")], as_json: AsJson = False) -> None:
    """Upload a table; a config names it by what is printed. ``submit`` does it by itself."""
    with client_of_service() as client:
        found = client.upload(file)
    if as_json:
        print_json(found)
    else:
        typer.echo(found.source)


def fetched_model(study: str, scratch: Path) -> Path:
    """The folder of a study's model, from the service.

    Args:
        study: Its id.
        scratch: Folder to unpack it into.
    """
    with client_of_service() as client:
        packed = client.model(study)
    # By the name that it has in a study's folder: MLflow keeps it in what is exported.
    folder = scratch / layout.MODEL
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        archive.extractall(folder)
    return folder


def client_of_service() -> Client:
    """A client of the service that the environment names."""
    from search_service.client import Client

    return Client()


def print_json(document: BaseModel) -> None:
    """Print a document of the service."""
    typer.echo(document.model_dump_json(indent=2))


def print_asked(study: Study, as_json: bool) -> None:
    """Say where a study stands of which something was asked."""
    if as_json:
        print_json(study)
    else:
        say(f"[bold]{study.id}[/] is {_state_words(study)}")


def _state_words(study: Study) -> str:
    return study.state if study.has_ended else f"{study.state}{asked_to(study.wanted)}"


def _print_study(study: Study) -> None:
    say(f"[bold]{study.id}[/]  {_state_words(study)}" + (f": {escape(study.reason)}" if study.reason else ""))
    at = at_step(study.step) if study.step else "waiting"
    say(f"  {at}, {study.trials} trials" + (f", job {study.attempt}" if study.attempt > 1 else ""))
    if study.best_trial:
        if study.test_score is not None:
            say(f"  the model: test {study.metric} {number(study.test_score)}")
        what = "winner" if study.test_score is not None else "best so far"
        say(f"  {what} {study.best_trial}: validation {study.metric} {number(study.best_score)}")
    for place, address in (("MLflow", study.links.mlflow), ("Ray", study.links.ray)):
        if address:
            say(f"  {place:<7}{address}")


def _print_answer(client: Client, study: Study) -> None:
    """Whether it was worth it, and where the report is; nothing of a study that has none."""
    if study.state == "completed" and study.best_trial:
        worth = (client.best(study.id).details or {}).get("worth")
        if worth:
            say(f"  worth it?  {escape(worth)}")
    if study.links.report:
        say(f"  report     {client.url}{study.links.report}")


def _print_event(event: StudyEvent) -> None:
    """One line for whoever watches; what is only for programs is left out."""
    content: dict[str, Any] = event.content
    match event.type:
        case "step_started":
            say(f"step {content['step']}  {content['name']}")
        case "check_finished":
            mark = "[green]passed[/]" if content["passed"] else "[bold red]failed[/]"
            say(f"        {mark}  {escape(content['summary'])}")
        case "round_started":
            say(f"        up to {content['max_trials']} trials of {content['max_epochs']} epochs")
            for sentence in content["decided"]:
                say(f"        {escape(sentence)}")
        case "trial_finished":
            score, where = number(content["score"]), content["worker"]
            say(f"        {content['trial']}  {content['status']:<9}  {score:<7}  at {where}")
        case "round_finished" | "cycle_decided":
            say(f"        {escape(content['reason'])}")
        case "study_finished":
            say(f"        {content['status']} after {content['seconds']:.0f} s")


def _exit_as(study: Study) -> None:
    """Exit as ``run`` would: 0 done, 3 a check failed, 4 anything else."""
    if study.state == "failed":
        raise typer.Exit(CheckFailedError.exit_code)
    if study.state != "completed":
        raise typer.Exit(OutsideError.exit_code)
