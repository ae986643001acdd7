"""Independent references that several tests compare with."""

from __future__ import annotations

import torch

from trainables.network import PopulationNetwork


def as_torch(network: PopulationNetwork, member: int, activation: torch.nn.Module) -> torch.nn.Sequential:
    """One member as a torch.nn network with the same weights."""
    modules: list[torch.nn.Module] = []
    for layer in network.layers:
        weight = layer.weight[member].detach()
        linear = torch.nn.Linear(*weight.shape, dtype=weight.dtype)
        with torch.no_grad():
            linear.weight.copy_(weight.T)
            linear.bias.copy_(layer.bias[member, 0])
        modules += [linear, activation]
    return torch.nn.Sequential(*modules[:-1])
