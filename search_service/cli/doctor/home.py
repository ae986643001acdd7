"""The home folder: whether a study can be written there, and how those that are there stand."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from search_service.cli.doctor.machine import size
from search_service.folder import disk
from search_service.folder.study_folder import StudyFolder
from search_service.records.findings import MOST_CLOCK_DIFFERENCE_S, SET_CLOCK, Finding, State
from search_service.settings import Settings

HOME, STUDIES, CLOCK = "home", "studies", "clock"
# Bytes of free space below which it is worth a word: some dozens of studies of the default network.
FEW_FREE = 2**30
# Studies that are named one by one.
MOST_NAMED = 5

_ELSEWHERE = "choose another folder with --home or SEARCH_SERVICE_HOME"


def look_at_home(settings: Settings) -> Iterator[Finding]:
    """Whether the folder is there or can be made, can be written, and has room."""
    path = settings.home.absolute()
    try:
        place = _existing(path)
        if not place.is_dir():
            yield Finding(HOME, State.FAILED, f"{path} cannot be a folder: {place} is a file", _ELSEWHERE)
            return
        # Without a name where the system can do that, and removed again elsewhere.
        with tempfile.TemporaryFile(dir=place):
            pass
        free, has_room = shutil.disk_usage(place).free, disk.has_room(place)
    except OSError as error:
        remedy = f"let this user write into {place}, or {_ELSEWHERE}" if place.is_dir() else _ELSEWHERE
        yield Finding(HOME, State.FAILED, f"{path} cannot be written ({error.strerror})", remedy)
        return
    found = f"{path} {'can be written' if place == path else 'is made at the first run'}, {size(free)} free"
    if free < disk.LEAST_FREE or not has_room:
        quota = (
            "" if free < disk.LEAST_FREE else ", and yet nothing more can be written: a quota, or no inodes are left"
        )
        text = f"{found}{quota}; a study needs at least {size(disk.LEAST_FREE)}"
        yield Finding(HOME, State.FAILED, text, f"free some space on that disk, or {_ELSEWHERE}")
    elif free < FEW_FREE:
        text = f"{found}: enough for a study to begin, and little for what it leaves"
        yield Finding(HOME, State.WARNING, text, f"free some space on that disk, or {_ELSEWHERE}")
    else:
        yield Finding(HOME, State.OK, found)


def look_at_studies(settings: Settings) -> Iterator[Finding]:
    """How large they are, which are not over, and which are not wholly in the record."""
    folders = [StudyFolder(spec.parent) for spec in sorted(_studies(settings).glob("*/spec.json"))]
    taken = sum(status.st_size for status in _files(settings))
    count = "no studies" if not folders else "1 study" if len(folders) == 1 else f"{len(folders)} studies"
    unfinished = [folder for folder in folders if folder.ending is None]
    run = [folder for folder in unfinished if folder.is_locked]
    text = f"{count}, {size(taken)}" if folders else count
    if run:
        text += f"; {_named(run)} {'is' if len(run) == 1 else 'are'} being run"
    yield Finding(STUDIES, State.OK, text)
    left = [folder for folder in unfinished if folder not in run]
    of_service = [folder for folder in left if folder.is_of_a_service]
    own, home = [folder for folder in left if folder not in of_service], _home_option(settings)
    if own:
        remedy = _commands(own, "search-service run --study STUDY" + home)
        yield Finding(STUDIES, State.WARNING, f"not over: {_named(own)}", remedy)
    if of_service:
        text = f"not over, and of a service, which goes on with them by itself: {_named(of_service)}"
        remedy = (
            f"{_commands(of_service, 'search-service resume STUDY')}, where the service says that it was interrupted"
        )
        yield Finding(STUDIES, State.WARNING, text, remedy)
    from search_service import wiring

    over = [StudyFolder(_studies(settings) / study) for study in wiring.unrecorded(settings)]
    # Whoever ran one may just be waiting for the record.
    if unrecorded := [folder for folder in over if not folder.is_locked]:
        text = f"over, and not wholly in the record: {_named(unrecorded)}"
        yield Finding(STUDIES, State.WARNING, text, _commands(unrecorded, "search-service sync STUDY" + home))


def look_at_clock(settings: Settings) -> Iterator[Finding]:
    """Whether time has gone on since the studies' newest file was written."""
    newest, now = max((status.st_mtime for status in _files(settings)), default=None), time.time()
    said = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    if newest is None:
        yield Finding(CLOCK, State.OK, f"{said}; there is no study's file to compare it with")
    elif newest - now > MOST_CLOCK_DIFFERENCE_S:
        text = (
            f"{said}, and a file of a study is from {newest - now:.0f} s later: the clock was set back, or the files "
            "were written by a machine with another one"
        )
        yield Finding(CLOCK, State.WARNING, text, SET_CLOCK)
    else:
        yield Finding(CLOCK, State.OK, f"{said}, after every file of the studies")


def _existing(path: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    while not path.exists():
        path = path.parent
    return path


def _studies(settings: Settings) -> Path:
    return settings.studies


def _files(settings: Settings) -> Iterator[os.stat_result]:
    """The files of all studies; some may go away while one looks."""
    for folder, _, names in os.walk(_studies(settings)):
        for name in names:
            try:
                yield (Path(folder) / name).lstat()
            except FileNotFoundError:
                continue


def _home_option(settings: Settings) -> str:
    """What a command needs to find the same home."""
    return "" if settings.home == Settings().home else f" --home {shlex.quote(str(settings.home))}"


def _named(folders: Sequence[StudyFolder]) -> str:
    names = ", ".join(folder.path.name for folder in folders[:MOST_NAMED])
    return names if len(folders) <= MOST_NAMED else f"{names} and {len(folders) - MOST_NAMED} more"


def _commands(folders: Sequence[StudyFolder], command: str) -> str:
    # No format: a folder's name may have braces.
    commands = "; ".join(command.replace("STUDY", shlex.quote(folder.path.name), 1) for folder in folders[:MOST_NAMED])
    return commands if len(folders) <= MOST_NAMED else f"{commands}; likewise the others"
