"""Arguments and options that several commands share, and what is made of them.

Nothing here or in the modules of commands imports at the top what takes long: ``--help`` answers at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search_service.runners.registry import RUNNERS

if TYPE_CHECKING:
    from search_service.settings import Settings
    from search_service.spec.study_spec import StudySpec


DEFAULT_RUNNER = "ray"


def _known_runner(name: str) -> str:
    """The name of a runner that there is."""
    if name not in RUNNERS:
        raise typer.BadParameter(f"{name!r} is not one of {', '.join(map(repr, RUNNERS))}")
    return name


RunnerChoice = Annotated[
    str,
    typer.Option(
        metavar="|".join(RUNNERS),
        callback=_known_runner,
        help=f"Where trials run. {'. '.join(f'{name}: {kind.about}' for name, kind in RUNNERS.items())}.",
    ),
]
_CONFIG = typer.Argument(
    metavar="CONFIG|TABLE",
    help="YAML or JSON file (see configs/ for examples), or a table as it is: a file, folder, URL or name.",
)
Config = Annotated[str, _CONFIG]
OptionalConfig = Annotated[str | None, _CONFIG]
Target = Annotated[str | None, typer.Option(metavar="COLUMN", help="The column to predict, as data.target.")]
Metric = Annotated[str | None, typer.Option(metavar="NAME", help="What is optimised, as objective.metric.")]
Minutes = Annotated[
    float | None,
    typer.Option(metavar="N", help="Have it end after so many minutes, with the best there is, as search.minutes."),
]
Drop = Annotated[
    list[str] | None, typer.Option(metavar="COLUMN", help="A column that is no feature, as data.drop; more than once.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the config, e.g. search.coarse.max_trials=8."),
]
Home = Annotated[Path | None, typer.Option(help="Folder for studies and their record.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document at the end, and nothing else.")]
StudyId = Annotated[str, typer.Argument(metavar="STUDY", help="A study's id.")]


def settings_for(home: Path | None) -> Settings:
    """The settings of the environment, with the home that a command was given."""
    from search_service.settings import Settings

    return Settings() if home is None else Settings(home=home)


def load(config: str, changes: list[str]) -> StudySpec:
    """Read a config, or make that of a table.

    Args:
        config: Path of a config, or a table's path, address or name.
        changes: ``key=value`` each, as ``--set`` has it.

    Raises:
        InvalidSpecError: It is not valid, or the table cannot be used.
    """
    from search_service.spec import config_file, from_table, study_spec

    if not from_table.is_table(config):
        spec = config_file.load(Path(config), changes)
        if replaced := config_file.replaced_in(Path(config), changes):
            keys = ", ".join(f"{section}.{key}" for section, key in replaced)
            typer.echo(f"The minutes take the place of what {config} says: {keys}", err=True)
        return spec
    from search_service import wiring

    return study_spec.parse(wiring.config_of(config, changes, settings=settings_for(None)).plain)


def changes_of(
    overrides: list[str] | None,
    target: str | None,
    metric: str | None,
    drop: list[str] | None,
    minutes: float | None = None,
) -> list[str]:
    """What shorter options and ``--set`` change, as the latter has it.

    The latter wins, but that columns to drop are dropped whatever else is: forgotten, one would be a feature.
    """
    from search_service.spec import config_file

    shorter = {"data.target": target, "objective.metric": metric, "search.minutes": minutes}
    given = [f"{key}={config_file.written(value)}" for key, value in shorter.items() if value is not None]
    dropped = [f"data.drop{config_file.MORE}={config_file.written(drop)}"] if drop else []
    return given + (overrides or []) + dropped
