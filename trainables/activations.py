"""Nonlinearities, applied to a whole population at once, and their derivatives.

Input and output: ``[K, B, H]``. Hyperparameters of an activation are per-member tensors ``[K, 1, 1]``, or one number
where all members agree.
Reference: the functions of the same names in ``torch.nn.functional``, gradients included.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.choices import ActivationName


class Activation(NamedTuple):
    """A nonlinearity, and everything that others have to know of it; a new one has to say it all.

    Attributes:
        apply: (preactivations z, negative slope) -> activations a, over z where the way back does not ask for z.
        backward: (derivative by a, z, a, negative slope) -> derivative by z, over the derivative by a; the kernels
            that autograd uses.
        module: (negative slope) -> the module of torch.nn that computes the same.
        init: The rule for initial weights that ``init: auto`` means: xavier where it is linear around 0, kaiming where
            it cuts off most of the negative half (initialization.py).
        flat_outside: The interval of its outputs outside which its slope is below about a twentieth of the largest;
            None where it is flat on one side at most.
        can_die: Whether a unit can be dead: 0, with slope 0, for every row.
    """

    apply: Callable[[Tensor, Tensor | float], Tensor]
    backward: Callable[[Tensor, Tensor, Tensor, Tensor | float], Tensor]
    module: Callable[[float], nn.Module]
    init: Literal["xavier", "kaiming"]
    flat_outside: tuple[float, float] | None
    can_die: bool


def _leaky_relu(z: Tensor, negative_slope: Tensor | float) -> Tensor:
    if isinstance(negative_slope, float):
        return functional.leaky_relu(z, negative_slope)
    # relu(z) + slope (z - relu(z)): at z = 0 its gradient is the slope, as in torch.nn.functional, and it takes a
    # fifteenth of the time of torch.where.
    return torch.lerp(torch.relu(z), z, negative_slope)


def _leaky_relu_backward(slope: Tensor, z: Tensor, _: Tensor, negative_slope: Tensor | float) -> Tensor:
    if isinstance(negative_slope, float):
        return _ATEN.leaky_relu_backward(slope, z, negative_slope, False, grad_input=slope)  # type: ignore[no-any-return]
    below = _ATEN.threshold_backward(slope, z, 0.0)
    return torch.lerp(below, slope, negative_slope, out=slope)


# Where a kernel of these is given ``grad_input``, it writes there: half the memory, and what it writes is in the cache.
_ATEN = torch.ops.aten

ACTIVATIONS: Mapping[ActivationName, Activation] = {
    "identity": Activation(
        apply=lambda z, _: z,
        backward=lambda slope, z, a, _: slope,
        module=lambda _: nn.Identity(),
        init="xavier",
        flat_outside=None,
        can_die=False,
    ),
    "relu": Activation(
        apply=lambda z, _: torch.relu_(z),
        backward=lambda slope, z, a, _: _ATEN.threshold_backward(slope, a, 0.0, grad_input=slope),
        module=lambda _: nn.ReLU(),
        init="kaiming",
        flat_outside=None,
        can_die=True,
    ),
    "leaky_relu": Activation(
        apply=_leaky_relu,
        backward=_leaky_relu_backward,
        module=nn.LeakyReLU,
        init="kaiming",
        flat_outside=None,
        can_die=False,
    ),
    # z, or eᶻ - 1 below 0
    "elu": Activation(
        apply=lambda z, _: functional.elu(z, inplace=True),
        backward=lambda slope, z, a, _: _ATEN.elu_backward(slope, 1.0, 1.0, 1.0, True, a, grad_input=slope),
        module=lambda _: nn.ELU(),
        init="kaiming",
        flat_outside=None,
        can_die=False,
    ),
    # z Φ(z), with the exact normal distribution
    "gelu": Activation(
        apply=lambda z, _: functional.gelu(z),
        backward=lambda slope, z, a, _: _ATEN.gelu_backward(slope, z, grad_input=slope),
        module=lambda _: nn.GELU(),
        init="kaiming",
        flat_outside=None,
        can_die=False,
    ),
    # z σ(z)
    "silu": Activation(
        apply=lambda z, _: functional.silu(z),
        backward=lambda slope, z, a, _: _ATEN.silu_backward(slope, z, grad_input=slope),
        module=lambda _: nn.SiLU(),
        init="kaiming",
        flat_outside=None,
        can_die=False,
    ),
    # tanh' = 1 - t² < 0.05 for |t| > 0.975
    "tanh": Activation(
        apply=lambda z, _: torch.tanh_(z),
        backward=lambda slope, z, a, _: _ATEN.tanh_backward(slope, a, grad_input=slope),
        module=lambda _: nn.Tanh(),
        init="xavier",
        flat_outside=(-0.975, 0.975),
        can_die=False,
    ),
    # sigmoid' = s(1 - s) < 0.05/4 for s < 0.0127
    "sigmoid": Activation(
        apply=lambda z, _: torch.sigmoid_(z),
        backward=lambda slope, z, a, _: _ATEN.sigmoid_backward(slope, a, grad_input=slope),
        module=lambda _: nn.Sigmoid(),
        init="xavier",
        flat_outside=(0.0127, 0.9873),
        can_die=False,
    ),
}
