"""Penalties on the weights, added to the loss: l1 Σ|w| + l2/2 Σw², with both factors per member.

Biases and gains are excluded. Decoupled weight decay is no penalty but part of its update rule (optimizers.py, AdamW).
Reference: ``weight_decay`` of ``torch.optim.SGD`` and ``Adam`` for L2; the gradient of the closed form for L1.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from trainables.config import TrialConfig


class Penalties:
    """L1 and L2 of a population.

    Args:
        configs: One per member.
        n_weights: The first ``n_weights`` columns of parameters and gradients are weights.
        like: Tensor whose type and device to use.
    """

    def __init__(self, configs: Sequence[TrialConfig], n_weights: int, like: Tensor) -> None:
        self._weights = slice(0, n_weights)
        self._l1 = like.new_tensor([[config.regularization.l1] for config in configs])
        self._l2 = like.new_tensor([[config.regularization.l2] for config in configs])
        self._look_again()

    def add_gradient(self, gradient: Tensor, parameters: Tensor) -> None:
        """Add the penalties' gradient in place.

        Args:
            gradient: ``[K, P]``, of the loss.
            parameters: ``[K, P]``.
        """
        if self._has_l2:
            gradient[:, self._weights].addcmul_(parameters[:, self._weights], self._l2)
        if self._has_l1:
            # 0 where a weight is 0: the subgradient that lets it stay there.
            gradient[:, self._weights].addcmul_(parameters[:, self._weights].sign(), self._l1)

    def value(self, parameters: Tensor) -> Tensor:
        """What the penalties add to each member's loss, ``[K, P]`` -> ``[K]``."""
        weights = parameters[:, self._weights]
        l1, l2 = self._l1.squeeze(1), self._l2.squeeze(1)
        return l1 * weights.abs().sum(dim=1) + 0.5 * l2 * weights.square().sum(dim=1)

    def keep(self, members: Tensor) -> None:
        """Reduce to ``members`` (indices, ``[K']``)."""
        self._l1, self._l2 = self._l1.index_select(0, members), self._l2.index_select(0, members)
        self._look_again()

    def _look_again(self) -> None:
        # Asked in every step, so not derived there.
        self._has_l1, self._has_l2 = bool((self._l1 > 0).any()), bool((self._l2 > 0).any())
