"""A5: inverted dropout and DropConnect keep the expectation, drop the share asked for, and are off in evaluation."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.plans import plain
from trainables.dropout import DropRates
from trainables.network import PopulationNetwork


def test_a5_expectation_over_many_masks_and_share_dropped():
    rates = DropRates(torch.tensor([0.0, 0.2, 0.7]))
    activations = torch.rand(3, 1, 20, generator=torch.Generator().manual_seed(0)) + 0.5
    dropped = activations * rates.draw((3, 20_000, 20), torch.Generator().manual_seed(1))
    # Standard error of the mean over 20 000 masks is at most 1.1 %: five of them.
    torch.testing.assert_close(dropped.mean(dim=1), activations[:, 0], rtol=0.06, atol=0)
    shares = (dropped == 0).float().mean(dim=(1, 2)).tolist()
    assert shares == pytest.approx([0.0, 0.2, 0.7], abs=0.01)
    assert torch.equal(dropped[0], activations[0].expand(20_000, 20))


@settings(max_examples=30, deadline=None)
@given(
    members=st.integers(1, 5), rows=st.integers(1, 7), units=st.integers(1, 7), rate=st.floats(0, 1, exclude_max=True)
)
def test_a5_a_mask_of_any_shape_and_rate_is_zero_or_the_inverse_of_what_is_kept(members, rows, units, rate):
    rates = torch.full((members,), rate)
    mask = DropRates(rates).draw((members, rows, units), torch.Generator().manual_seed(0))
    assert mask.shape == (members, rows, units)
    # A rate is exact to half a level of 1/65 536, and something can always be kept.
    quantised = min(round(rates[0].item() * 65_536), 65_535) / 65_536
    kept = mask[mask != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - quantised)))


def test_a5_neighbouring_numbers_of_a_mask_are_independent():
    """Four of them come out of one random integer."""
    mask = DropRates(torch.tensor([0.5])).draw((1, 1, 400_000), torch.Generator().manual_seed(3)).view(-1, 4)
    correlation = torch.corrcoef(mask.T)
    assert (correlation - torch.eye(4)).abs().max() < 0.02  # five standard errors of 1/√100 000 are 0.016


@pytest.mark.parametrize("leaf", ["network.dropout", "network.dropconnect"])
def test_a5_evaluation_equals_no_dropout(leaf):
    without_it, with_dropout = plain(seed=1), plain(seed=1).replace({leaf: 0.5})
    inputs = torch.randn(6, 3)
    without = PopulationNetwork([without_it], 3, 2)
    network = PopulationNetwork([with_dropout], 3, 2)
    assert torch.equal(network(inputs), without(inputs))
    masks = torch.Generator().manual_seed(0)
    assert torch.equal(network(inputs, mode="measure", masks=masks), without(inputs))
    assert not torch.equal(network(inputs, mode="train", masks=masks), network(inputs))


@pytest.mark.parametrize("leaf", ["network.dropout", "network.dropconnect"])
def test_a5_outputs_in_training_have_the_expectation_of_evaluation(leaf):
    """Of a linear network, whose outputs are linear in what is dropped; rates differ within the population."""
    rates = (0.0, 0.3, 0.6)
    leaves = {"network.activation": "identity", "network.hidden_sizes": (8,), "network.output_scale": 1.0}
    configs = [plain(seed=1).replace({**leaves, leaf: rate}) for rate in rates]
    network = PopulationNetwork(configs, 4, 1)
    inputs = torch.randn(5, 4, generator=torch.Generator().manual_seed(2))
    masks = torch.Generator().manual_seed(3)
    with torch.no_grad():
        expected = network(inputs)
        drawn = torch.stack([network(inputs, mode="train", masks=masks) for _ in range(4_000)])
    error = drawn.std(dim=0) / 4_000**0.5
    assert ((drawn.mean(dim=0) - expected).abs() <= 5 * error + 1e-6).all()
    assert torch.equal(drawn[0, 0], expected[0])
    assert (drawn[:, 2].std(dim=0) > drawn[:, 1].std(dim=0)).all()


def test_a5_dropconnect_draws_one_mask_per_member_and_batch():
    config = plain(seed=1).replace({"network.dropconnect": 0.5, "network.hidden_sizes": ()})
    network = PopulationNetwork([config, config], 40, 3)
    outputs = network(torch.ones(6, 40), mode="train", masks=torch.Generator().manual_seed(0))
    assert (outputs == outputs[:, :1]).all()  # equal rows stay equal
    assert not torch.equal(outputs[0], outputs[1])  # members of one seed do not


def test_a5_a_dropped_weight_has_no_gradient():
    config = plain(seed=1).replace({"network.dropconnect": 0.5, "network.hidden_sizes": ()})
    network = PopulationNetwork([config], 50, 4)
    outputs = network(torch.ones(3, 50), mode="train", masks=torch.Generator().manual_seed(0))
    gradient = network.gradient(outputs.sum(dim=(1, 2)))[0, : network.n_weights]
    assert set(gradient.tolist()) == {0.0, 6.0}  # three rows, divided by the half that is kept
