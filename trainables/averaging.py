"""Networks that predict together: the mean of what they say, and which of several to take.

Why: networks that differ only in their seeds err on different rows; their mean has less error than the best of them.
Classes are averaged as probabilities and numbers as numbers. Outputs of an average are what outputs of a network are:
logits whose softmax is the mean probability, log-odds whose sigmoid is, or numbers.

Which to take is settled greedily, on rows that none of them has learnt from: beginning with the best, the one is added
that makes the score of the mean best, again and again, and each as often as it is chosen; what counts is the best mean
on the way, the last of several.
Axes: M networks, N rows, C classes.
Source: Caruana et al. 2004, "Ensemble selection from libraries of models".
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from trainables.choices import LossName
from trainables.metrics import METRICS, MetricName
from trainables.row_tensors import RowTensors
from trainables.scores import SCORES
from trainables.target_scaling import UNSCALED, TargetScaling

# What outputs are: logits of the classes, log-odds of the second of two, or a number.
Meaning = Literal["logits", "log_odds", "number"]
# Outputs of the hinge loss say nothing of how sure they are, so their mean would mean nothing.
MEANINGS: Mapping[LossName, Meaning] = {
    "cross_entropy": "logits",
    "binary_cross_entropy": "log_odds",
    "mse": "number",
    "huber": "number",
}
# Networks chosen, each as often as it is: more change shares by less than a sixteenth.
PICKS = 16


def mean(outputs: Tensor, shares: Tensor, meaning: Meaning) -> Tensor:
    """Outputs of the average of networks.

    Args:
        outputs: ``[M, N, C]``.
        shares: ``[M]``, which add up to 1.
        meaning: What outputs are.

    Returns:
        ``[N, C]``.
    """
    shares = shares.to(outputs).view(-1, 1, 1)
    if meaning == "number":
        return (outputs * shares).sum(0)
    # Sums of logarithms: a probability that rounds to 0 has a logarithm all the same.
    logs = shares.log()
    if meaning == "logits":
        return torch.logsumexp(functional.log_softmax(outputs, dim=2) + logs, 0)
    yes = torch.logsumexp(functional.logsigmoid(outputs) + logs, 0)
    return yes - torch.logsumexp(functional.logsigmoid(-outputs) + logs, 0)


def choose(
    outputs: Tensor,
    rows: RowTensors,
    metric: MetricName,
    meaning: Meaning,
    *,
    scaling: TargetScaling = UNSCALED,
    at_most: int = PICKS,
    picks: int = PICKS,
) -> tuple[dict[int, float], float]:
    """The networks whose mean scores best, greedily.

    Args:
        outputs: Of the rows, ``[M, N, C]``; a network that has none that are finite is never chosen.
        rows: N rows that none of the networks has learnt from.
        metric: The score.
        meaning: What outputs are.
        scaling: Of a regression target, for scores in its own units.
        at_most: Different networks at most.
        picks: Times that one is added.

    Returns:
        The share of each network that is part of it, by index, which add up to 1; and the score of their mean. No
        network if none has a score.
    """
    outputs = outputs.double()
    able = [m for m in range(len(outputs)) if bool(outputs[m].isfinite().all())]
    shown = _as_shown(outputs, meaning)
    total = torch.zeros_like(shown[0])
    chosen: list[int] = []
    best: tuple[float, int, float] | None = None
    for _ in range(picks):
        # Those that may be added: all, until there are as many different ones as there may be.
        allowed = [m for m in able if len(set(chosen)) < at_most or m in chosen]
        if not allowed:
            break
        means = _as_outputs((total + shown[allowed]) / (len(chosen) + 1), meaning)
        scores = SCORES[metric](means, rows.targets, scaling, rows.weights).tolist()
        ranks = [METRICS[metric].rank(score) for score in scores]
        if not any(math.isfinite(score) for score in scores):
            break
        # Of equals the first: a table decides, and not how numbers are rounded.
        place = min(range(len(allowed)), key=ranks.__getitem__)
        chosen.append(allowed[place])
        total = total + shown[allowed[place]]
        # Of equal scores the mean of more: the best of many by itself is the best by chance, too.
        if best is None or ranks[place] <= best[0]:
            best = ranks[place], len(chosen), scores[place]
    if best is None:
        return {}, math.nan
    _, length, score = best
    counts = Counter(chosen[:length])
    return {m: count / length for m, count in sorted(counts.items())}, score


def _as_shown(outputs: Tensor, meaning: Meaning) -> Tensor:
    """What is averaged, ``[M, N, C]``: probabilities, or numbers."""
    if meaning == "logits":
        return outputs.softmax(dim=2)
    return outputs.sigmoid() if meaning == "log_odds" else outputs


def _as_outputs(shown: Tensor, meaning: Meaning) -> Tensor:
    """Back to outputs; the least probability that float64 tells from 0 stands for 0."""
    if meaning == "number":
        return shown
    least = torch.finfo(shown.dtype).tiny
    if meaning == "logits":
        return shown.clamp_min(least).log()
    return shown.clamp_min(least).log() - (1 - shown).clamp_min(least).log()
