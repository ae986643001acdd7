"""What a study would do, as programs read it: what ``plan --json`` prints and the service answers.

Read by the service's clients too: nothing here needs torch.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from pydantic import Field

from search_service.records.steps import Step
from search_service.report.documents import Document

if TYPE_CHECKING:
    from search_service.recipe.planning import StudyPlan
    from search_service.spec.study_spec import StudySpec
    from trainables.data.dataset import Dataset


class PlannedRoundDocument(Document):
    """One round of a cycle."""

    name: str
    step: Step
    trials: int = Field(description="At most.")
    epochs: int = Field(description="Of a trial that is not stopped.")
    rungs: list[int] = Field(description="Epochs at which trials are compared; none without early stopping.")
    epochs_at_most: int
    epochs_expected: float


class PlannedFinalistsDocument(Document):
    """The finalists: the best configurations again, from fresh seeds."""

    configurations: int
    seeds: int = Field(description="Of each configuration.")
    folds: int = Field(description="Divisions on which each is trained beside the study's own.")
    epochs: int = Field(description="Of each training.")
    refit: bool = Field(description="Whether the winner is trained once more, to be the model.")
    averaged: int = Field(description="Networks that the model may be made of, about; each is trained once more.")
    trainings: int


class RowsDocument(Document):
    """Rows of the table."""

    training: int
    validation: int


class PlanDocument(Document):
    """What a study would do, and how long it would take."""

    name: str
    rows: RowsDocument
    sampler: str
    rounds: list[PlannedRoundDocument] = Field(description="Of one cycle.")
    max_cycles: int
    trials_at_most: int
    epochs_at_most: int
    epochs_expected: float
    finalists: PlannedFinalistsDocument
    population_size: int = Field(description="Configurations trained together.")
    concurrency: int = Field(description="Populations at once.")
    seconds_per_epoch: float | None = Field(description="Of one configuration, in a population; null if not measured.")
    parts: dict[str, float] | None = Field(description="Seconds by part, from the command to its last line.")
    seconds_expected: float | None = Field(description="Of all parts; half of a second cycle, if there may be one.")
    seconds_at_most: float | None = Field(description="With all cycles, and no trial stopped early.")
    minutes: float | None = Field(description="search.minutes, by which rounds and finalists were sized.")
    left_out: list[str] = Field(description="What there is no time for in these minutes.")
    time_budget_s: float | None
    max_total_epochs: int | None

    @classmethod
    def of(cls, spec: StudySpec, dataset: Dataset, plan: StudyPlan) -> PlanDocument:
        """Make it of a plan."""
        last = plan.finalists
        return cls(
            name=spec.name,
            rows=RowsDocument(training=len(dataset.train), validation=len(dataset.validation)),
            sampler=spec.search.sampler,
            rounds=[PlannedRoundDocument(name=round_.name, **asdict(round_)) for round_ in plan.rounds],
            max_cycles=plan.max_cycles,
            trials_at_most=plan.trials_at_most,
            epochs_at_most=plan.epochs_at_most,
            epochs_expected=plan.epochs_expected,
            finalists=PlannedFinalistsDocument(**asdict(last), trainings=last.trainings),
            population_size=plan.population,
            concurrency=plan.concurrency,
            seconds_per_epoch=plan.pace.seconds_per_epoch / plan.pace.size if plan.pace else None,
            parts=plan.parts,
            seconds_expected=plan.seconds_expected,
            seconds_at_most=plan.seconds_at_most,
            minutes=plan.minutes,
            left_out=list(plan.left_out),
            time_budget_s=plan.time_budget_s,
            max_total_epochs=plan.max_total_epochs,
        )
