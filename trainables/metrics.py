"""Scores that people read, for a population: accuracy, balanced accuracy, RMSE and R².

Input: outputs ``[K, N, C]`` and targets ``[N]``. Output: one score per member, ``[K]``. Regression targets are
standardised in training; scores are in the target's own units, hence ``scale``.
Reference: ``sklearn.metrics``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

MetricName = Literal["accuracy", "balanced_accuracy", "rmse", "r2"]


@dataclass(frozen=True)
class Metric:
    """A score, its direction and the task it belongs to.

    Attributes:
        score: (outputs ``[K, N, C]``, targets ``[N]``, scale) → ``[K]``. ``scale`` is the standard deviation by
            which the targets were divided.
        mode: Whether larger (max) or smaller (min) is better.
        task: The kind of target it is for.
    """

    score: Callable[[Tensor, Tensor, float], Tensor]
    mode: Literal["max", "min"]
    task: Literal["classification", "regression"]

    def better(self, a: float, b: float) -> bool:
        """Whether score ``a`` beats score ``b``; NaN beats nothing."""
        return a > b if self.mode == "max" else a < b

    def rank(self, score: float) -> float:
        """Sort key of a score: the better, the smaller; NaN comes last."""
        if math.isnan(score):
            return math.inf
        return -score if self.mode == "max" else score


def _correct(outputs: Tensor, targets: Tensor) -> Tensor:
    """Which rows each member gets right, ``[K, N]``."""
    # One output says class 1 where it is above 0 (binary cross-entropy); else the largest output wins.
    predicted = (outputs.squeeze(2) > 0).to(targets.dtype) if outputs.shape[2] == 1 else outputs.argmax(dim=2)
    return predicted == targets


def _accuracy(outputs: Tensor, targets: Tensor, scale: float) -> Tensor:
    # Counted in float64: 0.975 of 360 rows should read as 0.975.
    return _correct(outputs, targets).to(torch.float64).mean(dim=1)


def _balanced_accuracy(outputs: Tensor, targets: Tensor, scale: float) -> Tensor:
    """Mean over the classes that occur of the share of their rows that is right."""
    correct, present = _correct(outputs, targets).to(torch.float64), targets.unique()
    return torch.stack([correct[:, targets == label].mean(dim=1) for label in present]).mean(dim=0)


def _rmse(outputs: Tensor, targets: Tensor, scale: float) -> Tensor:
    return (outputs.squeeze(2) - targets).square().mean(dim=1).sqrt() * scale


def _r2(outputs: Tensor, targets: Tensor, scale: float) -> Tensor:
    residual = (outputs.squeeze(2) - targets).square().sum(dim=1)
    return 1.0 - residual / (targets - targets.mean()).square().sum()


METRICS: Mapping[MetricName, Metric] = {
    "accuracy": Metric(_accuracy, "max", "classification"),
    "balanced_accuracy": Metric(_balanced_accuracy, "max", "classification"),
    "rmse": Metric(_rmse, "min", "regression"),
    "r2": Metric(_r2, "max", "regression"),
}


def trivial_outputs(train_targets: Tensor, n_rows: int, n_outputs: int) -> Tensor:
    """Outputs of the predictor that ignores its inputs: the most frequent class, or the mean.

    Args:
        train_targets: ``[N]``, class indices or standardised numbers.
        n_rows: Rows to predict.
        n_outputs: C.

    Returns:
        ``[1, n_rows, C]``, one member.
    """
    if train_targets.is_floating_point():
        return train_targets.mean().expand(1, n_rows, 1)
    majority = torch.bincount(train_targets, minlength=n_outputs).argmax()
    return torch.nn.functional.one_hot(majority, n_outputs).float().expand(1, n_rows, n_outputs)
