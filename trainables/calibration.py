"""Probabilities that hold what they say: temperature scaling, and how far they are off.

A network that fits its training rows well is too sure of itself elsewhere. Dividing its outputs by one number T, chosen
on validation rows so that their log loss is least, mends most of that and changes no decision.
Input: outputs ``[N, C]`` of one network (C = 1: binary cross-entropy), targets ``[N]``, and weights ``[N]`` or None.
Source: Guo et al. 2017, "On calibration of modern neural networks".

>>> outputs, targets = torch.tensor([[3.0, 0.0], [3.0, 0.0], [3.0, 0.0], [3.0, 0.0]]), torch.tensor([0, 0, 0, 1])
>>> round(float(torch.sigmoid(torch.tensor(3.0 / fit_temperature(outputs, targets)))), 3)
0.75
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from trainables.records import Calibration
from trainables.scores import SCORES, predicted_classes, probabilities
from trainables.target_scaling import UNSCALED

# Temperatures looked for: beyond, a network says nothing (all classes alike) or is certain of everything.
LOWEST, HIGHEST = 0.05, 20.0
# Accuracy of ln T: log losses then agree to 1e-8, since they are flat at the least.
TOLERANCE = 1e-4
# Bins of the confidence, as in the source.
BINS = 15


def fit_temperature(outputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> float:
    """The temperature with the least log loss on rows that the network has not learnt from.

    Log loss is convex in 1/T, so the one minimum there is between the bounds is found. Where every row is right there
    is none: the surer, the better, and 1 is returned, since such rows cannot tell how sure is too sure.
    """
    outputs = outputs.double()
    if (predicted_classes(outputs.unsqueeze(0))[0] == targets).all():
        return 1.0

    def loss(log_temperature: float) -> float:
        return _log_loss(outputs / math.exp(log_temperature), targets, weights)

    bounds = (math.log(LOWEST), math.log(HIGHEST))
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": TOLERANCE})
    return math.exp(float(found.x))


def calibration_error(outputs: Tensor, targets: Tensor, weights: Tensor | None = None, bins: int = BINS) -> float:
    """Expected calibration error: how far confidence and accuracy are apart, mean over rows.

    Rows are sorted into ``bins`` bins of equal width by the probability of the class that the network names; of each
    bin, |accuracy − mean probability| counts by the bin's share of the rows.
    """
    confidence, named = probabilities(outputs.unsqueeze(0))[0].max(dim=1)
    w = torch.ones_like(confidence) if weights is None else weights.double()
    # A bin holds its upper edge: (0, 1/15], (1/15, 2/15], …
    of_row = (confidence * bins).ceil().long().clamp(1, bins) - 1
    surplus = ((named == targets).double() - confidence) * w
    by_bin = torch.zeros(bins, dtype=torch.float64, device=outputs.device).index_add(0, of_row, surplus)
    error: float = (by_bin.abs().sum() / w.sum()).item()
    return error


def judge(temperature: float, outputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> Calibration:
    """What ``temperature`` does on rows that it was not fitted on."""
    before, after = outputs.double(), outputs.double() / temperature
    return Calibration(
        temperature,
        log_loss_before=_log_loss(before, targets, weights),
        log_loss_after=_log_loss(after, targets, weights),
        error_before=calibration_error(before, targets, weights),
        error_after=calibration_error(after, targets, weights),
    )


def _log_loss(outputs: Tensor, targets: Tensor, weights: Tensor | None) -> float:
    return float(SCORES["log_loss"](outputs.unsqueeze(0), targets, UNSCALED, weights))
