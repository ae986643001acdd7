"""Batch normalisation over a population: each unit of each member by its own mean and variance over the batch.

In training z becomes γ (z - mean) / √(var + ε) + β with the batch's mean and (biased) variance; in evaluation with
running statistics, which follow the batches: running ← (1 - m) running + m batch, the variance there unbiased.
Reference: ``torch.nn.BatchNorm1d``. Source: Ioffe and Szegedy 2015.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _Normalize(torch.autograd.Function):
    """The training formula with its gradient by hand: autograd's own keeps and reads twice as many tensors."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, gain: Tensor, shift: Tensor, eps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        average = _averaging(z)
        mean = torch.bmm(average, z)  # (K, 1, B) @ (K, B, H) -> (K, 1, H)
        centred = z - mean
        variance = torch.bmm(average, centred * centred)
        inverse_std = (variance + eps).rsqrt_()
        ctx.save_for_backward(centred, gain, inverse_std)
        ctx.mark_non_differentiable(mean, variance)
        return torch.addcmul(shift, centred, gain * inverse_std), mean, variance

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        centred, gain, inverse_std = ctx.saved_tensors
        g = gradients[0]
        rows = g.shape[1]
        average = _averaging(g)
        mean_g, mean_gc = torch.bmm(average, g), torch.bmm(average, g * centred)  # (K, 1, H)
        # dz = γ/σ (g - mean(g) - c mean(g c) / σ²), with c the centred z
        scale = gain * inverse_std
        dz = torch.addcmul(-scale * mean_g, g, scale).addcmul_(centred, -scale * inverse_std.square() * mean_gc)
        return dz, mean_gc * inverse_std * rows, mean_g * rows, None


def _averaging(of: Tensor) -> Tensor:
    """``[K, 1, B]`` of 1/B: as a matrix product the mean over the middle axis is several times faster."""
    members, rows, _ = of.shape
    return of.new_full((1, 1, rows), 1.0 / rows).expand(members, 1, rows)


def normalize_by_batch(z: Tensor, gain: Tensor, shift: Tensor, eps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Normalise by the batch's own statistics.

    Args:
        z: Preactivations ``[K, B, H]``, B at least 2.
        gain: γ, ``[K, 1, H]``.
        shift: β, ``[K, 1, H]``.
        eps: ε, ``[K, 1, 1]``.

    Returns:
        Normalised ``[K, B, H]``, and the batch's mean and biased variance, ``[K, 1, H]`` each, without gradient.
    """
    normalized: tuple[Tensor, Tensor, Tensor] = _Normalize.apply(z, gain, shift, eps)
    return normalized


class RunningStatistics:
    """Mean and variance that evaluation normalises by: one number per member and unit, all layers in one tensor.

    Args:
        members: K.
        units: Of every normalised layer, first to last.
        momentum: Weight of the newest batch, ``[K, 1, 1]``.
        eps: ε, ``[K, 1, 1]``.

    Attributes:
        mean: ``[K, U]``, U the sum of ``units``.
        variance: ``[K, U]``.
    """

    def __init__(self, members: int, units: tuple[int, ...], momentum: Tensor, eps: Tensor) -> None:
        self._units, self._momentum, self.eps = units, momentum, eps
        self.mean = momentum.new_zeros(members, sum(units))
        self.variance = momentum.new_ones(members, sum(units))

    @torch.no_grad()
    def follow(self, layer: int, mean: Tensor, variance: Tensor, rows: int) -> None:
        """Move towards a batch's statistics.

        Args:
            layer: Index of the normalised layer.
            mean: ``[K, 1, H]``.
            variance: Biased, ``[K, 1, H]``.
            rows: B, of which the variance is unbiased here.
        """
        running_mean, running_variance = self.of(layer)
        running_mean.lerp_(mean, self._momentum)
        running_variance.lerp_(variance * (rows / (rows - 1)), self._momentum)

    def apply(self, layer: int, z: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
        """Normalise ``[K, B, H]`` by what was followed so far."""
        mean, variance = self.of(layer)
        scale = gain * (variance + self.eps).rsqrt()
        return torch.addcmul(shift - mean * scale, z, scale)

    def of(self, layer: int) -> tuple[Tensor, Tensor]:
        """Views of mean and variance of a layer, ``[K, 1, H]`` each."""
        at = sum(self._units[:layer])
        part = slice(at, at + self._units[layer])
        return self.mean[:, part].unsqueeze(1), self.variance[:, part].unsqueeze(1)

    def keep(self, members: Tensor) -> None:
        """Reduce to ``members`` (indices, ``[K']``)."""
        self.mean, self.variance = self.mean.index_select(0, members), self.variance.index_select(0, members)
        self._momentum, self.eps = self._momentum.index_select(0, members), self.eps.index_select(0, members)
