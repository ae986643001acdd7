"""Whether a model is better than another, or than ignoring the inputs, or may only seem so on these rows.

Both predict the same rows, which are drawn again and again (a paired bootstrap): what the difference of the scores does
then is what it would do on other rows like these. It goes for every metric alike, also where rows of a class are few.
Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from trainables.data.dataset import Dataset
from trainables.metrics import METRICS, MetricName
from trainables.records import Advantage
from trainables.row_tensors import RowTensors
from trainables.scores import SCORES, trivial_outputs

# Times that rows are drawn: a standard error is then known to 7 % (1 / sqrt(2 · 100)).
DRAWS = 100
# Of more rows, this many are drawn, and the error is scaled: ten times as many would take ten times as long.
MOST_ROWS = 20_000


class Drawn:
    """A model's test rows, drawn again and again.

    Args:
        outputs: The model's, ``[N, C]``.
        tests: The N rows.
        dataset: Its training rows say what ignoring the inputs is, and what a target's unit is.
        metric: The score, unless another is asked for.
        seed: Decides which rows are drawn.
    """

    def __init__(self, outputs: Tensor, tests: RowTensors, dataset: Dataset, metric: MetricName, seed: int = 0) -> None:
        self._outputs, self._targets = outputs.cpu().unsqueeze(0), tests.targets.cpu()
        self._weights = None if tests.weights is None else tests.weights.cpu()
        self._dataset, self._metric, self._seed = dataset, metric, seed
        self._own = cache(lambda name: self._scores(self._outputs, name))

    def over(self, other: Tensor, metric: MetricName | None = None) -> Advantage:
        """By how much the model is better than another, whose outputs of the same rows are ``[N, C]``."""
        metric = metric or self._metric
        sign = 1.0 if METRICS[metric].mode == "max" else -1.0
        differences = sign * (self._own(metric) - self._scores(other.cpu().unsqueeze(0), metric))
        return Advantage(float(differences[0]), self._spread(differences), len(self._targets))

    def over_by_each(self, other: Tensor, metrics: Sequence[MetricName]) -> dict[MetricName, Advantage]:
        """The same by several metrics."""
        return {metric: self.over(other, metric) for metric in metrics}

    @property
    def error(self) -> float:
        """One standard error of the model's own score, over other rows like these."""
        return self._spread(self._own(self._metric))

    def over_trivial(self) -> Advantage:
        """By how much the model is better than ignoring the inputs."""
        train = self._dataset.train
        weights = None if train.weights is None else torch.as_tensor(train.weights)
        outputs = trivial_outputs(torch.as_tensor(train.targets), len(self._targets), self._dataset.n_outputs, weights)
        return self.over(outputs[0])

    def _spread(self, scores: Tensor) -> float:
        """One standard error of a score: the first is of all rows, the others of those drawn."""
        # A draw without any row of a class has no AUC.
        drawn = scores[1:][scores[1:].isfinite()]
        n = len(self._targets)
        return float(drawn.std()) * (min(n, MOST_ROWS) / n) ** 0.5 if len(drawn) > 1 else float("inf")

    def _scores(self, outputs: Tensor, metric: MetricName) -> Tensor:
        """Of all rows, then of each draw: ``[1 + DRAWS]``."""
        n = len(self._targets)
        generator = torch.Generator().manual_seed(self._seed)
        draws = [torch.randint(n, (min(n, MOST_ROWS),), generator=generator) for _ in range(DRAWS)]
        rows: list[Tensor | slice] = [slice(None), *draws]
        scores = [
            SCORES[metric](
                outputs[:, own],
                self._targets[own],
                self._dataset.target_scale,
                None if self._weights is None else self._weights[own],
            ).item()
            for own in rows
        ]
        return torch.tensor(scores, dtype=torch.float64)
