"""A1: activations against torch.nn.functional, values and gradients, at 0 too."""

from __future__ import annotations

import pytest
import torch

from trainables.activations import ACTIVATIONS, SATURATES_OUTSIDE

F = torch.nn.functional
REFERENCES = {"relu": F.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_a1_values_and_gradients(name):
    slopes = torch.tensor([0.0, 0.01, 0.3], dtype=torch.float64).view(3, 1, 1)
    z = torch.linspace(-3, 3, 25, dtype=torch.float64).view(1, 5, 5).repeat(3, 1, 1).requires_grad_()
    reference = z.detach().clone().requires_grad_()
    assert (z == 0).any()
    ours = ACTIVATIONS[name](z, slopes)
    if name == "leaky_relu":
        expected = torch.stack([F.leaky_relu(reference[k], slopes[k].item()) for k in range(3)])
    else:
        expected = REFERENCES[name](reference)
    torch.testing.assert_close(ours, expected)
    ours.sum().backward()
    expected.sum().backward()
    torch.testing.assert_close(z.grad, reference.grad)


@pytest.mark.parametrize("name", sorted(SATURATES_OUTSIDE))
def test_saturation_begins_where_the_slope_is_a_twentieth_of_the_largest(name):
    z = torch.linspace(-8, 8, 4001, dtype=torch.float64, requires_grad=True)
    values = REFERENCES[name](z)
    values.sum().backward()
    flat = z.grad < z.grad.max() / 20
    low, high = SATURATES_OUTSIDE[name]
    agreement = (((values < low) | (values > high)) == flat).double().mean()
    assert agreement > 0.995
