"""What step 6 decided, and what the final evaluation found."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from search_service.records.checks import LearningRatesResult
from search_service.records.numbers import score_text, spread_text
from search_service.records.pareto import ParetoSet
from search_service.records.readings import FitReading, HealthReading
from search_service.records.rounds import RoundResult
from search_service.records.significance import confidence_interval, told_apart
from trainables.config import TrialConfig
from trainables.metrics import METRICS, MetricName
from trainables.records import (
    Advantage,
    Baseline,
    Calibration,
    ColumnImportances,
    EpochPoint,
    PartialDependence,
    PredictionInterval,
    Threshold,
)


@dataclass(frozen=True)
class Cycle:
    """One repetition of steps 3 to 5."""

    rates: LearningRatesResult
    coarse: RoundResult
    refined: RoundResult

    @property
    def last(self) -> RoundResult:
        """The refined round; the coarse one where that has brought nothing."""
        return self.coarse if self.refined.best is None else self.refined


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
        gain: Improvement of the score, in its own unit; None where there was nothing to compare.
        expected_gain: Improvement that another cycle is expected to bring.
        noise: What is not above it is no improvement.
        measured: The trainings from other seeds that it was measured by, where that was done.
    """

    cycle: int
    stop: bool
    reason: str
    narrowing: tuple[str, ...] = ()
    gain: float | None = None
    expected_gain: float | None = None
    noise: float | None = None
    measured: SeedNoise | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Finalist:
    """A configuration trained again from fresh seeds.

    Attributes:
        trial_id: Where the configuration was found.
        config: The configuration.
        seeds: One per network.
        scores: Best validation score of each.
        curves: Epochs of each.
        health: Gradient health of the first seed's network while it trained, steps of its looks included.
        fit: How the mean curves over the seeds read.
        learning_rates: The rate at the end of each epoch.
        validation_metrics: Every metric on the validation rows, mean over seeds, with the weights that are kept.
        fold_scores: Validation score of each seed, by fold of a cross-validation, at the epoch with the best mean of
            all; empty without one.
        fold_overlap: Of folds, rows judged on for each trained on, mean over them; 0 in studies of earlier versions.
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
    fold_overlap: float = 0.0
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
    def units(self) -> tuple[float, ...]:
        """What it is compared by: the score of each seed; with folds that of each fold, its mean over the seeds."""
        return tuple(sum(fold) / len(fold) for fold in self.fold_scores) or self.scores

    @property
    def unit(self) -> str:
        """What such a score is of."""
        return "fold" if self.fold_scores else "seed"

    @property
    def overlap(self) -> float:
        """Of folds, the rows that one is judged on for each that it is trained on; 0 without (significance.py)."""
        usual = 1 / (len(self.fold_scores) - 1) if len(self.fold_scores) > 1 else 0.0
        return self.fold_overlap or usual

    @property
    def interval(self) -> tuple[float, float] | None:
        """The interval of 95 % confidence in the mean over seeds or folds; None with fewer than 2 (significance.py)."""
        return confidence_interval(self.units, self.overlap)

    def told_from(self, other: Finalist) -> bool:
        """Whether the two differ by more than chance."""
        return told_apart(self.units, other.units, self.overlap)


@dataclass(frozen=True)
class Refit:
    """The winner trained once more, on training and validation rows together (recipe/refitting.py).

    Attributes:
        epochs: Epochs of the training.
        lengths: Epochs that were considered, each with the mean validation score of the winner's seeds at its end.
        rows: Trained on.
        seed: The network's seed.
        epochs_spent: Epochs spent on it and on the choice of its length.
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
class AveragedNetwork:
    """A network that is part of an average.

    Attributes:
        trial_id: Where its configuration was found.
        seed: Its own.
        share: What it counts for; all together are 1.
        checkpoint: The file of its population.
        place: Its index there.
    """

    trial_id: str
    seed: int
    share: float
    checkpoint: Path
    place: int


@dataclass(frozen=True)
class Average:
    """The mean of several networks, which is the model (recipe/averaging.py).

    Attributes:
        networks: The largest share first.
        validation_score: Of their mean, before they were trained again, on the validation rows that chose them.
        best_validation_score: Of the best of all networks there were to choose from, alone.
        parameters: Numbers in all of them together.
        prediction_ms: Milliseconds per 1 000 rows that they take to predict, on one thread.
        alone_ms: Those of the winner's network.
        test_metrics: Every metric on test rows.
    """

    networks: tuple[AveragedNetwork, ...]
    validation_score: float
    best_validation_score: float
    parameters: int
    prediction_ms: float
    alone_ms: float
    test_metrics: Mapping[MetricName, float] = field(default_factory=dict)


@dataclass(frozen=True)
class FinalistsResult:
    """The winner and its one look at the test rows.

    Attributes:
        finalists: The winner first, then by mean.
        metric: The metric of the scores.
        test_scores: Test scores of the winner's networks, in the order of its seeds.
        exported: Index of the winner's network with the best validation score: the model, unless ``refit`` or
            ``average`` is.
        trivial_test_metrics: Every metric on test rows of the best predictor that ignores its inputs
            (``trainables/trivial.py``).
        checkpoint: The winner's networks at their best epochs, one population.
        seconds: Time taken.
        test_metrics: Every metric on test rows, mean over the winner's seeds.
        baselines: What simpler models reach, the simplest first; empty if nobody asked.
        calibration: The model's calibration on test rows; None if it was not asked for.
        threshold: From which probability on the second of two classes is named; None for one half, or where there are
            others.
        prediction_interval: What holds the true number of a share of new rows; None if nobody asked.
        columns: Which columns the winner's networks go by; None in studies of earlier versions.
        partial_dependences: What these networks say at the values of the columns that matter most; none likewise.
        pareto: The trials by both objectives; None if there is only one.
        contenders: Trial ids of the finalist with the best mean and of those that cannot be told from it, by mean.
        refit: The winner on training and validation rows together; None if nobody asked.
        over_trivial: By how much the model is better on test rows than ignoring the inputs; None in studies of earlier
            versions.
        rows_error: One standard error of the model's test score, over other rows like these; None likewise.
        average: The mean of several networks that is the model; None where one network is.
        rule: Which trials became finalists, by what rule, and which came next, in sentences; empty likewise.
        baselines_left_out: Whether simpler models were wanted, and there was no time for them.
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
    threshold: Threshold | None = None
    prediction_interval: PredictionInterval | None = None
    columns: ColumnImportances | None = None
    partial_dependences: tuple[PartialDependence, ...] = ()
    contenders: tuple[str, ...] = ()
    pareto: ParetoSet | None = None
    refit: Refit | None = None
    average: Average | None = None
    over_trivial: Advantage | None = None
    rows_error: float | None = None
    rule: str = ""
    baselines_left_out: bool = False

    @property
    def shortfall(self) -> str:
        """Why the model is good for nothing, in a clause; empty where it is not."""
        over = self.over_trivial
        if over is None or over.is_certain:
            return ""
        return (
            f"test {self.metric} {score_text(self.model_test_score)} is no better than the "
            f"{score_text(self.trivial_test_score)} of ignoring the inputs, beyond what {over.rows:,} rows leave "
            f"to chance ({'better' if over.difference > 0 else 'worse'} by {spread_text(abs(over.difference))} ± "
            f"{spread_text(over.error)}"
            f"{'; more than 2.6 times that error would be sure' if over.difference > 0 else ''})"
        )

    @property
    def network(self) -> tuple[Path, int]:
        """The network that is the model where none are averaged: the file of its population, and its index there."""
        if self.refit is not None and self.refit.checkpoint is not None:
            return self.refit.checkpoint, 0
        return self.checkpoint, self.exported

    @property
    def checkpoints(self) -> tuple[Path, ...]:
        """Every file that there are networks in."""
        averaged = () if self.average is None else (network.checkpoint for network in self.average.networks)
        return tuple(dict.fromkeys((self.checkpoint, self.network[0], *averaged)))

    @property
    def is_refit(self) -> bool:
        """Whether the model was trained again on training and validation rows together."""
        return self.network[0] != self.checkpoint

    @property
    def model_test_score(self) -> float:
        """Test score of the very network, or mean of networks, that is the model."""
        if self.average is not None:
            return self.average.test_metrics[self.metric]
        if self.metric == "log_loss" and self.calibration is not None and not self.is_refit:
            # A seed's own score knows no temperature, by which the model's probabilities are.
            return self.calibration.log_loss_after
        return self.network_test_score

    @property
    def model_test_metrics(self) -> Mapping[MetricName, float] | None:
        """Every metric on test rows of the model, where it is another than one of the winner's seeds."""
        if self.average is not None:
            return self.average.test_metrics
        return self.refit.test_metrics if self.refit is not None and self.is_refit else None

    @property
    def network_test_score(self) -> float:
        """Test score of the network that is the model where none are averaged."""
        if self.refit is not None and self.is_refit:
            return self.refit.test_metrics[self.metric]
        return self.test_scores[self.exported]

    @property
    def test_interval(self) -> tuple[float, float] | None:
        """Where the test score of a model that is trained so lies on rows like these, with 95 % confidence.

        Both what other test rows and what other seeds would change; None where the rows' part is not known.
        """
        if self.rows_error is None or not math.isfinite(self.rows_error):
            return None
        # The 97.5 % quantile of the normal distribution.
        half = 1.96 * math.hypot(self.rows_error, self.test_std)
        return possible(self.metric, (self.model_test_score - half, self.model_test_score + half))

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


def possible(metric: MetricName, interval: tuple[float, float]) -> tuple[float, float]:
    """The part of an interval that a score can lie in: shares end at 0 and 1, and no loss or error is below 0."""
    low, high = interval
    return (low if metric == "r2" else max(low, 0.0)), (min(high, 1.0) if METRICS[metric].at_most_1 else high)
