"""C2: several brackets decide as Ray Tune's do, and a trial's bracket is the same whoever asks."""

from __future__ import annotations

import math
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ray.tune.schedulers import TrialScheduler
from ray.tune.schedulers.async_hyperband import AsyncHyperBandScheduler

from search_service.folder import layout
from search_service.recipe.planned_rounds import expected_epochs
from search_service.recipe.planning import plan as planned
from search_service.records.rounds import TrialStatus
from search_service.runners.inline import InlineRunner
from search_service.spec.study_spec import parse
from tests.plans import brackets_of, make_plan

# Rungs at 2, 4, 8, 16 and 4, 8, 16 and 8, 16.
LONG = {"brackets": 3, "grace_period": 2, "max_epochs": 32, "reduction_factor": 2.0, "rung_spacing": 2.0}


def tunes(plan):
    """Ray Tune's scheduler with as many brackets."""
    return AsyncHyperBandScheduler(
        time_attr="epoch",
        metric="score",
        mode="max",
        max_t=plan.limits.max_epochs,
        grace_period=plan.asha.grace_period,
        reduction_factor=plan.asha.reduction_factor,
        brackets=plan.asha.brackets,
    )


@settings(max_examples=100)
@given(
    grace_period=st.integers(1, 3),
    # Whole: Tune's rungs may lie between epochs, ours are rounded.
    reduction_factor=st.sampled_from([2.0, 3.0, 4.0]),
    max_epochs=st.integers(5, 100),
    brackets=st.integers(1, 4),
    scores=st.lists(st.lists(st.integers(0, 20), min_size=6, max_size=6), min_size=1, max_size=30),
    order=st.randoms(use_true_random=False),
)
def test_c2_decisions_equal_those_of_ray_tunes_brackets(
    tmp_path_factory, grace_period, reduction_factor, max_epochs, brackets, scores, order
):
    plan = make_plan(
        tmp_path_factory.getbasetemp(),
        grace_period=grace_period,
        reduction_factor=reduction_factor,
        rung_spacing=reduction_factor,
        max_epochs=max_epochs,
        brackets=brackets,
    )
    ours, oracle = brackets_of(plan), tunes(plan)
    trials = {f"t{i}": SimpleNamespace(trial_id=f"t{i}") for i in range(len(scores))}
    for name in trials:
        # Which bracket is ours to say; what it then does is Tune's.
        oracle._trial_info[name] = oracle._brackets[ours.bracket_of(name)]
    at = dict.fromkeys(trials, 0)
    while at:
        trial = order.choice(sorted(at))
        if at[trial] >= len(ours.rungs):
            del at[trial]
            continue
        rung, score = ours.rungs[at[trial]], float(scores[int(trial[1:])][min(at[trial], 5)])
        goes_on = trial in ours.report(rung, {trial: score})
        decision = oracle.on_trial_result(None, trials[trial], {"epoch": rung, "score": score})
        assert goes_on == (decision == TrialScheduler.CONTINUE)
        at[trial] += 1
        if not goes_on:
            del at[trial]


def test_c2_brackets_get_the_shares_that_tune_gives_them(tmp_path):
    plan = make_plan(tmp_path, **LONG)
    sizes = np.array([len(bracket._rungs) for bracket in tunes(plan)._brackets])
    expected = np.exp(sizes - sizes.max()) / np.exp(sizes - sizes.max()).sum()
    found = Counter(brackets_of(plan).bracket_of(f"r1-{i:03d}") for i in range(2_000))
    # Four standard errors of a share of 2 000.
    assert [found[i] / 2_000 for i in range(3)] == pytest.approx(expected, abs=4 * math.sqrt(0.25 / 2_000))


def test_c2_a_trial_is_judged_in_its_own_bracket_and_a_score_that_is_not_finite_everywhere(tmp_path):
    brackets = brackets_of(make_plan(tmp_path, **LONG))
    names = [f"r1-{i:03d}" for i in range(40)]
    first = [name for name in names if brackets.bracket_of(name) == 0]
    later = [name for name in names if brackets.bracket_of(name) > 0]
    assert brackets.rungs == (2, 4, 8, 16)
    go_on = brackets.report(2, {name: float(i) for i, name in enumerate(names)})
    assert set(later) <= go_on
    assert 0 < len(go_on & set(first)) < len(first)
    assert brackets.report(2, {later[0]: math.nan}) == set()


def test_d6_every_bracket_says_again_what_it_said(tmp_path):
    plan = make_plan(tmp_path, **LONG)
    scores = {f"r1-{i:03d}": float(i) for i in range(40)}
    before = brackets_of(plan, tmp_path)
    said = {rung: before.report(rung, scores) for rung in before.rungs}
    assert {path.name for path in tmp_path.glob("rungs*.jsonl")} == {layout.rungs(i) for i in range(3)}
    again = brackets_of(plan, tmp_path)
    # Other scores now: what was said stands.
    assert {rung: again.report(rung, dict.fromkeys(scores, 1.0)) for rung in again.rungs} == said


@pytest.mark.parametrize("population_size", [1, 3])
def test_c2_trials_of_a_round_end_at_a_rung_of_their_bracket(population_size, digits, tmp_path):
    changes = {"brackets": 2, "max_trials": 12, "grace_period": 1, "max_epochs": 6, "population_size": population_size}
    plan = make_plan(tmp_path, **changes)
    assert plan.rungs == (1, 3)
    result = InlineRunner().run_round(plan, digits[0], lambda _: None)
    brackets = brackets_of(plan)
    stopped = [trial for trial in result.trials if trial.status is TrialStatus.PRUNED]
    assert {brackets.bracket_of(trial.trial_id) for trial in result.trials} == {0, 1}
    assert stopped
    assert all(trial.epochs in ((1, 3), (3,))[brackets.bracket_of(trial.trial_id)] for trial in stopped)


def test_c2_a_plan_expects_the_mean_of_the_brackets():
    search = {"brackets": 2, "reduction_factor": 3, "rung_spacing": 3, "grace_period": 3}
    search |= {"coarse": {"max_trials": 10, "max_epochs": 27}}
    spec = parse({"name": "x", "data": {"source": "wine"}, "search": search})
    coarse = planned(spec, concurrency=1).rounds[0]
    share = 1 / (1 + math.e)
    expected = (1 - share) * expected_epochs((3, 9), 27, 3) + share * expected_epochs((9,), 27, 3)
    assert coarse.rungs == (3, 9)
    assert coarse.epochs_expected == pytest.approx(10 * expected)
