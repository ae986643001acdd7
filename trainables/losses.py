"""Losses of a population, and what each is worth to a network that knows nothing.

Input: outputs ``[K, B, C]`` and targets ``[B]`` (class indices, or standardised numbers), shared by the members.
Output: one loss per member and row, ``[K, B]``. Their mean over rows is the member's loss.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from trainables.config import LossName


@dataclass(frozen=True)
class Loss:
    """A loss and its value by chance.

    Attributes:
        per_row: (outputs ``[K, B, C]``, targets ``[B]``) → ``[K, B]``.
        chance: (targets ``[B]``, C) → expected loss of a network whose outputs are all 0.
        chance_formula: The same as a person writes it.
    """

    per_row: Callable[[Tensor, Tensor], Tensor]
    chance: Callable[[Tensor, int], float]
    chance_formula: str


def _cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    # Flattened to [K·B, C]: torch's own kernel then does log-softmax and selection in one pass.
    members, rows, classes = outputs.shape
    flat = torch.nn.functional.cross_entropy(
        outputs.reshape(members * rows, classes), targets.repeat(members), reduction="none"
    )
    return flat.view(members, rows)


def _hinge(outputs: Tensor, targets: Tensor) -> Tensor:
    # The lecture's multiclass SVM loss: the sum over wrong classes of max(0, s_wrong - s_right + 1).
    # torch.nn.MultiMarginLoss divides it by C.
    right = outputs.gather(2, targets.view(1, -1, 1).expand(outputs.shape[0], -1, 1))  # [K, B, 1]
    margins = (outputs - right + 1.0).clamp_min(0.0)  # [K, B, C]
    # The right class contributes max(0, 0 + 1) = 1 and no gradient.
    return margins.sum(dim=2) - 1.0


def _mse(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs.squeeze(2) - targets).square()


LOSSES: Mapping[LossName, Loss] = {
    "cross_entropy": Loss(_cross_entropy, lambda targets, classes: math.log(classes), "ln C"),
    "hinge": Loss(_hinge, lambda targets, classes: classes - 1.0, "C − 1"),
    "mse": Loss(_mse, lambda targets, classes: targets.square().mean().item(), "variance of the target"),
}
