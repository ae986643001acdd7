"""The scores that people read: which way is better, and for which task. ``scores.py`` computes them.

Two files, since whoever reads a config or a record needs to know no more, and torch takes seconds to import.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MetricName = Literal["accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "log_loss", "rmse", "mae", "r2"]


class StandardError(Protocol):
    """How far a score lies from its true value by chance."""

    def __call__(self, score: float, rows: float, shares: Sequence[float] = ()) -> float:
        """One standard error of a score over so many rows.

        ``shares`` are those of the classes among the rows, none for numbers; where they are not known, two of half the
        rows each are assumed by what depends on them.
        """


@dataclass(frozen=True)
class Metric:
    """A score's direction, and the task it belongs to.

    Attributes:
        mode: Whether larger (max) or smaller (min) is better.
        task: The kind of target it is for.
        standard_error: How far a score lies from its true value by chance.
        at_most_1: Whether 1 is the best there can be.
        needs_probabilities: Whether it means something only for outputs that a softmax or sigmoid makes probabilities.
        of_named_classes: Whether it looks at nothing but the class that is named for a row, which a threshold decides.
    """

    mode: Literal["max", "min"]
    task: Literal["classification", "regression"]
    standard_error: StandardError
    at_most_1: bool = False
    needs_probabilities: bool = False
    of_named_classes: bool = False

    def better(self, a: float, b: float) -> bool:
        """Whether score ``a`` beats score ``b``; NaN beats nothing."""
        return a > b if self.mode == "max" else a < b

    def rank(self, score: float) -> float:
        """Sort key of a score: the better, the smaller; NaN comes last."""
        if math.isnan(score):
            return math.inf
        return -score if self.mode == "max" else score


def _of_share(score: float, rows: float, shares: Sequence[float] = ()) -> float:
    """√(p (1 - p) / n), the binomial's."""
    # One row more or less is the least that can be told apart, also at a score of exactly 0 or 1.
    return max(math.sqrt(score * (1 - score) / rows), 1 / rows)


def _of_mean_share(score: float, rows: float, shares: Sequence[float] = ()) -> float:
    """Of a mean over the classes of a share of each one's rows: √(Σ p (1 - p) / nᵢ) / C.

    Exact for balanced accuracy where all classes are told equally well; for F1, whose parts hang together, about right.
    """
    counts = [share * rows for share in shares if share > 0] or [rows / 2, rows / 2]
    variance = sum(score * (1 - score) / count for count in counts) / len(counts) ** 2
    return max(math.sqrt(variance), 1 / rows)


def _of_auc(score: float, rows: float, shares: Sequence[float] = ()) -> float:
    """Of an area under the curve whose scores are exponential; over several classes, the mean of one against the rest.

    Source: Hanley and McNeil 1982.
    """
    present = [share for share in shares if share > 0] or [0.5, 0.5]
    # Of two classes, one against the rest is both.
    judged = present[1:] if len(present) == 2 else present
    # As if all areas erred alike, since they are of the same rows: too cautious rather than too bold.
    return sum(_of_one_auc(score, share * rows, (1 - share) * rows) for share in judged) / len(judged)


def _of_one_auc(score: float, positive: float, negative: float) -> float:
    if positive <= 0 or negative <= 0:
        return math.inf
    both_above, both_below = score / (2 - score), 2 * score**2 / (1 + score)
    # Below one row of a class there is nothing to compare; rounding may leave less than 0 at an area of 1.
    more, others = max(positive - 1, 0.0), max(negative - 1, 0.0)
    variance = score * (1 - score) + more * (both_above - score**2) + others * (both_below - score**2)
    rows = positive + negative
    return max(math.sqrt(max(variance / (positive * negative), 0.0)), 1 / rows)


def _of_log_loss(score: float, rows: float, shares: Sequence[float] = ()) -> float:
    """Loss / √n, as of exponential losses."""
    return score / math.sqrt(rows)


def _of_rmse(score: float, rows: float, shares: Sequence[float] = ()) -> float:
    """Rmse / √(2n), for normal residuals."""
    return score / math.sqrt(2 * rows)


def _of_mae(score: float, rows: float, shares: Sequence[float] = ()) -> float:
    """√(π/2 - 1) mae / √n, for normal residuals."""
    return score * math.sqrt((math.pi / 2 - 1) / rows)


def _of_r2(score: float, rows: float, shares: Sequence[float] = ()) -> float:
    """√(2/n) of the residual's share 1 - r2."""
    return (1 - score) * math.sqrt(2 / rows)


METRICS: Mapping[MetricName, Metric] = {
    "accuracy": Metric("max", "classification", _of_share, at_most_1=True, of_named_classes=True),
    "balanced_accuracy": Metric("max", "classification", _of_mean_share, at_most_1=True, of_named_classes=True),
    "macro_f1": Metric("max", "classification", _of_mean_share, at_most_1=True, of_named_classes=True),
    "roc_auc": Metric("max", "classification", _of_auc, at_most_1=True),
    "log_loss": Metric("min", "classification", _of_log_loss, needs_probabilities=True),
    "rmse": Metric("min", "regression", _of_rmse),
    "mae": Metric("min", "regression", _of_mae),
    "r2": Metric("max", "regression", _of_r2, at_most_1=True),
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


def balanced_rows(shares: Sequence[float], rows: float) -> float:
    """How many rows of equally frequent classes say as much as ``rows`` rows of these: n (1 - Σ p²) / (1 - 1 / C).

    1 - Σ p² is how often two rows are of different classes (Gini's index). Of two classes it is 4 p (1 - p) n, on which
    the error of any comparison of the one with the other depends: 1 / n₁ + 1 / n₂ = 4 / (4 p (1 - p) n).

    Args:
        shares: Of each class; none for numbers, which all say as much.
        rows: How many there are.

    >>> balanced_rows([0.5, 0.5], 1_000), balanced_rows([0.75, 0.25], 1_000), balanced_rows([], 10)
    (1000.0, 750.0, 10.0)
    """
    present = [share for share in shares if share > 0]
    if len(present) < 2:
        return float(rows)
    return rows * (1 - sum(share**2 for share in present)) / (1 - 1 / len(present))
