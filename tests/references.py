"""Independent references that several tests compare with."""

from __future__ import annotations

import torch

from trainables.config import TrialConfig
from trainables.network import PopulationNetwork

MODULES = {
    "identity": lambda slope: torch.nn.Identity(),
    "relu": lambda slope: torch.nn.ReLU(),
    "leaky_relu": torch.nn.LeakyReLU,
    "elu": lambda slope: torch.nn.ELU(),
    "gelu": lambda slope: torch.nn.GELU(),
    "silu": lambda slope: torch.nn.SiLU(),
    "tanh": lambda slope: torch.nn.Tanh(),
    "sigmoid": lambda slope: torch.nn.Sigmoid(),
}


def as_torch(network: PopulationNetwork, member: int, config: TrialConfig) -> torch.nn.Sequential:
    """One member as a torch.nn network with the same weights, in training mode."""
    modules: list[torch.nn.Module] = []
    for layer in network.layers:
        weight = layer.weight[member].detach()
        normalized = layer.gain is not None
        linear = torch.nn.Linear(*weight.shape, bias=not normalized, dtype=weight.dtype)
        modules.append(linear)
        with torch.no_grad():
            linear.weight.copy_(weight.T)
            if normalized:
                norm = torch.nn.BatchNorm1d(
                    weight.shape[1],
                    eps=config.network.batch_norm_eps,
                    momentum=config.network.batch_norm_momentum,
                    dtype=weight.dtype,
                )
                norm.weight.copy_(layer.gain[member, 0])
                norm.bias.copy_(layer.bias[member, 0])
                modules.append(norm)
            else:
                linear.bias.copy_(layer.bias[member, 0])
        modules.append(MODULES[config.network.activation](config.network.negative_slope))
    return torch.nn.Sequential(*modules[:-1])


def flat_gradient(reference: torch.nn.Sequential) -> torch.Tensor:
    """Gradients of ``as_torch``'s network in the order of a population's parameters."""
    linears = [m for m in reference if isinstance(m, torch.nn.Linear)]
    norms = [m for m in reference if isinstance(m, torch.nn.BatchNorm1d)]
    shifts = [m.bias.grad for m in (*norms, *linears) if m.bias is not None]
    return torch.cat([m.weight.grad.T.reshape(-1) for m in linears] + shifts + [m.weight.grad for m in norms])


def flat_parameters(reference: torch.nn.Sequential) -> torch.Tensor:
    """Parameters of ``as_torch``'s network in the order of a population's."""
    linears = [m for m in reference if isinstance(m, torch.nn.Linear)]
    norms = [m for m in reference if isinstance(m, torch.nn.BatchNorm1d)]
    shifts = [m.bias for m in (*norms, *linears) if m.bias is not None]
    return torch.cat([m.weight.T.reshape(-1) for m in linears] + shifts + [m.weight for m in norms]).detach()
