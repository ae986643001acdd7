"""What happens in a study, as it happens: what recorders and progress displays hear.

In the order of the recipe: StudyStarted, then StepStarted, CheckFinished, RoundStarted, TrialProgressed, TrialFinished,
RoundFinished, CycleDecided, FinalistsFinished, ModelPacked, and at the end, however the study ends, StudyFinished.
A comparison of optimisers has its own: ComparisonStarted, OptimizerCompared for each, ComparisonFinished.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from search_service.records.checks import CheckResult
from search_service.records.comparison_results import ComparisonResult, OptimizerOutcome
from search_service.records.finalists import Decision, FinalistsResult
from search_service.records.results import DataSummary, StudyResult
from search_service.records.round_plan import RoundPlan
from search_service.records.rounds import RoundResult, TrialResult
from search_service.records.steps import Step
from search_service.spec.study_spec import StudySpec
from trainables.metrics import MetricName


@dataclass(frozen=True)
class StudyStarted:
    """The config is valid and the data is loaded.

    Attributes:
        study_id: Names the study.
        spec: What was asked.
        data: What the record says about the table.
        versions: The libraries' versions by name.
        resumed: Whether something of it was done before, by an earlier process or by the study that it extends.
        extends: Id of the study from whose end it goes on; empty if there is none.
    """

    study_id: str
    spec: StudySpec
    data: DataSummary
    versions: Mapping[str, str]
    resumed: bool = False
    extends: str = ""


@dataclass(frozen=True)
class StepStarted:
    """A step begins; for whoever is watching."""

    step: int
    name: str
    cycle: int = 1

    @classmethod
    def of(cls, step: Step, cycle: int = 1) -> StepStarted:
        """A step of the recipe, by its own name."""
        return cls(step, step.title, cycle)


@dataclass(frozen=True)
class CheckFinished:
    """A check has its verdict."""

    check: CheckResult


@dataclass(frozen=True)
class RoundStarted:
    """A round begins."""

    plan: RoundPlan
    sentences: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrialProgressed:
    """A trial has reached a rung (or the end) and goes on."""

    trial_id: str
    epoch: int
    score: float


@dataclass(frozen=True)
class TrialFinished:
    """A trial is over."""

    trial: TrialResult


@dataclass(frozen=True)
class RoundFinished:
    """A round is over."""

    result: RoundResult


@dataclass(frozen=True)
class CycleDecided:
    """Step 6 has decided."""

    decision: Decision


@dataclass(frozen=True)
class TaskDone:
    """Who did a task, and when.

    Attributes:
        name: The task's.
        worker: The process.
        began_at: In seconds since 1970.
        seconds: That it took.
    """

    name: str
    worker: str
    began_at: float
    seconds: float


@dataclass(frozen=True)
class TasksProgressed:
    """What is trained beside the rounds (pieces of the finalists, baselines, the refit) has begun, or a part is done.

    Attributes:
        done: Tasks of these that are.
        of: All of these.
        share: The share of the work that is done, of which tasks have more or less.
        last: The one that has just been done; None at the beginning.
    """

    done: int
    of: int
    share: float = 0.0
    last: TaskDone | None = None


@dataclass(frozen=True)
class FinalistsFinished:
    """The winner is known and tested."""

    result: FinalistsResult


@dataclass(frozen=True)
class ModelPacked:
    """The winner's network can be called with raw rows.

    Attributes:
        folder: A ``trainables.model.TableModel``, which knows its columns and has a few rows as an example.
        metric: The metric of the score.
        test_score: The score of this very network on the test rows.
        test_fingerprint: Tells the rows that it was tested on: scores on other rows cannot be compared.
        register_as: Name in the recorder's registry of models; None keeps it out.
        shortfall: Why it is good for nothing, and never the champion; empty where it is not.
    """

    folder: Path
    metric: MetricName
    test_score: float
    test_fingerprint: str
    register_as: str | None
    shortfall: str = ""


@dataclass(frozen=True)
class StudyFinished:
    """The study is over, one way or another."""

    result: StudyResult
    report: str = field(default="", repr=False)


@dataclass(frozen=True)
class ComparisonStarted:
    """The config is valid and the data is loaded."""

    comparison_id: str
    spec: StudySpec
    data: DataSummary
    versions: Mapping[str, str]


@dataclass(frozen=True)
class OptimizerCompared:
    """One optimiser has had its sweep and its training."""

    outcome: OptimizerOutcome


@dataclass(frozen=True)
class ComparisonFinished:
    """The comparison is over, one way or another; ``files`` are its pictures, none if it was cut short."""

    result: ComparisonResult
    report: str = field(default="", repr=False)
    files: tuple[Path, ...] = ()


StudyEvent = (
    StudyStarted
    | StepStarted
    | CheckFinished
    | RoundStarted
    | TrialProgressed
    | TrialFinished
    | RoundFinished
    | CycleDecided
    | TasksProgressed
    | FinalistsFinished
    | ModelPacked
    | StudyFinished
)
ComparisonEvent = ComparisonStarted | OptimizerCompared | ComparisonFinished
Event = StudyEvent | ComparisonEvent
Listener = Callable[[Event], None]
