"""Nonlinearities, applied to a whole population at once, and their derivatives.

Input and output: ``[K, B, H]``. Hyperparameters of an activation are per-member tensors ``[K, 1, 1]``, or one number
where all members agree.
Reference: the functions of the same names in ``torch.nn.functional``, gradients included.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from trainables.choices import ActivationName


class Activation(NamedTuple):
    """A nonlinearity.

    Attributes:
        apply: (preactivations z, negative slope) -> activations a.
        backward: (derivative by a, z, a, negative slope) -> derivative by z; the kernels that autograd uses.
    """

    apply: Callable[[Tensor, Tensor | float], Tensor]
    backward: Callable[[Tensor, Tensor, Tensor, Tensor | float], Tensor]


def _leaky_relu(z: Tensor, negative_slope: Tensor | float) -> Tensor:
    if isinstance(negative_slope, float):
        return functional.leaky_relu(z, negative_slope)
    # relu(z) + slope (z - relu(z)): at z = 0 its gradient is the slope, as in torch.nn.functional, and it takes a
    # fifteenth of the time of torch.where.
    return torch.lerp(torch.relu(z), z, negative_slope)


def _leaky_relu_backward(slope: Tensor, z: Tensor, _: Tensor, negative_slope: Tensor | float) -> Tensor:
    if isinstance(negative_slope, float):
        return _ATEN.leaky_relu_backward(slope, z, negative_slope, False)  # type: ignore[no-any-return]
    below = _ATEN.threshold_backward(slope, z, 0.0)
    return torch.lerp(below, slope, negative_slope)


_ATEN = torch.ops.aten

ACTIVATIONS: Mapping[ActivationName, Activation] = {
    "identity": Activation(lambda z, _: z, lambda slope, z, a, _: slope),
    "relu": Activation(lambda z, _: torch.relu(z), lambda slope, z, a, _: _ATEN.threshold_backward(slope, a, 0.0)),
    "leaky_relu": Activation(_leaky_relu, _leaky_relu_backward),
    # z, or eᶻ - 1 below 0
    "elu": Activation(
        lambda z, _: functional.elu(z), lambda slope, z, a, _: _ATEN.elu_backward(slope, 1.0, 1.0, 1.0, True, a)
    ),
    # z Φ(z), with the exact normal distribution
    "gelu": Activation(lambda z, _: functional.gelu(z), lambda slope, z, a, _: _ATEN.gelu_backward(slope, z)),
    # z σ(z)
    "silu": Activation(lambda z, _: functional.silu(z), lambda slope, z, a, _: _ATEN.silu_backward(slope, z)),
    "tanh": Activation(lambda z, _: torch.tanh(z), lambda slope, z, a, _: _ATEN.tanh_backward(slope, a)),
    "sigmoid": Activation(lambda z, _: torch.sigmoid(z), lambda slope, z, a, _: _ATEN.sigmoid_backward(slope, a)),
}

# Where an activation is flat: the interval of its outputs outside which its slope is below about a twentieth
# of the largest. tanh' = 1 - t² < 0.05 for |t| > 0.975; sigmoid' = s(1 - s) < 0.05/4 for s < 0.0127.
SATURATES_OUTSIDE: Mapping[ActivationName, tuple[float, float]] = {
    "tanh": (-0.975, 0.975),
    "sigmoid": (0.0127, 0.9873),
}

# Activations whose units can be dead: 0, with slope 0, for every row.
CAN_DIE: frozenset[ActivationName] = frozenset({"relu"})
