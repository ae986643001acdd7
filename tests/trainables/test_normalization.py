"""A4: batch normalisation against torch.nn.BatchNorm1d, one module per member."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.normalization import BatchNormalization


def module_of(gain, shift, momentum, eps):
    module = torch.nn.BatchNorm1d(len(gain), eps=eps, momentum=momentum, dtype=torch.float64)
    with torch.no_grad():
        module.weight.copy_(gain)
        module.bias.copy_(shift)
    return module


@pytest.mark.parametrize("members", [1, 5])
@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(2, 9),
    units=st.integers(1, 7),
    offset=st.sampled_from([0.0, 3.0, 1e3]),
    momentum=st.sampled_from([0.01, 0.1, 1.0]),
    eps=st.sampled_from([1e-5, 0.1]),
    seed=st.integers(0, 99),
)
def test_a4_values_gradients_and_running_statistics(members, rows, units, offset, momentum, eps, seed):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, dtype=torch.float64, generator=generator)

    gain, shift = draw(members, 1, units).requires_grad_(), draw(members, 1, units).requires_grad_()
    # The layer in question is the second of two.
    ours = BatchNormalization(members, (3, units), momentum=momentum, eps=eps, like=gain)
    references = [module_of(g[0], s[0], momentum, eps) for g, s in zip(gain, shift, strict=True)]
    for _ in range(3):
        z = (draw(members, rows, units) * 2 + offset).requires_grad_()
        upstream = draw(members, rows, units)
        forward = ours.by_batch(1, z, gain, shift, follow=True)
        normalized = forward.outputs
        gradients = torch.autograd.grad(normalized, (z, gain, shift), upstream)
        of_gain, of_shift = torch.empty_like(gain), torch.empty_like(shift)
        with torch.no_grad():
            by_hand = (ours.backward(1, forward, upstream, of_gain, of_shift), of_gain, of_shift)
        for ours_of, wanted in zip(by_hand, gradients, strict=True):
            torch.testing.assert_close(ours_of, wanted)
        for k, module in enumerate(references):
            own = z.detach()[k].clone().requires_grad_()
            expected = module(own)
            torch.testing.assert_close(normalized[k], expected)
            wanted = torch.autograd.grad(expected, (own, module.weight, module.bias), upstream[k])
            for ours_of, theirs in zip(gradients, wanted, strict=True):
                torch.testing.assert_close(ours_of[k].view_as(theirs), theirs, rtol=1e-6, atol=1e-7)
    before = ours.means[1].clone()
    ours.by_batch(1, z, gain, shift, follow=False)
    assert torch.equal(ours.means[1], before)
    for k, module in enumerate(references):
        torch.testing.assert_close(ours.means[1][k], module.running_mean)
        torch.testing.assert_close(ours.variances[1][k], module.running_var)
        z = draw(members, 1, units)
        torch.testing.assert_close(ours.by_running(1, z, gain, shift)[k], module.eval()(z[k]))
    assert (ours.means[0] == 0).all()
    assert (ours.variances[0] == 1).all()


def test_members_that_stay_keep_their_statistics():
    ours = BatchNormalization(3, (2,), momentum=0.5, eps=1e-5, like=torch.zeros(1))
    ours.means[0][:] = torch.arange(3.0).unsqueeze(1)
    ours.keep(torch.tensor([2]))
    assert ours.means[0].tolist() == [[2.0, 2.0]]
    ours.by_batch(0, torch.full((1, 4, 2), 4.0), torch.ones(1, 1, 2), torch.zeros(1, 1, 2), follow=True)
    assert ours.means[0].tolist() == [[3.0, 3.0]]
