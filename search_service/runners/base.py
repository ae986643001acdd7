"""What every runner is: the protocol, and the records that travel between a cohort and the driver."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from search_service.records.events import Listener
from search_service.records.round_plan import Resources, RoundPlan
from search_service.records.rounds import RoundResult, TrialStatus
from trainables.config import TrialConfig
from trainables.data.dataset import Dataset
from trainables.records import EpochPoint


class Runner(Protocol):
    """Runs rounds. One contract suite (tests/contracts/test_runners.py) holds for all of them."""

    def prepare(self, resources: Resources) -> None:
        """Begin what takes time before the first round, beside whatever else is done; returns at once.

        What goes wrong is said by ``run_round``.

        Args:
            resources: What rounds and tasks will be run with.
        """
        ...

    def run_round(self, plan: RoundPlan, dataset: Dataset, listen: Listener) -> RoundResult:
        """Run a round to its end.

        Args:
            plan: What to try, for how long.
            dataset: Training and validation rows.
            listen: Hears TrialProgressed and TrialFinished as they happen, in this process.

        Raises:
            RunnerError: The runner itself broke; a broken trial is a trial's result.
        """
        ...

    def run_tasks(self, tasks: Sequence[Task], resources: Resources, listen: TaskListener) -> list[Any]:
        """Run what is to be trained outside of rounds, as much of it at once as there is room for.

        Args:
            tasks: What to do.
            resources: What each of them may use.
            listen: Hears of each task when it is done, in this process.

        Returns:
            What each task returned, in the order of ``tasks``.

        Raises:
            RunnerError: The runner itself broke.
            Exception: What a task raised, of the first that did.
        """
        ...

    def close(self) -> None:
        """Stop whatever this runner started."""
        ...


@dataclass(frozen=True)
class Task:
    """A piece of work beside the rounds: a function of a module, which gives the same wherever it is called.

    Attributes:
        name: Unique among the tasks that are run together.
        function: Called with ``rows``, then ``arguments``. It trains with what ``Resources`` says of a trial.
        rows: Large things, such as datasets: workers share them, and those of several tasks that are the same thing.
        arguments: Everything else; small.
        effort: How long it takes, in any unit that the tasks have in common: the longest begin first.
    """

    name: str
    function: Callable[..., Any]
    rows: tuple[Any, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    effort: float = 1.0

    def call(self) -> Any:
        """Do it here."""
        return self.function(*self.rows, **self.arguments)


@dataclass(frozen=True)
class TaskTimes:
    """Who did a task, and when.

    Attributes:
        worker: The process.
        began_at: In seconds since 1970.
        seconds: That it took.
    """

    worker: str
    began_at: float
    seconds: float


# Hears of a task that is done: which, what it returned, and who did it when.
TaskListener = Callable[[Task, Any, TaskTimes], None]


def this_process() -> str:
    """How a worker is called: its machine and its id there."""
    return f"{socket.gethostname()}:{os.getpid()}"


def run_here(tasks: Sequence[Task], listen: TaskListener) -> list[Any]:
    """Run tasks in this process, one after the other; for runners that have no workers."""
    results = []
    for task in tasks:
        began_at, began = time.time(), time.perf_counter()
        results.append(task.call())
        listen(task, results[-1], TaskTimes(this_process(), began_at, time.perf_counter() - began))
    return results


@dataclass(frozen=True)
class Member:
    """One trial of a cohort."""

    trial_id: str
    number: int
    config: TrialConfig
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Cohort:
    """Trials of one structure that are trained as one population.

    Attributes:
        cohort_id: Unique in the round.
        members: Its trials.
        parts: Folders of the paused cohorts of which it is made, in the order of ``members``; none if they begin.
        wave: Of which it is part in a deterministic round, from 0; None elsewhere.
        beside: Trials of the other cohorts of its wave, with which its own are not compared.
    """

    cohort_id: str
    members: tuple[Member, ...]
    parts: tuple[Path, ...] = ()
    wave: int | None = None
    beside: frozenset[str] = frozenset()


@dataclass(frozen=True)
class MemberReport:
    """What happened to one trial since the last report: its new epochs, and how it stands."""

    trial_id: str
    points: tuple[EpochPoint, ...]
    status: TrialStatus
    reason: str = ""


@dataclass(frozen=True)
class CohortReport:
    """One report of a cohort, at a rung or at its end.

    Attributes:
        cohort_id: Unique in the round.
        epoch: That it has reached.
        members: What happened to each that was in training.
        worker: Process that trained it.
        seconds: Seconds of training since its last report.
    """

    cohort_id: str
    epoch: int
    members: tuple[MemberReport, ...]
    worker: str
    seconds: float = 0.0

    @property
    def finished(self) -> bool:
        """Whether no member goes on."""
        return all(member.status is not TrialStatus.RUNNING for member in self.members)
