"""Batch normalisation over a population: each unit of each member by its own mean and variance over the batch.

In training z becomes γ (z - mean) / √(var + ε) + β with the batch's mean and (biased) variance; in evaluation with
running statistics, which follow the batches: running ← (1 - m) running + m batch, the variance there unbiased.
To torch's own kernel the K · H units of a population are the units of one wide layer.
Reference: ``torch.nn.BatchNorm1d``. Source: Ioffe and Szegedy 2015.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Normalized:
    """A layer normalised by its batch, and what the way back needs.

    Attributes:
        outputs: ``[K, B, H]``.
        wide: What was normalised, ``[B, K·H]``.
        gain: γ, ``[K·H]``.
        mean: The batch's means, ``[K·H]``.
        inverse_std: 1 / √(var + ε), ``[K·H]``.
    """

    outputs: Tensor
    wide: Tensor
    gain: Tensor
    mean: Tensor
    inverse_std: Tensor


class BatchNormalization:
    """The running statistics of a population's normalised layers, and the two ways of normalising.

    Args:
        members: K.
        units: H of every normalised layer, first to last.
        momentum: m, weight of the newest batch.
        eps: ε.
        like: Tensor whose type and device to use.

    Attributes:
        means: ``[K, H]`` of every layer.
        variances: ``[K, H]`` of every layer.
    """

    def __init__(self, members: int, units: tuple[int, ...], *, momentum: float, eps: float, like: Tensor) -> None:
        self._momentum, self._eps = momentum, eps
        self.means = [like.new_zeros(members, width) for width in units]
        self.variances = [like.new_ones(members, width) for width in units]

    def by_batch(self, layer: int, z: Tensor, gain: Tensor, shift: Tensor, *, follow: bool) -> Normalized:
        """Normalise by the batch's own statistics.

        Args:
            layer: Index of the normalised layer.
            z: Preactivations ``[K, B, H]``, B at least 2.
            gain: γ, ``[K, 1, H]``.
            shift: β, ``[K, 1, H]``.
            follow: Whether the running statistics move towards the batch's.
        """
        mean, variance = (self.means[layer].view(-1), self.variances[layer].view(-1)) if follow else (None, None)
        wide, flat_gain = _widen(z), gain.reshape(-1)
        # The kernel behind torch.nn.functional.batch_norm, which also tells the statistics.
        normalized, batch_mean, inverse_std = torch.native_batch_norm(
            wide, flat_gain, shift.reshape(-1), mean, variance, True, self._momentum, self._eps
        )
        return Normalized(_narrow(normalized, z), wide, flat_gain, batch_mean, inverse_std)

    def backward(self, layer: int, forward: Normalized, slope: Tensor, gain_out: Tensor, shift_out: Tensor) -> Tensor:
        """Derivatives of what ``by_batch`` computed.

        Args:
            layer: Index of the normalised layer.
            forward: What it returned.
            slope: Derivative by its outputs, ``[K, B, H]``.
            gain_out: ``[K, 1, H]``, receives the derivative by γ.
            shift_out: ``[K, 1, H]``, receives that by β.

        Returns:
            Derivative by the preactivations, ``[K, B, H]``.
        """
        wide, gain, shift = torch.ops.aten.native_batch_norm_backward(
            _widen(slope),
            forward.wide,
            forward.gain,
            self.means[layer].view(-1),
            self.variances[layer].view(-1),
            forward.mean,
            forward.inverse_std,
            True,
            self._eps,
            [True, True, True],
        )
        gain_out.copy_(gain.view(gain_out.shape))
        shift_out.copy_(shift.view(shift_out.shape))
        return _narrow(wide, slope)

    def by_running(self, layer: int, z: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
        """Normalise ``[K, B, H]`` by what was followed so far."""
        mean, variance = self.means[layer].unsqueeze(1), self.variances[layer].unsqueeze(1)  # (K, H) -> (K, 1, H)
        scale = gain * torch.rsqrt(variance + self._eps)
        return torch.addcmul(shift - mean * scale, z, scale)

    def keep(self, members: Tensor) -> None:
        """Reduce to ``members`` (indices, ``[K']``)."""
        self.means = [mean.index_select(0, members) for mean in self.means]
        self.variances = [variance.index_select(0, members) for variance in self.variances]


def _widen(z: Tensor) -> Tensor:
    """``[K, B, H]`` -> ``[B, K·H]``."""
    members, rows, units = z.shape
    # One network needs no transposition, and its step is so short that two calls less are to be seen.
    return z.reshape(rows, units) if members == 1 else z.transpose(0, 1).reshape(rows, members * units)


def _narrow(wide: Tensor, like: Tensor) -> Tensor:
    """``[B, K·H]`` -> ``[K, B, H]``, the shape of ``like``."""
    members, rows, units = like.shape
    return wide.view(1, rows, units) if members == 1 else wide.view(rows, members, units).transpose(0, 1)
