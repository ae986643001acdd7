"""The scores of ``metrics.py``, computed for a population: of classes, of probabilities, of ranks and of numbers.

Input: outputs ``[K, N, C]``, targets ``[N]`` and, where rows do not count alike, weights ``[N]``. Output: one score per
member, ``[K]``. Regression targets are standardised in training; scores are in the target's own units, hence ``scale``.
What is cheap is computed for all members at once; F1, log loss and AUC are scikit-learn's, member by member.
Reference: ``sklearn.metrics``, with ``sample_weight``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.metrics import MetricName

# Frequency of a class that no training row has: the log loss of a row that has it is then large and finite.
LEAST_FREQUENCY = 1e-12


class Score(Protocol):
    """A score of every member of a population."""

    def __call__(self, outputs: Tensor, targets: Tensor, scale: float, weights: Tensor | None = None) -> Tensor:
        """Outputs ``[K, N, C]``, targets ``[N]``, scale, weights ``[N]`` → ``[K]``.

        ``scale`` is the standard deviation by which the targets were divided.
        """


# ---- all members at once -----------------------------------------------------------------------------------------


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


def _accuracy(outputs: Tensor, targets: Tensor, scale: float, weights: Tensor | None = None) -> Tensor:
    # Counted in float64: 0.975 of 360 rows should read as 0.975.
    return _mean((predicted_classes(outputs) == targets).double(), weights)


def _balanced_accuracy(outputs: Tensor, targets: Tensor, scale: float, weights: Tensor | None = None) -> Tensor:
    """Mean over the classes that occur of the share of their rows that is right."""
    correct, recalls = (predicted_classes(outputs) == targets).double(), []
    for label in targets.unique():
        rows = targets == label
        recalls.append(_mean(correct[:, rows], None if weights is None else weights[rows]))
    return torch.stack(recalls).mean(dim=0)


def _rmse(outputs: Tensor, targets: Tensor, scale: float, weights: Tensor | None = None) -> Tensor:
    return _mean((outputs.squeeze(2) - targets).square(), weights).sqrt() * scale


def _mae(outputs: Tensor, targets: Tensor, scale: float, weights: Tensor | None = None) -> Tensor:
    return _mean((outputs.squeeze(2) - targets).abs(), weights) * scale


def _r2(outputs: Tensor, targets: Tensor, scale: float, weights: Tensor | None = None) -> Tensor:
    mean = _mean(targets.unsqueeze(0), weights)
    return 1.0 - _mean((outputs.squeeze(2) - targets).square(), weights) / _mean(
        (targets - mean).square().unsqueeze(0), weights
    )


# ---- member by member, by scikit-learn ---------------------------------------------------------------------------
# Imported where it is needed: a worker whose metric does not need it has 45 MB less to hold.


def probabilities(outputs: Tensor) -> Tensor:
    """What outputs say of each class, float64: ``[K, N, C]`` -> ``[K, N, C]``; of one output, two classes."""
    outputs = outputs.double()
    if outputs.shape[2] == 1:
        # σ(z) is the softmax of (0, z).
        outputs = torch.cat([torch.zeros_like(outputs), outputs], dim=2)
    return outputs.softmax(dim=2)


# (targets [N], probabilities [N, C], weights [N]) → score
OfMember = Callable[[NDArray[np.int64], NDArray[np.float64], NDArray[Any] | None], float]


def _by_member(score: OfMember) -> Score:
    """The score of each member by itself; NaN where its outputs are not finite."""

    def of_population(outputs: Tensor, targets: Tensor, scale: float, weights: Tensor | None = None) -> Tensor:
        labels = targets.cpu().numpy()
        w = None if weights is None else weights.cpu().numpy()
        scores = [
            # One member's probabilities at a time: in float64 they take twice the memory of its outputs.
            float(score(labels, probabilities(own.unsqueeze(0))[0].cpu().numpy(), w))
            if own.isfinite().all()
            else math.nan
            for own in outputs
        ]
        return torch.tensor(scores, dtype=torch.float64, device=outputs.device)

    return of_population


def _macro_f1(labels: NDArray[np.int64], p: NDArray[np.float64], weights: NDArray[Any] | None) -> float:
    from sklearn.metrics import f1_score

    score: float = f1_score(labels, p.argmax(axis=1), average="macro", sample_weight=weights, zero_division=0.0)
    return score


def _log_loss(labels: NDArray[np.int64], p: NDArray[np.float64], weights: NDArray[Any] | None) -> float:
    from sklearn.metrics import log_loss

    loss: float = log_loss(labels, p, sample_weight=weights, labels=np.arange(p.shape[1]))
    return loss


def _roc_auc(labels: NDArray[np.int64], p: NDArray[np.float64], weights: NDArray[Any] | None) -> float:
    """One class against the rest, mean over the classes that occur; NaN if only one does."""
    from sklearn.metrics import roc_auc_score

    present = np.unique(labels)
    if len(present) < 2:
        return math.nan
    # Of two classes, one against the rest is both.
    judged = [1] if p.shape[1] == 2 else present
    return float(np.mean([roc_auc_score(labels == c, p[:, c], sample_weight=weights) for c in judged]))


SCORES: Mapping[MetricName, Score] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "macro_f1": _by_member(_macro_f1),
    "roc_auc": _by_member(_roc_auc),
    "log_loss": _by_member(_log_loss),
    "rmse": _rmse,
    "mae": _mae,
    "r2": _r2,
}


def trivial_outputs(train_targets: Tensor, n_rows: int, n_outputs: int, train_weights: Tensor | None = None) -> Tensor:
    """Outputs of the predictor that ignores its inputs: the frequencies of the classes, or the mean.

    Its class is the most frequent one.

    Args:
        train_targets: ``[N]``, class indices or standardised numbers.
        n_rows: Rows to predict.
        n_outputs: C.
        train_weights: ``[N]``.

    Returns:
        ``[1, n_rows, C]``, one member; of classes, logarithms of their frequencies.
    """
    if train_targets.is_floating_point():
        return _mean(train_targets.unsqueeze(0), train_weights).expand(1, n_rows, 1)
    counts = torch.bincount(train_targets, train_weights, minlength=n_outputs).double()
    frequencies = (counts / counts.sum()).clamp(min=LEAST_FREQUENCY)
    return frequencies.log().expand(1, n_rows, n_outputs)
