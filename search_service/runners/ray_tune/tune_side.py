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
    """Stops trials whose rest is to be paused, and says which trial gets a free worker.

    Left alone, Tune gives it to any trial that waits, and throws away the worker that was starting for that one. Where
    trials are shorter than a start (seconds, with torch), the worker that is there first would train them all, and the
    others would never come to be: so the trial that has just come gets it. And where work comes before the first
    workers are there, each of which starts for a trial that only waits, the first of them would go on to wait instead
    of the second, which would start anew for the work: so the work gets it.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        # Trials that may wait for a worker, in their order, and whether the last of them was chosen.
        self._waiting: list[Trial] = []
        self._newest_was_chosen = False

    def __reduce__(self) -> tuple[type[FIFOScheduler], tuple[()]]:
        # As of the searcher: part of a snapshot that nobody reads.
        return FIFOScheduler, ()

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Enter a report."""
        stop = REPORT in result and self._desk.report(trial.trial_id, result[REPORT])
        return str(self.STOP if stop else self.CONTINUE)

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """It is the newest."""
        self._waiting.append(trial)
        self._newest_was_chosen = False

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """The first trial with work, where one without waits for longer; else the newest, if it was not chosen before.

        Tune begins the others in their order. Of work that waits for longer than anything else, the worker is starting.
        """
        newest = self._waiting[-1:]
        self._waiting = [trial for trial in self._waiting if trial.status == Trial.PENDING]
        with_work = next((trial for trial in self._waiting if not isinstance(trial.config[TO_DO], Rest)), None)
        if with_work is not None and with_work is not self._waiting[0]:
            return with_work
        if self._newest_was_chosen or not self._waiting or self._waiting[-1:] != newest:
            return None
        self._newest_was_chosen = True
        return self._waiting[-1]


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
