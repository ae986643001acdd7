"""A10: schedules against torch.optim.lr_scheduler, unit by unit; each member has numbers of its own."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from tests.plans import plain
from trainables.schedules import SHAPES, Schedule

UNITS = 30
SETTINGS = {
    "none": [{}, {}],
    "step": [{"every": 4, "factor": 0.5}, {"every": 7}],
    "exponential": [{"factor": 0.9}, {}],
    "inverse_time": [{"rate": 0.5}, {"rate": 0.01}],
    "linear": [{"duration": 12, "end": 0.1}, {"duration": 40}],
    "cosine": [{"duration": 30, "end": 0.01}, {"duration": 30}],
}


def config_of(name, **numbers):
    return plain().replace({"schedule.name": name, **{f"schedule.{k}": v for k, v in numbers.items()}})


def torchs(optimizer, name, numbers):
    match name:
        case "none":
            return lr_scheduler.ConstantLR(optimizer, factor=1.0)
        case "step":
            return lr_scheduler.StepLR(optimizer, numbers["every"], numbers.get("factor", 0.1))
        case "exponential":
            return lr_scheduler.ExponentialLR(optimizer, numbers.get("factor", 0.95))
        case "inverse_time":
            return lr_scheduler.LambdaLR(optimizer, lambda t: 1 / (1 + numbers["rate"] * t))
        case "linear":
            return lr_scheduler.LinearLR(optimizer, 1.0, numbers.get("end", 0.0), numbers["duration"])
        case "cosine":
            return lr_scheduler.CosineAnnealingLR(optimizer, numbers["duration"], 2.0 * numbers.get("end", 0.0))
    raise AssertionError(name)


@pytest.mark.filterwarnings("ignore:.*lr_scheduler.step.*:UserWarning")
@pytest.mark.parametrize("members", [1, 2])
@pytest.mark.parametrize("name", sorted(SHAPES))
def test_a10_equals_torch_at_every_unit(name, members):
    settings_ = SETTINGS[name][:members]
    schedule = Schedule([config_of(name, **numbers) for numbers in settings_], total=None)
    schedulers = [
        torchs(torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0), name, numbers) for numbers in settings_
    ]
    for t in range(UNITS):
        theirs = [scheduler.get_last_lr()[0] / 2.0 for scheduler in schedulers]
        assert schedule.factor(t).squeeze(1).tolist() == pytest.approx(theirs, rel=1e-9, abs=1e-12)
        for scheduler in schedulers:
            scheduler.step()


@settings(max_examples=40, deadline=None)
@given(name=st.sampled_from(sorted(SHAPES)), warmup=st.integers(1, 8), t=st.integers(0, 30))
def test_a10_after_a_linear_warm_up_the_shape_begins_anew(name, warmup, t):
    numbers = SETTINGS[name][0]
    warm = Schedule([config_of(name, **numbers, warmup=warmup)], total=None).factor(t).item()
    if t < warmup:
        assert warm == pytest.approx((t + 1) / warmup)
    else:
        assert warm == pytest.approx(Schedule([config_of(name, **numbers)], total=None).factor(t - warmup).item())


def test_a10_without_a_duration_it_spans_the_training_after_the_warm_up():
    schedule = Schedule([config_of("cosine", warmup=2)], total=10)
    expected = [0.5, 1.0, *(0.5 * (1 + math.cos(math.pi * s / 8)) for s in range(8))]
    assert [schedule.factor(t).item() for t in range(10)] == pytest.approx(expected)
    assert schedule.factor(10).item() == pytest.approx(0.0, abs=1e-12)
    with pytest.raises(ValueError, match="length of the training"):
        Schedule([config_of("linear")], total=None)


def test_members_that_stay_keep_their_schedule():
    schedule = Schedule([config_of("exponential", factor=f) for f in (0.9, 0.5, 0.1)], total=None)
    schedule.keep(torch.tensor([1]))
    assert schedule.factor(2).tolist() == [[0.25]]


def test_none_without_warm_up_is_constant_and_costs_nothing():
    assert Schedule([plain()], total=None).is_constant
    assert not Schedule([config_of("none", warmup=3)], total=None).is_constant
