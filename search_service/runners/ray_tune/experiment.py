"""One run of Tune for all rounds and tasks of a driver, in a thread of its own, so that its workers stay.

A worker takes seconds to start, most of which torch's import is, and Tune ends its workers with ``Tuner.fit``. So that
is called once. Between two rounds, and while a round has nothing for them, workers do Tune trials that only wait.

What Tune asks (tune_side.py) is answered in the thread that does the work: books, journals and listeners see one
thread, the one in which Ctrl-C arrives, and what they raise ends the work there.
"""

from __future__ import annotations

import contextlib
import gc
import queue
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import ray
from ray import tune
from ray.tune.execution import class_cache
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from search_service.records.round_plan import Resources
from search_service.runners.cohort import CohortTraining
from search_service.runners.coordinator import Coordinator
from search_service.runners.ray_tune.places import Places
from search_service.runners.ray_tune.tune_side import DeskScheduler, DeskSearcher, Turns
from search_service.runners.ray_tune.work import MAX_FAILURES, Work
from search_service.runners.ray_tune.worker import IDLE_S, Rest, ToDo, Worker

# Seconds between two looks at the other thread: it may have ended.
LOOK_S = 0.2
# Seconds between two times that the coordinator is told what it may have forgotten.
TELL_S = 1.0
# Seconds that Tune's thread may take to end: a turn of its loop takes a tenth, and one without trials waits for one.
END_S = 10.0
# Trials that Tune may have at once. How many there are is decided here, where nodes may come and go; without a number
# Tune would start its workers one after the other.
MOST_TRIALS = 10_000

# What Tune gives to its workers.
_TUNES_VARIABLES = class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE

_T = TypeVar("_T")


class _EndedError(BaseException):
    """Tune is to end.

    No ``Exception``: at one Tune tidies up before it lets it through, and waits for workers that are still training.
    """


class _Call:
    """A question of Tune's thread."""

    def __init__(self, work: Work, function: Callable[[], Any]) -> None:
        self.work, self._function = work, function
        self.answered = threading.Event()
        self.value: Any = None
        self.failed = False

    def answer(self) -> None:
        """Answer it, here.

        Raises:
            BaseException: What happened; Tune's thread hears that it is to end.
        """
        try:
            self.value = self._function()
        except BaseException:
            self.failed = True
            raise
        finally:
            self.answered.set()


@dataclass(frozen=True)
class _Piece:
    """What a trial of Tune does: a piece of some work, from some instant on."""

    work: Work
    name: str


class Experiment:
    """Workers that do what they are given.

    Args:
        resources: What each of them may use.
        most: Workers at most; None for as many as there is room for.
        train: How a worker trains a cohort.
        slots: How many workers there is room for; asked often.
        require_ray: Raises where Ray has died.
    """

    def __init__(
        self,
        resources: Resources,
        most: int | None,
        train: type[CohortTraining],
        slots: Callable[[], int],
        require_ray: Callable[[], None],
    ) -> None:
        self.resources, self._slots, self._require_ray = resources, slots, require_ray
        self._most = most
        self._work: Work | None = None
        # Of each trial of Tune under way: its piece of work, or since when its worker waits.
        self._trials: dict[str, _Piece | float] = {}
        # Trials that were stopped at a report: Tune tells that report again when they have ended.
        self._stopped: set[str] = set()
        # Whether workers that had waited for long were given back: none waits until there is something to do.
        self._rests = False
        self._told_at = 0.0
        self._calls: queue.SimpleQueue[_Call] = queue.SimpleQueue()
        self._ending = threading.Event()
        self._failure: BaseException | None = None
        # References to what workers share, by the identity of what is kept beside them.
        self._stored: dict[int, tuple[Any, Any]] = {}
        self._kept: set[int] = set()
        self._rows: list[Any] = []
        self.coordinator = _start_coordinator()
        self._places = Places(resources)
        # Tune writes its own state there, which nobody reads.
        self._folder = tempfile.mkdtemp(prefix="tune-")
        self._tuner: tune.Tuner | None = self._make_tuner(train)
        self._thread = threading.Thread(target=self._run, name="Tune", daemon=True)
        self._thread.start()

    def _make_tuner(self, train: type[CohortTraining]) -> tune.Tuner:
        trainable = tune.with_resources(
            tune.with_parameters(Worker, coordinator=self.coordinator, resources=self.resources, train=train),
            self._places,
        )
        return tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=DeskSearcher(self),
                scheduler=DeskScheduler(self),
                num_samples=-1,  # There is always more to come.
                max_concurrent_trials=MOST_TRIALS,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name="tune",
                storage_path=self._folder,
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=MAX_FAILURES),
                # The coordinator keeps what is needed.
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                callbacks=[Turns(self)],
            ),
        )

    def _run(self) -> None:
        assert self._tuner is not None
        try:
            with _as_they_are_started():
                self._tuner.fit()
        except BaseException as error:
            self._failure = error

    # ---- the driver's side ---------------------------------------------------------------------------------------

    @property
    def is_alive(self) -> bool:
        """Whether Tune still runs."""
        return self._thread.is_alive()

    def do(self, work: Work, most: int | None) -> None:
        """Have the workers do a work to its end.

        Args:
            work: What to do.
            most: Pieces of it at once at most; None for as many as there is room for.

        Raises:
            BaseException: What the work, its listeners or Tune raised; ``end`` is due then.
        """
        self._share(work)
        try:
            self._most, self._work = most, work
            while not (work.is_closed and not self._pieces):
                try:
                    call = self._calls.get(timeout=LOOK_S)
                except queue.Empty:
                    if not self._thread.is_alive():
                        raise self._failure or RuntimeError("Tune has ended by itself") from None
                    continue
                if call.work is work:
                    call.answer()
        finally:
            self._work = None

    def _share(self, work: Work) -> None:
        """Put what the workers share into the object store, once for all that needs it, and tell where it is."""
        stored = {id(row): self._stored.get(id(row)) or (row, ray.put(row)) for row in work.rows}
        self._rows = [stored[id(row)][1] for row in work.rows]
        # Of the work before, too: rounds and tasks share the table.
        self._stored = {key: kept for key, kept in self._stored.items() if key in self._kept} | stored
        self._kept = set(stored)
        ray.get(self.coordinator.share.remote(work.name, self._rows))

    def take(self, work: str, task: str) -> bytes | None:
        """The result of a task, which its worker has left with the coordinator."""
        result: bytes | None = ray.get(self.coordinator.take.remote(work, task))
        return result

    def end(self, *, ray_is_lost: bool = False) -> tune.Tuner | None:
        """End Tune and the workers, at once.

        Args:
            ray_is_lost: Then nothing can be given back.

        Returns:
            Where Ray is lost, what has to be kept until there is another one.
        """
        self._ending.set()
        self._thread.join(END_S)
        tuner, self._tuner = self._tuner, None
        shutil.rmtree(self._folder, ignore_errors=True)
        if ray_is_lost:
            # It would ask what is left of Ray, and wait for an answer until the process is ended.
            return tuner
        # A worker ends when it has done what it is at, which may be waiting.
        if tuner is not None and ray.is_initialized():
            with contextlib.suppress(ray.exceptions.RayError):
                ray.get(self.coordinator.dismiss.remote(), timeout=END_S)
            with contextlib.suppress(ray.exceptions.RayError):
                self._places.give_back()
        # Tune's controller is part of a reference cycle and keeps what it has seen.
        del tuner
        self._failure = None
        gc.collect()
        return None

    # ---- Tune's side ---------------------------------------------------------------------------------------------

    def look(self) -> None:
        """See ``Desk``."""
        if self._ending.is_set():
            raise _EndedError
        self._require_ray()
        work, now = self._work, time.monotonic()
        if work is not None and now - self._told_at > TELL_S:
            self._told_at = now
            # A coordinator that was started again has forgotten both.
            self.coordinator.share.remote(work.name, self._rows)
            self.coordinator.call.remote(min(self._resting, max(0, len(self._trials) - self._room)))

    def next(self, trial_id: str) -> ToDo | Rest | None:
        """See ``Desk``."""
        work, room = self._work, self._room
        if work is not None and self._pieces < room:
            to_do = self._ask(work, lambda: self._hand_out(work, trial_id), None)
            if to_do is not None:
                self._rests = False
                if self._resting:
                    self.coordinator.call.remote(1)
                return to_do
        if self._rests or len(self._trials) >= room:
            return None
        self._trials[trial_id] = time.monotonic()
        return Rest()

    def report(self, trial_id: str, said: str) -> bool:
        """See ``Desk``."""
        piece = self._trials.get(trial_id)
        if not isinstance(piece, _Piece):
            return False
        work, name = piece.work, piece.name
        stop = self._ask(work, lambda: work.report(name, said), True)
        if stop:
            self._stopped.add(trial_id)
        return stop

    def ended(self, trial_id: str, said: str | None, *, lost: bool) -> None:
        """See ``Desk``."""
        piece = self._trials.get(trial_id)
        if not isinstance(piece, _Piece):
            self._trials.pop(trial_id, None)
            if piece is not None and time.monotonic() - piece >= IDLE_S:
                self._rests = True
            return
        if lost:
            # Nothing has failed whose worker died with all of Ray.
            self._require_ray()
        self._ask(piece.work, lambda: self._enter(trial_id, piece, said, lost), None)

    def _hand_out(self, work: Work, trial_id: str) -> ToDo | None:
        to_do = work.next()
        if to_do is not None:
            self._trials[trial_id] = _Piece(work, to_do.name)
        return to_do

    def _enter(self, trial_id: str, piece: _Piece, said: str | None, lost: bool) -> None:
        """The last that is heard of a trial; ``do`` goes on until all of it is entered."""
        if lost or (said is None and trial_id not in self._stopped):
            piece.work.lost(piece.name)
        elif said is not None and trial_id not in self._stopped:
            piece.work.report(piece.name, said)
        self._stopped.discard(trial_id)
        del self._trials[trial_id]

    def _ask(self, work: Work, function: Callable[[], _T], otherwise: _T) -> _T:
        """Have a function called by the thread that does a work; ``otherwise``, if the work is over."""
        call = _Call(work, function)
        if self._work is work:
            self._calls.put(call)
        while not call.answered.wait(LOOK_S):
            if self._ending.is_set():
                raise _EndedError
            if self._work is not work:
                return otherwise
        if call.failed:
            # One of its own: the traceback of what happened would keep Tune's controller, and with it the workers.
            raise _EndedError
        value: _T = call.value
        return value

    @property
    def _room(self) -> int:
        slots = self._slots()
        return slots if self._most is None else min(self._most, slots)

    @property
    def _pieces(self) -> int:
        """Trials that have a piece of work."""
        return sum(isinstance(piece, _Piece) for piece in list(self._trials.values()))

    @property
    def _resting(self) -> int:
        return len(self._trials) - self._pieces


@contextlib.contextmanager
def _as_they_are_started() -> Iterator[None]:
    """Tune's workers within are those that Ray has started already.

    Tune asks for workers with environment variables of its own (for PyTorch Lightning, and credentials of storages that
    are not used here), which those have not: it has Ray throw them away and start others, which takes seconds. There
    is no public way to say so, and pyproject.toml keeps Ray to one minor version.
    """
    class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE = {}, set()
    try:
        yield
    finally:
        class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE = _TUNES_VARIABLES


def _start_coordinator() -> Any:
    """Beside the driver, whose disk holds the journals; Ray starts it again if its process dies."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    options = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1, "scheduling_strategy": here}
    return ray.remote(Coordinator).options(**options).remote()
