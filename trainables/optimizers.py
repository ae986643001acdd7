"""Update rules, written as their formulas, over populations.

Parameters θ, gradients g and state are ``[K, P]``; hyperparameters are ``[K, 1]``, so every member has its own.
Hyperparameters are held in float64, since 1 - β₂ᵗ loses half its digits in float32 at t = 1, and what they
combine to is cast to the parameters' type. Each rule equals the ``torch.optim`` class of its name step by step.
Where the lecture's formula and PyTorch's differ, it is PyTorch's: momentum gathers gradients and not steps (so that
a changed rate acts at once), Nesterov's look ahead is taken from the gradient's side, and ε stands outside the root
except in AdaDelta.

>>> import torch
>>> from trainables.config import TrialConfig
>>> theta = torch.ones(1, 2)
>>> optimizer = make_optimizer([TrialConfig().replace({"optimizer.name": "sgd", "optimizer.lr": 0.5})], theta, 2)
>>> optimizer.step(torch.ones(1, 2))
>>> theta
tensor([[0.5000, 0.5000]])
"""

from __future__ import annotations

import copy
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
        self._rate_factor: Tensor | None = None
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

    def scale_rate(self, factor: Tensor) -> None:
        """Multiply each member's configured learning rate by ``factor`` (``[K, 1]``, float64) from now on."""
        self._rate_factor = factor
        self._prepare()

    def preview(self, gradient: Tensor) -> Tensor:
        """By how much a step along ``gradient`` would change the parameters, ``[K, P]``; nothing is changed."""
        twin = copy.copy(self)
        twin.parameters = self.parameters.clone()
        twin.state = {name: value.clone() for name, value in self.state.items()}
        twin.step(gradient)
        return twin.parameters - self.parameters

    @property
    def lr(self) -> Tensor:
        """Learning rate of each member as it is now, ``[K, 1]`` in float64."""
        configured = self.hyper["lr"]
        return configured if self._rate_factor is None else configured * self._rate_factor

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
        if self._rate_factor is not None:
            self._rate_factor = self._rate_factor.index_select(0, members)
        self._prepare()

    def _cast(self, value: Tensor) -> Tensor:
        return value.to(self.parameters.dtype)

    def _prepare(self) -> None:
        """Compute what changes only with the rate or the members."""
        self._neg_lr = self._cast(-self.lr)

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


class Nesterov(Momentum):
    """v ← μ v + g;  θ ← θ - η (g + μ v)  (the gradient at the point that the velocity leads to, in PyTorch's form)."""

    def _update(self, gradient: Tensor) -> None:
        velocity = self.state["velocity"].mul_(self._momentum).add_(gradient)
        ahead = torch.addcmul(gradient, velocity, self._momentum, out=self._scratch)
        self.parameters.addcmul_(ahead, self._neg_lr)


class AdaGrad(Optimizer):
    """s ← s + g²;  θ ← θ - η g / (√s + ε)  (Duchi et al. 2011)."""

    hyperparameters = ("lr", "eps")
    memory = ("sum_of_squares",)

    def _prepare(self) -> None:
        super()._prepare()
        self._eps = self._cast(self.hyper["eps"])

    def _update(self, gradient: Tensor) -> None:
        total, scratch = self.state["sum_of_squares"], self._scratch
        total.addcmul_(gradient, gradient)
        torch.sqrt(total, out=scratch).add_(self._eps)
        self.parameters.addcmul_(torch.div(gradient, scratch, out=scratch), self._neg_lr)


class RMSProp(Optimizer):
    """s ← α s + (1 - α) g²;  θ ← θ - η g / (√s + ε)  (Hinton's lecture, 2012)."""

    hyperparameters = ("lr", "alpha", "eps")
    memory = ("mean_square",)

    def _prepare(self) -> None:
        super()._prepare()
        self._alpha, self._eps = self._cast(self.hyper["alpha"]), self._cast(self.hyper["eps"])
        self._one_minus_alpha = self._cast(1.0 - self.hyper["alpha"])

    def _update(self, gradient: Tensor) -> None:
        mean, scratch = self.state["mean_square"], self._scratch
        mean.mul_(self._alpha).addcmul_(gradient, torch.mul(gradient, self._one_minus_alpha, out=scratch))
        torch.sqrt(mean, out=scratch).add_(self._eps)
        self.parameters.addcmul_(torch.div(gradient, scratch, out=scratch), self._neg_lr)


class AdaDelta(Optimizer):
    """s ← ρ s + (1 - ρ) g²;  Δ = √(d + ε) / √(s + ε) · g;  θ ← θ - η Δ;  d ← ρ d + (1 - ρ) Δ²  (Zeiler 2012)."""

    hyperparameters = ("lr", "rho", "eps")
    memory = ("mean_square_gradient", "mean_square_step")

    def _prepare(self) -> None:
        super()._prepare()
        self._rho, self._eps = self._cast(self.hyper["rho"]), self._cast(self.hyper["eps"])
        self._one_minus_rho = self._cast(1.0 - self.hyper["rho"])
        self._step = torch.empty_like(self.parameters)

    def _update(self, gradient: Tensor) -> None:
        squares, steps = self.state["mean_square_gradient"], self.state["mean_square_step"]
        step, scratch = self._step, self._scratch
        squares.mul_(self._rho).addcmul_(gradient, torch.mul(gradient, self._one_minus_rho, out=scratch))
        torch.add(steps, self._eps, out=step).div_(torch.add(squares, self._eps, out=scratch)).sqrt_().mul_(gradient)
        self.parameters.addcmul_(step, self._neg_lr)
        steps.mul_(self._rho).addcmul_(step, torch.mul(step, self._one_minus_rho, out=scratch))


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
        rate = -self.lr * root_c2 / (1.0 - self.hyper["beta1"] ** self.steps)
        torch.sqrt(v, out=scratch).add_(self._cast(self.hyper["eps"] * root_c2))
        torch.div(m, scratch, out=scratch)
        self.parameters.addcmul_(scratch, self._cast(rate))


class AdamW(Adam):
    """Adam, after θ ← (1 - η λ) θ on the weights: decay decoupled from the gradient (Loshchilov and Hutter)."""

    hyperparameters = ("lr", "beta1", "beta2", "eps", "weight_decay")

    def _prepare(self) -> None:
        super()._prepare()
        self._decays = bool((self.hyper["weight_decay"] > 0).any())
        self._shrink = self._cast(1.0 - self.lr * self.hyper["weight_decay"])

    def _update(self, gradient: Tensor) -> None:
        if self._decays:
            self.parameters[:, : self.n_weights].mul_(self._shrink)
        super()._update(gradient)


OPTIMIZERS: Mapping[OptimizerName, type[Optimizer]] = {
    "sgd": SGD,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "adagrad": AdaGrad,
    "rmsprop": RMSProp,
    "adadelta": AdaDelta,
    "adam": Adam,
    "adamw": AdamW,
}


def make_optimizer(configs: Sequence[TrialConfig], parameters: Tensor, n_weights: int) -> Optimizer:
    """The update rule that the configs, all of one structure, ask for."""
    return OPTIMIZERS[configs[0].optimizer.name](configs, parameters, n_weights)
