"""C3: how ranges narrow, on response surfaces made up for it."""

from __future__ import annotations

import json
import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_service.space.narrowing import Scored, narrow
from search_service.space.ranges import Choices, NumericRange, can_draw

LR = NumericRange(1e-5, 1e-1, log=True)
LIMIT = {"lr": NumericRange(1e-8, 10.0, log=True)}


def sampled(range_: NumericRange, loss, n: int = 40, seed: int = 0) -> list[Scored]:
    random = np.random.default_rng(seed)
    low, high = range_.to_scale(range_.low), range_.to_scale(range_.high)
    values = [range_.from_scale(x) for x in random.uniform(low, high, n)]
    return [Scored({"lr": value}, loss(value)) for value in values]


def test_c3_an_optimum_inside_is_narrowed_around():
    result = narrow({"lr": LR}, sampled(LR, lambda lr: abs(math.log10(lr) + 3)), LIMIT)
    narrowed = result.space["lr"]
    assert narrowed.low < 1e-3 < narrowed.high
    width = math.log10(narrowed.high / narrowed.low)
    assert 0.25 * 4 <= width + 1e-9 < 2.0
    assert result.sentences[0].startswith("lr: 1e-05 – 0.1 → ")
    assert "best 10 of 40" in result.sentences[0]


@pytest.mark.parametrize(("optimum", "grows"), [(1e-8, "low"), (1e1, "high")])
def test_c3_an_optimum_outside_widens_the_edge_until_it_is_found(optimum, grows):
    space = LR
    for round_ in range(6):
        points = sampled(space, lambda lr: abs(math.log10(lr / optimum)), seed=round_)
        result = narrow({"lr": space}, points, {"lr": NumericRange(1e-12, 1e6, log=True)})
        if round_ == 0:
            assert "widened" in result.sentences[0]
            assert getattr(result.space["lr"], grows) != getattr(space, grows)
        space = result.space["lr"]
    assert space.low <= optimum <= space.high


def test_c3_the_users_limits_are_never_left():
    points = sampled(LR, lambda lr: lr)
    assert narrow({"lr": LR}, points, {"lr": LR}).space["lr"].low == LR.low
    tight = {"lr": NumericRange(2e-6, 1e-1, log=True)}
    assert narrow({"lr": LR}, points, tight).space["lr"].low == 2e-6


def test_two_valleys_are_both_kept():
    def loss(lr: float) -> float:
        return min(abs(math.log10(lr) + 2), abs(math.log10(lr) + 4))

    narrowed = narrow({"lr": LR}, sampled(LR, loss), LIMIT).space["lr"]
    assert narrowed.low < 1e-4
    assert narrowed.high > 1e-2


@given(
    low=st.floats(-5, 5),
    width=st.floats(0.01, 10),
    integer=st.booleans(),
    ranks=st.lists(st.floats(0, 1), min_size=1, max_size=30),
    seed=st.integers(0, 99),
)
def test_whatever_the_scores_a_range_stays_a_range_within_its_limits(low, width, integer, ranks, seed):
    low, high = (math.floor(low), math.ceil(low + width)) if integer else (low, low + width)
    range_ = NumericRange(low, high, integer=integer)
    random = np.random.default_rng(seed)
    points = [Scored({"x": range_.from_scale(random.uniform(low, high))}, rank) for rank in ranks]
    limits = {"x": NumericRange(low - 1, high + 1, integer=integer)}
    narrowed = narrow({"x": range_}, points, limits).space["x"]
    assert low - 1 <= narrowed.low <= narrowed.high <= high + 1
    if not integer:
        assert narrowed.high - narrowed.low >= 0.25 * (high - low) * 0.999
    elif high > low:
        assert narrowed.high > narrowed.low
    best = min(points, key=lambda p: p.rank).values["x"]
    assert narrowed.low <= best <= narrowed.high


def test_steps_stay_on_the_grid():
    range_ = NumericRange(0.0, 0.5, step=0.1)
    points = [Scored({"x": x}, abs(x - 0.3)) for x in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)]
    narrowed = narrow({"x": range_}, points, {"x": range_}).space["x"]
    for bound in (narrowed.low, narrowed.high):
        assert bound / 0.1 == pytest.approx(round(bound / 0.1))
    assert narrowed.low <= 0.3 <= narrowed.high


def test_choices_that_never_reach_the_better_half_are_dropped_once_tried_often_enough():
    space = {"activation": Choices(("relu", "tanh", "sigmoid"))}
    ranked = ["relu"] * 4 + ["tanh"] * 2 + ["sigmoid"] * 4 + ["tanh"] * 2
    points = [Scored({"activation": name}, rank) for rank, name in enumerate(ranked)]
    result = narrow(space, points, space)
    assert result.space["activation"].choices == ("relu", "tanh")
    assert "sigmoid never reached the better half" in result.sentences[0]
    few = [Scored({"activation": name}, rank) for rank, name in enumerate(["relu"] * 5 + ["sigmoid"] * 3)]
    assert narrow(space, few, space).space["activation"].choices == ("relu", "tanh", "sigmoid")


def test_conditional_leaves_are_judged_by_the_trials_that_had_them():
    space = {"momentum": NumericRange(0.0, 0.99)}
    points = [Scored({}, 0.0), Scored({"momentum": 0.5}, 1.0), Scored({"momentum": 0.6}, 2.0)]
    narrowed = narrow(space, points, space).space["momentum"]
    assert 0.3 < narrowed.low < 0.5
    assert 0.6 < narrowed.high < 0.8
    assert narrow(space, [Scored({}, 0.0)], space).space == space


# Ends and distances as people write them, with up to four digits after the point.
_WRITTEN = st.integers(-20_000, 20_000).map(lambda n: n / 10_000)
_DISTANCES = st.integers(1, 5_000).map(lambda n: n / 10_000)


@given(_WRITTEN, _DISTANCES, st.integers(1, 40), st.floats(0, 1), st.lists(st.integers(0, 40), min_size=4, max_size=8))
def test_c3_a_range_with_a_step_holds_its_ends_and_draws_nothing_outside(low, step, steps, coordinate, drawn):
    given_high = float(Decimal(repr(low)) + steps * Decimal(repr(step)))
    range_ = NumericRange(low, given_high, step=step).clipped(low, given_high)
    assert (range_.low, range_.high, range_.n_steps) == (low, given_high, steps)
    values = [range_.at_step(index) for index in range(steps + 1)]
    assert (values[0], values[-1]) == (low, given_high)
    assert all(range_.contains(value) and can_draw(range_, value) for value in values)
    assert [range_.from_unit(range_.to_unit(value)) for value in values] == values
    assert range_.from_unit(coordinate) in values
    # Narrowed twice it is on the same values.
    points = [Scored({"a": values[index % (steps + 1)]}, float(rank)) for rank, index in enumerate(drawn)]
    narrowed = narrow(narrow({"a": range_}, points, {"a": range_}).space, points, {"a": range_}).space["a"]
    assert [narrowed.at_step(index) for index in range(narrowed.n_steps + 1)] == [
        value for value in values if narrowed.low <= value <= narrowed.high
    ]


def test_c3_three_steps_of_a_tenth_are_three_tenths():
    range_ = NumericRange(0.0, 0.4, step=0.1)
    assert [range_.at_step(index) for index in range(5)] == [0.0, 0.1, 0.2, 0.3, 0.4]
    assert range_.clipped(0.1, 0.35).high == 0.3


def test_choices_go_through_json_and_come_back():
    choices = Choices(((16,), (8, 8), None, True, 1, "relu"))
    for choice in choices.choices:
        assert type(choices.decode(choices.encode(choice))) is type(choice)
        assert choices.decode(choices.encode(choice)) == choice
        assert choices.restore(json.loads(json.dumps(choice))) == choice
    # True and 1 are equal to Python, and two choices.
    assert choices.restore(True) is True
    assert choices.restore([9, 9]) == [9, 9]
    with pytest.raises(ValueError, match="is none of"):
        choices.decode("[9]")
