"""Activations and gradients of a population as numbers, without opinions: the steps of the recipe judge them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor

from trainables.activations import CAN_DIE, SATURATES_OUTSIDE
from trainables.training import PopulationTraining

HISTOGRAM_BINS = 40


@dataclass(frozen=True)
class LayerActivations:
    """Activations of one hidden layer of one member over a batch of rows.

    Attributes:
        mean: Over rows and units.
        std: Over rows and units.
        dead: Share of units that are 0 for every row (relu), else 0.
        saturated: Share of activations where the nonlinearity is nearly flat (tanh, sigmoid), else 0.
        counts: Histogram of the activations, ``HISTOGRAM_BINS`` counts.
        edges: Its ``HISTOGRAM_BINS + 1`` bin edges.
    """

    mean: float
    std: float
    dead: float
    saturated: float
    counts: tuple[float, ...]
    edges: tuple[float, ...]


@dataclass(frozen=True)
class LayerGradients:
    """Gradient of the loss with respect to one layer's weights, for one member.

    Attributes:
        norm: L2 norm.
        unit_spread: How much the gradients of the layer's units differ: the norm of their deviation from the
            mean unit, over the norm. 0 when every unit gets the same gradient, or none at all.
    """

    norm: float
    unit_spread: float


@torch.no_grad()
def layer_activations(training: PopulationTraining, inputs: Tensor, member: int = 0) -> list[LayerActivations]:
    """Activations of each hidden layer of one member, first to last.

    Args:
        training: The population.
        inputs: ``[B, D]``.
        member: Index k.
    """
    hidden: list[Tensor] = []
    training.network(inputs, hidden=hidden)
    return [_describe(layer[member], training.network.activation_name) for layer in hidden]


def _describe(activations: Tensor, name: str) -> LayerActivations:
    """Describe ``[B, H]`` activations."""
    # A histogram needs finite ends; what is not finite shows in mean and std.
    finite = activations[activations.isfinite()].float().cpu()
    counts, edges = torch.histogram(finite, bins=HISTOGRAM_BINS) if len(finite) else (torch.zeros(1), torch.zeros(2))
    low, high = SATURATES_OUTSIDE.get(name, (-torch.inf, torch.inf))  # type: ignore[call-overload]
    return LayerActivations(
        mean=activations.mean().item(),
        std=activations.std(correction=0).item(),
        dead=(activations == 0).all(dim=0).float().mean().item() if name in CAN_DIE else 0.0,
        saturated=((activations < low) | (activations > high)).float().mean().item(),
        counts=tuple(counts.tolist()),
        edges=tuple(edges.tolist()),
    )


def layer_gradients(
    training: PopulationTraining, inputs: Tensor, targets: Tensor, member: int = 0
) -> list[LayerGradients]:
    """Gradients of each layer's weights of one member, first to last; nothing is trained.

    Args:
        training: The population.
        inputs: ``[B, D]``.
        targets: ``[B]``.
        member: Index k.
    """
    losses = training.loss.mean(training.network(inputs, mode="measure"), targets)
    flat = training.network.gradient(losses)[member]
    sizes = training.network.layer_sizes
    shapes = list(itertools.pairwise(sizes))
    weights = flat[: training.network.n_weights].split([fan_in * fan_out for fan_in, fan_out in shapes])
    described = []
    for layer, (part, (fan_in, fan_out)) in enumerate(zip(weights, shapes, strict=True)):
        gradient = part.view(fan_in, fan_out)
        # A hidden unit's gradient is its column of incoming weights. Outputs are told apart by the loss in any
        # case, so in the last layer the units that can be alike are the hidden ones which feed it: its rows.
        units = gradient.T if layer == len(shapes) - 1 else gradient
        norm = gradient.norm().item()
        spread = (units - units.mean(dim=1, keepdim=True)).norm().item()
        described.append(LayerGradients(norm=norm, unit_spread=spread / norm if norm > 0 else 0.0))
    return described
