"""What Ray Tune calls in the driver: what comes next, what is stopped, and how things end. All of it asks ``Desk``."""

from __future__ import annotations

from typing import Any, Protocol

from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from search_service.runners.ray_tune.worker import REPORT, TO_DO, Rest, ToDo


class Desk(Protocol):
    """Who knows what is to be done (experiment.py)."""

    def look(self) -> None:
        """Called at each turn of Tune's loop; raises what ends it."""
        ...

    def next(self, trial_id: str) -> ToDo | Rest | None:
        """What a new trial of Tune is to do: a piece of work, or nothing; None for no trial now."""
        ...

    def report(self, trial_id: str, said: str) -> bool:
        """Enter what the worker of a trial said; whether the trial is to be stopped."""
        ...

    def ended(self, trial_id: str, said: str | None, *, lost: bool) -> None:
        """A trial has ended, with what its worker said last, or its worker was lost."""
        ...


class DeskSearcher(Searcher):
    """Tune asks it for trials and tells it how they end."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(metric=None, mode=None)
        self._desk = desk

    def __reduce__(self) -> tuple[type[Searcher], tuple[()]]:
        # Tune pickles its searcher for Tuner.restore, which is not used; listeners cannot be pickled.
        return Searcher, ()

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """The next trial, or none yet."""
        # While no trial is under way, Tune asks and asks and takes no turn.
        self._desk.look()
        to_do = self._desk.next(trial_id)
        # None at all is "not now": Tune asks again.
        return None if to_do is None else {TO_DO: to_do}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """A trial's last result is told here only, those before it to the scheduler only."""
        self._desk.ended(trial_id, (result or {}).get(REPORT), lost=error)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: resuming reads journals, not Tune's snapshot."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing."""


class DeskScheduler(FIFOScheduler):
    """Stops trials whose rest is to be paused, and gives a free worker to the trial that has just come.

    Tune gives it to the trial that has waited longest, and throws away the worker that was starting for that one. So
    that worker goes on with the next trial, and where trials are shorter than a start (seconds, with torch), the worker
    that is there first trains them all and the others never come to be.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self._newest = ""

    def __reduce__(self) -> tuple[type[FIFOScheduler], tuple[()]]:
        # As of the searcher: part of a snapshot that nobody reads.
        return FIFOScheduler, ()

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Enter a report."""
        stop = REPORT in result and self._desk.report(trial.trial_id, result[REPORT])
        return str(self.STOP if stop else self.CONTINUE)

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


class Turns(tune.Callback):
    """Looks, at each turn of Tune's loop, whether it is to end: it would wait for what cannot come."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def __reduce__(self) -> tuple[type[tune.Callback], tuple[()]]:
        # As of the searcher.
        return tune.Callback, ()

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Each turn."""
        self._desk.look()
