"""Inverted dropout of activations, and DropConnect of weights, with one rate per member.

In training each number is kept with probability 1 - p and divided by 1 - p, so that its expectation does not change
and evaluation needs nothing. Masks are drawn for the whole population in one call: with dropout, a member's
numbers depend on the population around it (docs/decisions/training.md).
DropConnect draws one mask per member and batch, ``[K, Din, Dout]``, and not one per row, which no batched product
could use.
Source: Srivastava et al. 2014, in the inverted form; Wan et al. 2013.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# A mask needs one random integer of 16 bits per number. Four come out of each 64-bit draw, which is nearly three times
# as fast as a float each; a rate is then exact to 1/65 536, and what is kept is scaled by the rate as rounded.
_LEVELS = 2**16


class DropRates:
    """Rates of a population, and what drawing masks needs of them.

    Args:
        rates: Share dropped by each member, ``[K]``, in [0, 1).

    Attributes:
        any: Whether a member drops anything.
    """

    def __init__(self, rates: Tensor) -> None:
        self._rates = rates
        self.any = bool((rates > 0).any())
        # At least one level is kept, however near to 1 the rate.
        dropped = (rates.double().view(-1, 1, 1) * _LEVELS).round_().clamp_(max=_LEVELS - 1)
        self._threshold = (dropped - _LEVELS // 2).to(torch.int16)
        self._scale = (_LEVELS / (_LEVELS - dropped)).to(rates.dtype)

    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Draw factors for a whole population: 0 with probability of the rate, else 1/(1 - rate).

        Args:
            shape: ``[K, ., .]``.
            generator: A generator on the rates' device.

        Returns:
            ``shape``, of the rates' type.
        """
        count = math.prod(shape)
        draws = torch.empty((count + 3) // 4, dtype=torch.int64, device=self._scale.device)
        # The whole range of int64: views of 16 bits are then uniform over all of theirs.
        bits = draws.random_(-(2**63), None, generator=generator).view(torch.int16)[:count].view(shape)
        return (bits >= self._threshold) * self._scale

    def keep(self, members: Tensor) -> DropRates:
        """Those of ``members`` (indices, ``[K']``)."""
        return DropRates(self._rates.index_select(0, members))
