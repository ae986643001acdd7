"""The predictor that ignores its inputs: the best that can be said of rows without looking at their columns.

What is best depends on the score. Accuracy, balanced accuracy, AUC and log loss: the classes' frequencies among the
training rows, and so the most frequent class. R² and RMSE: the mean; MAE: the median. Macro F1: a guess that names each
class as often as it occurs. Who always names one class has an F1 of 0 of all others, so that outputs which know nothing
would be better. Of a class that a share p of the rows has and a share q of the guesses names, F1 is 2 p q / (p + q);
its mean over the C classes is largest where q = p for each of them, and is 1 / C there.

A network names the most probable class, so while it is trained it is held against the constant alone.
Reference: scikit-learn's ``DummyClassifier`` (``prior``, ``stratified``) and ``DummyRegressor`` (``mean``, ``median``).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from trainables.data.dataset import Dataset, Rows
from trainables.metrics import MetricName
from trainables.row_tensors import RowTensors, to_tensors
from trainables.scores import LEAST_FREQUENCY, SCORES
from trainables.target_scaling import UNSCALED, TargetScaling


class TrivialPredictor:
    """What training rows say of any others.

    Args:
        targets: Of the training rows, ``[N]``: class indices, or scaled numbers.
        n_outputs: C.
        weights: ``[N]``, where rows do not count alike.
        scaling: Of the numbers.
    """

    def __init__(
        self, targets: Tensor, n_outputs: int, weights: Tensor | None = None, scaling: TargetScaling = UNSCALED
    ) -> None:
        self._targets, self._weights, self._scaling, self._n_outputs = targets, weights, scaling, n_outputs
        self._classifies = not targets.is_floating_point()

    @classmethod
    def of(cls, dataset: Dataset) -> TrivialPredictor:
        """That of a table's training rows."""
        train = to_tensors(dataset.train, "cpu", torch.float32)
        return cls(train.targets, dataset.n_outputs, train.weights, dataset.scaling)

    def score(self, metric: MetricName, targets: Tensor, weights: Tensor | None = None) -> float:
        """The best that it reaches; of a guess, what it reaches in the mean.

        Args:
            metric: Which score.
            targets: Of the rows that are judged, ``[N]``.
            weights: Of these rows, ``[N]``.
        """
        if metric == "macro_f1":
            return self._guessed_f1(targets, weights)
        outputs = self.outputs(len(targets), metric)
        return SCORES[metric](outputs, targets, self._scaling, weights).item()

    def scores(self, metrics: Sequence[MetricName], rows: RowTensors) -> dict[MetricName, float]:
        """Several scores of the same rows."""
        return {name: self.score(name, rows.targets, rows.weights) for name in metrics}

    def constant_score(self, metric: MetricName, rows: Rows) -> float:
        """What it reaches that says the same of every row."""
        judged = to_tensors(rows, "cpu", torch.float32)
        return SCORES[metric](self.outputs(len(judged), metric), judged.targets, self._scaling, judged.weights).item()

    def outputs(self, n_rows: int, metric: MetricName) -> Tensor:
        """What it says where it says the same of every row, ``[1, n_rows, C]``, one member.

        Of classes, logarithms of their frequencies; a scaled number.
        """
        if self._classifies:
            return self._frequencies.clamp(min=LEAST_FREQUENCY).log().expand(1, n_rows, self._n_outputs)
        return (self._median if metric == "mae" else self._mean).expand(1, n_rows, 1)

    # Once, of training rows that may be millions: rows that are judged are drawn a hundred times.
    @cached_property
    def _frequencies(self) -> Tensor:
        """Of each class, ``[C]``, float64."""
        return _shares(self._targets, self._n_outputs, self._weights)

    @cached_property
    def _median(self) -> Tensor:
        """Scaled: what is transformed keeps its order, so the median is the same row's."""
        ordered, order = self._targets.sort()
        weights = torch.ones_like(ordered) if self._weights is None else self._weights[order]
        reached = weights.double().cumsum(0)
        return ordered[torch.searchsorted(reached, reached[-1:] / 2).clamp(max=len(ordered) - 1)]

    @cached_property
    def _mean(self) -> Tensor:
        """Scaled, of the numbers in the target's own units."""
        scaling = self._scaling
        if scaling.transform == "none":
            return _mean(self._targets, self._weights)
        mean = _mean(scaling.restore(self._targets), self._weights)
        return torch.as_tensor(scaling.apply(mean.cpu().numpy())).to(self._targets)

    def _guessed_f1(self, targets: Tensor, weights: Tensor | None) -> float:
        """Macro F1 of a guess by frequency, in the mean, over the classes that occur among training rows or these."""
        said, true = self._frequencies, _shares(targets, self._n_outputs, weights)
        f1 = torch.nan_to_num(2 * said * true / (said + true))
        return float(f1.sum() / ((said + true) > 0).sum())


def _shares(targets: Tensor, n_outputs: int, weights: Tensor | None) -> Tensor:
    counts = torch.bincount(targets, weights, minlength=n_outputs).double()
    return counts / counts.sum()


def _mean(values: Tensor, weights: Tensor | None) -> Tensor:
    if weights is None:
        return values.mean()
    weights = weights.to(values.dtype)
    return (values * weights).sum() / weights.sum()
