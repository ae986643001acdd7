"""A4: batch normalisation against torch.nn.BatchNorm1d, one module per member with a momentum and ε of its own."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.normalization import RunningStatistics, normalize_by_batch


def modules(momentum, eps, gain, shift):
    made = []
    for k in range(len(momentum)):
        module = torch.nn.BatchNorm1d(
            gain.shape[2], eps=eps[k].item(), momentum=momentum[k].item(), dtype=torch.float64
        )
        with torch.no_grad():
            module.weight.copy_(gain[k, 0])
            module.bias.copy_(shift[k, 0])
        made.append(module)
    return made


@pytest.mark.parametrize("members", [1, 5])
@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(2, 9), units=st.integers(1, 7), offset=st.sampled_from([0.0, 3.0, 1e3]), seed=st.integers(0, 99)
)
def test_a4_values_gradients_and_running_statistics(members, rows, units, offset, seed):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, dtype=torch.float64, generator=generator)

    gain, shift = draw(members, 1, units).requires_grad_(), draw(members, 1, units).requires_grad_()
    momentum = torch.linspace(0.05, 1.0, members, dtype=torch.float64).view(-1, 1, 1)
    eps = torch.logspace(-5, -1, members, dtype=torch.float64).view(-1, 1, 1)
    running = RunningStatistics(members, (3, units), momentum, eps)  # the layer in question is the second
    references = modules(momentum, eps, gain.detach(), shift.detach())
    for _ in range(3):
        z = (draw(members, rows, units) * 2 + offset).requires_grad_()
        upstream = draw(members, rows, units)
        ours, mean, variance = normalize_by_batch(z, gain, shift, eps)
        running.follow(1, mean, variance, rows)
        gradients = torch.autograd.grad(ours, (z, gain, shift), upstream)
        for k, module in enumerate(references):
            own = z.detach()[k].clone().requires_grad_()
            expected = module(own)
            torch.testing.assert_close(ours[k], expected)
            wanted = torch.autograd.grad(expected, (own, module.weight, module.bias), upstream[k])
            for ours_of, theirs in zip(gradients, wanted, strict=True):
                torch.testing.assert_close(ours_of[k].view_as(theirs), theirs, rtol=1e-6, atol=1e-7)
    for k, module in enumerate(references):
        running_mean, running_variance = running.of(1)
        torch.testing.assert_close(running_mean[k, 0], module.running_mean)
        torch.testing.assert_close(running_variance[k, 0], module.running_var)
        z = draw(members, 1, units)
        torch.testing.assert_close(running.apply(1, z, gain, shift)[k], module.eval()(z[k]))
    untouched_mean, untouched_variance = running.of(0)
    assert (untouched_mean == 0).all()
    assert (untouched_variance == 1).all()


def test_members_that_stay_keep_their_statistics():
    momentum = eps = torch.full((3, 1, 1), 0.5)
    running = RunningStatistics(3, (2,), momentum, eps)
    running.follow(0, torch.arange(3.0).view(3, 1, 1).expand(3, 1, 2), torch.ones(3, 1, 2), rows=4)
    running.keep(torch.tensor([2]))
    assert running.mean.tolist() == [[1.0, 1.0]]
    running.follow(0, torch.full((1, 1, 2), 2.0), torch.ones(1, 1, 2), rows=4)
    assert running.mean.tolist() == [[1.5, 1.5]]
