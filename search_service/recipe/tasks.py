"""What the recipe has trained beside its rounds: as tasks of the runner, each once, whatever becomes of the process.

Populations are cut into pieces that workers train at the same time. How is settled by the networks' size alone, and not
by how many workers there are: a study gives the same on one worker as on sixteen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from search_service.folder import layout
from search_service.folder.study_folder import StudyFolder
from search_service.runners.base import Task, TaskListener, TaskTimes
from trainables import checkpoint
from trainables.config import TrialConfig
from trainables.data.dataset import Dataset
from trainables.network import count_parameters

# How tasks are run: ``runners.base.run_here``, or a runner's ``run_tasks`` with the study's resources.
RunTasks = Callable[[Sequence[Task], TaskListener], list[Any]]

# What a step of a population takes on one core that does not depend on its size, in seconds, and how many
# multiplications and additions such a core does in one (docs/performance/steps.md). A piece has members for four times
# the first: a fifth of its time is no training.
STEP_S, WORK_PER_S = 2e-4, 4e10
# Forward, backward by inputs and by weights: each a multiplication and an addition per parameter and row.
WORK_PER_PARAMETER = 6

T = TypeVar("T")


@dataclass(frozen=True)
class Trained:
    """What a task returns that trains networks.

    Attributes:
        record: What was seen, a dataclass of plain data.
        network: The population, as ``checkpoint.packed`` gives it; None where nobody needs it.
    """

    record: Any
    network: bytes | None = None


def members_per_task(config: TrialConfig, dataset: Dataset) -> int:
    """Networks of one shape that one worker should train as one population."""
    return max(1, math.ceil(4 * STEP_S * WORK_PER_S / _of_step(config, dataset)[1]))


def pieces_of(configs: Sequence[TrialConfig], dataset: Dataset) -> list[Sequence[TrialConfig]]:
    """Configurations of one shape, as many at a time as one worker should train."""
    size = members_per_task(configs[0], dataset)
    return [configs[first : first + size] for first in range(0, len(configs), size)]


def effort(configs: Sequence[TrialConfig], dataset: Dataset, epochs: int) -> float:
    """About how many seconds a population takes on one core."""
    steps = epochs * len(dataset.train) / _of_step(configs[0], dataset)[0]
    return steps * seconds_per_step(configs[0], len(configs), dataset)


def seconds_per_step(config: TrialConfig, members: int, dataset: Dataset) -> float:
    """About how many seconds a step of a population takes on one core."""
    return STEP_S + members * _of_step(config, dataset)[1] / WORK_PER_S


def _of_step(config: TrialConfig, dataset: Dataset) -> tuple[int, int]:
    """Rows of a step, and the multiplications and additions of one network in it."""
    rows = len(dataset.train) if config.batch_size == "full" else min(config.batch_size, len(dataset.train))
    return rows, WORK_PER_PARAMETER * rows * count_parameters(config.network, dataset.n_inputs, dataset.n_outputs)


class Beside:
    """Tasks that are run beside those that come first, whatever these are: what they return is wanted at the end.

    Args:
        run_tasks: Runs all of them.
        tasks: They wait for company.
    """

    def __init__(self, run_tasks: RunTasks, tasks: Sequence[Task]) -> None:
        self._run_tasks, self._tasks = run_tasks, list(tasks)
        self._results: list[Any] = []

    def run(self, tasks: Sequence[Task], listen: TaskListener) -> list[Any]:
        """Run tasks, and with the first of them those that wait."""
        waiting, self._tasks = self._tasks, []
        own = {task.name for task in waiting}

        def hear(task: Task, result: Any, times: TaskTimes) -> None:
            if task.name not in own:
                listen(task, result, times)

        results = self._run_tasks([*tasks, *waiting], hear)
        self._results += results[len(tasks) :]
        return results[: len(tasks)]

    def results(self) -> list[Any]:
        """What those that waited returned, in their order; they are run now if nothing else was."""
        if self._tasks:
            self.run([], nobody)
        return self._results


def nobody(task: Task, result: Any, times: TaskTimes) -> None:
    """Who hears of tasks where nobody does."""


def run_once(tasks: Sequence[Task], kind: type[T], folder: Path, run_tasks: RunTasks) -> list[tuple[T, bytes | None]]:
    """Run the tasks that an earlier process has not finished, and write down what each returns as soon as it does.

    Args:
        tasks: They return ``Trained``; their names are unique in the study.
        kind: What their records are.
        folder: The study's folder.
        run_tasks: Runs them.

    Returns:
        Record and network of each task, in their order.
    """
    files, networks = StudyFolder(folder), folder / layout.NETWORKS
    done: dict[str, tuple[T, bytes | None]] = {}
    for task in tasks:
        path = networks / f"{task.name}.pt"
        record = files.read(task.name, kind)
        # Which of them has a network is known once it was run.
        if record is not None and path.exists() and (path.stat().st_size == 0 or checkpoint.is_whole(path)):
            done[task.name] = record, path.read_bytes() or None

    def keep(task: Task, result: Trained, times: TaskTimes) -> None:
        networks.mkdir(exist_ok=True)
        # The network first: what is written down is there.
        (networks / f"{task.name}.pt").write_bytes(result.network or b"")
        files.write(task.name, kind, result.record)
        done[task.name] = result.record, result.network

    run_tasks([task for task in tasks if task.name not in done], keep)
    return [done[task.name] for task in tasks]
