"""A7: clipping against torch.nn.utils, for each member alone."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainables.clipping import Clipping
from trainables.config import TrialConfig


def clipped_by_torch(gradient, value, norm):
    parameter = torch.zeros_like(gradient, requires_grad=True)
    parameter.grad = gradient.clone()
    if value is not None:
        torch.nn.utils.clip_grad_value_([parameter], value)
    if norm is not None:
        torch.nn.utils.clip_grad_norm_([parameter], norm)
    return parameter.grad


@pytest.mark.parametrize("members", [1, 5])
@pytest.mark.parametrize("kinds", [("value",), ("norm",), ("value", "norm")])
@settings(max_examples=20, deadline=None)
@given(size=st.integers(1, 12), scale=st.sampled_from([0.0, 1e-3, 1.0, 1e4]), seed=st.integers(0, 99))
def test_a7_equals_torch_for_every_member_alone(members, kinds, size, scale, seed):
    bounds = [dict.fromkeys(kinds, 0.3 + 2.0 * k if k != 1 else None) for k in range(members)]
    configs = [TrialConfig().replace({f"clipping.{kind}": b for kind, b in each.items()}) for each in bounds]
    gradient = torch.randn(members, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * scale
    expected = torch.stack(
        [clipped_by_torch(gradient[k], bounds[k].get("value"), bounds[k].get("norm")) for k in range(members)]
    )
    ours = gradient.clone()
    Clipping(configs, like=ours).apply(ours)
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=0)


def test_a7_a_member_whose_gradient_is_not_finite_does_not_touch_the_others():
    configs = [TrialConfig().replace({"clipping.norm": 1.0, "clipping.value": 10.0})] * 2
    gradient = torch.tensor([[float("nan"), 1.0], [3.0, 4.0]])
    Clipping(configs, like=gradient).apply(gradient)
    assert gradient[0].isnan().any()
    torch.testing.assert_close(gradient[1], torch.tensor([0.6, 0.8]), rtol=1e-6, atol=0)


def test_members_that_stay_keep_their_bounds():
    configs = [TrialConfig().replace({"clipping.norm": bound}) for bound in (None, 1.0, 2.0)]
    gradient = torch.tensor([[30.0, 40.0], [30.0, 40.0]])
    clipping = Clipping(configs, like=gradient)
    clipping.keep(torch.tensor([0, 2]))
    clipping.apply(gradient)
    assert gradient.norm(dim=1).tolist() == pytest.approx([50.0, 2.0])
