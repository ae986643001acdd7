"""From which probability on a row is said to be of the second of two classes.

One half makes the fewest errors. Where a class is rare that is to name it for hardly any row, however well the network
ranks them. Another threshold, chosen on rows that the network has not learnt from, makes another score best that two
classes have, and changes no probability.
Outputs ``[..., N, C]`` with C = 1 (log-odds of the second class) or 2; a threshold is a shift of the log-odds.
Source: Elkan 2001, "The foundations of cost-sensitive learning"; scikit-learn's ``TunedThresholdClassifierCV``.

>>> outputs = torch.tensor([[-3.0], [-2.0], [-1.5], [-1.0]])
>>> rows = RowTensors(torch.empty(4, 0), torch.tensor([0, 0, 1, 1]))
>>> best_shift(outputs, rows, "balanced_accuracy")
-1.75
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from trainables.metrics import METRICS, MetricName
from trainables.row_tensors import RowTensors
from trainables.scores import SCORES
from trainables.target_scaling import UNSCALED, TargetScaling

# What a threshold is chosen by, where the score is this one. The order of rows, which an area is of, has no threshold;
# macro F1 asks of both classes that those named are right and that those that are right are named.
CHOSEN_BY: Mapping[MetricName, MetricName] = {
    "balanced_accuracy": "balanced_accuracy",
    "macro_f1": "macro_f1",
    "roc_auc": "macro_f1",
}


def shifted(outputs: Tensor, shift: float) -> Tensor:
    """Outputs by which the second class is named where its log-odds were above ``shift``."""
    if not shift:
        return outputs
    moved = outputs.clone()
    moved[..., -1] -= shift
    return moved


def judged(outputs: Tensor, metric: MetricName, shift: float) -> Tensor:
    """Outputs as a score has to see them: shifted, where it is of the classes that are named."""
    return shifted(outputs, shift) if METRICS[metric].of_named_classes else outputs


def scores_at(
    outputs: Tensor,
    rows: RowTensors,
    metrics: Sequence[MetricName],
    *,
    scaling: TargetScaling = UNSCALED,
    shift: float = 0.0,
) -> dict[MetricName, Tensor]:
    """Several scores of every member of a population, ``[K]`` each.

    Args:
        outputs: What they say of N rows, ``[K, N, C]``.
        rows: The rows.
        metrics: Which scores.
        scaling: Of a regression target.
        shift: Of the log-odds, where there are two classes.
    """
    return {name: SCORES[name](judged(outputs, name, shift), rows.targets, scaling, rows.weights) for name in metrics}


def best_shift(outputs: Tensor, rows: RowTensors, metric: MetricName) -> float:
    """The log-odds, midway between two rows', above which the second class is to be named.

    Args:
        outputs: Of one network, ``[N, C]``.
        rows: N rows that it has not learnt from.
        metric: balanced_accuracy or macro_f1.

    Returns:
        Of several that are as good the one nearest to 0, which is one half.
    """
    odds = _log_odds(outputs)
    weights = torch.ones_like(odds) if rows.weights is None else rows.weights.double()
    odds, order = odds.sort()
    positive = (rows.targets[order] == 1).double() * weights[order]
    negative = weights[order] - positive
    # Cuts between rows that differ, and below all; of those above a cut the second class is named.
    ends = torch.cat([odds[1:] > odds[:-1], torch.tensor([True], device=odds.device)])
    false_negative, true_negative = positive.cumsum(0)[ends], negative.cumsum(0)[ends]
    zero = false_negative.new_zeros(1)
    false_negative, true_negative = torch.cat([zero, false_negative]), torch.cat([zero, true_negative])
    true_positive, false_positive = positive.sum() - false_negative, negative.sum() - true_negative
    if metric == "balanced_accuracy":
        scores = true_positive / (true_positive + false_negative) + true_negative / (true_negative + false_positive)
    else:
        wrong = false_positive + false_negative
        scores = 2 * true_positive / (2 * true_positive + wrong) + 2 * true_negative / (2 * true_negative + wrong)
    kept = odds[ends]
    places = torch.cat([kept[:1] - 1, (kept[1:] + kept[:-1]) / 2, kept[-1:] + 1])
    scores = scores.nan_to_num(-math.inf)
    # Sums in another order differ in their last digits.
    as_good = places[scores >= scores.max() - 1e-12]
    return float(as_good[as_good.abs().argmin()])


def probability_at(shift: float, temperature: float = 1.0) -> float:
    """The probability of the second class that a shift is, of outputs that are divided by a temperature."""
    return 1 / (1 + math.exp(-shift / temperature))


def shift_at(probability: float, temperature: float = 1.0) -> float:
    """The other way round."""
    return temperature * math.log(probability / (1 - probability))


def _log_odds(outputs: Tensor) -> Tensor:
    """``[N, C]`` -> ``[N]``, float64."""
    outputs = outputs.double()
    return outputs[:, 0] if outputs.shape[1] == 1 else outputs[:, 1] - outputs[:, 0]
