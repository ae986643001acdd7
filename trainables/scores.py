"""The scores of ``metrics.py``, computed for a population: of classes, of probabilities, of ranks and of numbers.

Input: outputs ``[K, N, C]``, targets ``[N]`` and, where rows do not count alike, weights ``[N]``. Output: one score per
member, ``[K]``. Regression targets are scaled in training; scores are in the target's own units, hence ``scaling``.
They are computed for all members at once: scikit-learn's own, member by member, take longer than training them.
Reference: ``sklearn.metrics``, with ``sample_weight``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from trainables.metrics import MetricName
from trainables.target_scaling import TargetScaling

# Of a class that no training row has, where frequencies are what is said: the log loss of a row that has it is then
# large and finite.
LEAST_FREQUENCY = 1e-12
# Outputs of members that F1, log loss and AUC are computed of at once: 32 MB in float64.
MOST_NUMBERS = 4_000_000


class Score(Protocol):
    """A score of every member of a population."""

    def __call__(
        self, outputs: Tensor, targets: Tensor, scaling: TargetScaling, weights: Tensor | None = None
    ) -> Tensor:
        """Outputs ``[K, N, C]``, targets ``[N]``, how the targets were scaled, weights ``[N]`` → ``[K]``."""


def predicted_classes(outputs: Tensor) -> Tensor:
    """``[K, N, C]`` -> ``[K, N]``."""
    # One output says class 1 where it is above 0 (binary cross-entropy); else the largest output wins.
    return (outputs.squeeze(2) > 0).long() if outputs.shape[2] == 1 else outputs.argmax(dim=2)


def _mean(values: Tensor, weights: Tensor | None) -> Tensor:
    """Over rows, by weight: ``[K, N]``, ``[N]`` -> ``[K]``."""
    if weights is None:
        return values.mean(dim=1)
    weights = weights.to(values.dtype)
    return (values * weights).sum(dim=1) / weights.sum()


def _accuracy(outputs: Tensor, targets: Tensor, scaling: TargetScaling, weights: Tensor | None = None) -> Tensor:
    # Counted in float64: 0.975 of 360 rows should read as 0.975.
    return _mean((predicted_classes(outputs) == targets).double(), weights)


def _balanced_accuracy(
    outputs: Tensor, targets: Tensor, scaling: TargetScaling, weights: Tensor | None = None
) -> Tensor:
    """Mean over the classes that occur of the share of their rows that is right."""
    correct, recalls = (predicted_classes(outputs) == targets).double(), []
    for label in targets.unique():
        rows = targets == label
        recalls.append(_mean(correct[:, rows], None if weights is None else weights[rows]))
    return torch.stack(recalls).mean(dim=0)


def _rmse(outputs: Tensor, targets: Tensor, scaling: TargetScaling, weights: Tensor | None = None) -> Tensor:
    said, true, unit = scaling.comparable(outputs.squeeze(2), targets)
    return _mean((said - true).square(), weights).sqrt() * unit


def _mae(outputs: Tensor, targets: Tensor, scaling: TargetScaling, weights: Tensor | None = None) -> Tensor:
    said, true, unit = scaling.comparable(outputs.squeeze(2), targets)
    return _mean((said - true).abs(), weights) * unit


def _r2(outputs: Tensor, targets: Tensor, scaling: TargetScaling, weights: Tensor | None = None) -> Tensor:
    said, true, _ = scaling.comparable(outputs.squeeze(2), targets)
    mean = _mean(true.unsqueeze(0), weights)
    return 1.0 - _mean((said - true).square(), weights) / _mean((true - mean).square().unsqueeze(0), weights)


def probabilities(outputs: Tensor) -> Tensor:
    """What outputs say of each class, float64: ``[K, N, C]`` -> ``[K, N, C]``; of one output, two classes."""
    return _logits(outputs).softmax(dim=2)


def _logits(outputs: Tensor) -> Tensor:
    """Float64, one for each class: ``[K, N, C]`` -> ``[K, N, C]``; of one output, two classes."""
    outputs = outputs.double()
    # σ(z) is the softmax of (0, z).
    return torch.cat([torch.zeros_like(outputs), outputs], dim=2) if outputs.shape[2] == 1 else outputs


def _of_finite(score: Score) -> Score:
    """A score that is NaN where a member's outputs are not finite, and is computed for some members at a time."""

    def of_population(
        outputs: Tensor, targets: Tensor, scaling: TargetScaling, weights: Tensor | None = None
    ) -> Tensor:
        # In float64 some members' outputs take twice their memory, and there are several copies on the way.
        some = max(1, MOST_NUMBERS // max(1, outputs[0].numel()))
        scores = [score(chunk, targets, scaling, weights) for chunk in outputs.split(some)]
        return torch.cat(scores).where(outputs.isfinite().all(dim=2).all(dim=1), math.nan)

    return of_population


def _macro_f1(outputs: Tensor, targets: Tensor, scaling: TargetScaling, weights: Tensor | None = None) -> Tensor:
    """Mean over the classes that occur, or that the member says, of 2 TP / (2 TP + FP + FN)."""
    predicted = predicted_classes(outputs)  # (K, N)
    k, n = predicted.shape
    c = max(2, outputs.shape[2])
    cells = (torch.arange(k, device=outputs.device).unsqueeze(1) * c + targets) * c + predicted
    w = None if weights is None else weights.double().expand(k, n).reshape(-1)
    counted = torch.bincount(cells.reshape(-1), w, minlength=k * c * c).view(k, c, c).double()  # (K, true, predicted)
    rows = counted if w is None else torch.bincount(cells.reshape(-1), minlength=k * c * c).view(k, c, c)
    right, said, true = counted.diagonal(dim1=1, dim2=2), counted.sum(dim=1), counted.sum(dim=2)
    # Nothing is right of a class without weight.
    f1 = torch.nan_to_num(2 * right / (said + true))
    occurs = (rows.sum(dim=1) + rows.sum(dim=2)) > 0
    return (f1 * occurs).sum(dim=1) / occurs.sum(dim=1)


def _log_loss(outputs: Tensor, targets: Tensor, scaling: TargetScaling, weights: Tensor | None = None) -> Tensor:
    """Mean of -ln p of the true class, where p is kept off 0 as scikit-learn keeps it."""
    k = outputs.shape[0]
    of_true = _logits(outputs).log_softmax(dim=2).gather(2, targets.view(1, -1, 1).expand(k, -1, 1)).squeeze(2)
    eps = torch.finfo(torch.float64).eps
    return _mean(-of_true.clamp(math.log(eps), math.log1p(-eps)), weights)


def _roc_auc(outputs: Tensor, targets: Tensor, scaling: TargetScaling, weights: Tensor | None = None) -> Tensor:
    """One class against the rest, mean over the classes that occur; NaN if only one does."""
    p, present = probabilities(outputs), targets.unique()
    if len(present) < 2:
        return torch.full((len(outputs),), math.nan, dtype=torch.float64, device=outputs.device)
    # Of two classes, one against the rest is both.
    judged = present[1:] if p.shape[2] == 2 else present
    w = torch.ones_like(targets, dtype=torch.float64) if weights is None else weights.double()
    return _areas(p[:, :, judged].mT, w * (targets == judged.unsqueeze(1)), w).mean(dim=1)


def _areas(scores: Tensor, positive: Tensor, weights: Tensor) -> Tensor:
    """Share of pairs of a positive and a negative row that are in the right order; equal ones count half.

    Args:
        scores: ``[K, C, N]``.
        positive: Of each class, weights of its rows, and 0 of others, ``[C, N]``.
        weights: Of all rows, ``[N]``.

    Returns:
        ``[K, C]``.
    """
    ordered, order = scores.contiguous().sort(dim=2)
    wins = positive.expand_as(scores).gather(2, order)
    losses = torch.nn.functional.pad((weights[order] - wins).cumsum(dim=2), (1, 0))
    below = losses.gather(2, torch.searchsorted(ordered, ordered))
    not_above = losses.gather(2, torch.searchsorted(ordered, ordered, right=True))
    total = positive.sum(dim=1)
    return (wins * (below + not_above) / 2).sum(dim=2) / (total * (weights.sum() - total))


SCORES: Mapping[MetricName, Score] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "macro_f1": _of_finite(_macro_f1),
    "roc_auc": _of_finite(_roc_auc),
    "log_loss": _of_finite(_log_loss),
    "rmse": _rmse,
    "mae": _mae,
    "r2": _r2,
}
