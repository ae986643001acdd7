"""The commands for a model that was found: export, predict."""

from __future__ import annotations

import os
import tempfile
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from search_service.cli import service_commands
from search_service.cli.options import Home, settings_for
from search_service.errors import DataError, Problem

app = typer.Typer()


@app.command()
def export(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A study's id, a folder, or models:/NAME@champion.")],
    to: Annotated[Path | None, typer.Option("--to", metavar="DIR", help="Folder to make, for the model.")] = None,
    optuna: Annotated[
        Path | None,
        typer.Option("--optuna", metavar="FILE", help="SQLite file to make, for its trials as Optuna has them."),
    ] = None,
    home: Home = None,
) -> None:
    """Write a study's model into a folder (--to), or its trials into a file that Optuna's tools read (--optuna).

    The model is there to serve with MLflow, to call, and to read as a torch module; with SEARCH_SERVICE_URL set, also
    that of a study of the service. Trials are those of a study of this home, running or over.
    """
    settings = settings_for(home)
    if to is None and optuna is None:
        raise DataError([Problem("--to", "none", "a folder to make, or --optuna and a file", "give one of them")])
    if optuna is not None:
        from search_service.export import optuna_storage
        from search_service.folder import study_folder

        names = optuna_storage.export(study_folder.find(settings.studies, study), optuna)
        typer.echo(f"{optuna}: {', '.join(names)}; look at it with: optuna-dashboard sqlite:///{optuna}")
    if to is None:
        return
    from search_service.export import exporting

    with tempfile.TemporaryDirectory(prefix="search-service-") as scratch:
        # With a service set, what is nothing here is a study of that one.
        is_here = "/" in study or Path(study).is_dir() or (settings.studies / study).is_dir()
        away = bool(os.environ.get("SEARCH_SERVICE_URL")) and not is_here
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
    ids: Annotated[
        list[str] | None,
        typer.Option("--id", metavar="COLUMN", help="A column of the file to carry along; more than once."),
    ] = None,
    with_rows: Annotated[bool, typer.Option("--with-rows", help="Carry all columns of the file along.")] = False,
    home: Home = None,
) -> None:
    """Predict the rows of a file, as CSV."""
    settings = settings_for(home)
    from search_service.export import exporting

    # Beside the output, which a program may read.
    say = partial(typer.echo, err=True)
    predicted = exporting.predict(model, file, settings, carried=None if with_rows else ids or (), say=say)
    text = predicted.to_csv(index=False)
    if to is None:
        typer.echo(text, nl=False)
        return
    try:
        to.write_text(text, encoding="utf-8")
    except OSError as error:
        rule, fix = "a file that can be written", f"choose another place ({error.strerror})"
        raise DataError([Problem("--to", str(to), rule, fix)]) from error
    say(f"{to}: {len(predicted)} {'row' if len(predicted) == 1 else 'rows'} predicted")
