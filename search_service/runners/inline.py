"""Rounds in this process, one cohort after another: no Ray, no server. The way into the code, and the fast tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from search_service.early_stopping.brackets import Brackets
from search_service.folder import layout
from search_service.records.events import Listener
from search_service.records.round_plan import Resources, RoundPlan
from search_service.records.rounds import RoundResult
from search_service.runners.base import Cohort, Task, TaskListener, run_here
from search_service.runners.book import RoundBook
from search_service.runners.checkpoints import write
from search_service.runners.cohort import CohortTraining
from search_service.runners.sizing import CohortSizes, MeasuredSizes
from trainables.data.dataset import Dataset
from trainables.metrics import METRICS
from trainables.process import device_for


class InlineRunner:
    """Trains one cohort after the other, each to its end or until the book has it paused."""

    def __init__(self) -> None:
        self._measured = MeasuredSizes()

    def prepare(self, resources: Resources) -> None:
        """Nothing takes time."""

    def run_round(self, plan: RoundPlan, dataset: Dataset, listen: Listener) -> RoundResult:
        """See ``Runner.run_round``."""
        book = RoundBook(plan, CohortSizes(plan, dataset, self._measured), listen)
        if book.has_ended:
            return book.result()
        halving = Brackets(
            plan.asha,
            max_epochs=plan.limits.max_epochs,
            mode=METRICS[plan.metric].mode,
            seed=plan.seed,
            folder=plan.folder,
        )
        device = device_for(plan.resources.gpus_per_trial)
        while cohort := book.next_cohort():
            self._train(cohort, book, plan, dataset, halving.report, device)
        return book.result()

    @staticmethod
    def _train(
        cohort: Cohort,
        book: RoundBook,
        plan: RoundPlan,
        dataset: Dataset,
        judge: Callable[..., set[str]],
        device: str,
    ) -> None:
        """Train a cohort to its end, or until it is to be paused."""
        training, own_judge = None, partial(judge, beside=cohort.beside)
        while True:
            # Only what training itself raises is the cohort's: a disk that is full, say, is nobody's failure.
            try:
                training = training or CohortTraining(cohort, plan, dataset, own_judge, device=device)
                report = training.advance()
            except (RuntimeError, MemoryError) as error:  # torch's errors: out of memory, a kernel that refuses
                book.fail(cohort.cohort_id, f"{type(error).__name__}: {error}")
                return
            book.report(report)
            if report.finished:
                return
            if book.is_to_pause(report):
                folder = plan.folder / layout.PAUSED / "saving"
                write(training.packed(), folder)
                book.pause(report, folder)
                return

    def run_tasks(self, tasks: Sequence[Task], resources: Resources, listen: TaskListener) -> list[Any]:
        """See ``Runner.run_tasks``."""
        return run_here(tasks, listen)

    def close(self) -> None:
        """Nothing was started."""
