"""What the epochs of a training say: its best one, a single one, and the mean over several trainings.

There is one rule for what counts: an epoch whose loss or score is not finite has no score. Of a network with outputs
that are no numbers, every row is of class 0, which may look like an accuracy.

>>> points = EpochPoint(1, 0.9, 0.9, 0.5), EpochPoint(2, 0.7, 0.8, 0.75), EpochPoint(3, math.nan, math.nan, 0.9)
>>> best(points, "accuracy").epoch, best_score(points, "accuracy"), score_at(points, 1), score_at(points, 9)
(2, 0.75, 0.5, nan)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from trainables.metrics import METRICS, MetricName
from trainables.records import EpochPoint

# The epochs of one training, ascending.
Curve = Sequence[EpochPoint]


def best(curve: Curve, metric: MetricName) -> EpochPoint | None:
    """The first epoch with the best score; None if none has a score."""
    able = [p for p in curve if math.isfinite(p.validation_loss) and math.isfinite(p.validation_score)]
    return min(able, key=lambda point: METRICS[metric].rank(point.validation_score), default=None)


def best_score(curve: Curve, metric: MetricName) -> float:
    """The best score; NaN if there is none."""
    found = best(curve, metric)
    return math.nan if found is None else found.validation_score


def score_at(curve: Curve, epoch: int) -> float:
    """The score after an epoch; NaN if the training did not get there."""
    return next((point.validation_score for point in curve if point.epoch == epoch), math.nan)


def mean(curves: Iterable[Curve]) -> tuple[EpochPoint, ...]:
    """The average over trainings of one length, epoch by epoch; not finite where one of them is not."""
    return tuple(
        EpochPoint(
            epoch=points[0].epoch,
            train_loss=_mean([point.train_loss for point in points]),
            validation_loss=_mean([point.validation_loss for point in points]),
            validation_score=_mean([point.validation_score for point in points]),
        )
        for points in zip(*curves, strict=True)
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
