"""What steps 4 and 5 are to try, and what became of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from search_service.space.ranges import Space
from search_service.spec.study_spec import SamplerName
from trainables.config import TrialConfig
from trainables.metrics import METRICS, MetricName
from trainables.records import PopulationSize


class TrialStatus(StrEnum):
    """Where a trial stands; all but RUNNING are final."""

    RUNNING = "running"
    COMPLETED = "completed"
    PRUNED = "pruned"
    DIVERGED = "diverged"
    FAILED = "failed"


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
