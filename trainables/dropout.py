"""Inverted dropout with one rate per member.

In training each activation is kept with probability 1 - p and divided by 1 - p, so that its expectation does not
change and evaluation needs nothing. Masks are drawn for the whole population in one call: with dropout, a member's
numbers depend on the population around it (docs/architecture.md, "Randomness").
Source: Srivastava et al. 2014, in the inverted form.
"""

from __future__ import annotations

import torch
from torch import Tensor


def dropout(activations: Tensor, rate: Tensor, generator: torch.Generator) -> Tensor:
    """Drop a share of the activations of each member.

    Args:
        activations: ``[K, B, H]``.
        rate: Share dropped, ``[K, 1, 1]``, in [0, 1).
        generator: On the activations' device.

    Returns:
        ``[K, B, H]``.
    """
    drawn = torch.rand(activations.shape, generator=generator, device=activations.device, dtype=activations.dtype)
    return activations * ((drawn >= rate) / (1.0 - rate)).to(activations.dtype)
