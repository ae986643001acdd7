"""A3, A12: what the measurements say of networks built to fail."""

from __future__ import annotations

import pytest
import torch

from trainables.config import TrialConfig
from trainables.measurements import HISTOGRAM_BINS, layer_activations, layer_gradients
from trainables.training import PopulationTraining


def training_of(digits, **leaves):
    config = TrialConfig().replace({name.replace("__", "."): value for name, value in leaves.items()})
    return PopulationTraining([config], digits[0], order_seed=0)


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "leaky_relu"])
def test_a3_zero_weights_give_every_unit_the_same_gradient(digits, activation):
    training = training_of(digits, network__init="zeros", network__activation=activation)
    rows = training.train_rows
    zero = layer_gradients(training, rows.inputs, rows.targets)
    assert [g.unit_spread for g in zero[:-1]] == pytest.approx([0.0, 0.0], abs=1e-6)
    healthy = training_of(digits, network__activation=activation)
    assert all(g.unit_spread > 0.1 for g in layer_gradients(healthy, rows.inputs, rows.targets))


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
    norms = [g.norm for g in layer_gradients(training, rows.inputs, rows.targets)]
    assert norms == pytest.approx([layer.weight.grad.norm().item() for layer in training.network.layers], rel=1e-4)
    assert isinstance(training.network.layers[0].weight, torch.Tensor)
