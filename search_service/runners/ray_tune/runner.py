"""The runner of rounds on a Ray cluster, its own or an existing one."""

from __future__ import annotations

import contextlib
import gc
import logging
import shutil
import threading
from typing import Any

import ray
import torch
from ray import tune
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from search_service.early_stopping.brackets import Brackets
from search_service.errors import RunnerError
from search_service.folder import disk
from search_service.records.events import Listener
from search_service.records.round_plan import Resources, RoundPlan
from search_service.records.rounds import RoundResult
from search_service.runners.book import RoundBook
from search_service.runners.cohort import CohortTraining
from search_service.runners.local_ray import LocalRay
from search_service.runners.ray_tune.cluster import require_in_use, require_listener
from search_service.runners.ray_tune.tune_side import (
    MAX_FAILURES,
    CohortSearcher,
    LatestCheckpoint,
    LostRayError,
    Pausing,
    Scheduler,
)
from search_service.runners.ray_tune.worker import CohortTrainable
from search_service.runners.registry import RAY_REPORT_S
from search_service.runners.sizing import CohortSizes, MeasuredSizes
from trainables.data.dataset import Dataset
from trainables.metrics import METRICS

_log = logging.getLogger(__name__)
# Times that a round starts Ray again; the same reason.
MOST_RESTARTS = 3
# Seconds between two looks at Ray's processes while no round runs: the GCS may be away for 60 before the process ends.
WATCH_S = 1.0


class RayTuneRunner:
    """Runs rounds on a Ray cluster, its own or an existing one.

    Args:
        address: ``None`` starts Ray on this machine and ``close`` stops it; ``auto`` or an address joins a cluster.
        num_cpus: CPUs of a Ray that is started here; default: all.
        train: How a worker trains a cohort; bench/scaling.py lets it sleep.
    """

    def __init__(
        self, address: str | None = None, num_cpus: int | None = None, train: type[CohortTraining] = CohortTraining
    ) -> None:
        self._address, self._num_cpus, self._train = address, num_cpus, train
        self._started = False
        # Of the Ray that was started here. Whoever starts or stops it holds the lock, and a round does for its time.
        self._local: LocalRay | None = None
        self._lock = threading.RLock()
        # Tuners whose Ray has died: they give back what they had when they are deleted, which takes a Ray that answers.
        self._left: list[tune.Tuner] = []
        # The rows of the study in the object store, and which they are.
        self._stored: tuple[Dataset, Any] | None = None
        self._measured = MeasuredSizes()
        self._preparing: threading.Thread | None = None
        self._ready, self._closed = threading.Event(), threading.Event()
        if address is not None:
            # A cluster that is not there should say so before step 1, not after step 3.
            self._start()

    def prepare(self) -> None:
        """Start Ray, which takes some seconds."""
        if self._preparing is None:
            self._preparing = threading.Thread(target=self._prepare, name="Ray's start", daemon=True)
            self._preparing.start()

    def _prepare(self) -> None:
        try:
            self._start()
        except RunnerError:
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
        self._prepared()
        with self._lock:
            for _ in range(MOST_RESTARTS):
                self._have_ray()
                self._left.clear()
                try:
                    return self._run_round(plan, dataset, listen)
                except (LostRayError, ray.exceptions.RayError) as error:
                    if (lost := self._lost) is None:
                        raise RunnerError(f"Ray broke: {error}") from error
                    self._say_lost(lost)
                    self._shut_down()
            raise RunnerError(
                f"Ray has died {MOST_RESTARTS} times in one round; often the system ends it for want of memory. What "
                f"was finished is kept: go on with search-service run --study {plan.folder.parent.name}"
            )

    def _run_round(self, plan: RoundPlan, dataset: Dataset, listen: Listener) -> RoundResult:
        book = RoundBook(plan, self._sizes(plan, dataset), listen)
        if book.has_ended:
            return book.result()
        # Measuring may have taken seconds, and whoever places or stores something without a raylet is ended by Ray.
        self._require_ray()
        searcher, paused = CohortSearcher(book, plan.folder, self._require_ray), Pausing(book)
        halving = _judge_of(plan)
        tuner = self._tuner(plan, dataset, halving, searcher, paused)
        try:
            tuner.fit()
        except (ray.exceptions.RayError, EOFError, OSError) as error:
            self._require_ray()
            if disk.is_full(error) or not disk.has_room(plan.folder):
                raise disk.paused(plan.folder.parent) from error
            raise RunnerError(f"Ray Tune ended by itself: {error}") from error
        finally:
            if self._lost is None:
                with contextlib.suppress(ray.exceptions.RayError):
                    ray.kill(halving)
                # Tune gives back the last trials' placement groups, and with them their CPUs, when its controller is
                # deleted; that one is part of a reference cycle, and the next round would run with fewer workers.
                del tuner
                gc.collect()
            else:
                # It would ask what is left of Ray, and wait for an answer until the process is ended.
                self._left.append(tuner)
        if searcher.is_full:
            raise disk.paused(plan.folder.parent)
        return book.result()

    def _tuner(
        self, plan: RoundPlan, dataset: Dataset, halving: Any, searcher: CohortSearcher, paused: Pausing
    ) -> tune.Tuner:
        """What runs the cohorts of a round."""
        trainable = tune.with_resources(
            tune.with_parameters(
                CohortTrainable, plan=plan, rows=[self._store(dataset)], halving=halving, train=self._train
            ),
            {"cpu": plan.resources.cpus_per_trial, "gpu": plan.resources.gpus_per_trial},
        )
        # Of an earlier process: its checkpoints are of no use, since what it had not finished begins again.
        shutil.rmtree(plan.folder / "tune", ignore_errors=True)
        return tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=Scheduler(paused),
                num_samples=-1,  # The book says when it is enough.
                max_concurrent_trials=self._slots(plan.resources),
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name="tune",
                storage_path=str(plan.folder.absolute()),
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=MAX_FAILURES),
                checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1),
                callbacks=[LatestCheckpoint(paused, self._require_ray)],
            ),
        )

    def _store(self, dataset: Dataset) -> Any:
        """A reference to the rows, which go into the object store once for all rounds.

        Trials on a node read them there, in place: on CPUs no trial has a copy of its own.
        """
        if self._stored is None or self._stored[0] is not dataset:
            self._stored = (dataset, ray.put(dataset))
        return self._stored[1]

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
            self._preparing = None
            self.prepare()
            self._prepared()
        self._start()

    def _shut_down(self) -> None:
        self._stored = None
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
            if self._address not in (None, "auto", "local"):
                require_listener(self._address)
                require_in_use(self._address)
            if ray.is_initialized():
                return
            ray.init(
                address=self._address or "local",
                num_cpus=self._num_cpus if self._address is None else None,
                include_dashboard=False if self._address is None else None,
                logging_level="error",
                log_to_driver=False,
            )
        # Ray raises bare exceptions where one of its processes dies while it starts.
        except Exception as error:
            where = f"at {self._address}" if self._address else "on this machine"
            raise RunnerError(f"Ray cannot be reached or started {where}: {error}") from error
        self._started = True
        if self._address is None:
            self._local = LocalRay()

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
        total = ray.cluster_resources()
        slots = total.get("CPU", 1) // resources.cpus_per_trial
        if resources.gpus_per_trial > 0:
            slots = min(slots, total.get("GPU", 0) // resources.gpus_per_trial)
        if slots < 1:
            raise RunnerError(
                f"no node has room for a trial of {resources.cpus_per_trial:g} CPUs and "
                f"{resources.gpus_per_trial:g} GPUs: the cluster has {total.get('CPU', 0):g} and "
                f"{total.get('GPU', 0):g}; lower search.cpus_per_trial or search.gpus_per_trial"
            )
        return int(slots)


def _judge_of(plan: RoundPlan) -> Any:
    """The actor that judges the trials of a round.

    Beside the driver, whose disk holds its journal. Restarted by Ray if its process dies: the journal then brings back
    the rungs.
    """
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor = ray.remote(Brackets).options(num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=here)
    return actor.remote(
        plan.asha,
        max_epochs=plan.limits.max_epochs,
        mode=METRICS[plan.metric].mode,
        seed=plan.seed,
        folder=plan.folder.absolute(),
    )
