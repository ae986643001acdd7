"""C6, what mattered: against scores that are made up, so that the answer is known."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from search_service.records.rounds import RoundResult, TrialResult, TrialStatus
from search_service.report.importance import FEWEST_TRIALS, importance
from search_service.samplers.distributions import distribution_of, to_optuna
from search_service.space.ranges import Choices, NumericRange
from tests.plans import make_plan, plain
from trainables.records import EpochPoint

SPACE = {
    "optimizer.lr": NumericRange(1e-4, 1e-1, log=True),
    "network.dropout": NumericRange(0.0, 0.5),
    "batch_size": NumericRange(8, 256, log=True, integer=True),
    "network.hidden_sizes": Choices(((16,), (32, 32), (64,))),
    "clipping.norm": Choices((None, 1.0)),
}


def drawn(space, random):
    return {
        leaf: r.choices[random.integers(len(r.choices))]
        if isinstance(r, Choices)
        else r.from_scale(random.uniform(r.to_scale(r.low), r.to_scale(r.high)))
        for leaf, r in space.items()
    }


def trial_of(number, values, score, *, epochs=6, status=TrialStatus.COMPLETED, metric="accuracy"):
    curve = tuple(EpochPoint(epoch, 0.1, 0.1, score) for epoch in range(1, epochs + 1))
    return TrialResult(f"r1-{number:03d}", number, plain(), values, status, "", curve, metric)


def round_of(tmp_path, trials, space=SPACE, metric="accuracy"):
    return RoundResult(make_plan(tmp_path, space=space, metric=metric), tuple(trials), "", 1.0)


def made_up(tmp_path, score_of, n, seed=0, space=SPACE, metric="accuracy"):
    random = np.random.default_rng(seed)
    values = [drawn(space, random) for _ in range(n)]
    trials = [trial_of(i, v, score_of(v), metric=metric) for i, v in enumerate(values)]
    return round_of(tmp_path, trials, space, metric)


def by_rate(values):
    return -((math.log10(values["optimizer.lr"]) + 2.5) ** 2)


@pytest.mark.parametrize(
    ("leaf", "score_of"),
    [
        ("optimizer.lr", by_rate),
        ("network.dropout", lambda v: v["network.dropout"]),
        ("batch_size", lambda v: -v["batch_size"]),
        ("network.hidden_sizes", lambda v: float(v["network.hidden_sizes"] == (32, 32))),
        ("clipping.norm", lambda v: float(v["clipping.norm"] is None)),
    ],
)
@pytest.mark.parametrize("n", [60, 300])
def test_c6_the_leaf_that_a_score_depends_on_gets_nearly_everything(tmp_path, leaf, score_of, n):
    found = importance(made_up(tmp_path, score_of, n))
    assert set(found.shares) == set(SPACE)
    assert sum(found.shares.values()) == pytest.approx(1)
    assert next(iter(found.shares)) == leaf
    assert found.shares[leaf] > 0.75
    assert (found.epoch, found.trials, found.reason) == (6, n, "")
    assert list(found.shares.values()) == sorted(found.shares.values(), reverse=True)


def test_c6_of_two_leaves_the_one_that_moves_the_score_more_comes_first(tmp_path):
    def score_of(values):
        return 3 * by_rate(values) - 10 * values["network.dropout"] ** 2

    shares = importance(made_up(tmp_path, score_of, 300)).shares
    assert list(shares)[:2] == ["optimizer.lr", "network.dropout"]
    assert shares["optimizer.lr"] > 1.5 * shares["network.dropout"] > 3 * shares["batch_size"]


def test_c6_where_smaller_is_better_the_shares_are_the_same(tmp_path):
    upward = importance(made_up(tmp_path, by_rate, 40)).shares
    downward = importance(made_up(tmp_path, lambda v: -by_rate(v), 40, metric="rmse")).shares
    assert upward == downward


def test_c6_trials_are_compared_at_the_last_epoch_that_all_have(tmp_path):
    """At epoch 2 the learning rate decides, at the end dropout; those that were stopped have only epoch 2."""
    random = np.random.default_rng(0)
    trials = []
    for i in range(60):
        values = drawn(SPACE, random)
        early, late = by_rate(values), values["network.dropout"]
        curve = (EpochPoint(1, 0.1, 0.1, 0.0), EpochPoint(2, 0.1, 0.1, early), EpochPoint(6, 0.1, 0.1, late))
        trial = dataclasses.replace(trial_of(i, values, 0.0), curve=curve)
        stopped = dataclasses.replace(trial, curve=curve[:2], status=TrialStatus.PRUNED)
        trials.append((trial, stopped if i % 2 else trial))
    with_stopped = importance(round_of(tmp_path, [one for _, one in trials]))
    assert with_stopped.epoch == 2
    assert next(iter(with_stopped.shares)) == "optimizer.lr"
    to_the_end = importance(round_of(tmp_path, [one for one, _ in trials]))
    assert to_the_end.epoch == 6
    assert next(iter(to_the_end.shares)) == "network.dropout"


def test_c6_divergence_counts_as_worst_and_a_crash_as_nothing(tmp_path):
    random = np.random.default_rng(0)
    trials = []
    for i in range(60):
        values = drawn(SPACE, random)
        status = TrialStatus.DIVERGED if values["optimizer.lr"] > 1e-2 else TrialStatus.COMPLETED
        score = math.nan if status is TrialStatus.DIVERGED else random.uniform()
        trials.append(trial_of(i, values, score, status=status, epochs=1 if status is TrialStatus.DIVERGED else 6))
    crashed = dataclasses.replace(trials[0], status=TrialStatus.FAILED, curve=())
    found = importance(round_of(tmp_path, [*trials, crashed]))
    assert next(iter(found.shares)) == "optimizer.lr"
    assert found.trials == 60


def test_c6_a_leaf_that_belongs_to_a_choice_is_weighed_among_those_that_have_it(tmp_path):
    space = {
        "optimizer.name": Choices(("sgd", "momentum")),
        "optimizer.momentum": NumericRange(0.0, 0.99),
        "network.dropout": NumericRange(0.0, 0.5),
        "optimizer.rho": NumericRange(0.5, 0.9),  # Of an optimiser that is not there: no trial has it.
    }
    random = np.random.default_rng(0)
    trials = []
    for i in range(200):
        values = drawn(space, random)
        del values["optimizer.rho"]
        if values["optimizer.name"] == "sgd":
            del values["optimizer.momentum"]
        trials.append(trial_of(i, values, values.get("optimizer.momentum", 0.4)))
    shares = importance(round_of(tmp_path, trials, space)).shares
    assert shares["optimizer.momentum"] > shares["optimizer.name"] > shares["network.dropout"]
    assert shares["optimizer.rho"] == 0
    assert sum(shares.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("n", "score_of", "space", "reason"),
    [
        (0, by_rate, SPACE, "of 0 trials can be compared"),
        (FEWEST_TRIALS - 1, by_rate, SPACE, "9 of 9 trials can be compared, and it takes 10 to tell"),
        (40, lambda v: 0.5, SPACE, "all 40 trials have the same score at epoch 6"),
        (
            40,
            lambda v: float(np.random.default_rng(1).uniform()),
            {"optimizer.lr": NumericRange(0.1, 0.1)},
            "all 40 trials have the same score",
        ),
        (40, lambda v: math.nan, SPACE, "0 of 40 trials can be compared"),
    ],
)
def test_c6_without_an_answer_it_says_why(tmp_path, n, score_of, space, reason):
    found = importance(made_up(tmp_path, score_of, n, space=space))
    assert reason in found.reason
    assert found.shares == {}


def test_c6_ranges_of_one_value_have_no_share(tmp_path):
    random = np.random.default_rng(0)
    space = {"optimizer.lr": NumericRange(0.1, 0.1), "network.hidden_sizes": Choices(((16,),))}
    trials = [trial_of(i, drawn(space, random), random.uniform()) for i in range(40)]
    assert importance(round_of(tmp_path, trials, space)).reason == "the best trials have the same values as the others"
    all_broken = [dataclasses.replace(t, status=TrialStatus.DIVERGED) for t in trials]
    assert "0 of 40 trials" in importance(round_of(tmp_path, all_broken, space)).reason


def test_c6_all_kinds_of_ranges_can_be_weighed(tmp_path):
    space = SPACE | {
        "network.dropconnect": NumericRange(0.0, 0.4, step=0.1),
        "schedule.warmup": NumericRange(0, 4, integer=True, step=2),
    }
    random = np.random.default_rng(0)
    trials = []
    for i in range(40):
        values = drawn(space, random)
        values |= {"network.dropconnect": round(random.integers(5) * 0.1, 1), "schedule.warmup": random.integers(3) * 2}
        if i == 0:  # The config's own trial, whose values need not lie on the steps.
            values |= {"network.dropconnect": 0.27, "schedule.warmup": 1}
        trials.append(trial_of(i, values, -values["network.dropconnect"]))
    assert next(iter(importance(round_of(tmp_path, trials, space)).shares)) == "network.dropconnect"


@pytest.mark.parametrize(("low", "high", "step"), [(0.0, 0.3, 0.1), (0.1, 0.7, 0.2), (0.0, 0.4, 0.1), (-0.3, 0.3, 0.1)])
def test_c9_values_of_a_range_with_a_step_are_weighed_whatever_rounding_made_of_them(low, high, step):
    range_ = NumericRange(low, high, step=step)
    # 0.30000000000000004 is what an earlier version wrote down for three steps.
    for value in (low, high, low + range_.n_steps * step, low + step / 3):
        encoded = to_optuna(range_, value)
        assert distribution_of(range_)._contains(encoded)
    assert to_optuna(range_, low + range_.n_steps * step) == range_.at_step(range_.n_steps)
