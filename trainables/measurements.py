"""Activations and gradients of a population as numbers, without opinions: the steps of the recipe judge them.

Losses, gradients and signals are those of the weighted loss where rows have weights. Activations are described over
rows as they come: what a unit does for a row does not depend on how much the row counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from trainables.activations import CAN_DIE, SATURATES_OUTSIDE
from trainables.config import ActivationName
from trainables.data.dataset import RowTensors
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
    training.network(inputs, mode="measure", hidden=hidden)
    return [_describe(layer[member], training.network.activation_name) for layer in hidden]


def _describe(activations: Tensor, name: ActivationName) -> LayerActivations:
    """Describe ``[B, H]`` activations."""
    # A histogram needs finite ends; what is not finite shows in mean and std.
    finite = activations[activations.isfinite()].float().cpu()
    counts, edges = torch.histogram(finite, bins=HISTOGRAM_BINS) if len(finite) else (torch.zeros(1), torch.zeros(2))
    return LayerActivations(
        mean=activations.mean().item(),
        std=activations.std(correction=0).item(),
        dead=_dead(activations, name).item(),
        saturated=_saturated(activations, name).item(),
        counts=tuple(counts.tolist()),
        edges=tuple(edges.tolist()),
    )


def _dead(activations: Tensor, name: ActivationName) -> Tensor:
    """Share of units that are 0 for every row, where units can die: ``[..., B, H]`` -> ``[...]``."""
    if name not in CAN_DIE:
        return activations.new_zeros(activations.shape[:-2])
    return (activations == 0).all(dim=-2).double().mean(dim=-1)


def _saturated(activations: Tensor, name: ActivationName) -> Tensor:
    """Share of activations where the nonlinearity is nearly flat: ``[..., B, H]`` -> ``[...]``."""
    if name not in SATURATES_OUTSIDE:
        return activations.new_zeros(activations.shape[:-2])
    low, high = SATURATES_OUTSIDE[name]
    return ((activations < low) | (activations > high)).double().mean(dim=(-2, -1))


def layer_gradients(training: PopulationTraining, rows: RowTensors, member: int = 0) -> list[LayerGradients]:
    """Gradients of each layer's weights of one member, first to last; nothing is trained.

    Args:
        training: The population.
        rows: B of them.
        member: Index k.
    """
    losses = training.loss.mean(training.network(rows.inputs, mode="measure"), rows.targets, rows.weights)
    weights = training.network.split_weights(training.network.gradient(losses))
    described = []
    for layer, gradients in enumerate(weights):
        gradient = gradients[member]
        # A hidden unit's gradient is its column of incoming weights. Outputs are told apart by the loss in any
        # case, so in the last layer the units that can be alike are the hidden ones which feed it: its rows.
        units = gradient.T if layer == len(weights) - 1 else gradient
        norm = gradient.norm().item()
        spread = (units - units.mean(dim=1, keepdim=True)).norm().item()
        described.append(LayerGradients(norm=norm, unit_spread=spread / norm if norm > 0 else 0.0))
    return described


@dataclass(frozen=True)
class LayerHealth:
    """One layer of one member at one moment of its training.

    Attributes:
        mean: Of the layer's activations (of the outputs, in the last layer), over rows and units.
        std: Likewise.
        dead: Share of units that are 0 for every row (relu), else 0.
        saturated: Share of activations where the nonlinearity is nearly flat (tanh, sigmoid), else 0.
        signal: What comes back to the layer: root mean square over rows, by weight, of the norm of the gradient of a
            row's loss with respect to the layer's activations. How wide the layer or its inputs are does not matter.
        gradient_norm: L2 norm of the loss's gradient with respect to the layer's weights, before any clipping.
        update_ratio: Norm of the next step's change of the weights over the weights' norm; about 0.001 is usual.
    """

    mean: float
    std: float
    dead: float
    saturated: float
    signal: float
    gradient_norm: float
    update_ratio: float


@dataclass(frozen=True)
class Health:
    """One member after ``step`` parameter updates.

    Attributes:
        step: Updates done.
        loss: On the rows measured, without penalties.
        layers: First to last; the last one is the outputs.
    """

    step: int
    loss: float
    layers: tuple[LayerHealth, ...]

    @property
    def gradient_norm(self) -> float:
        """L2 norm of the gradient over the weights of all layers."""
        return math.hypot(*(layer.gradient_norm for layer in self.layers))


def _signal(back: Tensor, rows: RowTensors) -> Tensor:
    """Root mean square over rows of what comes back for a row's own loss, of which the mean loss has the share w / Σ w.

    ``[K, B, H]``, the gradient of the mean loss, -> ``[K]``.
    """
    if rows.weights is not None:
        back = back * (rows.total_weight / (len(rows) * rows.weights)).sqrt().unsqueeze(1)
    signal: Tensor = back.norm(dim=(1, 2)) * len(rows) ** 0.5
    return signal


def measure_health(training: PopulationTraining, rows: RowTensors) -> list[Health]:
    """How activations and gradients stand in each layer of each member; nothing is trained.

    Args:
        training: The population.
        rows: B of them.

    Returns:
        K of them.
    """
    network, name = training.network, training.network.activation_name
    activations: list[Tensor] = []
    outputs = network(rows.inputs, mode="measure", hidden=activations)
    activations.append(outputs)  # [K, B, H] per layer
    losses = training.loss.mean(outputs, rows.targets, rows.weights)
    # The graph is kept for the second pass, to the parameters.
    back = torch.autograd.grad(losses.sum(), activations, retain_graph=True)
    gradient = network.gradient(losses)
    with torch.no_grad():
        # Before clipping, which changes the gradient in place.
        gradient_norms = [g.norm(dim=(1, 2)) for g in network.split_weights(gradient)]
        training.penalties.add_gradient(gradient, network.parameters)
        training.clipping.apply(gradient)
        steps = network.split_weights(training.optimizer.preview(gradient))
        weights = network.split_weights(network.parameters)
        by_layer = []
        for layer, a in enumerate(activations):
            # Outputs have no nonlinearity.
            own = name if layer < len(activations) - 1 else "identity"
            numbers = (
                a.mean(dim=(1, 2)),
                a.std(dim=(1, 2), correction=0),
                _dead(a, own),
                _saturated(a, own),
                _signal(back[layer], rows),
                gradient_norms[layer],
                steps[layer].norm(dim=(1, 2)) / weights[layer].norm(dim=(1, 2)),
            )
            by_layer.append([LayerHealth(*of_member) for of_member in zip(*(n.tolist() for n in numbers), strict=True)])
    step = training.optimizer.steps
    by_member = zip(*by_layer, strict=True)
    return [Health(step, loss, layers) for loss, layers in zip(losses.tolist(), by_member, strict=True)]
