"""What became of the trials of a round; what it was to try is in round_plan.py."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from search_service.records import curves
from search_service.records.round_plan import RoundPlan
from trainables.config import TrialConfig
from trainables.metrics import METRICS, MetricName
from trainables.records import EpochPoint, PopulationSize


class TrialStatus(StrEnum):
    """Where a trial stands; all but RUNNING are final."""

    RUNNING = "running"
    COMPLETED = "completed"
    PRUNED = "pruned"
    DIVERGED = "diverged"
    FAILED = "failed"


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
        number: Number of the trial in the round, from 0.
        config: What was trained.
        values: The leaves that were sampled.
        status: Final.
        reason: Why it ended.
        curve: Its epochs, ascending.
        metric: The metric of the scores.
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

    @cached_property
    def best_point(self) -> EpochPoint | None:
        """The epoch with the best validation score; None if it has none."""
        return curves.best(self.curve, self.metric)

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
        trials: The trials in the order in which they were suggested.
        stop_reason: Why no more of them.
        seconds: Seconds from start to end.
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
