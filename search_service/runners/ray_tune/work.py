"""What the workers are to do, as the driver sees it: the cohorts of a round, or tasks; handed out one by one."""

from __future__ import annotations

import json
import pickle
import shutil
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

from search_service.errors import RunnerError
from search_service.folder import disk, layout
from search_service.records.round_plan import RoundPlan
from search_service.runners.base import Task, TaskListener, TaskTimes
from search_service.runners.book import RoundBook
from search_service.runners.ray_tune.worker import PackedTask, ToDo, decode
from trainables.data.dataset import Dataset

# Times that Tune restarts what a worker was at that died, and that we have it begin again when Tune has given it up;
# what fails more often fails for a reason. Tune gives up too soon: one death is several errors if several answers of
# the worker were due, and the second one ends a trial that waits for a new worker, however often it may be restarted.
MAX_FAILURES = 2
# Of a worker whose process is gone, and nothing was heard of it.
WHY = "it ended by itself, or for want of memory, which fewer at once take less of (search.max_concurrent_trials)"


class Work(Protocol):
    """Pieces of work that are handed out, reported and, if a worker is lost, handed out again.

    Attributes:
        name: Tells it from other work of the same driver.
    """

    name: str

    @property
    def rows(self) -> Sequence[Any]:
        """What its workers share."""
        ...

    @property
    def is_closed(self) -> bool:
        """Whether ``next`` has nothing any more, and not only nothing yet."""
        ...

    def next(self) -> ToDo | None:
        """The next piece; None if there is none, or none yet."""
        ...

    def report(self, piece: str, said: str) -> bool:
        """Enter what a worker said of a piece; whether it is to be taken from it."""
        ...

    def lost(self, piece: str) -> None:
        """A worker was lost with a piece, more often than Tune begins again by itself."""
        ...


class RoundWork:
    """The cohorts of a round.

    Args:
        name: Of this work.
        plan: The round's plan.
        dataset: Training and validation rows.
        book: Of the round.

    Attributes:
        is_full: Whether a disk is full: then nothing is begun any more, and nothing has failed.
    """

    def __init__(self, name: str, plan: RoundPlan, dataset: Dataset, book: RoundBook) -> None:
        self.name, self.rows, self.is_full = name, (plan, dataset), False
        self._book, self._folder, self._given_up = book, plan.folder, Counter[str]()

    @property
    def is_closed(self) -> bool:
        """See ``Work``."""
        return self.is_full or self._book.is_closed

    def next(self) -> ToDo | None:
        """The next cohort."""
        cohort = None if self.is_full else self._book.next_cohort()
        return None if cohort is None else ToDo.of(self.name, cohort.cohort_id, cohort)

    def report(self, piece: str, said: str) -> bool:
        """Enter a report; a cohort of which little is left is paused, with the checkpoint that its worker has left."""
        report = decode(said)
        self._book.report(report)
        checkpoint = self._folder.absolute() / layout.CHECKPOINTS / piece
        if not self._book.is_to_pause(report):
            if report.finished:
                shutil.rmtree(checkpoint, ignore_errors=True)
            return report.finished
        try:
            self._book.pause(report, checkpoint)
        except OSError as error:
            self._book.fail(piece, f"what was left of its cohort could not be kept: {error}")
        return True

    def lost(self, piece: str) -> None:
        """Have a cohort begin again; it fails if that was so too often."""
        if not disk.has_room(self._folder):
            # It goes on when there is room again.
            self.is_full = True
        elif self._given_up[piece] < MAX_FAILURES:
            self._given_up[piece] += 1
            self._book.begin_again(piece)
        else:
            self._book.fail(piece, f"its worker failed more than {MAX_FAILURES} times: {WHY}")


class TaskWork:
    """Tasks, the longest first.

    Args:
        name: Of this work.
        tasks: What to do.
        listen: Hears of each that is done.
        take: Fetches the result of a task; None if it is lost.
    """

    def __init__(
        self, name: str, tasks: Sequence[Task], listen: TaskListener, take: Callable[[str, str], bytes | None]
    ) -> None:
        self.name, self._listen, self._take = name, listen, take
        self.rows: list[Any] = []
        self._tasks = {task.name: task for task in tasks}
        self._waiting = deque(sorted(self._tasks, key=lambda piece: -self._tasks[piece].effort))
        self._results: dict[str, Any] = {}
        self._error: Exception | None = None
        self._given_up = Counter[str]()
        self._packed = {task.name: self._pack(task) for task in tasks}

    def _pack(self, task: Task) -> PackedTask:
        places = []
        for row in task.rows:
            place = next((place for place, known in enumerate(self.rows) if known is row), len(self.rows))
            if place == len(self.rows):
                self.rows.append(row)
            places.append(place)
        return PackedTask(replace(task, rows=()), tuple(places))

    @property
    def is_closed(self) -> bool:
        """See ``Work``."""
        return not self._waiting

    @property
    def results(self) -> list[Any]:
        """What the tasks returned, in their order.

        Raises:
            Exception: What a task raised, of the first that did.
        """
        if self._error is not None:
            raise self._error
        return [self._results[piece] for piece in self._tasks]

    def next(self) -> ToDo | None:
        """The next task."""
        if not self._waiting:
            return None
        piece = self._waiting.popleft()
        return ToDo.of(self.name, piece, self._packed[piece])

    def report(self, piece: str, said: str) -> bool:
        """Fetch the result of a task that is done; after one that went wrong, no other is begun."""
        if piece in self._results:
            return True
        content = self._take(self.name, piece)
        if content is None:
            self.lost(piece)
            return True
        went_well, result = pickle.loads(content)
        if not went_well:
            self._error = self._error or result
            self._waiting.clear()
            return True
        self._results[piece] = result
        self._listen(self._tasks[piece], result, TaskTimes(**json.loads(said)))
        return True

    def lost(self, piece: str) -> None:
        """Have a task begin again.

        Raises:
            RunnerError: That was so too often.
        """
        if self._given_up[piece] >= MAX_FAILURES:
            raise RunnerError(f"{piece}: its worker failed more than {MAX_FAILURES} times: {WHY}")
        self._given_up[piece] += 1
        self._waiting.append(piece)
