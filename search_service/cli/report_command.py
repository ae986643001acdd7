"""``search-service report``: a study's report as text, or as one page of HTML; ``compare-studies``: several of them.

A report is from the service that SEARCH_SERVICE_URL names or, without it, from the home: the study's folder, or its
record alone.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from search_service.cli.options import AsJson, Home, StudyId, settings_for
from search_service.errors import DataError, Problem

app = typer.Typer()


@app.command()
def report(
    study: StudyId,
    html: Annotated[
        bool, typer.Option("--html", help="The page, one file that needs no network; from the home or the record.")
    ] = False,
    to: Annotated[
        Path | None,
        typer.Option("-o", "--to", metavar="FILE", help="Into this file [--html: STUDY.html]."),
    ] = None,
    home: Home = None,
) -> None:
    """Print the report of a study that has ended, or make a page of it with --html."""
    text = _page(study, home) if html else _text(study, home)
    if to is None and not html:
        typer.echo(text)
        return
    file = to or Path(f"{study}.html")
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        rule, fix = "a file that can be written", f"choose another place ({error.strerror})"
        raise DataError([Problem("-o", str(file), rule, fix)]) from error
    typer.echo(file)


@app.command()
def compare_studies(
    studies: Annotated[list[str], typer.Argument(metavar="STUDY...", help="Ids of two studies or more of a home.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Compare studies that are over: what differs in their configs, and whether the first one's model is better."""
    settings = settings_for(home)
    from search_service.cli import comparison_display
    from search_service.report import study_comparison

    found = study_comparison.compare(settings.studies, studies)
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        comparison_display.show(found)


def _page(study: str, home: Path | None) -> str:
    settings = settings_for(home)
    from search_service import wiring

    return wiring.report_page(study, settings=settings)


def _text(study: str, home: Path | None) -> str:
    from search_service.client import URL, Client, ServiceUnreachableError

    if home is None and os.environ.get(URL):
        with Client() as client:
            return client.report(study)
    settings = settings_for(home)
    from search_service import wiring

    try:
        return wiring.report_text(study, settings=settings)
    except wiring.UnknownStudyError:
        if home is not None:
            raise
        try:
            # One of this machine, at its usual address.
            with Client() as client:
                return client.report(study)
        except ServiceUnreachableError:
            pass
        raise
