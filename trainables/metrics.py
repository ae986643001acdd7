"""The scores that people read: which way is better, and for which task. ``scores.py`` computes them.

Two files, since whoever reads a config or a record needs to know no more, and torch takes seconds to import.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MetricName = Literal["accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "log_loss", "rmse", "mae", "r2"]


@dataclass(frozen=True)
class Metric:
    """A score's direction, and the task it belongs to.

    Attributes:
        mode: Whether larger (max) or smaller (min) is better.
        task: The kind of target it is for.
        at_most_1: Whether 1 is the best there can be.
        needs_probabilities: Whether it means something only for outputs that a softmax or sigmoid makes probabilities.
    """

    mode: Literal["max", "min"]
    task: Literal["classification", "regression"]
    at_most_1: bool = False
    needs_probabilities: bool = False

    def better(self, a: float, b: float) -> bool:
        """Whether score ``a`` beats score ``b``; NaN beats nothing."""
        return a > b if self.mode == "max" else a < b

    def rank(self, score: float) -> float:
        """Sort key of a score: the better, the smaller; NaN comes last."""
        if math.isnan(score):
            return math.inf
        return -score if self.mode == "max" else score


METRICS: Mapping[MetricName, Metric] = {
    "accuracy": Metric("max", "classification", at_most_1=True),
    "balanced_accuracy": Metric("max", "classification", at_most_1=True),
    "macro_f1": Metric("max", "classification", at_most_1=True),
    "roc_auc": Metric("max", "classification", at_most_1=True),
    "log_loss": Metric("min", "classification", needs_probabilities=True),
    "rmse": Metric("min", "regression"),
    "mae": Metric("min", "regression"),
    "r2": Metric("max", "regression", at_most_1=True),
}


def metrics_for(task: str, *, gives_probabilities: bool) -> tuple[MetricName, ...]:
    """Every metric of a task that the outputs allow, in the order in which people read them."""
    return tuple(
        name
        for name, metric in METRICS.items()
        if metric.task == task and (gives_probabilities or not metric.needs_probabilities)
    )


def effective_rows(weights: NDArray[np.float32] | None, rows: int) -> float:
    """How many rows of equal weight say as much as ``rows`` rows of weights ``[N]``: (Σ w)² / Σ w².

    Source: Kish 1965, "Survey Sampling".
    """
    if weights is None:
        return rows
    w = weights.astype("float64")
    return float(w.sum() ** 2 / (w**2).sum())
