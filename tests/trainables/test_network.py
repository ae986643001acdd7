"""The population network (design: "everything trained is a population"), against torch.nn."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.references import as_torch
from trainables.config import TrialConfig
from trainables.network import PopulationNetwork

MODULES = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh, "sigmoid": torch.nn.Sigmoid, "leaky_relu": torch.nn.LeakyReLU}


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 9), max_size=4),
    members=st.integers(1, 5),
    n_inputs=st.integers(1, 7),
    n_outputs=st.integers(1, 5),
    rows=st.integers(1, 6),
    activation=st.sampled_from(sorted(MODULES)),
)
def test_a1_outputs_and_gradients_equal_torch_nn(sizes, members, n_inputs, n_outputs, rows, activation):
    slopes = [0.01 + 0.1 * k for k in range(members)]
    leaves = {"network.hidden_sizes": tuple(sizes), "network.activation": activation, "network.output_scale": 1.0}
    configs = [
        TrialConfig(seed=k).replace(leaves | ({"network.negative_slope": slopes[k]} if "leaky" in activation else {}))
        for k in range(members)
    ]
    network = PopulationNetwork(configs, n_inputs, n_outputs, dtype=torch.float64)
    network.parameters[:, network.n_weights :].uniform_(-1, 1)  # biases that matter
    inputs = torch.randn(rows, n_inputs, dtype=torch.float64)
    outputs = network(inputs)
    gradient = network.gradient(outputs.square().mean(dim=(1, 2)))
    for k in range(members):
        module = MODULES[activation](slopes[k]) if activation == "leaky_relu" else MODULES[activation]()
        reference = as_torch(network, k, module)
        expected = reference(inputs)
        torch.testing.assert_close(outputs[k], expected)
        expected.square().mean().backward()
        linears = [m for m in reference if isinstance(m, torch.nn.Linear)]
        weights = [m.weight.grad.T.reshape(-1) for m in linears]
        torch.testing.assert_close(gradient[k], torch.cat([*weights, *(m.bias.grad for m in linears)]))


def test_parameters_are_one_flat_tensor_and_layers_are_views_of_it():
    network = PopulationNetwork([TrialConfig(seed=k) for k in range(3)], n_inputs=5, n_outputs=2)
    assert network.parameters.shape == (3, 5 * 64 + 64 * 64 + 64 * 2 + 64 + 64 + 2)
    network.parameters.fill_(7.0)
    assert all((layer.weight == 7).all() and (layer.bias == 7).all() for layer in network.layers)


def test_members_of_different_structure_are_refused():
    wide = TrialConfig().replace({"network.hidden_sizes": (128,)})
    with pytest.raises(ValueError, match="one structure"):
        PopulationNetwork([TrialConfig(), wide], n_inputs=2, n_outputs=2)


def test_a_member_whose_loss_is_nan_does_not_touch_the_others():
    network = PopulationNetwork([TrialConfig(seed=k) for k in range(2)], n_inputs=3, n_outputs=2)
    network.parameters[0, 0] = torch.nan
    gradient = network.gradient(network(torch.ones(4, 3)).sum(dim=(1, 2)))
    assert gradient[0].isnan().any()
    assert gradient[1].isfinite().all()
