"""Gradient clipping, each member by itself: by value, then by the L2 norm over all parameters of that member.

Reference: ``torch.nn.utils.clip_grad_value_`` and ``clip_grad_norm_``. Source: Pascanu et al. 2013.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from trainables.config import TrialConfig

# In the denominator, as in torch.nn.utils: a gradient of 0 stays 0.
_EPS = 1e-6


class Clipping:
    """Bounds on the gradients of a population; a member without one has infinity.

    Args:
        configs: One per member.
        like: Tensor whose type and device to use.
    """

    def __init__(self, configs: Sequence[TrialConfig], like: Tensor) -> None:
        self._value = like.new_tensor([[config.clipping.value or math.inf] for config in configs])
        self._norm = like.new_tensor([[config.clipping.norm or math.inf] for config in configs])
        self._look_again()

    def apply(self, gradient: Tensor) -> None:
        """Clip in place, ``[K, P]``. A gradient that is not finite stays so, in its own member."""
        if self._by_value:
            torch.minimum(torch.maximum(gradient, -self._value, out=gradient), self._value, out=gradient)
        if self._by_norm:
            norm = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)  # (K, P) -> (K, 1)
            gradient.mul_((self._norm / (norm + _EPS)).clamp_(max=1.0))

    def keep(self, members: Tensor) -> None:
        """Reduce to ``members`` (indices, ``[K']``)."""
        self._value, self._norm = self._value.index_select(0, members), self._norm.index_select(0, members)
        self._look_again()

    def _look_again(self) -> None:
        # Asked in every step, so not derived there.
        self._by_value, self._by_norm = bool(self._value.isfinite().any()), bool(self._norm.isfinite().any())
