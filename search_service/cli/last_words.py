"""What a command that has run something says last: how long it took, where everything is, and what is not recorded."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.markup import escape

from search_service.cli.terminal import begun_at, say
from search_service.errors import OutsideError
from search_service.folder import extending

if TYPE_CHECKING:
    from search_service.folder.study_folder import StudyFolder
    from search_service.recorders.background import Backlog


def seconds_before(folder: StudyFolder | None) -> float:
    """Seconds that the study which this one extends had taken; 0 for one that extends none."""
    return 0.0 if folder is None else max((given.seconds for given in extending.extensions(folder)), default=0.0)


def print_places(console: Console, reason: str, seconds: float, places: dict[str, str], before: float = 0.0) -> None:
    """Say why it stopped, how long it took and where everything is.

    Args:
        console: Where it is said.
        reason: Why it stopped; empty where nothing was to be stopped.
        seconds: That it worked.
        places: By their names, as they are recorded.
        before: Of ``seconds``, those before it was extended.
    """
    if reason:
        say(f"  why it stopped        {escape(reason)}", console)
    beside = f", {before:.0f} s of it before it was extended" if before else ""
    whole = time.monotonic() - begun_at()
    say(f"  took                  {seconds:.0f} s{beside}; {whole:.0f} s from the command on", console)
    say(f"  files                 {places['folder']}", console)
    if "report" in places:
        say(f"  report                {escape(places['report'])}", console)
    if "model" in places:
        say(f"  model                 {escape(places['model'])}", console)
    if "registered" in places:
        say(f"  registered            {escape(places['registered'])}", console)
    if "open_record" in places:
        say(f"  open the record with  [bold]{escape(places['open_record'])}[/]", console)
    say(f"  and look at           {places['page']}", console)


def say_what_is_not_recorded(backlog: Backlog, places: dict[str, str]) -> None:
    """Say what the record lacks, and how it is completed.

    Raises:
        typer.Exit: MLflow refuses something, which waiting does not mend.
    """
    errors = Console(stderr=True)
    go_on = f" Later: {places['sync']}" if "sync" in places else ""
    for refused in backlog.refused:
        say(f"[bold red]MLflow refuses a part of the record:[/] {escape(refused)}", errors)
    if backlog.waiting:
        trouble = f": {escape(backlog.trouble)}" if backlog.trouble else ""
        say(f"[bold]The record is not complete[/] ({backlog.waiting} entries are missing){trouble}.{go_on}", errors)
    if backlog.refused:
        raise typer.Exit(OutsideError.exit_code)
