"""Batch normalisation over a population: each unit of each member by its own mean and variance over the batch.

In training z becomes γ (z - mean) / √(var + ε) + β with the batch's mean and (biased) variance; in evaluation with
running statistics, which follow the batches: running ← (1 - m) running + m batch, the variance there unbiased.
To torch's own kernel the K · H units of a population are the units of one wide layer.
Reference: ``torch.nn.BatchNorm1d``. Source: Ioffe and Szegedy 2015.
"""

from __future__ import annotations

import torch
from torch import Tensor


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

    def by_batch(self, layer: int, z: Tensor, gain: Tensor, shift: Tensor, *, follow: bool) -> Tensor:
        """Normalise by the batch's own statistics.

        Args:
            layer: Index of the normalised layer.
            z: Preactivations ``[K, B, H]``, B at least 2.
            gain: γ, ``[K, 1, H]``.
            shift: β, ``[K, 1, H]``.
            follow: Whether the running statistics move towards the batch's.

        Returns:
            ``[K, B, H]``.
        """
        mean, variance = (self.means[layer].view(-1), self.variances[layer].view(-1)) if follow else (None, None)
        members, rows, units = z.shape
        # One network needs no transposition, and its step is so short that two calls less are to be seen.
        wide = z.view(rows, units) if members == 1 else z.transpose(0, 1).reshape(rows, members * units)
        # torch.batch_norm is what torch.nn.functional.batch_norm calls after checks that would cost as much.
        normalized = torch.batch_norm(
            wide,
            gain.reshape(-1),
            shift.reshape(-1),
            mean,
            variance,
            training=True,
            momentum=self._momentum,
            eps=self._eps,
            cudnn_enabled=torch.backends.cudnn.enabled,
        )
        if members == 1:
            return normalized.view(1, rows, units)
        return normalized.view(rows, members, units).transpose(0, 1)

    def by_running(self, layer: int, z: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
        """Normalise ``[K, B, H]`` by what was followed so far."""
        mean, variance = self.means[layer].unsqueeze(1), self.variances[layer].unsqueeze(1)  # (K, H) -> (K, 1, H)
        scale = gain * torch.rsqrt(variance + self._eps)
        return torch.addcmul(shift - mean * scale, z, scale)

    def keep(self, members: Tensor) -> None:
        """Reduce to ``members`` (indices, ``[K']``)."""
        self.means = [mean.index_select(0, members) for mean in self.means]
        self.variances = [variance.index_select(0, members) for variance in self.variances]
