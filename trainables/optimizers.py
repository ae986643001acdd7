"""Update rules, written as their formulas, over populations.

Parameters θ, gradients g and state are ``[K, P]``; hyperparameters are ``[K, 1]``, so every member has its own.
Hyperparameters are held in float64, since 1 - β₂ᵗ loses half its digits in float32 at t = 1, and what they
combine to is cast to the parameters' type. Each rule equals the ``torch.optim`` class of its name step by step.

>>> import torch
>>> from trainables.config import TrialConfig
>>> theta = torch.ones(1, 2)
>>> optimizer = make_optimizer([TrialConfig().replace({"optimizer.name": "sgd", "optimizer.lr": 0.5})], theta, 2)
>>> optimizer.step(torch.ones(1, 2))
>>> theta
tensor([[0.5000, 0.5000]])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from trainables.config import OptimizerName, TrialConfig


class Optimizer:
    """An update rule with one set of hyperparameters per member.

    Args:
        configs: One per member.
        parameters: ``[K, P]``, changed in place by ``step``.
        n_weights: The first ``n_weights`` columns are weights; decay concerns them alone.

    Attributes:
        state: The rule's memory by name, each ``[K, P]``; together with ``steps`` all that a checkpoint needs.
        steps: Updates done so far.
    """

    hyperparameters: ClassVar[tuple[str, ...]] = ("lr",)
    memory: ClassVar[tuple[str, ...]] = ()

    def __init__(self, configs: Sequence[TrialConfig], parameters: Tensor, n_weights: int) -> None:
        self.parameters = parameters
        self.n_weights = n_weights
        self.steps = 0
        self.state = {name: torch.zeros_like(parameters) for name in self.memory}
        self._scratch = torch.empty_like(parameters)
        self.hyper: dict[str, Tensor] = {
            name: torch.tensor(
                [[float(config[f"optimizer.{name}"])] for config in configs],
                dtype=torch.float64,
                device=parameters.device,
            )
            for name in self.hyperparameters
        }
        self._prepare()

    def step(self, gradient: Tensor) -> None:
        """Update the parameters in place.

        Args:
            gradient: ``[K, P]``.
        """
        self.steps += 1
        self._update(gradient)

    def keep(self, members: Tensor, parameters: Tensor) -> None:
        """Follow the network in dropping members.

        Args:
            members: Indices of those who stay, ``[K']``.
            parameters: The network's new ``[K', P]``.
        """
        self.parameters = parameters
        self.state = {name: value.index_select(0, members) for name, value in self.state.items()}
        self.hyper = {name: value.index_select(0, members) for name, value in self.hyper.items()}
        self._scratch = torch.empty_like(parameters)
        self._prepare()

    def _cast(self, value: Tensor) -> Tensor:
        return value.to(self.parameters.dtype)

    def _prepare(self) -> None:
        """Compute what does not change from step to step."""
        self._neg_lr = self._cast(-self.hyper["lr"])

    def _update(self, gradient: Tensor) -> None:
        raise TypeError(f"{type(self).__name__} has no update rule")


class SGD(Optimizer):
    """θ ← θ - η g."""

    def _update(self, gradient: Tensor) -> None:
        self.parameters.addcmul_(gradient, self._neg_lr)


class Momentum(Optimizer):
    """v ← μ v + g;  θ ← θ - η v  (PyTorch's form, without dampening)."""

    hyperparameters = ("lr", "momentum")
    memory = ("velocity",)

    def _prepare(self) -> None:
        super()._prepare()
        self._momentum = self._cast(self.hyper["momentum"])

    def _update(self, gradient: Tensor) -> None:
        velocity = self.state["velocity"].mul_(self._momentum).add_(gradient)
        self.parameters.addcmul_(velocity, self._neg_lr)


class Adam(Optimizer):
    """m ← β₁ m + (1 - β₁) g;  v ← β₂ v + (1 - β₂) g²;  θ ← θ - η m̂ / (√v̂ + ε).

    m̂ = m / (1 - β₁ᵗ) and v̂ = v / (1 - β₂ᵗ) correct the bias of starting at 0.
    """

    hyperparameters: ClassVar[tuple[str, ...]] = ("lr", "beta1", "beta2", "eps")
    memory = ("first_moment", "second_moment")

    def _prepare(self) -> None:
        super()._prepare()
        self._one_minus_beta1 = self._cast(1.0 - self.hyper["beta1"])
        self._one_minus_beta2 = self._cast(1.0 - self.hyper["beta2"])
        self._beta2 = self._cast(self.hyper["beta2"])

    def _update(self, gradient: Tensor) -> None:
        m, v, scratch = self.state["first_moment"], self.state["second_moment"], self._scratch
        m.lerp_(gradient, self._one_minus_beta1)
        v.mul_(self._beta2).addcmul_(gradient, torch.mul(gradient, self._one_minus_beta2, out=scratch))
        # m̂ / (√v̂ + ε) = (√c₂/c₁) · m / (√v + ε √c₂) with c = 1 - βᵗ: the corrections touch [K, 1], not [K, P].
        root_c2 = (1.0 - self.hyper["beta2"] ** self.steps).sqrt_()
        rate = -self.hyper["lr"] * root_c2 / (1.0 - self.hyper["beta1"] ** self.steps)
        torch.sqrt(v, out=scratch).add_(self._cast(self.hyper["eps"] * root_c2))
        torch.div(m, scratch, out=scratch)
        self.parameters.addcmul_(scratch, self._cast(rate))


class AdamW(Adam):
    """Adam, after θ ← (1 - η λ) θ on the weights: decay decoupled from the gradient (Loshchilov and Hutter)."""

    hyperparameters = ("lr", "beta1", "beta2", "eps", "weight_decay")

    def _prepare(self) -> None:
        super()._prepare()
        self._decays = bool((self.hyper["weight_decay"] > 0).any())
        self._shrink = self._cast(1.0 - self.hyper["lr"] * self.hyper["weight_decay"])

    def _update(self, gradient: Tensor) -> None:
        if self._decays:
            self.parameters[:, : self.n_weights].mul_(self._shrink)
        super()._update(gradient)


OPTIMIZERS: Mapping[OptimizerName, type[Optimizer]] = {
    "sgd": SGD,
    "momentum": Momentum,
    "adam": Adam,
    "adamw": AdamW,
}


def make_optimizer(configs: Sequence[TrialConfig], parameters: Tensor, n_weights: int) -> Optimizer:
    """The update rule that the configs, all of one structure, ask for."""
    return OPTIMIZERS[configs[0].optimizer.name](configs, parameters, n_weights)
