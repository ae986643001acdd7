"""The actor beside the driver: what workers ask it for, and what they leave with it.

It runs on the driver's machine, whose disk holds the study's folder, so that no other machine has to see that disk: it
judges trials at their rungs, keeps the checkpoints of cohorts under way, reads what is left of paused ones, and takes
the results of tasks. Ray starts it again if its process dies: rungs and checkpoints are on the disk, and what else it
knew the driver tells it again. It imports no torch.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from search_service.early_stopping.brackets import Brackets
from search_service.folder import layout
from search_service.records.asha_rules import AshaRules
from search_service.runners.checkpoints import Files, read, write

# What workers share is kept for so many pieces of work: a worker may come late to the one before.
MOST_WORK = 2
# More workers than any cluster has.
MOST_WORKERS = 100_000


@dataclass(frozen=True)
class Rungs:
    """How the trials of a round are judged; see ``Brackets``."""

    rules: AshaRules | None
    max_epochs: int
    mode: Literal["max", "min"]
    seed: int
    folder: Path


class Coordinator:
    """Serves the workers of one driver."""

    def __init__(self) -> None:
        self._judges: dict[Path, Brackets] = {}
        self._shared: dict[str, list[Any]] = {}
        self._results: dict[tuple[str, str], bytes] = {}
        self._calls = asyncio.Semaphore(0)
        self._dismissed = False

    def share(self, work: str, rows: list[Any]) -> None:
        """Keep what the workers of a piece of work share: references into Ray's object store."""
        self._shared[work] = rows
        for old in list(self._shared)[:-MOST_WORK]:
            del self._shared[old]

    def shared(self, work: str) -> list[Any] | None:
        """What ``share`` was told; None if that was before this process began: the driver says it again."""
        return self._shared.get(work)

    async def wait(self, seconds: float) -> None:
        """Return when there is something to do, or after some seconds."""
        with contextlib.suppress(TimeoutError):
            if self._dismissed:
                return
            await asyncio.wait_for(self._calls.acquire(), seconds)

    async def call(self, workers: int) -> None:
        """End the waiting of some workers, now or as soon as they wait."""
        for _ in range(workers):
            self._calls.release()

    async def dismiss(self) -> None:
        """End the waiting of all workers for good: the driver has nothing for them any more."""
        self._dismissed = True
        await self.call(MOST_WORKERS)

    def open(self, folder: Path) -> None:
        """A round begins, or goes on: what is known of it is in its folder."""
        self._judges = {known: judge for known, judge in self._judges.items() if known != folder}

    def judge(self, rungs: Rungs, rung: int, scores: Mapping[str, float], beside: Collection[str] = ()) -> set[str]:
        """See ``Brackets.report``."""
        judge = self._judges.get(rungs.folder)
        if judge is None:
            judge = Brackets(
                rungs.rules, max_epochs=rungs.max_epochs, mode=rungs.mode, seed=rungs.seed, folder=rungs.folder
            )
            self._judges = {rungs.folder: judge}
        return judge.report(rung, scores, beside)

    def keep(self, folder: Path, cohort: str, files: Files) -> None:
        """Keep a checkpoint of a cohort of the round in ``folder``, and forget the one before."""
        write(files, folder / layout.CHECKPOINTS / cohort)

    def kept(self, folder: Path, cohort: str) -> Files | None:
        """The latest checkpoint of a cohort, if there is one."""
        return read(folder / layout.CHECKPOINTS / cohort)

    def read(self, path: Path) -> bytes:
        """What is left of a paused cohort."""
        return path.read_bytes()

    def deliver(self, work: str, task: str, result: bytes) -> None:
        """Take the result of a task, until the driver asks for it."""
        self._results[work, task] = result

    def take(self, work: str, task: str) -> bytes | None:
        """Hand the result of a task over; None if it is lost."""
        return self._results.pop((work, task), None)
