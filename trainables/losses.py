"""Losses of a population, and what each is worth to a network that knows nothing.

Input: outputs ``[K, B, C]``, targets ``[B]`` (class indices, or standardised numbers) and, where rows do not count
alike, weights ``[B]``, all shared by the members.
Output: one loss per member, ``[K]``: Σ w c ℓ / Σ w c over rows, with w the row's weight and c its class's. A row of
weight 2 is a row that stands there twice, as scikit-learn's ``sample_weight`` has it.
Label smoothing and Huber's δ are per-member numbers.
Reference: the functions of the same names in ``torch.nn.functional``; for the hinge loss see ``Hinge``, for class
weights with label smoothing ``CrossEntropy``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from trainables.choices import LossName
from trainables.config import TrialConfig


class ChanceScale(NamedTuple):
    """The two ends of what a loss can mean: everything right, and nothing known.

    >>> ChanceScale(least=0.5, chance=2.5).share(1.0)
    0.25
    """

    least: float
    chance: float

    def share(self, loss: float) -> float:
        """Where ``loss`` lies between the two: 0 at the least, 1 at chance."""
        return (loss - self.least) / (self.chance - self.least)


class Loss(ABC):
    """A loss of a population.

    Args:
        configs: One per member, of one structure.
        train_targets: ``[N]``, of all training rows: their frequencies are what ``class_weights: balanced`` means.
        n_classes: C of the table; 1 for numbers.
        dtype: The loss's type.
        train_weights: ``[N]``, of the training rows.

    Attributes:
        chance_formula: What ``chance`` computes, as a person writes it.
    """

    chance_formula: ClassVar[str]

    def __init__(
        self,
        configs: Sequence[TrialConfig],
        train_targets: Tensor,
        n_classes: int,
        dtype: torch.dtype,
        train_weights: Tensor | None = None,
    ) -> None:
        self.n_classes = n_classes

        def per_member(values: list[float]) -> Tensor:  # -> [K, 1]
            return torch.tensor(values, dtype=dtype, device=train_targets.device).view(-1, 1)

        self._smoothing = per_member([config.label_smoothing for config in configs])
        self._delta = per_member([config.huber_delta for config in configs])
        self._smooths = any(config.label_smoothing > 0 for config in configs)
        weights = class_weights(configs[0], train_targets, n_classes, train_weights)
        self.class_weights = None if weights is None else weights.to(train_targets.device, dtype)

    @abstractmethod
    def per_row(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Loss of each row, times the weight of its class: ``[K, B, C]``, ``[B]`` -> ``[K, B]``."""

    @abstractmethod
    def chance(self, targets: Tensor, weights: Tensor | None = None) -> list[float]:
        """Expected loss on ``targets`` of a network whose outputs are all 0, K numbers."""

    def floor(self) -> list[float]:
        """The least loss that there can be, K numbers: above 0 with label smoothing, which asks for less than 1."""
        return [0.0] * len(self._smoothing)

    def scales(self, targets: Tensor, weights: Tensor | None = None) -> list[ChanceScale]:
        """What each member's loss on ``targets`` is read by, K of them."""
        chances = self.chance(targets, weights)
        return [ChanceScale(least, chance) for least, chance in zip(self.floor(), chances, strict=True)]

    def mean(self, outputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
        """Loss of each member: ``[K, B, C]``, ``[B]``, ``[B]`` -> ``[K]``."""
        losses = self.per_row(outputs, targets)
        if weights is None and self.class_weights is None:
            return losses.mean(dim=1)
        # The row's loss has its class's weight already.
        return (losses if weights is None else losses * weights).sum(dim=1) / self.total_weight(targets, weights)

    def mean_and_slope(self, outputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """``mean`` and its derivative by the outputs, ``[K, B, C]``: where a step's way back begins."""
        outputs = outputs.detach().requires_grad_()
        with torch.enable_grad():
            losses = self.mean(outputs, targets, weights)
            (slope,) = torch.autograd.grad(losses.sum(), outputs)
        return losses.detach(), slope

    def total_weight(self, targets: Tensor, weights: Tensor | None = None) -> Tensor | int:
        """What the sum of the rows' losses is divided by, Σ w c."""
        of_classes = self._row_weights(targets)
        if of_classes is None:
            return len(targets) if weights is None else weights.sum()
        return of_classes.sum() if weights is None else (of_classes * weights).sum()

    def frequency_baseline(self, targets: Tensor, weights: Tensor | None = None) -> float | None:
        """Loss on ``targets`` of a network that knows the classes' frequencies and nothing else.

        None where there is none in closed form (hinge), or where it is chance (numbers: the mean is already 0).
        """
        return None

    def keep(self, members: Tensor) -> None:
        """Reduce to ``members`` (indices, ``[K']``)."""
        self._smoothing, self._delta = self._smoothing.index_select(0, members), self._delta.index_select(0, members)

    def _row_weights(self, targets: Tensor) -> Tensor | None:
        return None if self.class_weights is None else self.class_weights[targets]

    def _entropy(self, targets: Tensor, weights: Tensor | None) -> float:
        """Entropy of the classes' weighted frequencies: the least loss of a constant output."""
        counts = torch.bincount(targets, weights, minlength=self.n_classes).double()
        if self.class_weights is not None:
            counts = counts * self.class_weights
        entropy: float = torch.special.entr(counts / counts.sum()).sum().item()
        return entropy


class CrossEntropy(Loss):
    """-log softmax(outputs)[target]. With label smoothing ε the target is (1 - ε) one-hot + ε/C.

    A class weight multiplies the loss of its rows. PyTorch weighs the smoothed target's classes instead, so that with
    a rare class, whose weight is large, naming that class always is cheaper than being right.
    """

    chance_formula = "ln C"

    def per_row(self, outputs: Tensor, targets: Tensor) -> Tensor:  # noqa: D102
        logits, axis = _by_layout(outputs)
        log_shares = functional.log_softmax(logits, dim=axis)
        right = targets.unsqueeze(axis - 1).expand(len(outputs), -1, -1)
        losses = log_shares.gather(axis, right).squeeze(axis).neg()  # [K, B]
        if self._smooths:
            losses = torch.lerp(losses, -log_shares.mean(dim=axis), self._smoothing)
        weights = self._row_weights(targets)
        return losses if weights is None else losses * weights

    @torch.no_grad()
    def mean_and_slope(self, outputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """See ``Loss``. By its formula: with t the target and r a row's part of the weight, Σ -r t ln s and r (s - t).

        Autograd takes more than twice as long, and sums cost less as products than what they add costs to pick out.
        """
        logits, axis = _by_layout(outputs)
        (_, rows, classes), at = outputs.shape, targets.unsqueeze(axis - 1)
        row_weights = self._row_weights(targets)
        if weights is not None:
            row_weights = weights if row_weights is None else row_weights * weights
        parts = None if row_weights is None else (row_weights / row_weights.sum()).unsqueeze(axis - 1)
        negative = outputs.new_zeros(logits.shape[1:])  # -r t, of [B, C] or [C, B]
        if parts is None:
            negative.scatter_(axis - 1, at, -1.0 / rows)
        else:
            negative.scatter_(axis - 1, at, -parts)
        log_shares = functional.log_softmax(logits, dim=axis)
        if self._smooths:
            evenly = negative.sum(dim=axis - 1, keepdim=True) / classes
            negative = torch.lerp(negative, evenly, self._smoothing.unsqueeze(2))
            losses = (log_shares * negative).sum(dim=(1, 2))
        else:
            losses = torch.mv(log_shares.reshape(len(outputs), -1), negative.view(-1))
        shares = log_shares.exp_()
        if parts is None:
            torch.add(negative, shares, alpha=1.0 / rows, out=shares)
        else:
            torch.addcmul(negative, shares, parts, out=shares)
        return losses, shares if axis == 2 else shares.transpose(1, 2)

    def chance(self, targets: Tensor, weights: Tensor | None = None) -> list[float]:  # noqa: D102
        return [math.log(self.n_classes)] * len(self._smoothing)

    def floor(self) -> list[float]:  # noqa: D102
        return _entropy_of_smoothed(self._smoothing, self.n_classes)

    def frequency_baseline(self, targets: Tensor, weights: Tensor | None = None) -> float | None:  # noqa: D102
        return self._entropy(targets, weights)


class BinaryCrossEntropy(Loss):
    """-log σ(output) for class 1 and -log(1 - σ(output)) for class 0, from one output. Smoothed: t (1 - ε) + ε/2."""

    chance_formula = "ln 2"

    def per_row(self, outputs: Tensor, targets: Tensor) -> Tensor:  # noqa: D102
        wanted = targets.to(outputs.dtype).expand(outputs.shape[0], -1)
        if self._smooths:
            wanted = torch.lerp(wanted, torch.full_like(wanted, 0.5), self._smoothing)
        return functional.binary_cross_entropy_with_logits(
            outputs.squeeze(2), wanted, self._row_weights(targets), reduction="none"
        )

    def chance(self, targets: Tensor, weights: Tensor | None = None) -> list[float]:  # noqa: D102
        return [math.log(2)] * len(self._smoothing)

    def floor(self) -> list[float]:  # noqa: D102
        return _entropy_of_smoothed(self._smoothing, 2)

    def frequency_baseline(self, targets: Tensor, weights: Tensor | None = None) -> float | None:  # noqa: D102
        return self._entropy(targets, weights)


class Hinge(Loss):
    """The lecture's multiclass SVM loss: Σ over wrong classes of max(0, s_wrong - s_right + 1).

    ``torch.nn.MultiMarginLoss`` divides it by C.
    """

    chance_formula = "C − 1"

    def per_row(self, outputs: Tensor, targets: Tensor) -> Tensor:  # noqa: D102
        right = outputs.gather(2, targets.view(1, -1, 1).expand(outputs.shape[0], -1, 1))  # [K, B, 1]
        margins = (outputs - right + 1.0).clamp_min(0.0)  # [K, B, C]
        # The right class contributes max(0, 0 + 1) = 1 and no gradient.
        losses = margins.sum(dim=2) - 1.0
        weights = self._row_weights(targets)
        return losses if weights is None else losses * weights

    def chance(self, targets: Tensor, weights: Tensor | None = None) -> list[float]:  # noqa: D102
        return [self.n_classes - 1.0] * len(self._smoothing)


class MeanSquaredError(Loss):
    """(output - target)²."""

    chance_formula = "variance of the target"

    def per_row(self, outputs: Tensor, targets: Tensor) -> Tensor:  # noqa: D102
        return (outputs.squeeze(2) - targets).square()

    def chance(self, targets: Tensor, weights: Tensor | None = None) -> list[float]:  # noqa: D102
        squares = targets.square().expand(1, -1)
        return _mean_over_rows(squares, weights).tolist() * len(self._smoothing)


class Huber(Loss):
    """e²/2 for errors |e| up to δ, beyond them δ (|e| - δ/2): large errors count linearly."""

    chance_formula = "mean Huber loss of the target"

    def per_row(self, outputs: Tensor, targets: Tensor) -> Tensor:  # noqa: D102
        error = (outputs.squeeze(2) - targets).abs()
        return _huber(error, self._delta)

    def chance(self, targets: Tensor, weights: Tensor | None = None) -> list[float]:  # noqa: D102
        losses: list[float] = _mean_over_rows(_huber(targets.abs(), self._delta), weights).tolist()
        return losses


def _by_layout(outputs: Tensor) -> tuple[Tensor, int]:
    """``[K, B, C]``, and 2, the axis of its classes; or ``[K, C, B]`` and 1, where a network has laid them that way.

    A kernel goes fastest through memory as it lies, and 26 times as fast across ten classes as along them.
    """
    return (outputs.transpose(1, 2), 1) if outputs.stride(1) < outputs.stride(2) else (outputs, 2)


def _entropy_of_smoothed(smoothing: Tensor, classes: int) -> list[float]:
    """Entropy of (1 - ε) one-hot + ε/C, for each ε of ``[K, 1]``: what is left of a loss when all is right."""
    rest = smoothing.double() / classes
    entropies: list[float] = (
        (torch.special.entr(1 - smoothing.double() + rest) + (classes - 1) * torch.special.entr(rest))
        .squeeze(1)
        .tolist()
    )
    return entropies


def _mean_over_rows(losses: Tensor, weights: Tensor | None) -> Tensor:
    """``[K, B]``, ``[B]`` -> ``[K]``."""
    return losses.mean(dim=1) if weights is None else (losses * weights).sum(dim=1) / weights.sum()


def _huber(error: Tensor, delta: Tensor) -> Tensor:
    # q = min(|e|, δ): q²/2 + δ (|e| - q) is both branches at once.
    quadratic = torch.minimum(error, delta)
    return quadratic * quadratic * 0.5 + delta * (error - quadratic)


def class_weights(
    config: TrialConfig, train_targets: Tensor, n_classes: int, train_weights: Tensor | None = None
) -> Tensor | None:
    """Weight per class ``[C]``, float64; balanced is N / (C n_c) of weighted counts, as in scikit-learn."""
    if config.class_weights == "none":
        return None
    if config.class_weights == "balanced":
        counts = torch.bincount(train_targets, train_weights, minlength=n_classes).double()
        # A class without training rows has no weight that means anything, and none is ever asked for.
        return counts.sum() / (n_classes * torch.where(counts > 0, counts, 1.0))
    return torch.tensor(config.class_weights, dtype=torch.float64)


LOSSES: Mapping[LossName, type[Loss]] = {
    "cross_entropy": CrossEntropy,
    "binary_cross_entropy": BinaryCrossEntropy,
    "hinge": Hinge,
    "mse": MeanSquaredError,
    "huber": Huber,
}


def make_loss(
    configs: Sequence[TrialConfig],
    train_targets: Tensor,
    n_classes: int,
    dtype: torch.dtype,
    train_weights: Tensor | None = None,
) -> Loss:
    """The loss that the configs, all of one structure, ask for."""
    return LOSSES[configs[0].loss](configs, train_targets, n_classes, dtype, train_weights)


def count_outputs(loss: LossName, n_classes: int) -> int:
    """Outputs of a network: one per class, or one for a number and for binary cross-entropy."""
    return 1 if loss in ("binary_cross_entropy", "mse", "huber") else n_classes
