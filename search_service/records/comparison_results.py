"""Frozen records of a comparison of optimisers, and the numbers of its table, each defined once, here.

- *Training loss of an epoch*: mean over the epoch's rows of the loss before each update; epoch 0 is the untrained loss.
- *Best score* of a seed: its best validation score over the epochs with a finite loss.
- *Best drop*: the untrained loss minus the lowest mean training loss (over seeds) that any optimiser reached.
- *Epochs to 95 %* of an optimiser: the first epoch at which its mean training loss has fallen by 95 % of the best drop.
- *Diverged*: a training loss that stopped being finite.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

from search_service.records.curves import best_score, mean
from search_service.records.results import DataSummary, StudyStatus
from trainables.choices import OptimizerName
from trainables.config import TrialConfig
from trainables.metrics import METRICS, MetricName
from trainables.records import EpochPoint

# The share of the best drop at which an optimiser counts as having arrived: the last per cent of a loss take long
# and decide little.
ARRIVED = 0.95


@dataclass(frozen=True)
class RateTried:
    """One learning rate of a sweep.

    Attributes:
        rate: The learning rate.
        losses: Training loss of the last epoch for each of the sweep's seeds; infinite where it diverged.
    """

    rate: float
    losses: tuple[float, ...]

    @property
    def loss(self) -> float:
        """Mean over the seeds; infinite if one of them diverged, so that such a rate is never the best."""
        return statistics.fmean(self.losses)

    @property
    def diverged(self) -> int:
        """Seeds that diverged."""
        return sum(not math.isfinite(loss) for loss in self.losses)


@dataclass(frozen=True)
class OptimizerOutcome:
    """One optimiser at its best learning rate.

    Attributes:
        name: The optimiser.
        config: What was trained, with the first seed; None if every learning rate diverged.
        rates: Everything tried, ascending.
        swept: Sentences about the sweep: where it was widened, and whether the best rate still lies at its edge.
        seeds: One per network; the same for all optimisers.
        curves: Epochs of each, from epoch 0.
        metric: The metric of the scores.
        seconds: Time taken.
    """

    name: OptimizerName
    config: TrialConfig | None
    rates: tuple[RateTried, ...]
    swept: tuple[str, ...]
    seeds: tuple[int, ...]
    curves: tuple[tuple[EpochPoint, ...], ...]
    metric: MetricName
    seconds: float

    @property
    def mean_curve(self) -> tuple[EpochPoint, ...]:
        """Averaged over seeds, epoch by epoch; not finite where a seed is not."""
        return mean(self.curves)

    @property
    def best_scores(self) -> tuple[float, ...]:
        """Best score of each seed; NaN if it has none."""
        return tuple(best_score(curve, self.metric) for curve in self.curves)

    @property
    def best_mean(self) -> float:
        """Mean of the best scores over seeds; NaN if a seed has none."""
        return statistics.fmean(self.best_scores) if self.curves else math.nan

    @property
    def best_std(self) -> float:
        """Standard deviation of the best scores over seeds (n - 1)."""
        return statistics.stdev(self.best_scores) if len(self.curves) > 1 else 0.0

    @property
    def diverged(self) -> int:
        """Seeds of the comparison whose loss stopped being finite."""
        return sum(any(not math.isfinite(point.train_loss) for point in curve) for curve in self.curves)

    @property
    def diverged_in_sweep(self) -> int:
        """Trainings of the sweep (rates × seeds) whose loss stopped being finite."""
        return sum(tried.diverged for tried in self.rates)

    @property
    def trained_in_sweep(self) -> int:
        """Trainings of the sweep, rates × seeds."""
        return sum(len(tried.losses) for tried in self.rates)


@dataclass(frozen=True)
class PathOnSlice:
    """The way of one optimiser's first seed, projected onto the slice.

    Attributes:
        name: The optimiser.
        points: (x, y) at each of the slice's ``steps``, up to where the loss stopped being finite.
        losses: Losses of the network itself, not of its projection.
        explained: Share of the path's squared distances from the start that lies in the slice.
        diverged: Whether the path ends before its training did.
    """

    name: OptimizerName
    points: tuple[tuple[float, float], ...]
    losses: tuple[float, ...]
    explained: float
    diverged: bool


@dataclass(frozen=True)
class LossSlice:
    """The loss over a plane through parameter space, and the paths that were taken. The start lies at (0, 0).

    Attributes:
        x: The grid's coordinates, ascending.
        y: The grid's coordinates, ascending.
        losses: The grid's losses, one row per y.
        steps: Parameter updates at the points of a path.
        steps_per_epoch: Parameter updates of an epoch.
        explained: Shares of all paths' squared distances from the start along x and along y.
        paths: One per optimiser that trained.
        rows: Training rows on which losses are evaluated.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]
    losses: tuple[tuple[float, ...], ...]
    steps: tuple[int, ...]
    steps_per_epoch: int
    explained: tuple[float, float]
    paths: tuple[PathOnSlice, ...]
    rows: int


@dataclass(frozen=True)
class ComparisonResult:
    """Everything that a comparison found.

    Attributes:
        comparison_id: Names its folder and its record.
        status: How it ended.
        reason: Why, in a sentence.
        data: The table.
        metric: The metric of the scores.
        outcomes: One per optimiser, in the order asked for; fewer if it was interrupted.
        slice: None if there is none: it was interrupted, or nothing trained.
        seconds: Time taken.
    """

    comparison_id: str
    status: StudyStatus
    reason: str
    data: DataSummary
    metric: MetricName
    outcomes: tuple[OptimizerOutcome, ...]
    slice: LossSlice | None
    seconds: float

    @property
    def start_loss(self) -> float:
        """The untrained loss, mean over seeds: the same for every optimiser. NaN if nothing trained."""
        return next((o.mean_curve[0].train_loss for o in self.outcomes if o.curves), math.nan)

    @property
    def best_drop(self) -> float:
        """The untrained loss minus the lowest mean training loss of any optimiser."""
        losses = [point.train_loss for outcome in self.outcomes for point in outcome.mean_curve]
        return self.start_loss - min((loss for loss in losses if math.isfinite(loss)), default=math.nan)

    def epochs_to_arrive(self, outcome: OptimizerOutcome) -> int | None:
        """The first epoch at which the mean training loss has fallen by ``ARRIVED`` of the best drop; None if never."""
        goal = self.start_loss - ARRIVED * self.best_drop
        return next((point.epoch for point in outcome.mean_curve if point.epoch and point.train_loss <= goal), None)

    @property
    def ranked(self) -> list[OptimizerOutcome]:
        """Best mean score first; those without one last."""
        rank = METRICS[self.metric].rank
        return sorted(self.outcomes, key=lambda outcome: rank(outcome.best_mean))
