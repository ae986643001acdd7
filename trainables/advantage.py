"""Whether a model is better than another, or than ignoring the inputs, or may only seem so on these rows.

What a model says of its test rows is kept (``save``), so that a later one can be compared with it row by row.

Both predict the same rows, which are drawn again and again (a paired bootstrap): what the difference of the scores does
then is what it would do on other rows like these. It goes for every metric alike, also where rows of a class are few.
Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 6.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.data.dataset import Dataset
from trainables.metrics import METRICS, MetricName
from trainables.records import Advantage
from trainables.row_tensors import RowTensors
from trainables.scores import SCORES
from trainables.target_scaling import UNSCALED, TargetScaling
from trainables.threshold import judged
from trainables.trivial import TrivialPredictor

# Times that rows are drawn: a standard error is then known to 7 % (1 / sqrt(2 · 100)).
DRAWS = 100
# Of more rows, this many are drawn, and the error is scaled: ten times as many would take ten times as long.
MOST_ROWS = 20_000


def save(path: Path, outputs: Tensor, tests: RowTensors, dataset: Dataset, shift: float = 0.0) -> None:
    """Keep what a model says of its test rows.

    The file has ``outputs`` ``[N, C]``, ``targets`` ``[N]``, ``weights`` ``[N]``, or none of these, and ``shift``, the
    log-odds above which the second of two classes is named. Numbers are in the target's own unit, as two models may
    have scaled it otherwise; of classes, outputs are those before the softmax. It is NumPy's own format,
    compressed, and written whole or not at all.
    """
    said, targets = outputs.cpu().float(), tests.targets.cpu()
    if dataset.task == "regression":
        said, targets = dataset.scaling.restore(said), dataset.scaling.restore(targets)
    weights = np.empty(0, np.float32) if tests.weights is None else tests.weights.cpu().numpy()
    unfinished = path.with_suffix(".unfinished")
    try:
        with unfinished.open("wb") as file:
            np.savez_compressed(file, outputs=said.numpy(), targets=targets.numpy(), weights=weights, shift=shift)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    unfinished.replace(path)


def compare(model: Path, other: Path, metric: MetricName) -> Advantage:
    """By how much one model is better than another on the same test rows, from what was kept of both.

    Raises:
        ValueError: They are not of the same rows, or a file is not what ``save`` writes.
    """
    with np.load(model) as ours, np.load(other) as theirs:
        outputs, targets, weights = (torch.from_numpy(ours[name]) for name in ("outputs", "targets", "weights"))
        others = torch.from_numpy(theirs["outputs"])
        if outputs.shape != others.shape or not _are_alike(ours["targets"], theirs["targets"]):
            raise ValueError("the two models were not tested on the same rows")
        # Versions that knew no thresholds have none.
        shift, other_shift = (float(said["shift"]) if "shift" in said else 0.0 for said in (ours, theirs))
    rows = RowTensors(torch.empty(len(targets), 0), targets, weights if len(weights) else None)
    return Drawn(outputs, rows, metric, shift=shift).over(others, shift=other_shift)


def _are_alike(targets: NDArray[Any], others: NDArray[Any]) -> bool:
    # Numbers that were divided by different ones and multiplied again differ in their last digits.
    return targets.shape == others.shape and np.allclose(targets, others, rtol=1e-4, atol=1e-4 * float(targets.std()))


class Drawn:
    """A model's test rows, drawn again and again.

    Args:
        outputs: The model's, ``[N, C]``.
        tests: The N rows.
        metric: The score, unless another is asked for.
        scaling: Of outputs and targets, for scores in the target's own units.
        shift: The model's log-odds above which the second of two classes is named.
        seed: Decides which rows are drawn.

    Attributes:
        metric: As given.
    """

    def __init__(
        self,
        outputs: Tensor,
        tests: RowTensors,
        metric: MetricName,
        *,
        scaling: TargetScaling = UNSCALED,
        shift: float = 0.0,
        seed: int = 0,
    ) -> None:
        self._outputs, self._targets = outputs.cpu().unsqueeze(0), tests.targets.cpu()
        self._weights = None if tests.weights is None else tests.weights.cpu()
        self.metric, self._scaling, self._seed = metric, scaling, seed
        self._own = cache(lambda name: self._scores(self._outputs, name, shift))

    def over(self, other: Tensor, metric: MetricName | None = None, *, shift: float = 0.0) -> Advantage:
        """By how much the model is better than another.

        Args:
            other: The other's outputs of the same rows, ``[N, C]``.
            metric: The score.
            shift: The other's log-odds above which the second of two classes is named.
        """
        metric = metric or self.metric
        return self._over(self._scores(other.cpu().unsqueeze(0), metric, shift), metric)

    def over_by_each(
        self, other: Tensor, metrics: Sequence[MetricName], *, shift: float = 0.0
    ) -> dict[MetricName, Advantage]:
        """The same by several metrics."""
        return {metric: self.over(other, metric, shift=shift) for metric in metrics}

    @property
    def error(self) -> float:
        """One standard error of the model's own score, over other rows like these.

        Where no row is wrong, or none right, all draws are alike and say nothing. The exact limit of 95 % of a share is
        then 1 − 0.025^(1/N) from it (Clopper and Pearson 1934), of which this is a 1.96th.
        """
        own = self._own(self.metric)
        metric = METRICS[self.metric]
        if metric.task == "classification" and metric.at_most_1 and own[0].item() in (0.0, 1.0):
            return self._exact_limit() / 1.96
        return self._spread(own)

    def _exact_limit(self) -> float:
        """How far from a score of 1, or 0, the limit lies: of accuracy by all rows, else by those of each class.

        Means over classes have the limits of their classes in quadrature; an order of two classes is known no better
        than the one of which there are fewer rows.
        """
        weights = torch.ones(len(self._targets)) if self._weights is None else self._weights.double()

        def limit(of: Tensor) -> float:
            rows: float = (of.sum() ** 2 / (of**2).sum()).item()
            return float(1.0 - 0.025 ** (1.0 / rows))

        if self.metric == "accuracy":
            return limit(weights)
        limits = [limit(own) for each in self._targets.unique() if (own := weights[self._targets == each]).any()]
        return max(limits) if self.metric == "roc_auc" else math.hypot(*limits) / len(limits)

    def over_trivial(self, dataset: Dataset) -> Advantage:
        """By how much the model is better than the best that ignores its inputs (``trainables/trivial.py``)."""
        trivial = TrivialPredictor.of(dataset)
        scores = self._of_draws(lambda _, targets, weights: trivial.score(self.metric, targets, weights))
        return self._over(scores, self.metric)

    def _over(self, others: Tensor, metric: MetricName) -> Advantage:
        """By how much the model is better than one of these scores, ``[1 + DRAWS]``."""
        sign = 1.0 if METRICS[metric].mode == "max" else -1.0
        differences = sign * (self._own(metric) - others)
        return Advantage(float(differences[0]), self._spread(differences), len(self._targets))

    def _spread(self, scores: Tensor) -> float:
        """One standard error of a score: the first is of all rows, the others of those drawn."""
        # A draw without any row of a class has no AUC.
        drawn = scores[1:][scores[1:].isfinite()]
        n = len(self._targets)
        return float(drawn.std()) * (min(n, MOST_ROWS) / n) ** 0.5 if len(drawn) > 1 else float("inf")

    def _scores(self, outputs: Tensor, metric: MetricName, shift: float) -> Tensor:
        """Of outputs ``[1, N, C]``."""
        outputs = judged(outputs, metric, shift)
        return self._of_draws(
            lambda rows, targets, weights: SCORES[metric](outputs[:, rows], targets, self._scaling, weights).item()
        )

    def _of_draws(self, score: Callable[[Tensor | slice, Tensor, Tensor | None], float]) -> Tensor:
        """A score of all rows, then of each draw: ``[1 + DRAWS]``; it is given the rows, their targets and weights."""
        n = len(self._targets)
        generator = torch.Generator().manual_seed(self._seed)
        draws = [torch.randint(n, (min(n, MOST_ROWS),), generator=generator) for _ in range(DRAWS)]
        rows: list[Tensor | slice] = [slice(None), *draws]
        scores = [score(own, self._targets[own], None if self._weights is None else self._weights[own]) for own in rows]
        return torch.tensor(scores, dtype=torch.float64)
