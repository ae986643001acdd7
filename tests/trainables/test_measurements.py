"""A3, A12: what the measurements say of networks built to fail."""

from __future__ import annotations

import math

import pytest
import torch

from tests.plans import plain
from tests.references import as_torch
from trainables.measurements import HISTOGRAM_BINS, layer_activations, layer_gradients, measure_health
from trainables.training import PopulationTraining


def training_of(digits, **leaves):
    config = plain().replace({name.replace("__", "."): value for name, value in leaves.items()})
    return PopulationTraining([config], digits[0], order_seed=0)


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "leaky_relu"])
def test_a3_zero_weights_give_every_unit_the_same_gradient(digits, activation):
    training = training_of(digits, network__init="zeros", network__activation=activation)
    rows = training.train_rows
    zero = layer_gradients(training, rows)
    assert [g.unit_spread for g in zero[:-1]] == pytest.approx([0.0, 0.0], abs=1e-6)
    healthy = training_of(digits, network__activation=activation)
    assert all(g.unit_spread > 0.1 for g in layer_gradients(healthy, rows))


def test_dead_and_saturated_shares(digits):
    training = training_of(digits)
    training.network.layers[0].bias.detach()[:, :, :16] = -1e6
    first, second = layer_activations(training, training.train_rows.inputs)
    assert first.dead == pytest.approx(16 / 64)
    assert second.dead < 0.05
    saturated = training_of(digits, network__activation="tanh", network__init="gaussian", network__init_std=5.0)
    assert layer_activations(saturated, saturated.train_rows.inputs)[0].saturated > 0.9
    gentle = training_of(digits, network__activation="tanh", network__init="gaussian", network__init_std=0.01)
    assert layer_activations(gentle, gentle.train_rows.inputs)[0].saturated == 0.0


def test_the_histogram_counts_every_activation(digits):
    training = training_of(digits)
    layer = layer_activations(training, training.train_rows.inputs)[0]
    assert len(layer.counts) == HISTOGRAM_BINS == len(layer.edges) - 1
    assert sum(layer.counts) == training.train_rows.inputs.shape[0] * 64


def test_gradient_norms_equal_autograds(digits):
    training = training_of(digits)
    rows = training.train_rows
    training.loss.mean(training.network(rows.inputs), rows.targets).sum().backward()
    norms = [g.norm for g in layer_gradients(training, rows)]
    assert norms == pytest.approx([layer.weight.grad.norm().item() for layer in training.network.layers], rel=1e-4)
    assert isinstance(training.network.layers[0].weight, torch.Tensor)


@pytest.mark.parametrize("members", [1, 3])
def test_a12_health_of_every_layer_equals_autograds(digits, members):
    """Signals, gradient norms (unclipped) and the next update, against torch.nn with torch.optim, member by member."""
    leaves = {"optimizer.name": "adam", "optimizer.lr": 0.01, "clipping.norm": 0.01, "regularization.l2": 0.1}
    configs = [plain(seed=k).replace(leaves) for k in range(members)]
    training = PopulationTraining(configs, digits[0], order_seed=0, dtype=torch.float64)
    for _ in range(3):
        next(training.steps())
    rows = training.train_rows
    before = training.network.parameters.clone()
    health = measure_health(training, rows)
    assert torch.equal(training.network.parameters, before)
    assert training.optimizer.steps == 3
    references = [as_torch(training.network, k, config) for k, config in enumerate(configs)]
    for k, reference in enumerate(references):
        outputs, activations = rows.inputs, []
        for module in reference:
            outputs = module(outputs)
            activations += [outputs] if isinstance(module, torch.nn.ReLU) else []
        losses = torch.nn.functional.cross_entropy(outputs, rows.targets, reduction="none")
        assert health[k].loss == pytest.approx(losses.mean().item())
        for layer, a in zip(health[k].layers, [*activations, outputs], strict=True):
            (gradient,) = torch.autograd.grad(losses.sum(), a, retain_graph=True)
            assert layer.signal == pytest.approx(gradient.norm(dim=1).square().mean().sqrt().item())
            assert layer.mean == pytest.approx(a.mean().item())
            assert layer.std == pytest.approx(a.std(correction=0).item())
        losses.mean().backward()
        linears = [m for m in reference if isinstance(m, torch.nn.Linear)]
        norms = [m.weight.grad.norm().item() for m in linears]
        assert [layer.gradient_norm for layer in health[k].layers] == pytest.approx(norms)
        assert health[k].gradient_norm == pytest.approx(math.hypot(*norms))
    # What the step would change is what it then changes.
    training.step(rows)
    steps = training.network.split_weights(training.network.parameters - before)
    for layer, (step, weights) in enumerate(zip(steps, training.network.split_weights(before), strict=True)):
        ratios = (step.norm(dim=(1, 2)) / weights.norm(dim=(1, 2))).tolist()
        assert [h.layers[layer].update_ratio for h in health] == pytest.approx(ratios)
