"""What is measured on networks, as plain records without torch: what only reads them does not wait for it.

The modules that compute them are named beside each.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from trainables.metrics import MetricName

BaselineName = Literal["linear", "boosting"]


# With slots: a round keeps one for every epoch of every trial.
@dataclass(frozen=True, slots=True)
class EpochPoint:
    """One epoch of one network of a population (training.py)."""

    epoch: int
    train_loss: float
    validation_loss: float
    validation_score: float

    def to_plain(self) -> dict[str, Any]:
        """As ``dataclasses.asdict``, which takes ten times as long for the thousands of a round."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True)
class Advantage:
    """By how much a model's score is better than another's on the same rows, and how much of that may be chance.

    Attributes:
        difference: In the metric's unit, above 0 where the model is better.
        error: One standard error of the difference, over other rows like these.
        rows: Rows that both were judged on.
    """

    difference: float
    error: float
    rows: int

    @property
    def is_certain(self) -> bool:
        """Whether the model is better, beyond what chance leaves open (99 % on either side)."""
        # The 99.5 % quantile of the normal distribution: a model that is good for nothing passes once in 200 times.
        return self.difference > 2.576 * self.error

    @property
    def sign(self) -> int:
        """1 where the model is better and -1 where it is worse, at 95 %; 0 where the two cannot be told apart."""
        # The 97.5 % quantile of the normal distribution.
        if abs(self.difference) <= 1.96 * self.error:
            return 0
        return 1 if self.difference > 0 else -1


@dataclass(frozen=True)
class Baseline:
    """A simpler model and what it reaches.

    Attributes:
        name: linear or boosting.
        model: What people call it.
        validation: Score on validation rows by metric, in the target's own units.
        test: The same on test rows, of one that has learnt from as many rows as the model.
        rows: Rows that this one learnt from.
        note: What a reader should know: fewer rows than there are, no convergence.
        unavailable: Why it has no scores; empty if it has.
        seconds: Time taken.
        lead: By how much the network is better on the same test rows, by the study's metric; None if nobody asked.
        leads: The same by every metric that both have; empty likewise, and in studies of earlier versions.
    """

    name: BaselineName
    model: str
    validation: Mapping[MetricName, float] = field(default_factory=dict)
    test: Mapping[MetricName, float] = field(default_factory=dict)
    rows: int = 0
    note: str = ""
    unavailable: str = ""
    seconds: float = 0.0
    lead: Advantage | None = None
    leads: Mapping[MetricName, Advantage] = field(default_factory=dict)


@dataclass(frozen=True)
class Calibration:
    """What a temperature does to a network's probabilities.

    Attributes:
        temperature: What outputs are divided by; above 1 for a network that is too sure of itself, 1 where validation
            rows could not tell.
        log_loss_before: Log loss of the network as it is, on rows that the temperature was not fitted on.
        log_loss_after: The same with the temperature.
        error_before: Expected calibration error on the same rows, as the network is.
        error_after: The same with the temperature.
    """

    temperature: float
    log_loss_before: float
    log_loss_after: float
    error_before: float
    error_after: float


@dataclass(frozen=True)
class PredictionInterval:
    """Around every number that the model predicts, what holds the true one of a given share of new rows.

    Attributes:
        share: Of new rows, as asked for.
        half_width: From the prediction to either end, in the target's units.
        covered: Share of the test rows whose value lies within, each judged by a width that other test rows have set.
        rows: Test rows, which set the width.
    """

    share: float
    half_width: float
    covered: float
    rows: int


@dataclass(frozen=True)
class Threshold:
    """From which probability on a row is said to be of the second of two classes.

    Attributes:
        probability: Of those that the model gives.
        shift: The same as log-odds of the network's outputs.
        class_name: The second class.
        chosen_by: The score that is best there on validation rows; None where the config says the number.
        validation: That score on validation rows, at one half and at the threshold; None likewise.
        test: The model's scores on test rows, by metric, of those that a threshold changes.
        test_at_half: The same, were it one half.
    """

    probability: float
    shift: float
    class_name: str
    chosen_by: MetricName | None = None
    validation: tuple[float, float] | None = None
    test: Mapping[MetricName, float] = field(default_factory=dict)
    test_at_half: Mapping[MetricName, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ColumnImportance:
    """How much a network misses a column of its table.

    Attributes:
        name: Of the column.
        worse: By how much the score is worse when the column's values are shuffled, mean over networks and times.
        spread: Standard deviation over the same.
    """

    name: str
    worse: float
    spread: float

    @property
    def is_missed(self) -> bool:
        """Whether the score is worse by more than one standard deviation over networks and shuffles."""
        return self.worse > self.spread


@dataclass(frozen=True)
class ColumnImportances:
    """Which columns the networks of a configuration go by.

    Attributes:
        metric: The score that is worse without a column.
        columns: The one that is missed most first; none if ``reason`` says why.
        rows: Rows that it was measured on.
        networks: Networks.
        repeats: Times that each column was shuffled.
        reason: Why nothing is known; empty if something is.
    """

    metric: MetricName
    columns: tuple[ColumnImportance, ...] = ()
    rows: int = 0
    networks: int = 0
    repeats: int = 0
    reason: str = ""


@dataclass(frozen=True)
class PartialDependence:
    """What networks say at some values of a column, all other columns as they are; G values.

    Attributes:
        column: Its name.
        kind: Of the column.
        values: G: numbers, or the text of dates (ISO 8601), truths and categories.
        means: Of each class that is shown its mean probability (G), or, named by nothing, the mean of a target of
            numbers in its own units. Of two classes it is the second; without probabilities, the share of rows.
        spreads: Standard deviation over the networks of the same.
        shares: How many of the training rows have that value (G), of categories; else nothing.
        rows: Rows that were averaged over.
        networks: Networks.
    """

    column: str
    kind: Literal["numeric", "boolean", "categorical", "date", "text"]
    values: tuple[float, ...] | tuple[str, ...]
    means: Mapping[str, tuple[float, ...]]
    spreads: Mapping[str, tuple[float, ...]]
    shares: tuple[float, ...] = ()
    rows: int = 0
    networks: int = 0


@dataclass(frozen=True)
class LayerActivations:
    """Activations of one hidden layer of one member over a batch of rows.

    Attributes:
        mean: Over rows and units.
        std: Over rows and units.
        dead: Share of units that are 0 for every row (relu), else 0.
        saturated: Share of activations where the nonlinearity is nearly flat (tanh, sigmoid), else 0.
        counts: Histogram of the finite activations, ``HISTOGRAM_BINS`` counts (measurements.py).
        edges: Its ``HISTOGRAM_BINS + 1`` bin edges; all 0 where no activation is finite.
    """

    mean: float
    std: float
    dead: float
    saturated: float
    counts: tuple[float, ...]
    edges: tuple[float, ...]


@dataclass(frozen=True)
class LayerGradients:
    """Gradient of the loss with respect to one layer's weights, for one member.

    Attributes:
        norm: L2 norm.
        unit_spread: How much the gradients of the layer's units differ: the norm of their deviation from the
            mean unit, over the norm. 0 when every unit gets the same gradient, or none at all.
    """

    norm: float
    unit_spread: float


@dataclass(frozen=True)
class LayerHealth:
    """One layer of one member at one moment of its training.

    Attributes:
        mean: Mean of the layer's activations (of the outputs, in the last layer), over rows and units.
        std: Standard deviation of the same.
        dead: Share of units that are 0 for every row (relu), else 0.
        saturated: Share of activations where the nonlinearity is nearly flat (tanh, sigmoid), else 0.
        signal: What comes back to the layer: root mean square over rows, by weight, of the norm of the gradient of a
            row's loss with respect to the layer's activations. How wide the layer or its inputs are does not matter.
        gradient_norm: L2 norm of the loss's gradient with respect to the layer's weights, before any clipping.
        update_ratio: Norm of the next step's change of the weights over the weights' norm; about 0.001 is usual.
    """

    mean: float
    std: float
    dead: float
    saturated: float
    signal: float
    gradient_norm: float
    update_ratio: float


@dataclass(frozen=True)
class Health:
    """One member after ``step`` parameter updates.

    Attributes:
        step: Updates done.
        loss: Loss on the rows measured, without penalties.
        layers: First to last; the last one is the outputs.
    """

    step: int
    loss: float
    layers: tuple[LayerHealth, ...]

    @property
    def gradient_norm(self) -> float:
        """L2 norm of the gradient over the weights of all layers."""
        return math.hypot(*(layer.gradient_norm for layer in self.layers))


@dataclass(frozen=True)
class PopulationSize:
    """What was chosen for a shape.

    Attributes:
        layer_sizes: D, the units of each hidden layer, C.
        batch_rows: B.
        size: K.
        gain: Networks trained per second, as a multiple of one by one.
        measured: (size, gain) of every size that was timed.
    """

    layer_sizes: tuple[int, ...]
    batch_rows: int
    size: int
    gain: float
    measured: tuple[tuple[int, float], ...]

    def __str__(self) -> str:
        shape = " × ".join(map(str, self.layer_sizes))
        if self.size == 1:
            return f"networks of {shape} one by one: several at once would not be faster"
        return f"{self.size} networks of {shape} at a time: {self.gain:.1f} × as fast as one by one"


@dataclass(frozen=True)
class Pace:
    """What a population of ``size`` members takes, in seconds.

    Attributes:
        size: K.
        seconds_per_step: One parameter update of all members on one batch.
        seconds_per_validation: Loss and score of all members on all validation rows.
        steps_per_epoch: Parameter updates of an epoch.
    """

    size: int
    seconds_per_step: float
    seconds_per_validation: float
    steps_per_epoch: int

    @property
    def seconds_per_epoch(self) -> float:
        """Seconds of an epoch of all members together."""
        return self.steps_per_epoch * self.seconds_per_step + self.seconds_per_validation
