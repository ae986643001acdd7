"""A study's folder: what is finished there is read and not done again, in whatever process.

spec.json       what was asked
addresses.json  what is secret of its tables' addresses, until it is over (private_addresses.py)
study.json      the table's fingerprint and the libraries' versions, as it began
extensions.json what it goes on from, if an earlier study was given more (extending.py)
elapsed.json    seconds that processes have worked on it
done/           results of finished parts: step-1.json, step-3-cycle-1.json, decision-1.json, finalists.json
round-N/        journals of a round (runners/book.py)
ended.json      there once the study is over for good: completed, or a check failed
recorded.json   there once all of that is in the record, too
study.lock      held by the process that works on it
"""

from __future__ import annotations

import difflib
import fcntl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout
from pydantic import TypeAdapter, ValidationError

from search_service.errors import DataError, Problem, StudyBusyError
from search_service.folder import journals, layout, private_addresses

# What a study is called in messages.
OPTION = "--study"
# Seconds between two notes of the time spent: at most so much is forgotten by a kill.
NOTE_EVERY_S = 1.0
# Seconds to wait for a study's lock: who only looks whether somebody works on it has it for a moment.
LOOK_S = 0.3

_WITHOUT_BEGINNING = "remove it: the study goes on, and whether the table is still the same is not looked at"
_SPEC_ELSEWHERE = "bring it back from a backup, or from MLflow, where the study's run has it as spec.json"

T = TypeVar("T")
# How results are read and written, by their kind: to work that out takes longer than to do it.
_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}


@dataclass(frozen=True)
class Beginning:
    """What a study's results depend on beside its spec.

    Attributes:
        study_id: Its name.
        fingerprint: The table's fingerprint.
        versions: The libraries' versions, by name.
        rules: Of the rules by which ``auto`` decides how columns are prepared, the edition: 1 in studies of earlier
            versions.
        notes: What was said of the table and of what the config left to it; none in studies of earlier versions.
    """

    study_id: str
    fingerprint: str
    versions: Mapping[str, str]
    rules: int = 1
    notes: Sequence[str] = ()


class StudyFolder:
    """The files of one study.

    Args:
        path: The folder, which exists.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._noted = -NOTE_EVERY_S

    @property
    def is_of_a_service(self) -> bool:
        """Whether a service has run it: what its jobs print is kept there."""
        return any(self.path.glob(f"{self.path.name}-*.log"))

    @property
    def beginning(self) -> Beginning | None:
        """How the study began; None if nobody has worked on it."""
        found = journals.read_whole(self.path / layout.BEGINNING, remedy=_WITHOUT_BEGINNING)
        return None if found is None else Beginning(**found)

    def begin(self, beginning: Beginning) -> None:
        """Write down how the study begins, once."""
        if self.beginning is None:
            journals.write_whole(self.path / layout.BEGINNING, asdict(beginning))

    @property
    def seconds(self) -> float:
        """Time that earlier processes have spent on it."""
        found = journals.read_whole(self.path / layout.ELAPSED, rebuild=True)
        return 0.0 if found is None else float(found["seconds"])

    def note_seconds(self, seconds: float, *, at_once: bool = False) -> None:
        """Write down the time spent; unless it is to be ``at_once``, not if that was done just now."""
        if at_once or time.monotonic() - self._noted >= NOTE_EVERY_S:
            self._noted = time.monotonic()
            journals.write_whole(self.path / layout.ELAPSED, {"seconds": round(seconds, 3)}, durable=at_once)

    @property
    def ending(self) -> str | None:
        """How the study ended for good, in words; None if it has not."""
        found = journals.read_whole(self.path / layout.ENDING, rebuild=True)
        return None if found is None else f"{found['status']}: {found['reason']}"

    def end(self, status: str, reason: str) -> None:
        """Write down that there is nothing left to do; nobody needs what is secret of an address any more."""
        journals.write_whole(self.path / layout.ENDING, {"status": str(status), "reason": reason})
        private_addresses.forget(self.path)

    @property
    def is_recorded(self) -> bool:
        """Whether the record has everything of a study that is over."""
        return (self.path / layout.RECORDED).exists()

    def note_recorded(self, where: str) -> None:
        """Write down that the record has everything.

        Args:
            where: The record, as others may see it.
        """
        journals.write_whole(self.path / layout.RECORDED, {"record": where})

    def once(
        self, name: str, kind: type[T], do: Callable[[], T], is_whole: Callable[[T], bool] = lambda result: True
    ) -> T:
        """The result of a part: read if it was finished before, else done now and written down.

        Args:
            name: Name of the part, unique in the study.
            kind: The result's type, a dataclass.
            do: Does it.
            is_whole: Whether the files that a result names are still what they were; else it is done again.

        Raises:
            DataError: What was written cannot be read any more.
        """
        found = self.read(name, kind)
        if found is not None and is_whole(found):
            return found
        result = do()
        self.write(name, kind, result)
        return result

    def read(self, name: str, kind: type[T]) -> T | None:
        """The result of a part; None if it was not finished.

        Raises:
            DataError: What was written cannot be read any more.
        """
        path = self.path / layout.DONE / f"{name}.json"
        found = journals.read_whole(path, rebuild=True)
        if found is None:
            return None
        try:
            return _adapter_of(kind).validate_python(found)
        except ValidationError as error:
            rule = f"a result that this version can read ({error.error_count()} values do not fit)"
            raise DataError([Problem(str(path), name, rule, "start a new study")]) from error

    def write(self, name: str, kind: type[T], result: T) -> None:
        """Write the result of a part down."""
        path = self.path / layout.DONE / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        # What is not set in a trial's configuration is left out: its defaults depend on its choices.
        journals.write_whole(path, _adapter_of(kind).dump_python(result, mode="json", exclude_unset=True))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes out; a process that dies lets go by itself.

        Raises:
            StudyBusyError: Another process has it.
        """
        lock = FileLock(self.path / layout.LOCK)
        try:
            lock.acquire(timeout=LOOK_S)
        except Timeout as error:
            rule, fix = "a study that no other process is running", "wait for that process, or stop it"
            raise StudyBusyError(str(Problem(OPTION, self.path.name, rule, fix))) from error
        try:
            yield
        finally:
            lock.release()

    @property
    def is_locked(self) -> bool:
        """Whether a process works on it. Looking makes no file and takes no right to write: it may be another's."""
        try:
            with (self.path / layout.LOCK).open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except FileNotFoundError:
            pass
        return False


def find(studies: Path, study_id: str, *, named: str = "STUDY") -> StudyFolder:
    """The folder of a study.

    Args:
        studies: Where studies are.
        study_id: The study's id.
        named: Where the id was given, for the message.

    Raises:
        DataError: There is none.
    """
    folder = studies / study_id
    # A name and no path: nothing outside is opened.
    if Path(study_id).name != study_id or not (folder / layout.SPEC).is_file():
        rule = f"a study under {studies}"
        raise DataError([Problem(named, study_id, rule, meant(studies, study_id) or "check the id, or --home")])
    return StudyFolder(folder)


def meant(studies: Path, study_id: str) -> str:
    """Which study may be meant by an id that none has, in words; empty if none is like it.

    Args:
        studies: Where studies are.
        study_id: A study's name, or another part of an id from its beginning; or an id that is misspelt.
    """
    # In one name's ids the time comes next, so that the last of them is the newest.
    ids = sorted(path.parent.name for path in studies.glob(f"*/{layout.SPEC}"))
    begun = [known for known in ids if study_id and known.startswith(study_id)]
    if len(begun) > 1:
        return f"give the whole id: {len(begun)} begin so, the last of which is {begun[-1]}"
    close = begun or difflib.get_close_matches(study_id, ids, n=1, cutoff=0.8)
    return f"did you mean {close[0]}?" if close else ""


def newest(studies: Path) -> StudyFolder | None:
    """The folder of the study that was asked for last; None if there is none."""
    specs = studies.glob(f"*/{layout.SPEC}")
    latest = max(specs, key=lambda path: path.stat().st_mtime, default=None)
    return None if latest is None else StudyFolder(latest.parent)


def load_spec(folder: StudyFolder) -> Any:
    """What was asked, as plain data for ``spec.parse``."""
    return journals.read_whole(folder.path / layout.SPEC, remedy=_SPEC_ELSEWHERE)


def _adapter_of(kind: type[T]) -> TypeAdapter[T]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]
