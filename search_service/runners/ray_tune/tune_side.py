"""What Ray Tune calls in the driver: which trial comes next, which one is stopped, which checkpoint is kept."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from search_service.folder import disk
from search_service.runners.base import CohortReport
from search_service.runners.book import RoundBook
from search_service.runners.ray_tune.worker import REPORT, PackedCohort, decode

# Times that Tune restarts a cohort whose worker died, and that we have it begin again when Tune has given it up; what
# fails more often fails for a reason. Tune gives up too soon: one death is several errors if several answers of the
# worker were due, and the second one ends a trial that waits for a new worker, however often it may be restarted.
MAX_FAILURES = 2


class LostRayError(BaseException):
    """A process that Ray needs has died.

    No ``Exception``: at one Tune tidies up before it lets it through, and what it asks of Ray is never answered.
    """


class CohortSearcher(Searcher):
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
        """The next cohort, nothing yet, or nothing any more."""
        if self.is_full:
            return str(Searcher.FINISHED)
        cohort = self._book.next_cohort()
        if cohort is None:
            # None at all is "not now": Tune asks again. Whoever is under way may have to begin again.
            return str(Searcher.FINISHED) if self._book.is_closed and not self._cohorts else None
        self._cohorts[trial_id] = cohort.cohort_id
        return {"cohort": PackedCohort(cohort)}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Enter the last report of a cohort, or that its worker broke."""
        cohort = self._cohorts.pop(trial_id)
        # A trial's last result is told here only, those before it to the scheduler only.
        if result and REPORT in result and (report := decode(result[REPORT])).finished:
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


class Pausing:
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


class Scheduler(FIFOScheduler):
    """Stops trials whose rest is to be paused, and gives a free worker to the trial that has just come.

    Tune gives it to the trial that has waited longest, and throws away the worker that was starting for that one. So
    that worker goes on with the next trial, and where trials are shorter than a start (seconds, with torch), the worker
    that is there first trains them all and the others never come to be.
    """

    def __init__(self, paused: Pausing) -> None:
        super().__init__()
        self._paused = paused
        self._newest = ""

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Enter a report, before the searcher hears of it."""
        pause = REPORT in result and self._paused.asks(trial.trial_id, decode(result[REPORT]))
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


class LatestCheckpoint(tune.Callback):
    """Of each running trial keeps the latest checkpoint, of each that is over none but what is paused.

    And ends Tune's loop when Ray has died.

    Tune's own ``num_to_keep`` writes the state of all trials at each checkpoint of any and waits until it is copied.
    That was half of what a result costs the driver at 100 trials, and it grows with them.
    """

    def __init__(self, paused: Pausing, require_ray: Callable[[], None]) -> None:
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
        """Keep it, and forget the one before."""
        self._forget(trial)
        if not self._paused.saved(trial.trial_id, Path(checkpoint.path)):
            self._latest[trial.trial_id] = checkpoint.path

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Forget what was kept of it."""
        self._forget(trial)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Forget what was kept of it."""
        self._forget(trial)

    def _forget(self, trial: Trial) -> None:
        # A trial that began again at a checkpoint may write the same one again.
        if (path := self._latest.pop(trial.trial_id, None)) is not None:
            shutil.rmtree(path, ignore_errors=True)
