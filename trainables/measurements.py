"""Activations and gradients of a population as numbers, without opinions: the steps of the recipe judge them.

Losses, gradients and signals are those of the weighted loss where rows have weights. Activations are described over
rows as they come: what a unit does for a row does not depend on how much the row counts.
"""

from __future__ import annotations

import torch
from torch import Tensor

from trainables.activations import ACTIVATIONS
from trainables.choices import ActivationName
from trainables.records import Health, LayerActivations, LayerGradients, LayerHealth
from trainables.row_tensors import RowTensors
from trainables.training import PopulationTraining

HISTOGRAM_BINS = 40


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
    if len(finite):
        counts, edges = torch.histogram(finite, bins=HISTOGRAM_BINS)
    else:
        counts, edges = torch.zeros(HISTOGRAM_BINS), torch.zeros(HISTOGRAM_BINS + 1)
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
    if not ACTIVATIONS[name].can_die:
        return activations.new_zeros(activations.shape[:-2])
    return (activations == 0).all(dim=-2).double().mean(dim=-1)


def _saturated(activations: Tensor, name: ActivationName) -> Tensor:
    """Share of activations where the nonlinearity is nearly flat: ``[..., B, H]`` -> ``[...]``."""
    if (bounds := ACTIVATIONS[name].flat_outside) is None:
        return activations.new_zeros(activations.shape[:-2])
    low, high = bounds
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
