"""A1: activations against torch.nn.functional, values and gradients, at 0 too."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.activations import ACTIVATIONS
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
    ours = ACTIVATIONS[name].apply(z.clone(), slopes)  # it may write over what it is given
    expected = torch.stack([REFERENCES[name](reference[k], slopes[k].item()) for k in range(members)])
    torch.testing.assert_close(ours, expected)
    # One number for all members is the same as that number for each.
    shared = ACTIVATIONS[name].apply(z.clone(), 0.3)
    torch.testing.assert_close(shared, ACTIVATIONS[name].apply(z.clone(), torch.full_like(slopes, 0.3)))
    upstream = torch.randn_like(ours)
    for slope, forward in ((slopes, ours), (0.3, shared)):
        torch.testing.assert_close(
            ACTIVATIONS[name].backward(upstream.clone(), z.detach(), forward.detach(), slope),
            torch.autograd.grad(forward, z, upstream, retain_graph=True)[0],
        )
    torch.testing.assert_close(
        torch.autograd.grad(ours, z, upstream)[0], torch.autograd.grad(expected, reference, upstream)[0]
    )


@pytest.mark.parametrize("name", sorted(name for name, one in ACTIVATIONS.items() if one.flat_outside))
def test_saturation_begins_where_the_slope_is_a_twentieth_of_the_largest(name):
    z = torch.linspace(-8, 8, 4001, dtype=torch.float64, requires_grad=True)
    values = REFERENCES[name](z, 0.0)
    values.sum().backward()
    flat = z.grad < z.grad.max() / 20
    low, high = ACTIVATIONS[name].flat_outside
    agreement = (((values < low) | (values > high)) == flat).double().mean()
    assert agreement > 0.995


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_what_an_activation_says_of_itself_is_so(name):
    one = ACTIVATIONS[name]
    z = torch.linspace(-8, 8, 401, dtype=torch.float64, requires_grad=True)
    values = one.module(0.1)(z)
    torch.testing.assert_close(values, REFERENCES[name](z, 0.1))
    (slopes,) = torch.autograd.grad(values.sum(), z)
    # Flat on both sides is what has a bound on both.
    assert (one.flat_outside is not None) == (values.abs().max().item() <= 1)
    # A unit below 0 by far neither says nor learns anything.
    assert one.can_die == bool(values[0] == 0 and slopes[0] == 0)
    # Around 0, or everywhere, a line; or less than half of what comes in from below.
    is_odd = torch.allclose(values - values[200], -(values - values[200]).flip(0))
    assert one.init == ("xavier" if is_odd else "kaiming")
