"""What Ray Tune calls in a worker: a cohort is trained from rung to rung, a task is done, or the next of them awaited.

A worker imports torch once, which takes seconds, and goes from one piece of work to the next for as long as a study
lasts (Tune's ``reuse_actors``). Tune keeps one worker at most that has nothing to do, so what waits is a Tune trial,
too. What a worker needs beside a cohort or a task it gets from the coordinator, and leaves its results there.
"""

from __future__ import annotations

import json
import pickle
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import ray
from ray import cloudpickle, tune

from search_service.records.round_plan import Resources, RoundPlan
from search_service.records.rounds import TrialStatus
from search_service.runners import checkpoints
from search_service.runners.base import Cohort, CohortReport, MemberReport, Task, TaskTimes, this_process
from search_service.runners.cohort import CohortTraining
from search_service.runners.coordinator import Rungs
from trainables.metrics import METRICS
from trainables.process import device_for, prepare_process
from trainables.records import EpochPoint

# Key of what a worker says in a Tune result, and of what it is to do in a Tune trial's config.
REPORT, TO_DO = "report", "to_do"
# Seconds after which a worker that has nothing to do is given back: somebody else may need its CPU. Its successor
# would take three to twenty of them to start, the latter on a machine that has more to do than it has cores.
IDLE_S = 60.0
# Seconds to wait for what the coordinator has to be told again, and between two looks. The driver says it each second.
SHARED_S, LOOK_S = 60.0, 0.1


@dataclass(frozen=True)
class ToDo:
    """A cohort or a task, for its worker. Tune copies, prints, pickles and hashes configs, which is cheap for bytes.

    Attributes:
        work: The round or the tasks that it is part of.
        name: Of the cohort or the task.
        content: It, pickled.
    """

    work: str
    name: str
    content: bytes

    def __repr__(self) -> str:
        return self.name

    def __deepcopy__(self, memo: dict[int, Any]) -> ToDo:
        """Nothing of it changes."""
        return self

    @classmethod
    def of(cls, work: str, name: str, content: Cohort | PackedTask) -> ToDo:
        """Pack it."""
        # Functions of a test's or a notebook's own module go by value. A cohort has none, and there are many.
        dumps = pickle.dumps if isinstance(content, Cohort) else cloudpickle.dumps
        return cls(work, name, dumps(content))

    def unpack(self) -> Any:
        """The cohort or the task as it was."""
        return pickle.loads(self.content)


@dataclass(frozen=True)
class PackedTask:
    """A task whose rows are shared.

    Attributes:
        task: Without its rows.
        rows: The places of its rows among what is shared.
    """

    task: Task
    rows: tuple[int, ...]


@dataclass(frozen=True)
class Rest:
    """Nothing to do: the worker waits for what comes."""


class _Doing(Protocol):
    """What a worker is at."""

    def step(self) -> dict[str, Any]:
        """Do a part of it; the result says whether it was the last."""
        ...


class Worker(tune.Trainable):
    """Does one piece of work after the other."""

    def setup(
        self, config: dict[str, Any], coordinator: Any, resources: Resources, train: type[CohortTraining]
    ) -> None:
        """Take up the first piece of work."""
        prepare_process()
        self._coordinator, self._train = coordinator, train
        self._device = device_for(resources.gpus_per_trial)
        self._shared: tuple[str, list[Any]] = ("", [])
        self._take(config[TO_DO])

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take up the next one."""
        self._take(new_config[TO_DO])
        return True

    def step(self) -> dict[str, Any]:
        """Do a part of it: train to the next rung, do the task, or wait."""
        return self._doing.step()

    def _take(self, to_do: ToDo | Rest) -> None:
        # What was done before is let go before its successor takes its room.
        self._doing: _Doing = _Waiting(self._coordinator)
        if isinstance(to_do, Rest):
            return
        shared, content = self._rows_of(to_do.work), to_do.unpack()
        if isinstance(content, Cohort):
            plan, dataset = shared
            self._doing = _Training(content, plan, dataset, self._coordinator, self._train, self._device)
        else:
            self._doing = _Errand(to_do, content, shared, self._coordinator)

    def _rows_of(self, work: str) -> list[Any]:
        """What the workers of a piece of work share, from the object store, in place where it can be."""
        if self._shared[0] != work:
            until = time.monotonic() + SHARED_S
            while (references := ray.get(self._coordinator.shared.remote(work))) is None:
                if time.monotonic() > until:
                    raise RuntimeError(f"the driver has not said what the workers of {work} share")
                time.sleep(LOOK_S)
            self._shared = ("", [])
            self._shared = (work, ray.get(references))
        return self._shared[1]


class _Waiting:
    """Nothing to do yet."""

    def __init__(self, coordinator: Any) -> None:
        self._coordinator = coordinator

    def step(self) -> dict[str, Any]:
        ray.get(self._coordinator.wait.remote(IDLE_S))
        return {"done": True}


class _Training:
    """A cohort on its way from rung to rung."""

    def __init__(
        self,
        cohort: Cohort,
        plan: RoundPlan,
        dataset: Any,
        coordinator: Any,
        train: type[CohortTraining],
        device: str,
    ) -> None:
        self._cohort, self._folder, self._coordinator = cohort, plan.folder.absolute(), coordinator
        self._rungs = rungs_of(plan)
        self._training = train(cohort, plan, dataset, self._judge, device=device, read=self._read)
        self._unheard = ""
        # Of a worker that was lost, and maybe before anybody had heard what it was about to say.
        if (files := ray.get(coordinator.kept.remote(self._folder, cohort.cohort_id))) is not None:
            self._training.go_on(files)
            self._unheard = files.get(checkpoints.REPORT, b"").decode()

    def step(self) -> dict[str, Any]:
        if self._unheard:
            said, self._unheard = self._unheard, ""
            return {REPORT: said, "done": False}
        report = self._training.advance()
        said = encode(report)
        if not report.finished:
            # Before anybody hears of the report: whoever pauses the cohort finds it there.
            files = {**self._training.packed(), checkpoints.REPORT: said.encode()}
            ray.get(self._coordinator.keep.remote(self._folder, self._cohort.cohort_id, files))
        return {REPORT: said, "done": report.finished}

    def _judge(self, rung: int, scores: Mapping[str, float]) -> set[str]:
        judged = self._coordinator.judge.remote(self._rungs, rung, dict(scores), self._cohort.beside)
        go_on: set[str] = ray.get(judged)
        return go_on

    def _read(self, path: Path) -> bytes:
        content: bytes = ray.get(self._coordinator.read.remote(path))
        return content


class _Errand:
    """A task."""

    def __init__(self, to_do: ToDo, packed: PackedTask, shared: list[Any], coordinator: Any) -> None:
        self._to_do, self._coordinator = to_do, coordinator
        self._task, self._rows = packed.task, [shared[place] for place in packed.rows]

    def step(self) -> dict[str, Any]:
        began_at, began = time.time(), time.perf_counter()
        try:
            result = (True, self._task.function(*self._rows, **self._task.arguments))
        # Whatever it is, it is the driver's to say, which would see a worker that broke otherwise.
        except Exception as error:
            result = (False, error)
        times = TaskTimes(this_process(), began_at, time.perf_counter() - began)
        delivered = self._coordinator.deliver.remote(self._to_do.work, self._to_do.name, cloudpickle.dumps(result))
        ray.get(delivered)
        return {REPORT: json.dumps(asdict(times)), "done": True}


def rungs_of(plan: RoundPlan) -> Rungs:
    """How the trials of a round are judged."""
    return Rungs(plan.asha, plan.limits.max_epochs, METRICS[plan.metric].mode, plan.seed, plan.folder.absolute())


def encode(report: CohortReport) -> str:
    """A report as text: Tune flattens, copies and writes results, and should see one value."""
    return json.dumps(asdict(report))


def decode(text: str) -> CohortReport:
    """A report as it was before ``encode``."""
    raw = json.loads(text)
    members = tuple(
        MemberReport(
            member["trial_id"],
            tuple(EpochPoint(**point) for point in member["points"]),
            TrialStatus(member["status"]),
            member["reason"],
        )
        for member in raw["members"]
    )
    return CohortReport(raw["cohort_id"], raw["epoch"], members, raw["worker"], raw["seconds"])
