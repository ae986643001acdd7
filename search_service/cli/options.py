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
_CONFIG = typer.Argument(metavar="CONFIG", help="YAML or JSON file; see configs/ for examples.")
Config = Annotated[Path, _CONFIG]
OptionalConfig = Annotated[Path | None, _CONFIG]
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


def load(config: Path, overrides: list[str] | None) -> StudySpec:
    """Read a config, with the keys that ``--set`` changes.

    Raises:
        InvalidSpecError: It is not valid.
    """
    from search_service.spec import config_file

    return config_file.load(config, overrides or [])
