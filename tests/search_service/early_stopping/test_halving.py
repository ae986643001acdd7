"""C2: ASHA against Ray Tune's own scheduler, decision by decision, and what that one lacks."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from search_service.early_stopping.halving import Halving
from search_service.records.asha_rules import AshaRules


class TuneOracle:
    """Ray Tune's ASHA, asked as Tune asks it."""

    def __init__(self, *, grace_period, max_epochs, reduction_factor, mode):
        self._scheduler = ASHAScheduler(
            time_attr="epoch", metric="score", mode=mode, max_t=max_epochs, grace_period=grace_period,
            reduction_factor=reduction_factor,
        )  # fmt: skip
        self._trials: dict[str, SimpleNamespace] = {}

    def report(self, rung, trial, score) -> bool:
        if trial not in self._trials:
            self._trials[trial] = SimpleNamespace(trial_id=trial, last_result=None)
            self._scheduler.on_trial_add(None, self._trials[trial])
        decision = self._scheduler.on_trial_result(None, self._trials[trial], {"epoch": rung, "score": score})
        return decision == TrialScheduler.CONTINUE


@settings(max_examples=200, deadline=None)
@given(
    grace_period=st.integers(1, 4),
    reduction_factor=st.sampled_from([2.0, 3.0, 4.0]),
    max_epochs=st.integers(5, 100),
    mode=st.sampled_from(["max", "min"]),
    scores=st.lists(st.lists(st.integers(0, 20), min_size=6, max_size=6), min_size=1, max_size=30),
    order=st.randoms(use_true_random=False),
)
def test_c2_decisions_equal_ray_tunes(grace_period, reduction_factor, max_epochs, mode, scores, order):
    rules = AshaRules(grace_period, reduction_factor, rung_spacing=reduction_factor)
    ours = Halving(rules, max_epochs=max_epochs, mode=mode)
    oracle = TuneOracle(grace_period=grace_period, max_epochs=max_epochs, reduction_factor=reduction_factor, mode=mode)
    at = {f"t{i}": 0 for i in range(len(scores))}
    while at:
        # Any trial may be the next one to reach its next rung: that is what asynchronous means.
        trial = order.choice(sorted(at))
        rung_index = at[trial]
        if rung_index >= len(ours.rungs):
            del at[trial]
            continue
        rung, score = ours.rungs[rung_index], float(scores[int(trial[1:])][min(rung_index, 5)])
        goes_on = trial in ours.report(rung, {trial: score})
        assert goes_on == oracle.report(rung, trial, score)
        at[trial] += 1
        if not goes_on:
            del at[trial]


def make(*, spacing=3, standing=None, max_epochs=27, **changes):
    rules = AshaRules(grace_period=3, reduction_factor=3, rung_spacing=spacing, standing=standing)
    return Halving(rules, **({"max_epochs": max_epochs, "mode": "max"} | changes))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_c2_a_score_that_is_not_finite_stops_at_once_and_is_no_score_to_compare_with(bad):
    halving = make()
    assert halving.report(3, {"bad": bad}) == set()
    assert halving.report(3, {"only": 0.1}) == {"only"}  # Nobody to compare with.
    assert halving.report(3, {"worse": 0.05}) == set()


def test_members_of_a_cohort_are_judged_against_everyone_else():
    halving = make()
    scores = {f"t{i}": i / 10 for i in range(9)}
    # Among nine, the best third and nobody else.
    assert halving.report(3, scores) == {"t6", "t7", "t8"}
    # The cohort of one is Tune's rule: the cutoff is the 66.7th percentile of the nine, 0.533.
    assert halving.report(3, {"late": 0.52}) == set()
    assert halving.report(3, {"later": 0.55}) == {"later"}


def test_smaller_is_better_when_the_mode_says_so():
    assert make(mode="min").report(3, {"a": 1.0, "b": 2.0, "c": 3.0}) == {"a"}


def test_a_repeated_report_gets_the_answer_it_had():
    halving = make()
    assert halving.report(3, {"a": 0.5}) == {"a"}
    halving.report(3, {f"better{i}": 0.9 for i in range(5)})
    # Asked again it would be stopped now; but it was told to go on, and may have.
    assert halving.report(3, {"a": 0.5}) == {"a"}
    assert halving.report(3, {"a": 0.1}) == {"a"}


def test_d6_rungs_outlive_the_process(tmp_path):
    journal = tmp_path / "rungs.jsonl"
    first = make(journal=journal)
    first.report(3, {"a": 0.9, "b": 0.5, "nan": math.nan})
    with journal.open("a") as file:
        file.write('{"rung": 3, "tri')  # Killed while writing.
    second, reference = make(journal=journal), make()
    reference.report(3, {"a": 0.9, "b": 0.5, "nan": math.nan})
    for trial, score in (("c", 0.7), ("d", 0.95), ("b", 0.99), ("nan", 0.99)):
        assert second.report(3, {trial: score}) == reference.report(3, {trial: score})
    # What was written after the torn line is whole.
    third = make(journal=journal)
    for trial in ("c", "d"):
        assert third.report(3, {trial: 0.0}) == reference.report(3, {trial: 0.0})


def test_c2_who_was_first_at_a_rung_must_still_stand_there_when_the_next_one_comes():
    halving = make(standing=0.5)
    assert halving.report(3, {"lucky": 0.2}) == {"lucky"}
    for i, score in enumerate((0.5, 0.6, 0.7)):
        halving.report(3, {f"better {i}": score})
    # The best of its rung, alone there; at the one before, the worst of four.
    assert halving.report(9, {"lucky": 0.3}) == set()
    assert halving.report(9, {"better 2": 0.9}) == {"better 2"}
    # Ray Tune's rule asks only once.
    tunes = make()
    for trial, score in (("lucky", 0.2), ("better 0", 0.5), ("better 1", 0.6), ("better 2", 0.7)):
        tunes.report(3, {trial: score})
    assert tunes.report(9, {"lucky": 0.3}) == {"lucky"}


def test_c2_of_two_the_worse_is_not_stopped_for_being_so_once_it_is_first_at_a_later_rung():
    """Both of a round's first would be stopped by one another, and nobody trained to the end."""
    halving = make(standing=0.5)
    halving.report(3, {"first": 0.5})
    halving.report(3, {"second": 0.6})
    assert halving.report(9, {"first": 0.9}) == {"first"}
    assert halving.report(9, {"second": 0.8}) == set()


def test_c2_rungs_may_lie_closer_than_the_reduction_factor():
    assert make(spacing=1.6, max_epochs=52).rungs == (3, 5, 8, 12, 20, 31, 50)


def test_c2_standing_outlives_the_process(tmp_path):
    journal = tmp_path / "rungs.jsonl"
    first = make(standing=0.5, journal=journal)
    for trial, score in (("lucky", 0.2), ("better 0", 0.5), ("better 1", 0.6)):
        first.report(3, {trial: score})
    assert make(standing=0.5, journal=journal).report(9, {"lucky": 0.9}) == set()
