"""A1: activations against torch.nn.functional, values and gradients, at 0 too."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.activations import ACTIVATIONS, SATURATES_OUTSIDE
from trainables.choices import ActivationName

F = torch.nn.functional
REFERENCES = {
    "identity": lambda z, slope: z,
    "relu": lambda z, slope: F.relu(z),
    "leaky_relu": F.leaky_relu,
    "elu": lambda z, slope: F.elu(z),
    "gelu": lambda z, slope: F.gelu(z),
    "silu": lambda z, slope: F.silu(z),
    "tanh": lambda z, slope: torch.tanh(z),
    "sigmoid": lambda z, slope: torch.sigmoid(z),
}


def test_every_activation_of_the_config_exists_and_is_tested():
    assert set(ACTIVATIONS) == set(REFERENCES) == set(get_args(ActivationName))


@pytest.mark.parametrize("members", [1, 5])
@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
@settings(max_examples=10, deadline=None)
@given(rows=st.integers(1, 6), units=st.integers(1, 6), seed=st.integers(0, 99))
def test_a1_values_and_gradients(name, members, rows, units, seed):
    slopes = torch.linspace(0, 0.4, members, dtype=torch.float64).view(-1, 1, 1)
    z = torch.randn(members, rows, units, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * 3
    z[:, 0, 0] = 0.0
    z.requires_grad_()
    reference = z.detach().clone().requires_grad_()
    ours = ACTIVATIONS[name].apply(z, slopes)
    expected = torch.stack([REFERENCES[name](reference[k], slopes[k].item()) for k in range(members)])
    torch.testing.assert_close(ours, expected)
    # One number for all members is the same as that number for each.
    shared = ACTIVATIONS[name].apply(z, 0.3)
    torch.testing.assert_close(shared, ACTIVATIONS[name].apply(z, torch.full_like(slopes, 0.3)))
    upstream = torch.randn_like(ours)
    for slope, forward in ((slopes, ours), (0.3, shared)):
        torch.testing.assert_close(
            ACTIVATIONS[name].backward(upstream, z.detach(), forward.detach(), slope),
            torch.autograd.grad(forward, z, upstream, retain_graph=True)[0],
        )
    torch.testing.assert_close(
        torch.autograd.grad(ours, z, upstream)[0], torch.autograd.grad(expected, reference, upstream)[0]
    )


@pytest.mark.parametrize("name", sorted(SATURATES_OUTSIDE))
def test_saturation_begins_where_the_slope_is_a_twentieth_of_the_largest(name):
    z = torch.linspace(-8, 8, 4001, dtype=torch.float64, requires_grad=True)
    values = REFERENCES[name](z, 0.0)
    values.sum().backward()
    flat = z.grad < z.grad.max() / 20
    low, high = SATURATES_OUTSIDE[name]
    agreement = (((values < low) | (values > high)) == flat).double().mean()
    assert agreement > 0.995
