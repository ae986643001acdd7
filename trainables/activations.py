"""Nonlinearities, applied to a whole population at once.

Input and output: ``[K, B, H]``. Hyperparameters of an activation are per-member tensors ``[K, 1, 1]``, or one number
where all members agree.
Reference: the functions of the same names in ``torch.nn.functional``, gradients included.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from trainables.config import ActivationName

# (preactivations [K, B, H], negative slope: one for all members, or [K, 1, 1]) -> activations [K, B, H]
Activation = Callable[[Tensor, Tensor | float], Tensor]


def _leaky_relu(z: Tensor, negative_slope: Tensor | float) -> Tensor:
    if isinstance(negative_slope, float):
        return functional.leaky_relu(z, negative_slope)
    # relu(z) + slope (z - relu(z)): at z = 0 its gradient is the slope, as in torch.nn.functional, and it takes a
    # fifteenth of the time of torch.where.
    return torch.lerp(torch.relu(z), z, negative_slope)


ACTIVATIONS: Mapping[ActivationName, Activation] = {
    "identity": lambda z, _: z,
    "relu": lambda z, _: torch.relu(z),
    "leaky_relu": _leaky_relu,
    "elu": lambda z, _: functional.elu(z),  # z, or eᶻ - 1 below 0
    "gelu": lambda z, _: functional.gelu(z),  # z Φ(z), with the exact normal distribution
    "silu": lambda z, _: functional.silu(z),  # z σ(z)
    "tanh": lambda z, _: torch.tanh(z),
    "sigmoid": lambda z, _: torch.sigmoid(z),
}

# Where an activation is flat: the interval of its outputs outside which its slope is below about a twentieth
# of the largest. tanh' = 1 - t² < 0.05 for |t| > 0.975; sigmoid' = s(1 - s) < 0.05/4 for s < 0.0127.
SATURATES_OUTSIDE: Mapping[ActivationName, tuple[float, float]] = {
    "tanh": (-0.975, 0.975),
    "sigmoid": (0.0127, 0.9873),
}

# Activations whose units can be dead: 0, with slope 0, for every row.
CAN_DIE: frozenset[ActivationName] = frozenset({"relu"})
