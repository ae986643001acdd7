"""Rounds on Ray Tune: the only file that knows Ray.

One Tune trial trains one cohort. Tune places it on CPUs and GPUs, keeps several going, and restarts it from its
checkpoint when a worker or a node is lost. What Tune is not asked to do, and why (docs/decisions/runners.md):

- ASHA is an actor around halving.py: members of a cohort are judged one by one, and rungs survive a restart.
- Sampling is a Searcher around RoundBook: every member's fate is told truthfully.
- Nothing is logged by Tune: the driver's listener hears everything.

A Ray that was started here and loses its raylet or its GCS is started again, and the round goes on from its journals.
"""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import os
import pickle
import shutil
import socket
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

# Read by Ray at import.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# CSV, JSON and TensorBoard files that nobody reads.
os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
# Tune would swallow Ctrl-C and return half a round as if it were whole.
os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"
# All trials' state, again and again, of which only the first and the last writing remain: nothing reads it.
os.environ["TUNE_GLOBAL_CHECKPOINT_S"] = "inf"
# The newer console output prints a table and a path even when it is told to be silent.
os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
# Ray's coming default, taken now: it warns at every start otherwise.
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import ray
import torch
from ray import tune
from ray._private import services
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from search_service.early_stopping.brackets import Brackets
from search_service.errors import RunnerError
from search_service.folder import disk
from search_service.records.events import Listener
from search_service.records.round_plan import Resources, RoundPlan
from search_service.records.rounds import RoundResult, TrialStatus
from search_service.runners.base import Cohort, CohortReport, MemberReport
from search_service.runners.book import RoundBook
from search_service.runners.cohort import CohortTraining
from search_service.runners.local_ray import LocalRay
from search_service.runners.registry import RAY_REPORT_S
from search_service.runners.sizing import CohortSizes, MeasuredSizes
from trainables.data.dataset import Dataset
from trainables.metrics import METRICS
from trainables.process import device_for, prepare_process
from trainables.records import EpochPoint

_log = logging.getLogger(__name__)

# Times that Tune restarts a cohort whose worker died, and that we have it begin again when Tune has given it up; what
# fails more often fails for a reason. Tune gives up too soon: one death is several errors if several answers of the
# worker were due, and the second one ends a trial that waits for a new worker, however often it may be restarted.
MAX_FAILURES = 2
# Times that a round starts Ray again; the same reason.
MOST_RESTARTS = 3
# Seconds between two looks at Ray's processes while no round runs: the GCS may be away for 60 before the process ends.
WATCH_S = 1.0
# Seconds to wait for a cluster's head to accept a connection.
CONNECT_TIMEOUT_S = 5.0
# Key of a cohort's report in a Tune result.
_REPORT = "report"


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
                except (_LostRayError, ray.exceptions.RayError) as error:
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
        searcher, paused = _CohortSearcher(book, plan.folder, self._require_ray), _Pausing(book)
        # Beside the driver, whose disk holds its journal. Restarted by Ray if its process dies: the journal then
        # brings back the rungs.
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        halving = (
            ray.remote(Brackets)
            .options(num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=here)
            .remote(
                plan.asha,
                max_epochs=plan.limits.max_epochs,
                mode=METRICS[plan.metric].mode,
                seed=plan.seed,
                folder=plan.folder.absolute(),
            )
        )
        trainable = tune.with_resources(
            tune.with_parameters(
                _CohortTrainable, plan=plan, rows=[self._store(dataset)], halving=halving, train=self._train
            ),
            {"cpu": plan.resources.cpus_per_trial, "gpu": plan.resources.gpus_per_trial},
        )
        # Of an earlier process: its checkpoints are of no use, since what it had not finished begins again.
        shutil.rmtree(plan.folder / "tune", ignore_errors=True)
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=_Scheduler(paused),
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
                callbacks=[_LatestCheckpoint(paused, self._require_ray)],
            ),
        )
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
            _LostRayError: One of the processes that it needs is gone.
        """
        if (lost := self._lost) is not None:
            raise _LostRayError(lost)

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
        if ray.is_initialized():
            return
        try:
            if self._address not in (None, "auto", "local"):
                _require_listener(self._address)
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


def head_of(address: str) -> str:
    """Where the head of a cluster listens, which has just accepted a connection; nothing is started or joined.

    Args:
        address: ``auto`` or ``host:port``.

    Raises:
        RunnerError: Nobody answers there, or there is no cluster to be found.
    """
    found: str | None = address
    try:
        if address == "auto":
            found = services.canonicalize_bootstrap_address("auto")
        if found is None:
            raise ConnectionError("no cluster is running here")
        _require_listener(found)
    except (OSError, ValueError) as error:
        where = "" if found in (None, address) else f"{found}: "
        raise RunnerError(f"{where}{error}") from error
    return found


def _require_listener(address: str) -> None:
    """Fail at once where nobody listens: Ray itself tries for minutes and may end the process.

    Raises:
        OSError: Nobody answers there.
        ValueError: It is no ``host:port``.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        raise ValueError("an address is auto or host:port")
    socket.create_connection((host, int(port)), timeout=CONNECT_TIMEOUT_S).close()


class _LostRayError(BaseException):
    """A process that Ray needs has died.

    No ``Exception``: at one Tune tidies up before it lets it through, and what it asks of Ray is never answered.
    """


class _Packed:
    """A cohort for its worker. Tune copies, prints, pickles and hashes a trial's config, which is cheap for bytes."""

    def __init__(self, cohort: Cohort) -> None:
        self._name, self._bytes = cohort.cohort_id, pickle.dumps(cohort)

    def __repr__(self) -> str:
        return self._name

    def unpack(self) -> Cohort:
        """As it was."""
        cohort: Cohort = pickle.loads(self._bytes)
        return cohort


class _CohortSearcher(Searcher):
    """Tune asks it for trials and tells it how they end; both go to the book."""

    def __init__(self, book: RoundBook, folder: Path, require_ray: Callable[[], None]) -> None:
        super().__init__(metric=None, mode=None)
        self._book, self._folder, self._require_ray = book, folder, require_ray
        # Cohorts by the trial of Tune that trains them, and how often each was given up.
        self._cohorts: dict[str, str] = {}
        self._given_up: Counter[str] = Counter()
        # Whether a disk is full: then nothing is begun any more, and nothing has failed.
        self.is_full = False

    def __reduce__(self) -> tuple[type[Searcher], tuple[()]]:
        # Tune pickles its searcher for Tuner.restore, which is not used; the book's listeners cannot be pickled.
        return Searcher, ()

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        if self.is_full:
            return str(Searcher.FINISHED)
        cohort = self._book.next_cohort()
        if cohort is None:
            # None at all is "not now": Tune asks again. Whoever is under way may have to begin again.
            return str(Searcher.FINISHED) if self._book.is_closed and not self._cohorts else None
        self._cohorts[trial_id] = cohort.cohort_id
        return {"cohort": _Packed(cohort)}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        cohort = self._cohorts.pop(trial_id)
        # A trial's last result is told here only, those before it to the scheduler only.
        if result and _REPORT in result and (report := _decode(result[_REPORT])).finished:
            self._book.report(report)
        if error:
            # Nothing of a cohort has failed whose worker died with all of Ray.
            self._require_ray()
        if error and not disk.has_room(self._folder):
            # It goes on when there is room again.
            self.is_full = True
        elif error and self._given_up[cohort] < MAX_FAILURES:
            self._given_up[cohort] += 1
            self._book.begin_again(cohort)
        elif error:
            reason = f"its worker failed more than {MAX_FAILURES} times; see the error files in the round's folder"
            self._book.fail(cohort, reason)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: resuming reads the book's journals, not Tune's snapshot."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing."""


class _Pausing:
    """Cohorts whose rest the book wants to be paused: their last reports, by Tune's trial, until they are saved."""

    def __init__(self, book: RoundBook) -> None:
        self._book = book
        self._reports: dict[str, CohortReport] = {}

    def __reduce__(self) -> tuple[type[object], tuple[()]]:
        # As of the searcher: part of a snapshot that nobody reads.
        return object, ()

    def asks(self, trial_id: str, report: CohortReport) -> bool:
        """Enter a report; whether the trial is to be saved and stopped."""
        self._book.report(report)
        if not self._book.is_to_pause(report):
            return False
        self._reports[trial_id] = report
        return True

    def saved(self, trial_id: str, folder: Path) -> bool:
        """A trial was saved; whether the book has taken that over."""
        if (report := self._reports.pop(trial_id, None)) is None:
            return False
        try:
            self._book.pause(report, folder)
        except OSError as error:
            # Tune would only write it into its log, and the round would wait for good.
            self._book.fail(report.cohort_id, f"what was left of its cohort could not be kept: {error}")
        return True


class _Scheduler(FIFOScheduler):
    """Stops trials whose rest is to be paused, and gives a free worker to the trial that has just come.

    Tune gives it to the trial that has waited longest, and throws away the worker that was starting for that one. So
    that worker goes on with the next trial, and where trials are shorter than a start (seconds, with torch), the worker
    that is there first trains them all and the others never come to be.
    """

    def __init__(self, paused: _Pausing) -> None:
        super().__init__()
        self._paused = paused
        self._newest = ""

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Enter a report, before the searcher hears of it."""
        pause = _REPORT in result and self._paused.asks(trial.trial_id, _decode(result[_REPORT]))
        return str(self.STOP if pause else self.CONTINUE)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """The newest trial if it waits and was not chosen before; Tune begins the others in their order."""
        trials = tune_controller.get_trials()
        if not trials:
            return None
        newest: Trial = trials[-1]
        if newest.status != Trial.PENDING or newest.trial_id == self._newest:
            return None
        self._newest = newest.trial_id
        return newest


class _LatestCheckpoint(tune.Callback):
    """Of each running trial keeps the latest checkpoint, of each that is over none but what is paused.

    And ends Tune's loop when Ray has died.

    Tune's own ``num_to_keep`` writes the state of all trials at each checkpoint of any and waits until it is copied.
    That was half of what a result costs the driver at 100 trials, and it grows with them.
    """

    def __init__(self, paused: _Pausing, require_ray: Callable[[], None]) -> None:
        self._paused, self._require_ray = paused, require_ray
        self._latest: dict[str, str] = {}

    def __reduce__(self) -> tuple[type[tune.Callback], tuple[()]]:
        # As of the searcher.
        return tune.Callback, ()

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Each turn of Tune's loop: it would wait for what cannot come."""
        self._require_ray()

    def on_checkpoint(
        self, iteration: int, trials: list[Trial], trial: Trial, checkpoint: tune.Checkpoint, **info: Any
    ) -> None:
        self._forget(trial)
        if not self._paused.saved(trial.trial_id, Path(checkpoint.path)):
            self._latest[trial.trial_id] = checkpoint.path

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._forget(trial)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._forget(trial)

    def _forget(self, trial: Trial) -> None:
        # A trial that began again at a checkpoint may write the same one again.
        if (path := self._latest.pop(trial.trial_id, None)) is not None:
            shutil.rmtree(path, ignore_errors=True)


class _CohortTrainable(tune.Trainable):
    """A worker: trains one cohort from rung to rung, then, reused, the next one."""

    def setup(
        self, config: dict[str, Any], plan: RoundPlan, rows: list[Any], halving: Any, train: type[CohortTraining]
    ) -> None:
        prepare_process()
        # In a list: Ray would otherwise fetch what a reference stands for into this worker's own parameters.
        self._plan, self._dataset, self._halving, self._train = plan, ray.get(rows[0]), halving, train
        self._device = device_for(plan.resources.gpus_per_trial)
        self._begin(config["cohort"].unpack())

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._begin(new_config["cohort"].unpack())
        return True

    def step(self) -> dict[str, Any]:
        report = self._training.advance()
        return {_REPORT: _encode(report), "done": report.finished}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        self._training.save(Path(checkpoint_dir))

    def load_checkpoint(self, checkpoint: dict[str, Any] | str) -> None:
        self._training.load(Path(str(checkpoint)))

    def _begin(self, cohort: Cohort) -> None:
        self._training = self._train(cohort, self._plan, self._dataset, self._judge, device=self._device)

    def _judge(self, rung: int, scores: Mapping[str, float]) -> set[str]:
        go_on: set[str] = ray.get(self._halving.report.remote(rung, scores))
        return go_on


def _encode(report: CohortReport) -> str:
    """As text: Tune flattens, copies and writes results, and should see one value."""
    return json.dumps(asdict(report))


def _decode(text: str) -> CohortReport:
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
