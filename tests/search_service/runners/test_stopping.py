"""C4: what ends a round and a study, said in a sentence; what is under way is finished, nothing is half recorded."""

from __future__ import annotations

import dataclasses
import json
import time
from itertools import accumulate

import pytest

from search_service import wiring
from search_service.records.results import StudyStatus
from search_service.records.rounds import TrialResult, TrialStatus
from search_service.runners.inline import InlineRunner
from search_service.runners.stopping import StoppingRules
from search_service.spec.study_spec import parse
from search_service.study import run_study
from tests.plans import make_plan, plain
from tests.search_service.test_study import SMALL
from trainables.records import EpochPoint

NOW = {"asked": 1, "epochs": 0, "seconds": 0.0}


def ended(score: float, status: TrialStatus = TrialStatus.COMPLETED) -> TrialResult:
    curve = (EpochPoint(1, 1.0, 1.0, score),)
    return TrialResult("t", 0, plain(), {}, status, "", curve, "accuracy")


def rules(folder, *scores, at_s=(), **plan) -> StoppingRules:
    told = StoppingRules(make_plan(folder, max_trials=99, **plan))
    for i, score in enumerate(scores):
        told.note(score if isinstance(score, TrialResult) else ended(score), at_s[i] if at_s else 0.0)
    return told


def test_c4_patience_counts_trials_since_the_best_score(tmp_path):
    assert rules(tmp_path, 0.5, 0.4, 0.3, patience_trials=3).why(**NOW) == ""
    told = rules(tmp_path, 0.5, 0.4, 0.3, 0.5, patience_trials=3).why(**NOW)
    assert told == "no better accuracy than 0.5 for 3 trials (patience: 3)"
    assert rules(tmp_path, 0.5, 0.4, 0.3, 0.6, patience_trials=3).why(**NOW) == ""
    # What diverged has no score that counts, and was a try.
    diverged = ended(0.99, TrialStatus.DIVERGED)
    assert "no better accuracy than 0.5" in rules(tmp_path, 0.5, diverged, diverged, patience_trials=2).why(**NOW)
    assert "no score for 2 trials" in rules(tmp_path, diverged, diverged, patience_trials=2).why(**NOW)
    # Smaller is better for errors.
    assert rules(tmp_path, 5.0, 4.0, 3.0, patience_trials=1, metric="rmse").why(**NOW) == ""


def test_c4_patience_counts_minutes_since_the_best_score(tmp_path):
    told = rules(tmp_path, 0.5, 0.4, at_s=(60.0, 100.0), patience_minutes=2.0)
    assert told.why(**NOW | {"seconds": 179.0}) == ""
    assert told.why(**NOW | {"seconds": 180.0}) == "no better accuracy than 0.5 for 2 minutes (patience: 2)"
    assert "no score for 2 minutes" in rules(tmp_path, patience_minutes=2.0).why(**NOW | {"seconds": 120.0})


def test_c4_each_rule_says_what_it_is(tmp_path):
    assert rules(tmp_path).why(**NOW) == ""
    assert rules(tmp_path).why(**NOW | {"asked": 99}) == "all 99 trials done"
    assert rules(tmp_path, deadline=time.monotonic() + 60).why(**NOW) == ""
    assert rules(tmp_path, deadline=time.monotonic()).why(**NOW) == "the time budget is spent"
    of_round = rules(tmp_path, deadline=time.monotonic(), deadline_of="round")
    assert of_round.why(**NOW) == "the round's share of the minutes is spent"
    of_budget = rules(tmp_path, deadline=time.monotonic(), deadline_of="budget")
    assert of_budget.why(**NOW) == "the round's share of the time budget is spent"
    # Nothing could follow on a first round without a trial.
    assert of_round.why(**NOW | {"asked": 0}) == ""
    assert rules(tmp_path, stop_file=tmp_path / "stop").why(**NOW) == ""
    (tmp_path / "stop").touch()
    assert rules(tmp_path, stop_file=tmp_path / "stop").why(**NOW) == "a stop was requested"
    assert rules(tmp_path, epochs_left=5).why(**NOW | {"epochs": 4}) == ""
    assert "(5 here, where 5 were left)" in rules(tmp_path, epochs_left=5).why(**NOW | {"epochs": 5})
    assert "(0 here, where 0 were left)" in rules(tmp_path, epochs_left=-3).why(**NOW)
    assert rules(tmp_path, 0.9, target=0.9).why(**NOW) == "the target accuracy 0.9 is reached"
    # A trial that was stopped at a rung is no answer yet.
    assert rules(tmp_path, ended(0.95, TrialStatus.PRUNED), target=0.9).why(**NOW) == ""


def journal(folder, name):
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("population", [1, 4])
@pytest.mark.parametrize(
    ("rule", "words"), [({"patience_trials": 4}, "patience: 4"), ({"epochs_left": 20}, "the study's epochs are spent")]
)
def test_c4_a_round_that_a_rule_ends_is_whole(wine, tmp_path, population, rule, words):
    plan = make_plan(tmp_path, max_trials=60, max_epochs=4, population_size=population, sampler="tpe", **rule)
    result = InlineRunner().run_round(plan, wine[0], lambda event: None)
    assert words in result.stop_reason
    assert 4 <= len(result.trials) < 60
    assert len(result.trials) % population == 0
    # Asked ahead of time and never trained: in no journal.
    asked, told = journal(tmp_path, "asked"), journal(tmp_path, "told")
    assert (
        {entry["trial"] for entry in asked} == {entry["trial"] for entry in told} == {t.trial_id for t in result.trials}
    )
    assert all(trial.status is not TrialStatus.RUNNING and trial.curve for trial in result.trials)
    if "epochs_left" in rule:
        # It held before the last cohort was started, and no longer after it.
        per_cohort = [result.trials[i : i + population] for i in range(0, len(result.trials), population)]
        spent = list(accumulate(sum(trial.epochs for trial in cohort) for cohort in per_cohort))
        assert spent[-1] >= 20
        assert all(epochs < 20 for epochs in spent[:-1])
    # Taken up again, it is over and says the same.
    again = InlineRunner().run_round(plan, wine[0], lambda event: None)
    assert again.stop_reason == result.stop_reason
    assert again.trials == result.trials


def test_c4_a_round_that_was_cut_off_ends_by_the_same_rule(wine, tmp_path):
    """The rules look at the journals: a process that takes a round up counts what the one before it has seen."""

    class Killed(BaseException):
        pass

    def plan_in(folder):
        return make_plan(folder, max_trials=60, max_epochs=4, patience_trials=4)

    whole = InlineRunner().run_round(plan_in(tmp_path / "whole"), wine[0], lambda event: None)
    left = 3

    def listen(event):
        nonlocal left
        left -= 1
        if left == 0:
            raise Killed

    with pytest.raises(Killed):
        InlineRunner().run_round(plan_in(tmp_path / "cut"), wine[0], listen)
    rest = InlineRunner().run_round(plan_in(tmp_path / "cut"), wine[0], lambda event: None)
    assert rest.stop_reason == whole.stop_reason
    assert [(t.trial_id, t.curve, t.status) for t in rest.trials] == [
        (t.trial_id, t.curve, t.status) for t in whole.trials
    ]


# ---- whole studies ---------------------------------------------------------------------------------------------


def run(folder, metric="accuracy", **search):
    folder.mkdir(exist_ok=True)
    study = wiring.prepare(parse(SMALL | {"search": SMALL["search"] | search, "objective": {"metric": metric}}))
    return run_study(
        study.spec, study.table, InlineRunner(), lambda event: None, study_id="s", folder=folder, versions={}
    )


def test_c4_the_epochs_of_all_rounds_are_counted_together(tmp_path):
    free = run(tmp_path / "free", max_cycles=2)
    coarse = free.rounds[0].epochs
    bound = run(tmp_path / "bound", max_cycles=2, max_total_epochs=coarse + 3)
    assert bound.status is StudyStatus.COMPLETED
    assert bound.rounds[0].trials == free.rounds[0].trials
    # The refined round starts one trial, whose 6 epochs spend what was left.
    assert [trial.epochs for trial in bound.rounds[1].trials] == [6]
    assert "(6 here, where 3 were left)" in bound.rounds[1].stop_reason
    assert f"the budget of {coarse + 3} epochs is spent ({coarse + 6} were trained)" in bound.reason
    assert len(bound.decisions) == 1


def test_c4_epochs_spent_in_the_coarse_round_leave_its_best_as_the_answer(tmp_path):
    result = run(tmp_path, max_total_epochs=1)
    assert result.status is StudyStatus.COMPLETED
    assert [len(done.trials) for done in result.rounds] == [1, 0]
    assert "the study's epochs are spent" in result.reason
    assert result.finalists.winner.trial_id == "r1-000"


def test_c4_noise_is_measured_once_however_often_a_study_is_taken_up(tmp_path):
    # The loss falls far from one epoch to six, so that there is something to expect of another cycle.
    search = {"max_cycles": 2, "coarse": {"max_trials": 2, "max_epochs": 1}, "metric": "log_loss"}
    result = run(tmp_path, **search)
    noise = tmp_path / "done" / "noise-1.json"
    assert len(json.loads(noise.read_text())["scores"]) == 3
    first = result.decisions[0]
    assert first.noise > 0
    assert first.gain > 0
    # Begun again after a kill before its decision was written: what was measured is read.
    changed = {"trial_id": "r2-000", "scores": [0.0, 0.5, 1.0]}
    noise.write_text(json.dumps(changed))
    (tmp_path / "done" / "decision-1.json").unlink()
    again = run(tmp_path, **search)
    assert again.decisions[0].noise == pytest.approx(2**0.5 * 0.5)
    assert again.decisions[0].stop
    assert json.loads(noise.read_text()) == changed


def test_c4_without_noise_seeds_nothing_is_trained_for_it(tmp_path):
    result = run(tmp_path, "log_loss", max_cycles=2, coarse={"max_trials": 2, "max_epochs": 1}, noise_seeds=0)
    assert not result.decisions[0].stop
    assert not list((tmp_path / "done").glob("noise-*"))


def test_c4_a_study_that_is_asked_to_stop_before_its_search_still_tries_a_cohort(digits, tmp_path):
    """It failed for good, with nothing to hand over, though it had been promised a good end."""
    (tmp_path / "stop").touch()
    plan = make_plan(tmp_path / "round", max_trials=9, population_size=2, max_epochs=2, stop_file=tmp_path / "stop")
    done = InlineRunner().run_round(plan, digits[0], lambda event: None)
    assert (len(done.trials), done.stop_reason) == (2, "a stop was requested")
    later = dataclasses.replace(plan, number=2, folder=tmp_path / "later")
    assert InlineRunner().run_round(later, digits[0], lambda event: None).trials == ()
