"""Underfitting, good fit or overfitting: what the loss curves of a finalist say, by a rule that is written down.

Why: two configurations with the same score may need opposite remedies, and the curves tell which.
All losses are means over a finalist's seeds, smoothed over a tenth of the epochs, without penalties, as shares of
chance: from the least loss that there can be (0 but for label smoothing) to that of a network that knows nothing. The
training loss of an epoch is measured while it trains, dropout included. The rule, in this order:

- underfitting, not settled: the training loss ends more than 5 % above chance.
- overfitting: at the end the validation loss has risen by more than 5 % of chance above its lowest point while the
  training loss fell on; or it lies more than 25 % of chance above a training loss that is less than half of it.
- underfitting, still learning: over the last quarter of the epochs the validation loss fell by more than 5 % of chance.
- underfitting, too weak: the training loss ends above 60 % of chance and within 10 % of chance of the validation loss.
- good fit: none of these.

Source: the lecture on reading learning curves; Goodfellow, Bengio and Courville 2016, chapter 5.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from search_service.records.readings import FitReading
from trainables.config import TrialConfig, applies
from trainables.losses import ChanceScale
from trainables.records import EpochPoint

# All of these are shares of chance.
ABOVE, RISEN, GAP, STILL_FALLING, WEAK, NO_GAP = 1.05, 0.05, 0.25, 0.05, 0.6, 0.1
# Share of the epochs that losses are averaged over, and of those that show a trend.
SMOOTHING, TREND = 0.1, 0.25

REGULARIZERS = ("regularization.l2", "optimizer.weight_decay", "network.dropout", "label_smoothing")
UNSETTLED_REMEDY = "lower optimizer.lr, or clip the gradient (clipping.norm)"
LONGER_REMEDY = "train longer (search.refined.max_epochs), or at a higher rate"
WEAK_REMEDY = "a better learning rate, a larger network, less regularisation, or features that say more"


def read(curves: Sequence[Sequence[EpochPoint]], scale: ChanceScale, config: TrialConfig) -> FitReading:
    """Read a finalist's curves.

    Args:
        curves: The curve of each seed, epochs ascending, all of one length; those that are not finite are left out.
        scale: What the losses are read by.
        config: The finalist's configuration; it says which remedies there are.
    """
    curves = [curve for curve in curves if all(math.isfinite(p.train_loss + p.validation_loss) for p in curve)]
    if not curves:
        return FitReading("underfitting", "underfitting: the loss did not stay finite", UNSETTLED_REMEDY)
    by_epoch = list(zip(*curves, strict=True))
    train = _smooth([scale.share(_mean(points, "train_loss")) for points in by_epoch])
    validation = _smooth([scale.share(_mean(points, "validation_loss")) for points in by_epoch])
    lowest = min(range(len(validation)), key=lambda i: validation[i])
    since = max(0, len(validation) - 1 - max(1, round(TREND * len(validation))))
    rise, gap = validation[-1] - validation[lowest], validation[-1] - train[-1]
    fall = validation[since] - validation[-1]
    losses = f"training loss {train[-1]:.0%}, validation loss {validation[-1]:.0%} of chance at the end"
    if train[-1] > ABOVE:
        return FitReading("underfitting", f"underfitting, not settled: {losses}", UNSETTLED_REMEDY)
    if (rise > RISEN and train[-1] < train[lowest]) or (gap > GAP and train[-1] < validation[-1] / 2):
        lowest_at = f", {validation[lowest]:.0%} at epoch {curves[0][lowest].epoch}" if rise > RISEN else ""
        return FitReading("overfitting", f"overfitting: {losses}{lowest_at}", _against_overfitting(config))
    if fall > STILL_FALLING:
        course = f"over the last {len(validation) - 1 - since} epochs it fell by {fall:.0%}"
        return FitReading("underfitting", f"underfitting, still learning: {losses}; {course}", LONGER_REMEDY)
    if train[-1] > WEAK and gap < NO_GAP:
        return FitReading("underfitting", f"underfitting, too weak: {losses}", WEAK_REMEDY)
    return FitReading("good fit", f"good fit: {losses}", "")


def _against_overfitting(config: TrialConfig) -> str:
    """Only what this loss and this optimiser have."""
    there = ", ".join(leaf for leaf in REGULARIZERS if applies(leaf, {}, config))
    return f"more training data; more regularisation ({there}); a smaller network; fewer epochs"


def _mean(points: Sequence[EpochPoint], name: str) -> float:
    values: list[float] = [getattr(point, name) for point in points]
    return sum(values) / len(values)


def _smooth(values: Sequence[float]) -> list[float]:
    """Mean over the epochs up to each one, a tenth of all of them."""
    width = max(1, round(SMOOTHING * len(values)))
    windows = [values[max(0, i + 1 - width) : i + 1] for i in range(len(values))]
    return [sum(window) / len(window) for window in windows]
