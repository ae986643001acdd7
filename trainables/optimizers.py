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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from trainables.choices import OptimizerName
from trainables.config import TrialConfig

# Numbers of [K, P] from which a CPU goes block by block. A rule passes over some five arrays of that size several
# times; from 40 MB on they fall out of its last cache between two passes. Below, blocks cost more than they save.
BLOCKED_FROM = 2**21
# Smaller blocks for smaller populations cost more in calls than a nearer cache saves, on a CPU with 2 MB of it.
# Numbers of a block: five of them are 2.5 MB, 1.4 to 1.9 times as fast as the whole on a wide network.
BLOCK = 2**17
# Parameters of a network from which a CPU updates Adam's members one by one, by the kernel behind
# ``torch.optim.AdamW(fused=True)``: one pass instead of eight. A call costs as much as 2 000 numbers' worth of passes.
FUSED_FROM = 2**11


@dataclass(frozen=True)
class Block:
    """Some columns of everything that a rule works on, in place; for most populations all of them.

    Attributes:
        parameters: ``[K, P']``.
        gradient: ``[K, P']``, left as it is.
        state: The rule's memory by name, each ``[K, P']``.
        scratch: ``[K, P']`` each, of no value before and after.
        n_weights: The first ``n_weights`` columns are weights.
    """

    parameters: Tensor
    gradient: Tensor
    state: Mapping[str, Tensor]
    scratch: tuple[Tensor, ...]
    n_weights: int


class Optimizer:
    """An update rule with one set of hyperparameters per member.

    Args:
        configs: One per member.
        parameters: ``[K, P]``, changed in place by ``step``.
        n_weights: The first ``n_weights`` columns are weights; decay concerns them alone.

    Attributes:
        state: The rule's memory by name, each ``[K, P]``; together with ``steps`` all that a checkpoint needs.
        lr: Learning rate of each member as it is now, ``[K, 1]`` in float64.
    """

    hyperparameters: ClassVar[tuple[str, ...]] = ("lr",)
    memory: ClassVar[tuple[str, ...]] = ()
    scratches: ClassVar[int] = 0

    def __init__(self, configs: Sequence[TrialConfig], parameters: Tensor, n_weights: int) -> None:
        self.parameters = parameters
        self.n_weights = n_weights
        # Twice: on the device, a recorded step (recorded_step.py) finds the number as it is then.
        self._steps, self._steps_there = 0, torch.zeros((), dtype=torch.float64, device=parameters.device)
        self.state = {name: torch.zeros_like(parameters) for name in self.memory}
        self._scratch = self._make_scratch()
        self.hyper: dict[str, Tensor] = {
            name: torch.tensor(
                [[float(config[f"optimizer.{name}"])] for config in configs],
                dtype=torch.float64,
                device=parameters.device,
            )
            for name in self.hyperparameters
        }
        self.lr = self.hyper["lr"].clone()
        self._prepare()

    @property
    def steps(self) -> int:
        """Updates done so far."""
        return self._steps

    @steps.setter
    def steps(self, steps: int) -> None:
        self._steps = steps
        self._steps_there.fill_(steps)

    def step(self, gradient: Tensor) -> None:
        """Update the parameters in place.

        Args:
            gradient: ``[K, P]``.
        """
        self.steps += 1
        self.update(gradient)

    def update(self, gradient: Tensor) -> None:
        """The part of ``step`` that happens on the device: update number ``steps``, which is counted already."""
        self._prepare_step()
        for block in self._blocks(gradient):
            self._update(block)

    def scale_rate(self, factor: Tensor) -> None:
        """Multiply each member's configured learning rate by ``factor`` (``[K, 1]``, float64) from now on."""
        torch.mul(self.hyper["lr"], factor, out=self.lr)
        self._follow_rate()

    def preview(self, gradient: Tensor) -> Tensor:
        """The change that a step along ``gradient`` would make to the parameters, ``[K, P]``; nothing is changed."""
        twin = copy.copy(self)
        twin.parameters = self.parameters.clone()
        twin.state = {name: value.clone() for name, value in self.state.items()}
        twin._steps_there = self._steps_there.clone()
        twin.step(gradient)
        return twin.parameters - self.parameters

    def keep(self, members: Tensor, parameters: Tensor) -> None:
        """Follow the network in dropping members.

        Args:
            members: Indices of those who stay, ``[K']``.
            parameters: The network's new ``[K', P]``.
        """
        self.parameters = parameters
        self.state = {name: value.index_select(0, members) for name, value in self.state.items()}
        self.hyper = {name: value.index_select(0, members) for name, value in self.hyper.items()}
        self._scratch = self._make_scratch()
        self.lr = self.lr.index_select(0, members)
        self._prepare()

    def _cast(self, value: Tensor) -> Tensor:
        return value.to(self.parameters.dtype)

    def _prepare(self) -> None:
        """Compute what changes only with the members, and make room for what changes with the rate."""
        self._neg_lr = self._room()
        self._follow_rate()

    def _room(self) -> Tensor:
        """For a number per member, ``[K, 1]`` of the parameters' type."""
        return self.parameters.new_empty(len(self.lr), 1)

    def _follow_rate(self) -> None:
        """Compute what changes with the rate, in place: a recorded step reads it where it was."""
        self._neg_lr.copy_(-self.lr)

    def _prepare_step(self) -> None:
        """Compute what changes with every step."""

    def _update(self, own: Block) -> None:
        raise TypeError(f"{type(self).__name__} has no update rule")

    def _columns(self) -> int:
        """Columns of a block; all where one is enough."""
        members, columns = self.parameters.shape
        if self.parameters.device.type != "cpu" or members * columns < BLOCKED_FROM:
            return columns
        return max(1, BLOCK // members)

    def _make_scratch(self) -> tuple[Tensor, ...]:
        own = self.parameters[:, : self._columns()]
        # Contiguous, whatever the parameters' rows are apart.
        return tuple(torch.empty(own.shape, dtype=own.dtype, device=own.device) for _ in range(self.scratches))

    def _blocks(self, gradient: Tensor) -> Iterator[Block]:
        columns, total = self._columns(), self.parameters.shape[1]
        if columns == total:
            yield Block(self.parameters, gradient, self.state, self._scratch, self.n_weights)
            return
        for start in range(0, total, columns):
            own = slice(start, min(start + columns, total))
            yield Block(
                self.parameters[:, own],
                gradient[:, own],
                {name: value[:, own] for name, value in self.state.items()},
                tuple(scratch[:, : own.stop - start] for scratch in self._scratch),
                min(max(self.n_weights - start, 0), columns),
            )


class SGD(Optimizer):
    """θ ← θ - η g."""

    def _update(self, own: Block) -> None:
        own.parameters.addcmul_(own.gradient, self._neg_lr)


class Momentum(Optimizer):
    """v ← μ v + g;  θ ← θ - η v  (PyTorch's form, without dampening)."""

    hyperparameters = ("lr", "momentum")
    memory = ("velocity",)

    def _prepare(self) -> None:
        super()._prepare()
        self._momentum = self._cast(self.hyper["momentum"])

    def _update(self, own: Block) -> None:
        velocity = own.state["velocity"].mul_(self._momentum).add_(own.gradient)
        own.parameters.addcmul_(velocity, self._neg_lr)


class Nesterov(Momentum):
    """v ← μ v + g;  θ ← θ - η (g + μ v)  (the gradient at the point that the velocity leads to, in PyTorch's form)."""

    scratches = 1

    def _update(self, own: Block) -> None:
        velocity = own.state["velocity"].mul_(self._momentum).add_(own.gradient)
        ahead = torch.addcmul(own.gradient, velocity, self._momentum, out=own.scratch[0])
        own.parameters.addcmul_(ahead, self._neg_lr)


class AdaGrad(Optimizer):
    """s ← s + g²;  θ ← θ - η g / (√s + ε)  (Duchi et al. 2011)."""

    hyperparameters = ("lr", "eps")
    memory = ("sum_of_squares",)
    scratches = 1

    def _prepare(self) -> None:
        super()._prepare()
        self._eps = self._cast(self.hyper["eps"])

    def _update(self, own: Block) -> None:
        total, (scratch,) = own.state["sum_of_squares"], own.scratch
        total.addcmul_(own.gradient, own.gradient)
        torch.sqrt(total, out=scratch).add_(self._eps)
        own.parameters.addcmul_(torch.div(own.gradient, scratch, out=scratch), self._neg_lr)


class RMSProp(Optimizer):
    """s ← α s + (1 - α) g²;  θ ← θ - η g / (√s + ε)  (Hinton's lecture, 2012)."""

    hyperparameters = ("lr", "alpha", "eps")
    memory = ("mean_square",)
    scratches = 1

    def _prepare(self) -> None:
        super()._prepare()
        self._alpha, self._eps = self._cast(self.hyper["alpha"]), self._cast(self.hyper["eps"])
        self._one_minus_alpha = self._cast(1.0 - self.hyper["alpha"])

    def _update(self, own: Block) -> None:
        mean, (scratch,) = own.state["mean_square"], own.scratch
        mean.mul_(self._alpha).addcmul_(own.gradient, torch.mul(own.gradient, self._one_minus_alpha, out=scratch))
        torch.sqrt(mean, out=scratch).add_(self._eps)
        own.parameters.addcmul_(torch.div(own.gradient, scratch, out=scratch), self._neg_lr)


class AdaDelta(Optimizer):
    """s ← ρ s + (1 - ρ) g²;  Δ = √(d + ε) / √(s + ε) · g;  θ ← θ - η Δ;  d ← ρ d + (1 - ρ) Δ²  (Zeiler 2012)."""

    hyperparameters = ("lr", "rho", "eps")
    memory = ("mean_square_gradient", "mean_square_step")
    scratches = 2

    def _prepare(self) -> None:
        super()._prepare()
        self._rho, self._eps = self._cast(self.hyper["rho"]), self._cast(self.hyper["eps"])
        self._one_minus_rho = self._cast(1.0 - self.hyper["rho"])

    def _update(self, own: Block) -> None:
        squares, steps = own.state["mean_square_gradient"], own.state["mean_square_step"]
        step, scratch = own.scratch
        squares.mul_(self._rho).addcmul_(own.gradient, torch.mul(own.gradient, self._one_minus_rho, out=scratch))
        torch.add(steps, self._eps, out=step).div_(torch.add(squares, self._eps, out=scratch)).sqrt_()
        step.mul_(own.gradient)
        own.parameters.addcmul_(step, self._neg_lr)
        steps.mul_(self._rho).addcmul_(step, torch.mul(step, self._one_minus_rho, out=scratch))


class Adam(Optimizer):
    """m ← β₁ m + (1 - β₁) g;  v ← β₂ v + (1 - β₂) g²;  θ ← θ - η m̂ / (√v̂ + ε).

    m̂ = m / (1 - β₁ᵗ) and v̂ = v / (1 - β₂ᵗ) correct the bias of starting at 0.
    """

    hyperparameters: ClassVar[tuple[str, ...]] = ("lr", "beta1", "beta2", "eps")
    memory = ("first_moment", "second_moment")
    scratches = 1

    def _prepare(self) -> None:
        # By a network's size alone: a member goes on bit for bit, whoever leaves its population.
        self._fused = self.parameters.device.type == "cpu" and self.parameters.shape[1] >= FUSED_FROM
        if self._fused:
            names = ("beta1", "beta2", "eps")
            self._of_each = torch.cat([self.hyper[name] for name in names], dim=1).tolist()  # K of [3]
        super()._prepare()
        self._one_minus_beta1 = self._cast(1.0 - self.hyper["beta1"])
        self._one_minus_beta2 = self._cast(1.0 - self.hyper["beta2"])
        self._beta2 = self._cast(self.hyper["beta2"])

    def _follow_rate(self) -> None:
        super()._follow_rate()
        if self._fused:
            self._rates = self.lr.view(-1).tolist()

    def update(self, gradient: Tensor) -> None:  # noqa: D102
        if not self._fused:
            super().update(gradient)
            return
        self._decay(self.parameters, self.n_weights)
        moments = (self.state[name].unbind() for name in self.memory)
        rows = zip(self.parameters.unbind(), gradient.unbind(), *moments, strict=True)
        for (own, slope, m, v), lr, (beta1, beta2, eps) in zip(rows, self._rates, self._of_each, strict=True):
            options = {"lr": lr, "beta1": beta1, "beta2": beta2, "eps": eps, "weight_decay": 0.0}
            # Private to torch, whose version is pinned: what is public of it takes one rate for all it is given.
            torch._fused_adamw_(
                [own], [slope], [m], [v], [], [self._steps_there], **options, amsgrad=False, maximize=False
            )

    def _decay(self, parameters: Tensor, n_weights: int) -> None:
        """What happens to the parameters before the step."""

    def _prepare_step(self) -> None:
        # m̂ / (√v̂ + ε) = (√c₂/c₁) · m / (√v + ε √c₂) with c = 1 - βᵗ: the corrections touch [K, 1], not [K, P].
        root_c2 = (1.0 - self.hyper["beta2"] ** self._steps_there).sqrt_()
        self._eps_now = self._cast(self.hyper["eps"] * root_c2)
        self._rate_now = self._cast(-self.lr * root_c2 / (1.0 - self.hyper["beta1"] ** self._steps_there))

    def _update(self, own: Block) -> None:
        self._decay(own.parameters, own.n_weights)
        m, v, (scratch,) = own.state["first_moment"], own.state["second_moment"], own.scratch
        m.lerp_(own.gradient, self._one_minus_beta1)
        v.mul_(self._beta2).addcmul_(own.gradient, torch.mul(own.gradient, self._one_minus_beta2, out=scratch))
        torch.sqrt(v, out=scratch).add_(self._eps_now)
        torch.div(m, scratch, out=scratch)
        own.parameters.addcmul_(scratch, self._rate_now)


class AdamW(Adam):
    """Adam, after θ ← (1 - η λ) θ on the weights: decay decoupled from the gradient (Loshchilov and Hutter)."""

    hyperparameters = ("lr", "beta1", "beta2", "eps", "weight_decay")

    def _prepare(self) -> None:
        self._shrink = self._room()
        self._decays = bool((self.hyper["weight_decay"] > 0).any())
        super()._prepare()

    def _follow_rate(self) -> None:
        super()._follow_rate()
        self._shrink.copy_(1.0 - self.lr * self.hyper["weight_decay"])

    def _decay(self, parameters: Tensor, n_weights: int) -> None:
        if self._decays:
            parameters[:, :n_weights].mul_(self._shrink)


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
