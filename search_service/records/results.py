"""Frozen records that pass between the parts of a study, from what a round should do to what the study learnt."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from search_service.records.significance import confidence_interval
from search_service.space.ranges import Space
from search_service.spec.study_spec import SamplerName, SecondObjective
from trainables.config import TrialConfig
from trainables.metrics import METRICS, MetricName
from trainables.records import Baseline, Calibration, Health, LayerActivations, LayerGradients, PopulationSize


class TrialStatus(StrEnum):
    """Where a trial stands; all but RUNNING are final."""

    RUNNING = "running"
    COMPLETED = "completed"
    PRUNED = "pruned"
    DIVERGED = "diverged"
    FAILED = "failed"


class StudyStatus(StrEnum):
    """How a study ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


# ---- readings: what a network's layers and curves say --------------------------------------------------------------


HealthName = Literal["healthy", "vanishing", "exploding", "saturated", "dead"]


@dataclass(frozen=True)
class HealthVerdict:
    """What is wrong with the gradients of a network, if anything.

    Attributes:
        name: What it is; the rule is in recipe/gradient_health.py.
        layers: Those concerned, numbered from 1.
        summary: One sentence with layers and numbers.
        remedy: What to change; empty if healthy.
    """

    name: HealthName
    layers: tuple[int, ...]
    summary: str
    remedy: str

    @property
    def is_healthy(self) -> bool:
        """Whether there is nothing to say."""
        return self.name == "healthy"


@dataclass(frozen=True)
class HealthReading:
    """A verdict and the looks at the network that it rests on, in the order of their steps."""

    verdict: HealthVerdict
    history: tuple[Health, ...]


@dataclass(frozen=True)
class FitReading:
    """How a network's loss curves read.

    Attributes:
        name: underfitting, good fit or overfitting.
        summary: One sentence with the numbers behind it.
        remedy: What to change; empty for a good fit.
    """

    name: Literal["underfitting", "good fit", "overfitting"]
    summary: str
    remedy: str


# ---- checks: steps 1 to 3 --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CheckResult:
    """Verdict of a check.

    Attributes:
        step: 1, 2 or 3.
        name: As the recipe calls it.
        passed: The verdict.
        summary: One sentence with the numbers behind it.
        advice: What to do; empty if nothing.
        measured: What was measured, by name.
        expected: What was expected, by the same names.
        cycle: Which repetition of steps 3 to 5, from 1.
    """

    step: int
    name: str
    passed: bool
    summary: str
    advice: str
    measured: Mapping[str, float]
    expected: Mapping[str, float]
    cycle: int = 1


@dataclass(frozen=True)
class InitialLossResult(CheckResult):
    """Step 1, with what its figure shows: activations and gradients per layer of the untrained network."""

    activations: tuple[LayerActivations, ...] = ()
    gradients: tuple[LayerGradients, ...] = ()
    health: HealthReading | None = None


@dataclass(frozen=True)
class OverfitResult(CheckResult):
    """Step 2, with the loss curve of each learning rate tried: (rate, losses at ``steps``)."""

    steps: tuple[int, ...] = ()
    curves: tuple[tuple[float, tuple[float, ...]], ...] = ()
    threshold: float = math.nan
    health: HealthReading | None = None


RateLabel = Literal["diverged", "too slow", "works"]


@dataclass(frozen=True)
class RateOutcome:
    """One candidate learning rate of step 3.

    Attributes:
        rate: The learning rate.
        label: Verdict over its starts.
        falls_to: Median over starts of the final smoothed loss as a share of the first; inf if not finite.
        curves: Loss per step of each start.
    """

    rate: float
    label: RateLabel
    falls_to: float
    curves: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class LearningRatesResult(CheckResult):
    """Step 3; ``low`` and ``high`` bound the region that works, padded, or are NaN if there is none."""

    outcomes: tuple[RateOutcome, ...] = ()
    low: float = math.nan
    high: float = math.nan
    best: float = math.nan


# ---- rounds: steps 4 and 5 -------------------------------------------------------------------------------------


# With slots: a round keeps one for every epoch of every trial.
@dataclass(frozen=True, slots=True)
class EpochPoint:
    """One epoch of one trial."""

    epoch: int
    train_loss: float
    validation_loss: float
    validation_score: float


@dataclass(frozen=True)
class PastTrial:
    """A trial of an earlier study that teaches a round's sampler.

    Attributes:
        trial_id: In that study.
        values: Of the leaves that the round searches.
        state: Trained to the end, or stopped at a rung.
        score: Best validation score.
        epochs: Trained.
    """

    trial_id: str
    values: Mapping[str, Any]
    state: Literal["completed", "pruned"]
    score: float
    epochs: int


@dataclass(frozen=True)
class RoundPlan:
    """What a runner needs to run one round.

    Attributes:
        number: Of the round in the study, from 1.
        step: 4 (coarse) or 5 (refined).
        cycle: Which repetition of steps 3 to 5.
        space: Ranges sampled.
        base: Every leaf that is not in ``space``.
        first: Points tried first, by leaf.
        past: Trials of an earlier study that the sampler learns from.
        metric: What is optimised.
        max_trials: Configurations.
        max_epochs: Epochs of a trial that is not stopped.
        early_stopping: Whether ASHA stops trials at rungs.
        grace_period: First rung, in epochs.
        reduction_factor: η.
        rung_spacing: Each rung lies this many times as far as the one before.
        standing: Share at each earlier rung that a trial must still be among; None for not asking again.
        sampler: How configurations are drawn.
        population_size: Configurations per cohort; auto for what is measured.
        seed: Of the study.
        folder: Journals of this round are written here.
        target: Score at which no further trial is started.
        best_before: Best score of the round before, if it counts towards the target.
        deadline: ``time.monotonic()`` after which no further trial is started.
        stop_file: No further trial is started once it exists.
        epochs_left: Epochs of the study's budget, after which no further trial is started; None for no limit.
        patience_trials: Ended trials without a better score after which no further one is started.
        patience_minutes: Minutes likewise.
        brackets: Of ASHA, see brackets.py.
        max_concurrent_trials: Cohorts at once; None for what the machine holds.
        cpus_per_trial: CPUs of a cohort.
        gpus_per_trial: GPUs of a cohort.
    """

    number: int
    step: Literal[4, 5]
    cycle: int
    space: Space
    base: TrialConfig
    first: tuple[Mapping[str, Any], ...]
    metric: MetricName
    max_trials: int
    max_epochs: int
    early_stopping: bool
    grace_period: int
    reduction_factor: float
    rung_spacing: float
    standing: float | None
    sampler: SamplerName
    population_size: int | Literal["auto"]
    seed: int
    folder: Path
    past: tuple[PastTrial, ...] = ()
    target: float | None = None
    best_before: float | None = None
    deadline: float | None = None
    stop_file: Path | None = None
    epochs_left: int | None = None
    patience_trials: int | None = None
    patience_minutes: float | None = None
    brackets: int = 1
    max_concurrent_trials: int | None = None
    cpus_per_trial: float = 1
    gpus_per_trial: float = 0

    @property
    def name(self) -> str:
        """As the recipe calls it."""
        return f"{self.step} {'coarse' if self.step == 4 else 'refined'} search"


@dataclass(frozen=True, slots=True)
class TrialTimes:
    """When a trial was trained, and for how long.

    Attributes:
        began_at: Start of its first epoch, in seconds since 1970, by the driver's clock.
        ended_at: When the driver heard of its end, likewise.
        seconds: Time in which it was trained: without waiting for a worker, for ASHA, or paused for others. Members of
            a population are trained together, so each of them has the whole time.
    """

    began_at: float
    ended_at: float
    seconds: float


@dataclass(frozen=True)
class TrialResult:
    """One configuration of a round and what became of it.

    Attributes:
        trial_id: Unique in the study, such as ``r1-007``.
        number: In the round, from 0.
        config: What was trained.
        values: The leaves that were sampled.
        status: Final.
        reason: Why it ended.
        curve: Its epochs, ascending.
        metric: Of the scores.
        worker: Process that trained it.
        times: When it was trained; None if it was not, or by a version that did not write it down.
    """

    trial_id: str
    number: int
    config: TrialConfig
    values: Mapping[str, Any]
    status: TrialStatus
    reason: str
    curve: tuple[EpochPoint, ...]
    metric: MetricName
    worker: str = ""
    # Two trainings with the same numbers are the same result, however long each took.
    times: TrialTimes | None = field(default=None, compare=False)

    @property
    def best_point(self) -> EpochPoint | None:
        """The epoch with the best finite validation score."""
        finite = [point for point in self.curve if math.isfinite(point.validation_score)]
        rank = METRICS[self.metric].rank
        return min(finite, key=lambda point: rank(point.validation_score), default=None)

    @property
    def score(self) -> float:
        """Best validation score, NaN if there is none."""
        return self.best_point.validation_score if self.best_point else math.nan

    @property
    def epochs(self) -> int:
        """Epochs trained."""
        return self.curve[-1].epoch if self.curve else 0


@dataclass(frozen=True)
class RoundResult:
    """A round that is over.

    Attributes:
        plan: What was to be done.
        trials: In the order in which they were asked for.
        stop_reason: Why no more of them.
        seconds: From start to end.
        sizes: How many networks were trained as one, by shape, where that was measured.
    """

    plan: RoundPlan
    trials: tuple[TrialResult, ...]
    stop_reason: str
    seconds: float
    sizes: tuple[PopulationSize, ...] = ()

    @property
    def ranked(self) -> list[TrialResult]:
        """Trials with a score that were not stopped by a failure, best first; those trained to the end go first.

        Trials of different rungs are never ranked against each other: a trial stopped at epoch 3 says nothing
        about how it would have done at epoch 27.
        """
        rank = METRICS[self.plan.metric].rank
        able = [t for t in self.trials if t.status in (TrialStatus.COMPLETED, TrialStatus.PRUNED) and t.best_point]
        return sorted(able, key=lambda t: (-t.epochs, rank(t.score)))

    @property
    def best(self) -> TrialResult | None:
        """The best of the trials that went furthest."""
        return self.ranked[0] if self.ranked else None

    @property
    def epochs(self) -> int:
        """Epochs of all its trials."""
        return sum(trial.epochs for trial in self.trials)

    def count(self, status: TrialStatus) -> int:
        """Trials that ended so."""
        return sum(trial.status is status for trial in self.trials)


# ---- step 6 and the finalists ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cycle:
    """One repetition of steps 3 to 5."""

    rates: LearningRatesResult
    coarse: RoundResult
    refined: RoundResult


@dataclass(frozen=True)
class SeedNoise:
    """A configuration trained again from other seeds: the best validation score of each, NaN for one that diverged."""

    trial_id: str
    scores: tuple[float, ...]

    @property
    def std(self) -> float:
        """Standard deviation (n - 1) of the finite ones; NaN with fewer than two."""
        finite = [score for score in self.scores if math.isfinite(score)]
        return _std(finite) if len(finite) > 1 else math.nan

    @property
    def of_difference(self) -> float:
        """Standard deviation of the difference between two trainings."""
        return math.sqrt(2) * self.std


@dataclass(frozen=True)
class Decision:
    """Step 6: whether steps 3 to 5 are done again, and why, in a sentence.

    Attributes:
        cycle: After which.
        stop: Whether it was the last.
        reason: Why.
        narrowing: What the ranges become, in sentences; empty if it was the last.
        gain: By how much the score has improved, in its own unit; None where there was nothing to compare.
        expected_gain: By how much another cycle is expected to improve it.
        noise: What is not above it is no improvement.
    """

    cycle: int
    stop: bool
    reason: str
    narrowing: tuple[str, ...] = ()
    gain: float | None = None
    expected_gain: float | None = None
    noise: float | None = None


@dataclass(frozen=True)
class Finalist:
    """A configuration trained again from fresh seeds.

    Attributes:
        trial_id: Where the configuration was found.
        config: It.
        seeds: One per network.
        scores: Best validation score of each.
        curves: Epochs of each.
        health: Of the first seed's network while it trained, steps of its looks included.
        fit: How the mean curves over the seeds read.
        learning_rates: Of each epoch, at its end.
        validation_metrics: Every metric on the validation rows, mean over seeds, with the weights that are kept.
        fold_scores: Best validation score of each seed, by fold of a cross-validation; empty without one.
        parameters: Numbers that are trained in one of its networks.
    """

    trial_id: str
    config: TrialConfig
    seeds: tuple[int, ...]
    scores: tuple[float, ...]
    curves: tuple[tuple[EpochPoint, ...], ...]
    health: HealthReading
    fit: FitReading
    learning_rates: tuple[float, ...]
    validation_metrics: Mapping[MetricName, float] = field(default_factory=dict)
    fold_scores: tuple[tuple[float, ...], ...] = ()
    parameters: int = 0

    @property
    def judged(self) -> tuple[float, ...]:
        """The scores that it is judged by: of all folds × seeds, or of its seeds where there are no folds."""
        return tuple(score for fold in self.fold_scores for score in fold) or self.scores

    @property
    def mean(self) -> float:
        """Mean of the scores that it is judged by."""
        return sum(self.judged) / len(self.judged)

    @property
    def std(self) -> float:
        """Their standard deviation (n - 1)."""
        return _std(self.judged)

    @property
    def by_seed(self) -> tuple[float, ...]:
        """Score of each seed, its mean over the folds where there are some."""
        return tuple(sum(of_seed) / len(of_seed) for of_seed in zip(*self.fold_scores, strict=True)) or self.scores

    @property
    def interval(self) -> tuple[float, float] | None:
        """Of 95 % confidence in the mean, over the seeds; None with fewer than 2 (significance.py)."""
        return confidence_interval(self.by_seed)


@dataclass(frozen=True)
class Refit:
    """The winner trained once more, on training and validation rows together (recipe/refitting.py).

    Attributes:
        epochs: Of the training.
        lengths: Epochs that were considered, each with the mean validation score of the winner's seeds at its end.
        rows: Trained on.
        seed: Of the network.
        epochs_spent: On it and on the choice of its length.
        checkpoint: The network; None if the training went wrong and it is not to be used.
        test_metrics: Every metric on test rows; empty likewise.
    """

    epochs: int
    lengths: tuple[tuple[int, float], ...]
    rows: int
    seed: int
    epochs_spent: int
    checkpoint: Path | None
    test_metrics: Mapping[MetricName, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ParetoPoint:
    """A trial by both objectives.

    Attributes:
        trial_id: Of the trial.
        score: Its best validation score.
        second: Its second objective, in the unit of the set.
        is_optimal: Whether no other trial is at least as good in both and better in one.
    """

    trial_id: str
    score: float
    second: float
    is_optimal: bool


@dataclass(frozen=True)
class ParetoSet:
    """The trials that were trained to the end, by score and a second objective of which less is better.

    Attributes:
        second: Which one.
        points: Best score first.
    """

    second: SecondObjective
    points: tuple[ParetoPoint, ...]

    @property
    def optimal(self) -> tuple[ParetoPoint, ...]:
        """Those that no other dominates, best score first."""
        return tuple(point for point in self.points if point.is_optimal)

    @property
    def name(self) -> str:
        """``parameters`` or ``prediction time``."""
        return self.second.replace("_", " ")

    @property
    def label(self) -> str:
        """With its unit."""
        return "parameters" if self.second == "parameters" else "prediction time (ms per 1 000 rows, one thread)"


@dataclass(frozen=True)
class FinalistsResult:
    """The winner and its one look at the test rows.

    Attributes:
        finalists: The winner first, then by mean.
        metric: Of the scores.
        test_scores: Of the winner's networks, in the order of its seeds.
        exported: Index of the winner's network with the best validation score: the model, unless ``refit`` is.
        trivial_test_metrics: Every metric on test rows of the predictor that ignores its inputs (class frequencies, or
            the mean).
        checkpoint: The winner's networks at their best epochs, one population.
        seconds: Time taken.
        test_metrics: Every metric on test rows, mean over the winner's seeds.
        baselines: What simpler models reach, the simplest first; empty if nobody asked.
        calibration: Of the model, on test rows; None if nobody asked.
        pareto: The trials by both objectives; None if there is only one.
        contenders: Trial ids of the finalist with the best mean and of those that cannot be told from it, by mean.
        refit: The winner on training and validation rows together; None if nobody asked.
    """

    finalists: tuple[Finalist, ...]
    metric: MetricName
    test_scores: tuple[float, ...]
    exported: int
    trivial_test_metrics: Mapping[MetricName, float]
    checkpoint: Path
    seconds: float
    test_metrics: Mapping[MetricName, float] = field(default_factory=dict)
    baselines: tuple[Baseline, ...] = ()
    calibration: Calibration | None = None
    contenders: tuple[str, ...] = ()
    pareto: ParetoSet | None = None
    refit: Refit | None = None

    @property
    def model(self) -> tuple[Path, int]:
        """The network that is the model: the file of its population, and its index there."""
        if self.refit is not None and self.refit.checkpoint is not None:
            return self.refit.checkpoint, 0
        return self.checkpoint, self.exported

    @property
    def is_refit(self) -> bool:
        """Whether the model is the network of the refit."""
        return self.model[0] != self.checkpoint

    @property
    def model_test_score(self) -> float:
        """Of the very network that is the model."""
        if self.refit is not None and self.is_refit:
            return self.refit.test_metrics[self.metric]
        return self.test_scores[self.exported]

    @property
    def winner(self) -> Finalist:
        """The finalist with the best mean or, if the user prefers it, the simplest that cannot be told from it."""
        return self.finalists[0]

    @property
    def alike(self) -> tuple[str, ...]:
        """Trial ids of the contenders beside the winner."""
        return tuple(trial_id for trial_id in self.contenders if trial_id != self.winner.trial_id)

    @property
    def trivial_test_score(self) -> float:
        """Test score of the predictor that ignores its inputs."""
        return self.trivial_test_metrics[self.metric]

    @property
    def test_mean(self) -> float:
        """Mean test score of the winner over its seeds."""
        return sum(self.test_scores) / len(self.test_scores)

    @property
    def test_std(self) -> float:
        """Standard deviation of the winner's test score over its seeds (n - 1)."""
        return _std(self.test_scores)


def _std(values: Sequence[float]) -> float:
    if len(values) < 2:
        return 0.0
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))


# ---- the study -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DataSummary:
    """What the record says about the table.

    Attributes:
        columns: How many feature columns there are of each kind, before preparation.
        notes: What was found out about the files.
        warnings: Leaks and traps, a sentence each.
    """

    source: str
    fingerprint: str
    n_train: int
    n_validation: int
    n_test: int
    n_inputs: int
    n_outputs: int
    task: str
    class_names: tuple[str, ...] = ()
    target: str = ""
    task_reason: str = ""
    columns: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class StudyResult:
    """Everything that a study learnt.

    Attributes:
        study_id: Names its folder and its record.
        status: How it ended.
        reason: Why, in a sentence: the last decision, or the diagnosis.
        checks: In the order done.
        rounds: In the order done.
        decisions: Of step 6.
        finalists: None if it did not come to that.
        seconds: Time taken.
        data: The table.
    """

    study_id: str
    status: StudyStatus
    reason: str
    checks: tuple[CheckResult, ...]
    rounds: tuple[RoundResult, ...]
    decisions: tuple[Decision, ...]
    finalists: FinalistsResult | None
    seconds: float
    data: DataSummary | None = None
