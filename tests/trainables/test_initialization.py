"""A2: initial weights, by the lecture's own experiment: 6 layers of 4096 units, 16 inputs."""

from __future__ import annotations

import pytest
import torch

from trainables.config import NetworkConfig, TrialConfig
from trainables.initialization import draw_weights, resolve
from trainables.network import PopulationNetwork

LAYERS, UNITS, ROWS = 6, 4096, 16


def layer_statistics(**network) -> list[tuple[float, float]]:
    """Mean and std of the activations of each layer of the slides' network, 100 million weights."""
    config = TrialConfig(network=NetworkConfig(hidden_sizes=(UNITS,) * LAYERS, **network))
    population = PopulationNetwork([config], n_inputs=UNITS, n_outputs=1)
    hidden: list[torch.Tensor] = []
    with torch.no_grad():
        population(torch.randn(ROWS, UNITS, generator=torch.Generator().manual_seed(1)), hidden=hidden)
    return [(layer.mean().item(), layer.std().item()) for layer in hidden]


def test_a2_tanh_with_std_001_shrinks_to_nothing():
    stds = [std for _, std in layer_statistics(activation="tanh", init="gaussian", init_std=0.01)]
    assert stds == sorted(stds, reverse=True)
    assert stds[0] > 0.4
    assert stds[-1] < 0.06


def test_a2_tanh_with_std_005_saturates():
    statistics = layer_statistics(activation="tanh", init="gaussian", init_std=0.05)
    assert all(std > 0.8 for _, std in statistics)


def test_a2_tanh_with_xavier_keeps_a_healthy_spread():
    stds = [std for _, std in layer_statistics(activation="tanh", init="xavier")]
    assert stds == pytest.approx([0.63, 0.49, 0.41, 0.36, 0.32, 0.30], abs=0.02)


def test_a2_relu_with_kaiming_keeps_mean_and_std_in_all_layers():
    for mean, std in layer_statistics(activation="relu", init="kaiming"):
        assert mean == pytest.approx(0.56, abs=0.04)
        assert std == pytest.approx(0.82, abs=0.05)


@pytest.mark.parametrize(
    ("leaves", "expected"),
    [
        ({"init": "zeros"}, 0.0),
        ({"init": "gaussian", "init_std": 0.3}, 0.3),
        ({"init": "xavier"}, (1 / 400) ** 0.5),
        ({"init": "kaiming"}, (2 / 400) ** 0.5),
        ({"init": "auto", "activation": "relu"}, (2 / 400) ** 0.5),
        ({"init": "auto", "activation": "leaky_relu"}, (2 / 400) ** 0.5),
        ({"init": "auto", "activation": "tanh"}, (1 / 400) ** 0.5),
        ({"init": "auto", "activation": "sigmoid"}, (1 / 400) ** 0.5),
    ],
)
def test_a2_standard_deviations(leaves, expected):
    network = NetworkConfig(**leaves, output_scale=0.5)
    weights = draw_weights(network, (400, 300, 100), 3, torch.float64)
    hidden, output = weights[: 400 * 300], weights[400 * 300 :]
    assert hidden.std().item() == pytest.approx(expected, rel=0.02)
    # The last layer's fan-in is 300, and its weights are halved.
    last = expected if leaves["init"] in ("zeros", "gaussian") else expected * (400 / 300) ** 0.5
    assert output.std().item() == pytest.approx(last / 2, rel=0.02)


def test_auto_says_what_it_chose():
    assert resolve(NetworkConfig(activation="tanh")) == "xavier"
    assert resolve(NetworkConfig(activation="relu", init="gaussian")) == "gaussian"


def test_one_seed_decides_a_members_weights_whatever_the_population():
    configs = [TrialConfig(seed=seed) for seed in (3, 1, 4)]
    together = PopulationNetwork(configs, n_inputs=6, n_outputs=2)
    for k, config in enumerate(configs):
        alone = PopulationNetwork([config], n_inputs=6, n_outputs=2)
        assert torch.equal(together.parameters[k], alone.parameters[0])
    assert not torch.equal(together.parameters[0], together.parameters[1])
