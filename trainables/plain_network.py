"""One network of a population as the plain ``torch.nn`` module that anybody can read, save and serve.

``Sequential(Linear, BatchNorm1d, activation, ..., Linear)``: what drops in training (dropout, DropConnect) does nothing
in evaluation and is left out. A linear layer that is normalised has no bias: β of the normalisation is its bias.

    inputs   [B, D]
    outputs  [B, C]

The module computes what the population computes, to float32's rounding: its sums run in another order.
Several of them that predict together are one module, too (``Average``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainables import averaging
from trainables.activations import ACTIVATIONS
from trainables.averaging import Meaning
from trainables.choices import ActivationName
from trainables.config import NetworkConfig
from trainables.network import PopulationNetwork


@dataclass(frozen=True)
class Architecture:
    """What a module is built from: everything but its weights.

    Attributes:
        layer_sizes: D, the units of each hidden layer, C.
        activation: The hidden layers' activation.
        negative_slope: The leaky ReLU's slope for negative inputs.
        batch_norm_eps: ε where hidden layers are normalised; None where they are not.
    """

    layer_sizes: tuple[int, ...]
    activation: ActivationName
    negative_slope: float
    batch_norm_eps: float | None

    @classmethod
    def of(cls, config: NetworkConfig, layer_sizes: tuple[int, ...]) -> Architecture:
        """The architecture of a trial's network."""
        eps = config.batch_norm_eps if config.normalization == "batch_norm" else None
        return cls(layer_sizes, config.activation, config.negative_slope, eps)

    def build(self) -> nn.Sequential:
        """The module in evaluation mode, with weights that mean nothing yet."""
        modules: list[nn.Module] = []
        *hidden, n_outputs = self.layer_sizes[1:]
        fan_in = self.layer_sizes[0]
        for units in hidden:
            modules.append(nn.Linear(fan_in, units, bias=self.batch_norm_eps is None))
            if self.batch_norm_eps is not None:
                modules.append(nn.BatchNorm1d(units, eps=self.batch_norm_eps))
            modules.append(ACTIVATIONS[self.activation].module(self.negative_slope))
            fan_in = units
        return nn.Sequential(*modules, nn.Linear(fan_in, n_outputs)).eval()


class Average(nn.Module):
    """Networks whose outputs are averaged: ``[B, D]`` to ``[B, C]``, as those of one of them are read.

    Args:
        networks: M modules.
        shares: Of each, M numbers that add up to 1.
        meaning: What outputs are.
    """

    shares: Tensor

    def __init__(self, networks: Sequence[nn.Module], shares: Sequence[float], meaning: Meaning) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.register_buffer("shares", torch.tensor(shares, dtype=torch.float64))
        self.meaning = meaning
        self.eval()

    def forward(self, inputs: Tensor) -> Tensor:
        """The average's outputs."""
        return averaging.mean(torch.stack([network(inputs) for network in self.networks]), self.shares, self.meaning)


@torch.no_grad()
def from_population(network: PopulationNetwork, member: int, architecture: Architecture) -> nn.Sequential:
    """The module of one member, on the CPU in float32.

    Args:
        network: K members.
        member: Index of the one.
        architecture: That member's architecture.
    """
    module = architecture.build()
    linears = [part for part in module if isinstance(part, nn.Linear)]
    norms = [part for part in module if isinstance(part, nn.BatchNorm1d)]
    for linear, layer in zip(linears, network.layers, strict=True):
        linear.weight.copy_(layer.weight[member].T)  # (Din, Dout) -> (Dout, Din)
        if layer.gain is None:
            linear.bias.copy_(layer.bias[member, 0])
    for index, norm in enumerate(norms):
        layer, statistics = network.layers[index], network.normalization
        assert layer.gain is not None
        assert statistics is not None
        norm.weight.copy_(layer.gain[member, 0])
        norm.bias.copy_(layer.bias[member, 0])
        for own, running in ((norm.running_mean, statistics.means), (norm.running_var, statistics.variances)):
            assert own is not None
            own.copy_(running[index][member])
    return module


def sources_of(module: nn.Module) -> list[str]:
    """The layers of a network as lines of Python, one a line, as they would stand between ``Sequential``'s brackets.

    Of an average, those of each of its networks.
    """
    networks = module.networks if isinstance(module, Average) else [module]
    return ["".join(f"nn.{part!r},\n" for part in network.children()) for network in networks]
