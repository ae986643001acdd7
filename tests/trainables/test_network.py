"""The population network (design: "everything trained is a population"), against torch.nn."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.plans import plain
from tests.references import MODULES, as_torch, flat_gradient
from trainables.network import PopulationNetwork, Trace


@pytest.mark.parametrize("members", [1, 5])
@pytest.mark.parametrize("normalization", ["none", "batch_norm"])
@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 9), max_size=4),
    n_inputs=st.integers(1, 7),
    n_outputs=st.integers(1, 5),
    rows=st.integers(2, 6),
    activation=st.sampled_from(sorted(MODULES)),
)
def test_a1_a4_outputs_and_gradients_equal_torch_nn(
    members, normalization, sizes, n_inputs, n_outputs, rows, activation
):
    """In training, without dropout; then in evaluation, with the running statistics of that one batch."""
    leaves = {
        "network.hidden_sizes": tuple(sizes),
        "network.activation": activation,
        "network.normalization": normalization,
        "network.output_scale": 1.0,
    }
    if normalization == "batch_norm":
        leaves |= {"network.batch_norm_momentum": 0.3, "network.batch_norm_eps": 1e-3}
    own = [{} for _ in range(members)]
    for k, values in enumerate(own):
        if activation == "leaky_relu":
            values["network.negative_slope"] = 0.01 + 0.1 * k
    configs = [plain(seed=k).replace(leaves | own[k]) for k in range(members)]
    network = PopulationNetwork(configs, n_inputs, n_outputs, dtype=torch.float64)
    network.parameters[:, network.n_weights :].uniform_(-1, 1)  # biases and gains that matter
    inputs = torch.randn(rows, n_inputs, dtype=torch.float64)
    references = [as_torch(network, k, config) for k, config in enumerate(configs)]
    outputs = network(inputs, mode="measure")
    by_autograd = network.gradient(outputs.square().mean(dim=(1, 2)))
    gradient, trace = torch.full_like(by_autograd, torch.nan), Trace()
    with torch.no_grad():
        trained = network(inputs, mode="train", trace=trace)
        network.backward(trace, 2 * trained / trained[0].numel(), out=gradient)
    torch.testing.assert_close(trained, outputs)
    evaluated = network(inputs)
    for k, reference in enumerate(references):
        expected = reference(inputs)
        torch.testing.assert_close(outputs[k], expected)
        expected.square().mean().backward()
        for own in (gradient, by_autograd):
            torch.testing.assert_close(own[k], flat_gradient(reference), rtol=1e-6, atol=1e-8)
        torch.testing.assert_close(evaluated[k], reference.eval()(inputs))


@pytest.mark.parametrize("normalization", ["none", "batch_norm"])
@pytest.mark.parametrize("units", [3, 20])
def test_a5_the_way_back_passes_the_masks_of_the_way_there(normalization, units):
    """Dropout and DropConnect, against autograd with the same masks."""
    leaves = {"network.hidden_sizes": (units, units), "network.normalization": normalization}
    dropping = [{"network.dropout": 0.2 * k, "network.dropconnect": 0.3 * k} for k in range(3)]
    configs = [plain(seed=k).replace(leaves | own) for k, own in enumerate(dropping)]
    network = PopulationNetwork(configs, 5, 4, dtype=torch.float64)
    inputs, trace, gradient = torch.randn(9, 5, dtype=torch.float64), Trace(), torch.empty_like(network.parameters)
    with torch.no_grad():
        outputs = network(inputs, mode="train", masks=torch.Generator().manual_seed(7), trace=trace)
        network.backward(trace, torch.cos(outputs), out=gradient)
    again = network(inputs, mode="train", masks=torch.Generator().manual_seed(7))
    torch.testing.assert_close(gradient, network.gradient(again.sin().sum(dim=(1, 2))))


def test_measuring_normalises_by_the_batch_and_changes_nothing():
    config = plain(seed=1).replace({"network.normalization": "batch_norm", "network.dropout": 0.5})
    network = PopulationNetwork([config], 4, 2)
    inputs = torch.randn(50, 4) * 3 + 5
    hidden: list[torch.Tensor] = []
    network(inputs, mode="measure", hidden=hidden)
    network(inputs, mode="measure")
    assert (network.normalization.means[0] == 0).all()
    # relu of a standard normal: mean 1/√(2π) = 0.40
    assert hidden[0].mean().item() == pytest.approx(0.40, abs=0.03)


def test_parameters_are_one_flat_tensor_and_layers_are_views_of_it():
    network = PopulationNetwork([plain(seed=k) for k in range(3)], n_inputs=5, n_outputs=2)
    assert network.parameters.shape == (3, 5 * 64 + 64 * 64 + 64 * 2 + 64 + 64 + 2)
    network.parameters.fill_(7.0)
    assert all((layer.weight == 7).all() and (layer.bias == 7).all() for layer in network.layers)


def test_members_of_different_structure_are_refused():
    wide = plain().replace({"network.hidden_sizes": (128,)})
    with pytest.raises(ValueError, match="one structure"):
        PopulationNetwork([plain(), wide], n_inputs=2, n_outputs=2)


def test_a_member_whose_loss_is_nan_does_not_touch_the_others():
    network = PopulationNetwork([plain(seed=k) for k in range(2)], n_inputs=3, n_outputs=2)
    network.parameters[0, 0] = torch.nan
    gradient = network.gradient(network(torch.ones(4, 3)).sum(dim=(1, 2)))
    assert gradient[0].isnan().any()
    assert gradient[1].isfinite().all()
