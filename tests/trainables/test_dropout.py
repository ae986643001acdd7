"""A5: inverted dropout keeps the expectation, drops the share asked for, and is off in evaluation."""

from __future__ import annotations

import pytest
import torch

from trainables.config import TrialConfig
from trainables.dropout import dropout
from trainables.network import PopulationNetwork


def test_a5_expectation_over_many_masks_and_share_dropped():
    rates = torch.tensor([0.0, 0.2, 0.7]).view(3, 1, 1)
    activations = torch.rand(3, 1, 20, generator=torch.Generator().manual_seed(0)) + 0.5
    dropped = dropout(activations.expand(3, 20_000, 20), rates, torch.Generator().manual_seed(1))
    # Standard error of the mean over 20 000 masks is at most 1.1 %: five of them.
    torch.testing.assert_close(dropped.mean(dim=1), activations[:, 0], rtol=0.06, atol=0)
    shares = (dropped == 0).float().mean(dim=(1, 2)).tolist()
    assert shares == pytest.approx([0.0, 0.2, 0.7], abs=0.01)
    assert torch.equal(dropped[0], activations[0].expand(20_000, 20))


def test_a5_evaluation_equals_no_dropout():
    plain, with_dropout = TrialConfig(seed=1), TrialConfig(seed=1).replace({"network.dropout": 0.5})
    inputs = torch.randn(6, 3)
    without = PopulationNetwork([plain], 3, 2)
    network = PopulationNetwork([with_dropout], 3, 2)
    assert torch.equal(network(inputs), without(inputs))
    masked = network(inputs, masks=torch.Generator().manual_seed(0))
    assert not torch.equal(masked, network(inputs))
