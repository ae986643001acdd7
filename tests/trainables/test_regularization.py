"""A6: L1 and L2 by their closed forms and against torch.optim's weight_decay; raising them raises the loss."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.config import TrialConfig
from trainables.regularization import Penalties


@pytest.mark.parametrize("members", [1, 5])
@settings(max_examples=20, deadline=None)
@given(weights=st.integers(1, 9), others=st.integers(0, 5), seed=st.integers(0, 99))
def test_a6_value_is_the_closed_form_and_the_gradient_is_its_own(members, weights, others, seed):
    configs = [
        TrialConfig().replace({"regularization.l1": 0.1 * k, "regularization.l2": 0.03 * (members - k)})
        for k in range(members)
    ]
    generator = torch.Generator().manual_seed(seed)
    parameters = torch.randn(members, weights + others, dtype=torch.float64, generator=generator).requires_grad_()
    penalties = Penalties(configs, weights, like=parameters.detach())
    expected = torch.stack(
        [
            c.regularization.l1 * parameters[k, :weights].abs().sum()
            + c.regularization.l2 / 2 * parameters[k, :weights].square().sum()
            for k, c in enumerate(configs)
        ]
    )
    torch.testing.assert_close(penalties.value(parameters), expected)
    gradient = torch.ones_like(parameters)
    penalties.add_gradient(gradient, parameters.detach())
    torch.testing.assert_close(gradient - 1, torch.autograd.grad(expected.sum(), parameters)[0])


def test_a6_l2_is_the_weight_decay_of_torch_optim():
    config = TrialConfig().replace({"regularization.l2": 0.3})
    parameters = torch.randn(1, 6, dtype=torch.float64)
    gradient = torch.randn(1, 6, dtype=torch.float64)
    theirs = parameters.clone().requires_grad_()
    theirs.grad = gradient.clone()
    torch.optim.SGD([theirs], lr=0.1, weight_decay=0.3).step()
    Penalties([config], 6, like=parameters).add_gradient(gradient, parameters)
    torch.testing.assert_close(parameters - 0.1 * gradient, theirs.detach())


@pytest.mark.parametrize("leaf", ["regularization.l1", "regularization.l2"])
def test_a6_raising_it_raises_the_loss(leaf):
    configs = [TrialConfig().replace({leaf: value}) for value in (0.0, 1e-4, 1e-2, 1.0)]
    values = Penalties(configs, 4, like=torch.zeros(1)).value(torch.randn(1, 6).expand(4, 6)).tolist()
    assert values[0] == 0.0
    assert values == sorted(values)
    assert len(set(values)) == 4


def test_members_that_stay_keep_their_own():
    configs = [TrialConfig().replace({"regularization.l1": value}) for value in (0.0, 0.5, 2.0)]
    penalties = Penalties(configs, 1, like=torch.zeros(1))
    penalties.keep(torch.tensor([2, 0]))
    assert penalties.value(torch.ones(2, 1)).tolist() == [2.0, 0.0]
