"""``list``, ``show``, ``stop`` and ``cancel`` for the studies of a home, where no service is asked."""

from __future__ import annotations

import os
import shlex
import socket
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import typer
from rich.markup import escape

from search_service.cli.options import settings_for
from search_service.cli.terminal import StudyRow, asked_to, at_step, number, say, say_studies, value_word
from search_service.errors import DataError, Problem
from search_service.folder import layout, study_folder

if TYPE_CHECKING:
    from search_service.report.studies_at_home import StudyAtHome

_COLOURS = {"running": "cyan", "completed": "green", "failed": "red", "interrupted": "yellow"}
_SORTS: dict[str, Callable[[StudyAtHome], Any]] = {
    "submitted_at": lambda study: study.began_at or datetime.now(UTC),
    "name": lambda study: study.name,
    "state": lambda study: study.state,
    "trials": lambda study: study.trials,
}


def studies_folder(home: Path | None, study_id: str | None = None) -> Path | None:
    """Where the studies are that are meant; None if those of a service are.

    Args:
        home: The home that the command was given. Without one it is the service that SEARCH_SERVICE_URL names, else the
            usual home, if it is there and has the study, else a service of this machine.
        study_id: The study that is meant, if it is one.
    """
    from search_service.client import DEFAULT_URL, URL

    if home is None and os.environ.get(URL):
        return None
    studies = settings_for(home).studies
    if home is not None:
        return studies
    folder = studies / (study_id or "")
    # What a service of this machine looks after is asked of it.
    if folder.is_dir() and not (study_id and study_folder.StudyFolder(folder).is_of_a_service):
        return studies
    return None if _answers(DEFAULT_URL) else studies


def require_of_a_service(study_id: str) -> None:
    """See to it that a study that only a service goes on with is not one of this home.

    Raises:
        DataError: It is.
    """
    studies = studies_folder(None, study_id)
    if studies is not None and (studies / study_id).is_dir():
        rule, fix = f"a study of a service; this one is of {studies.parent}", f"search-service run --study {study_id}"
        raise DataError([Problem("STUDY", study_id, rule, fix)])


def _answers(url: str) -> bool:
    """Whether anybody listens at an address of this machine."""
    place = urlsplit(url)
    try:
        socket.create_connection((str(place.hostname), int(place.port or 80)), timeout=1.0).close()
    except OSError:
        return False
    return True


def show_list(studies: Path, *, states: Sequence[str], name: str | None, sort: str, limit: int, as_json: bool) -> None:
    """List the studies of a home."""
    from search_service.report.studies_at_home import studies_of

    key = sort.removeprefix("-")
    if key not in _SORTS:
        raise DataError([Problem("--sort", sort, f"one of {', '.join(_SORTS)} for studies of a home", "choose one")])
    if wrong := [state for state in states if state not in _COLOURS]:
        raise DataError([Problem("--state", wrong[0], f"one of {', '.join(_COLOURS)}", "choose one")])
    found = [
        study
        for study in studies_of(studies)
        if (not states or study.state in states) and (name is None or name.casefold() in study.name.casefold())
    ]
    found.sort(key=_SORTS[key], reverse=sort.startswith("-"))
    if as_json:
        items = ", ".join(study.model_dump_json() for study in found[:limit])
        typer.echo(f'{{"items": [{items}], "total": {len(found)}, "limit": {limit}, "offset": 0}}')
        return
    if not found and (states or name):
        say(f"no such studies in {escape(str(studies))}; without --state and --name all are listed")
        return
    if not found:
        say(f"no studies in {escape(str(studies))}; search-service run begins one")
        return
    rows = []
    for study in found[:limit]:
        state = f"[{_COLOURS[study.state]}]{study.state}[/]{asked_to(study.wanted)}"
        if study.state in ("running", "interrupted"):
            state += f", {at_step(study.step)}"
        rows.append(StudyRow(study.id, state, study.trials, study.metric, study.best_score, study.test_score))
    say_studies(rows)
    if len(found) > limit:
        say(f"{limit} of {len(found)}; --limit shows more")


def show_one(studies: Path, study_id: str, *, as_json: bool) -> None:
    """Show a study of a home: where it stands, its checks, its best trials, and what can be done."""
    from search_service.report.studies_at_home import BEST_TRIALS, best_trials, events_of, study_of

    folder = study_folder.find(studies, study_id)
    events = events_of(folder)
    study = study_of(folder, events)
    if as_json:
        typer.echo(study.model_dump_json(indent=2))
        return
    where = f"{study.state}{asked_to(study.wanted)}"
    say(f"[bold]{escape(study.id)}[/]  {where}" + (f": {escape(study.reason)}" if study.reason else ""))
    at = at_step(study.step)
    trials = f"{study.trials} of at most {study.planned} trials so far"
    if study.state in ("completed", "failed"):
        trials = f"{study.trials} trials"
    say(f"  {at}, {trials}, {study.seconds:.0f} s")
    if study.best_trial:
        if study.test_score is not None:
            say(f"  the model: test {study.metric} {number(study.test_score)}")
        if study.worth_it:
            say(f"  worth it?  {escape(study.worth_it)}")
        what = "winner" if study.test_score is not None else "best so far"
        say(f"  {what} {study.best_trial}: validation {study.metric} {number(study.best_score)}")
    for event in events:
        if event["type"] == "check_finished":
            mark = "[green]passed[/]" if event["passed"] else "[bold red]failed[/]"
            say(f"  step {event['step']}  {mark}  {escape(event['summary'])}")
            if event["advice"]:
                say(f"          to do: {escape(event['advice'])}")
    best = best_trials(events, study.metric)
    for trial in best[:BEST_TRIALS]:
        values = ", ".join(f"{leaf}={value_word(value)}" for leaf, value in trial["values"].items())
        ran = f"{trial['epochs']} epochs  {trial['status']}"
        say(f"  {trial['trial']}  {number(trial['score'])}  {ran}  {escape(values)}")
    if len(best) > BEST_TRIALS:
        say(f"  the best {BEST_TRIALS} of {len(best)} trials, those first that were trained furthest")
    home = shlex.quote(str(studies.parent))
    if study.state == "interrupted":
        say(f"  go on with it  search-service run --study {study.id} --home {home}")
    elif (folder.path / layout.PAGE).exists():
        say(f"  its report     {escape(str(folder.path / layout.PAGE))}")


def ask(studies: Path, study_id: str, wanted: str, *, as_json: bool) -> None:
    """Ask the process that runs a study for its end.

    Args:
        studies: Where studies are.
        study_id: The study's id.
        wanted: layout.STOP, well, or layout.CANCEL, now.
        as_json: Whether to print the study as a document.

    Raises:
        DataError: There is no such study, nobody runs it, or a service does, which would begin it again.
    """
    folder = study_folder.find(studies, study_id)
    if folder.is_of_a_service:
        rule, fix = "a study that no service looks after", "set SEARCH_SERVICE_URL to the service's address"
        raise DataError([Problem("STUDY", study_id, rule, fix)])
    if not folder.is_locked:
        rule, fix = "a study that a process is running", "see search-service show for where it stands"
        raise DataError([Problem("STUDY", study_id, rule, fix)])
    (folder.path / wanted).touch()
    if as_json:
        from search_service.report.studies_at_home import events_of, study_of

        typer.echo(study_of(folder, events_of(folder)).model_dump_json(indent=2))
        return
    how = "with what is under way, and finalists" if wanted == layout.STOP else "now; run --study goes on with it"
    say(f"[bold]{escape(study_id)}[/] is asked to end {how}")
