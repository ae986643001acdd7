"""The runner of rounds on a Ray cluster, its own or an existing one."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import ray
import torch
from ray import tune
from ray.tune.error import TuneError

from search_service.errors import RunnerError
from search_service.folder import disk, layout
from search_service.records.events import Listener
from search_service.records.round_plan import Resources, RoundPlan
from search_service.records.rounds import RoundResult
from search_service.runners.base import Task, TaskListener
from search_service.runners.book import RoundBook
from search_service.runners.cohort import CohortTraining
from search_service.runners.local_ray import LocalRay
from search_service.runners.ray_tune import starting
from search_service.runners.ray_tune.cluster import (
    LostRayError,
    Room,
    require_able_nodes,
    require_in_use,
    require_listener,
    slots_of,
)
from search_service.runners.ray_tune.experiment import Experiment
from search_service.runners.ray_tune.work import RoundWork, TaskWork, Work
from search_service.runners.registry import RAY_REPORT_S
from search_service.runners.sizing import CohortSizes, MeasuredSizes
from trainables.data.dataset import Dataset

_log = logging.getLogger(__name__)
# Times that a round starts Ray again; the same reason.
MOST_RESTARTS = 3
_T = TypeVar("_T")
# Seconds between two looks at Ray's processes while no round runs: the GCS may be away for 60 before the process ends.
WATCH_S = 1.0


class RayTuneRunner:
    """Runs rounds on a Ray cluster, its own or an existing one.

    Args:
        address: ``None`` starts Ray on this machine and ``close`` stops it; so does ``local``, at once. ``auto`` or an
            address joins a cluster.
        num_cpus: CPUs of a Ray that is started here; default: all.
        train: How a worker trains a cohort; bench/scaling.py lets it sleep.
    """

    def __init__(
        self, address: str | None = None, num_cpus: int | None = None, train: type[CohortTraining] = CohortTraining
    ) -> None:
        self._address = None if address == "local" else address
        self._num_cpus, self._train = num_cpus, train
        self._started = False
        # Of the Ray that was started here. Whoever starts or stops it holds the lock, and a round does for its time.
        self._local: LocalRay | None = None
        self._lock = threading.RLock()
        # Tuners whose Ray has died: they give back what they had when they are deleted, which takes a Ray that answers.
        self._left: list[tune.Tuner] = []
        self._experiment: Experiment | None = None
        self._works = 0
        self._measured = MeasuredSizes()
        self._preparing: threading.Thread | None = None
        self._ready, self._closed = threading.Event(), threading.Event()
        if address is not None:
            # A cluster that is not there should say so before step 1, not after step 3.
            self._start()

    def prepare(self, resources: Resources) -> None:
        """Start Ray, which takes some seconds, and workers, which take some more."""
        if self._preparing is None:
            self._start_beside(resources)

    def _start_beside(self, resources: Resources | None) -> None:
        """Start Ray in a thread of its own, and workers with what they are to have."""
        self._preparing = threading.Thread(target=self._prepare, args=(resources,), name="Ray's start", daemon=True)
        self._preparing.start()

    def _prepare(self, resources: Resources | None) -> None:
        try:
            self._start()
            if resources is not None:
                self._have_experiment(resources)
        except (RunnerError, ray.exceptions.RayError):
            # It goes wrong again in the round, which says so.
            pass
        finally:
            self._ready.set()
        # Linux ends Ray's processes with the thread that started them (PR_SET_PDEATHSIG), so that this one stays.
        while not self._closed.wait(WATCH_S):
            with self._lock:
                if self._lost is not None:
                    self._shut_down()

    def _prepared(self) -> None:
        """Wait until what was begun is done."""
        if self._preparing is not None:
            self._ready.wait()

    def run_round(self, plan: RoundPlan, dataset: Dataset, listen: Listener) -> RoundResult:
        """See ``Runner.run_round``."""
        go_on = f"What was finished is kept: go on with search-service run --study {plan.folder.parent.name}"
        return self._on_ray(plan.resources, "round", go_on, lambda: self._run_round(plan, dataset, listen))

    def run_tasks(self, tasks: Sequence[Task], resources: Resources, listen: TaskListener) -> list[Any]:
        """See ``Runner.run_tasks``."""
        return self._on_ray(resources, "step", "Run it again", lambda: self._run_tasks(tasks, resources, listen))

    def _on_ray(self, resources: Resources, what: str, go_on: str, run: Callable[[], _T]) -> _T:
        """Run something on a Ray that is started again where it dies."""
        self._prepared()
        with self._lock:
            for _ in range(MOST_RESTARTS):
                self._have_ray()
                self._left.clear()
                try:
                    return run()
                except (LostRayError, ray.exceptions.RayError) as error:
                    if (lost := self._lost) is None:
                        raise RunnerError(f"Ray broke: {error}") from error
                    self._say_lost(lost)
                    self._shut_down()
            often = "often the system ends it for want of memory"
            raise RunnerError(f"Ray has died {MOST_RESTARTS} times in one {what}; {often}. {go_on}")

    def _run_round(self, plan: RoundPlan, dataset: Dataset, listen: Listener) -> RoundResult:
        book = RoundBook(plan, self._sizes(plan, dataset), listen)
        if book.has_ended:
            return book.result()
        # Measuring may have taken seconds, and whoever places or stores something without a raylet is ended by Ray.
        self._require_ray()
        experiment = self._have_experiment(plan.resources)
        # Of an earlier process: what it had not finished begins again.
        shutil.rmtree(plan.folder / layout.CHECKPOINTS, ignore_errors=True)
        ray.get(experiment.coordinator.open.remote(plan.folder.absolute()))
        work = RoundWork(self._next_name(), plan, dataset, book)
        self._do(experiment, work, plan.resources, plan.folder)
        shutil.rmtree(plan.folder / layout.CHECKPOINTS, ignore_errors=True)
        if work.is_full:
            raise disk.paused(plan.folder.parent)
        return book.result()

    def _run_tasks(self, tasks: Sequence[Task], resources: Resources, listen: TaskListener) -> list[Any]:
        self._slots(resources)
        experiment = self._have_experiment(resources)
        work = TaskWork(self._next_name(), tasks, listen, experiment.take)
        self._do(experiment, work, resources, None)
        return work.results

    def _do(self, experiment: Experiment, work: Work, resources: Resources, folder: Path | None) -> None:
        """Have the workers do a work."""
        try:
            self._to_its_end(experiment, work, resources)
        except (EOFError, OSError, TuneError) as error:
            self._require_ray()
            if folder is not None and (disk.is_full(error) or not disk.has_room(folder)):
                raise disk.paused(folder.parent) from error
            raise RunnerError(f"Ray Tune ended by itself: {error}") from error

    def _to_its_end(self, experiment: Experiment, work: Work, resources: Resources) -> None:
        try:
            experiment.do(work, resources.max_concurrent_trials)
        except BaseException:
            # Whatever it was, workers are still at it.
            self.release()
            raise

    def _next_name(self) -> str:
        """A name that no other work of this runner has."""
        self._works += 1
        return f"work-{self._works}"

    def _have_experiment(self, resources: Resources) -> Experiment:
        """Workers for what is to be run: those that there are, if they have the resources."""
        with self._lock:
            now = self._experiment
            of_workers = replace(resources, max_concurrent_trials=None)
            if now is not None and now.is_alive and now.resources == of_workers:
                return now
            self.release()
            room = Room(of_workers, may_change=self._local is None)
            most = resources.max_concurrent_trials
            self._experiment = Experiment(of_workers, most, self._train, room, self._require_ray)
            return self._experiment

    def release(self) -> None:
        """Give the workers back to the cluster; the next round starts others."""
        with self._lock:
            experiment, self._experiment = self._experiment, None
            if experiment is not None:
                lost = self._lost is not None
                if (left := experiment.end(ray_is_lost=lost)) is not None:
                    self._left.append(left)

    def close(self) -> None:
        """Stop Ray if this runner started it, or leave the cluster."""
        self._prepared()
        with self._lock:
            self._shut_down()
        self._closed.set()

    @property
    def _lost(self) -> str | None:
        """Which process of its own Ray has died; None if all is well, or the Ray is somebody else's."""
        return self._local.lost if self._local is not None else None

    def _require_ray(self) -> None:
        """See to it that a round does not go on without Ray.

        Raises:
            LostRayError: One of the processes that it needs is gone.
        """
        if (lost := self._lost) is not None:
            raise LostRayError(lost)

    def _say_lost(self, process: str) -> None:
        _log.warning(
            "Ray's %s has died, and Ray with it. It is started again, and the round goes on: what was finished is "
            "kept.",
            process,
        )

    def _have_ray(self) -> None:
        """See to it that Ray runs; again, if what was started has died meanwhile."""
        if (lost := self._lost) is not None:
            self._say_lost(lost)
            self._shut_down()
        if self._preparing is not None and not ray.is_initialized():
            # In a thread of its own, as the first time: in the main thread Ray takes the signals for itself.
            self._ready.clear()
            self._start_beside(None)
            self._prepared()
        self._start()

    def _shut_down(self) -> None:
        self.release()
        if self._started:
            ray.shutdown()
            self._started = False
        if self._local is not None:
            self._local.end()
            self._local = None

    def _start(self) -> None:
        if self._started and ray.is_initialized():
            return
        try:
            if self._address not in (None, "auto"):
                require_listener(self._address)
                require_in_use(self._address)
            if ray.is_initialized():
                return
            starting.start(self._address, self._num_cpus)
        # Ray raises bare exceptions where one of its processes dies while it starts.
        except Exception as error:
            where = f"at {self._address}" if self._address else "on this machine"
            fix = "; is it running (ray start --head)? Without an address Ray is started here" if self._address else ""
            raise RunnerError(f"Ray cannot be reached or started {where}: {error}{fix}") from error
        self._started = True
        if self._address is None:
            self._local = LocalRay()
            return
        try:
            require_able_nodes()
        except BaseException:
            self._shut_down()
            raise

    def _sizes(self, plan: RoundPlan, dataset: Dataset) -> CohortSizes:
        """How many members cohorts have: measured here, on this machine's device, where that is to be measured.

        Raises:
            RunnerError: The cluster has GPUs and this machine none.
        """
        if plan.population_size == "auto" and plan.resources.gpus_per_trial > 0 and not torch.cuda.is_available():
            raise RunnerError(
                "search.population_size: auto measures on this machine's GPU, and it has none; write a number, "
                "such as 64"
            )
        slots = self._slots(plan.resources)
        return CohortSizes(plan, dataset, self._measured, slots=slots, report_s=RAY_REPORT_S)

    def _slots(self, resources: Resources) -> int:
        """Cohorts that train at once: as many as asked for, else as many as the cluster holds."""
        if resources.max_concurrent_trials is not None:
            return resources.max_concurrent_trials
        slots = slots_of(resources)
        if slots < 1:
            total = ray.cluster_resources()
            raise RunnerError(
                f"no node has room for a trial of {resources.cpus_per_trial:g} CPUs and "
                f"{resources.gpus_per_trial:g} GPUs: the cluster has {total.get('CPU', 0):g} and "
                f"{total.get('GPU', 0):g}; lower search.cpus_per_trial or search.gpus_per_trial"
            )
        return slots
