"""Cohorts of which little is left, and who goes on with whom: kept by the book of a round, for every runner."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from search_service.runners.base import Cohort, Member
from trainables.records import EpochPoint

# Groups of paused cohorts at most: what a round that is to end has still to train.
MOST_WAITING = 4


@dataclass(frozen=True)
class Training:
    """How long a trial under way has been trained.

    Attributes:
        began_at: Start of its first epoch, in seconds since 1970.
        seconds: Seconds by the epoch of the report that said so: one that is repeated after a restart counts once.
    """

    began_at: float
    seconds: dict[int, float]

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Training:
        """Read it from a journal, whose keys are text."""
        return cls(raw["began_at"], {int(epoch): seconds for epoch, seconds in raw["seconds"].items()})


@dataclass(frozen=True)
class Part:
    """A paused cohort: who is left of it, where it was saved, and what is known of them in another process."""

    cohort_id: str
    epoch: int
    members: tuple[Member, ...]
    folder: Path
    curves: Mapping[str, Sequence[EpochPoint]] = field(default_factory=dict)
    times: Mapping[str, Training] = field(default_factory=dict)


# Epoch and structure: whoever shares them can go on together.
Group = tuple[int, tuple[Any, ...]]


def _group(part: Part) -> Group:
    return part.epoch, part.members[0].config.structure


class Paused:
    """Cohorts that wait to go on together with others.

    They go on once there are enough of one structure and epoch to fill three quarters of what such a cohort holds, and
    in any case when there is nothing new to try. Those that are furthest come first: they end soonest.

    Args:
        folder: The folder of what was saved of them.

    Attributes:
        leaving: Cohorts that are being saved.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.leaving: set[str] = set()
        self._rooms: dict[tuple[Any, ...], int] = {}
        self._waiting: list[Part] = []
        # merged cohort -> what it is made of, which is needed until it ends: its worker may be lost.
        self._under_way: dict[str, tuple[Path, ...]] = {}

    def __bool__(self) -> bool:
        """Whether any wait, or will."""
        return bool(self._waiting or self.leaving)

    def expect(self, cohort: Cohort) -> None:
        """A new cohort begins: this many a population of its structure holds."""
        structure = cohort.members[0].config.structure
        self._rooms[structure] = max(self._rooms.get(structure, 0), len(cohort.members))

    def has_use_for(self, structure: tuple[Any, ...], epoch: int, members: int) -> bool:
        """Whether so many would leave half a population empty, and may wait."""
        known = {_group(part) for part in self._waiting}
        return 2 * members <= self._rooms[structure] and len(known | {(epoch, structure)}) <= MOST_WAITING

    def folder_of(self, cohort_id: str) -> Path:
        """Where what is left of a cohort lies, or would."""
        return self._folder / cohort_id

    def keep(self, cohort_id: str, epoch: int, members: tuple[Member, ...], saved: Path) -> Part:
        """Take over what was saved of a cohort; ``put`` is due then."""
        folder = self.folder_of(cohort_id)
        folder.parent.mkdir(exist_ok=True)
        # Of a process that was killed before it could say so.
        shutil.rmtree(folder, ignore_errors=True)
        saved.replace(folder)
        return Part(cohort_id, epoch, members, folder)

    def put(self, part: Part) -> None:
        """A cohort waits from now on."""
        self._waiting.append(part)
        self.end(part.cohort_id)

    def take(self, *, full: bool) -> list[Part] | None:
        """The parts of the next cohort, if there is one.

        Args:
            full: Only if it is.
        """
        groups: dict[Group, list[Part]] = {}
        for part in self._waiting:
            groups.setdefault(_group(part), []).append(part)
        for (_, structure), group in sorted(groups.items(), key=lambda item: -item[0][0]):
            room, members = self._rooms[structure], 0
            chosen: list[Part] = []
            for part in group:
                if chosen and members + len(part.members) > room:
                    break
                chosen.append(part)
                members += len(part.members)
            if not full or 4 * members >= 3 * room or len(chosen) < len(group):
                self._waiting = [part for part in self._waiting if part not in chosen]
                return chosen
        return None

    def begin(self, cohort: Cohort) -> None:
        """A cohort made of them begins."""
        self._under_way[cohort.cohort_id] = cohort.parts

    def end(self, cohort_id: str) -> None:
        """A cohort has ended, or its rest has been paused: what it was made of is not needed any more."""
        self.leaving.discard(cohort_id)
        for folder in self._under_way.pop(cohort_id, ()):
            shutil.rmtree(folder, ignore_errors=True)

    def forget(self) -> None:
        """Nothing waits, and nothing is kept."""
        shutil.rmtree(self._folder, ignore_errors=True)
