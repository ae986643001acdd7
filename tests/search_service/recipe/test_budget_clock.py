"""21: ``search.time_budget_s`` bounds all of a study; with ample time it changes nothing."""

from __future__ import annotations

import dataclasses
import json
import time

import numpy as np
import pytest

from search_service import wiring
from search_service.errors import CheckFailedError
from search_service.folder import layout
from search_service.folder.study_folder import StudyFolder
from search_service.recipe.budget_clock import BudgetClock
from search_service.recipe.clock import Minutes, Sized
from search_service.recipe.costs import Costs
from search_service.recipe.last_act import LastAct, LastActInMinutes
from search_service.recipe.more_clock import MoreMinutesClock, clock_for
from search_service.recipe.rounds import Place
from search_service.records.results import StudyStatus
from search_service.runners.inline import InlineRunner
from search_service.settings import Settings
from search_service.spec.study_spec import parse
from search_service.study import run_study

SPEC = {
    "name": "bounded",
    "data": {"source": "wine"},
    "trial": {"network": {"hidden_sizes": [8]}, "optimizer": {"lr": 0.01}, "batch_size": 16},
    "search_space": {"optimizer.weight_decay": {"low": 1e-3, "high": 1.0, "log": True}},
    "finalists": {"top": 2, "seeds": 3, "baselines": False},
}
SMALL = {"sampler": "random", "max_cycles": 1, "coarse": {"max_trials": 4, "max_epochs": 3}}
SMALL |= {"refined": {"max_trials": 4, "max_epochs": 6}, "population_size": 2}
# Rounds of an hour.
LARGE = {"max_cycles": 9, "coarse": {"max_trials": 4000, "max_epochs": 20}}
LARGE |= {"refined": {"max_trials": 2000, "max_epochs": 40}}


def spec_with(search):
    return parse(SPEC | {"search": search})


def clock_of(search, folder, seconds, costs, monkeypatch) -> tuple[BudgetClock, Place]:
    """A clock that has measured such costs, and where it decides."""
    study = wiring.prepare(spec_with(search | {"time_budget_s": seconds}))
    clock = clock_for(study.spec, Minutes(seconds, time.monotonic()), StudyFolder(folder))
    assert type(clock) is BudgetClock
    monkeypatch.setattr(clock, "_first_costs", lambda place, space: costs)
    return clock, Place(study.spec, study.dataset, InlineRunner(), lambda event: None, folder, None)


def run(spec, folder, seconds):
    study, minutes = wiring.prepare(spec), None if seconds is None else Minutes(seconds, time.monotonic())
    return run_study(
        study.spec, study.table, InlineRunner(), lambda event: None, study_id="a-study", folder=folder, versions={},
        minutes=minutes,
    )  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def bounded(home):
    study = wiring.prepare(spec_with(LARGE | {"time_budget_s": 8}))
    return wiring.run(study, settings=Settings(home=home), runner="inline", record=False)


def test_21_rounds_of_an_hour_end_in_seconds_with_finalists_and_a_model(bounded):
    result = bounded.result
    assert result.status is StudyStatus.COMPLETED, result.reason
    assert "model" in bounded.places
    coarse, refined = result.rounds[:2]
    assert 0 < len(coarse.trials) < 4000
    assert len(refined.trials) < 2000
    assert coarse.plan.limits.max_epochs <= 20
    assert refined.plan.limits.max_epochs <= 40
    assert "share of the time budget is spent" in coarse.stop_reason
    assert len(result.finalists.finalists) <= 2
    assert all(len(each.seeds) <= 3 for each in result.finalists.finalists)
    # How busy the machine is meanwhile is another matter: against hanging only.
    assert result.seconds < 8 + 120


def test_21_what_was_decided_by_the_budget_is_said(bounded, home):
    file = home / "studies" / bounded.result.study_id / layout.EVENTS
    events = [json.loads(line) for line in file.open()]
    said = next(event["decided"] for event in events if event["type"] == "round_started")
    assert any(sentence.startswith("by the time budget (8 s): about ") for sentence in said), said


def test_21_with_ample_time_the_study_is_the_one_without_a_budget(tmp_path):
    """To the last bit, and nothing is said of time."""
    results = []
    for name, seconds in (("free", None), ("bounded", 36_000.0)):
        (tmp_path / name).mkdir()
        search = SMALL if seconds is None else SMALL | {"time_budget_s": seconds}
        results.append(run(spec_with(search), tmp_path / name, seconds))
    free, bounded = results
    for one, other in zip(free.rounds, bounded.rounds, strict=True):
        assert [trial.values for trial in one.trials] == [trial.values for trial in other.trials]
        assert [trial.curve for trial in one.trials] == [trial.curve for trial in other.trials]
    assert free.finalists.winner.scores == bounded.finalists.winner.scores
    assert np.array_equal(free.finalists.test_scores, bounded.finalists.test_scores)
    assert free.decisions == bounded.decisions
    assert free.finalists.rule == bounded.finalists.rule


def test_21_each_round_leaves_time_for_what_follows(tmp_path, monkeypatch):
    """With 1 000 s for rounds of an hour."""
    costs = Costs(epoch=0.5, network_epoch=0.5, single_epoch=0.5, baselines=0.0, slots=1)
    clock, place = clock_of(LARGE, tmp_path, 1000.0, costs, monkeypatch)
    began = time.monotonic()
    coarse = clock.coarse(place, place.spec.space())
    assert coarse.spec.search.coarse.max_trials == 4000
    assert coarse.deadline_of == "budget"
    sizing = StudyFolder(tmp_path).read("minutes-1", Sized).sizing
    until = coarse.deadline - began
    assert 0 < until < 1000 - sizing.refined.seconds - sizing.seconds_of_last
    assert clock.deciding(place).deadline == pytest.approx(began + 1000, abs=5)


def test_21_rounds_that_are_small_have_all_the_time_that_there_is(tmp_path, monkeypatch):
    """Nothing of a budget is kept for more trials than the config has."""
    costs = Costs(epoch=0.01, network_epoch=0.01, single_epoch=0.01, baselines=0.0, slots=1)
    clock, place = clock_of(SMALL, tmp_path, 1000.0, costs, monkeypatch)
    coarse = clock.coarse(place, place.spec.space())
    assert coarse.sentences == ()
    assert coarse.deadline - time.monotonic() > 950
    sizing = StudyFolder(tmp_path).read("minutes-1", Sized).sizing
    assert (sizing.coarse.trials, sizing.refined.trials) == (4, 4)
    assert (sizing.last.top, sizing.last.seeds) == (2, 3)


@pytest.mark.parametrize(("seconds", "whole"), [(36_000.0, True), (20.0, False)])
def test_21_the_last_act_goes_by_the_clock_where_time_is_short(seconds, whole, tmp_path, monkeypatch):
    costs = Costs(epoch=0.5, network_epoch=0.5, single_epoch=0.5, baselines=0.0, slots=1)
    clock, place = clock_of(SMALL, tmp_path, seconds, costs, monkeypatch)
    monkeypatch.setattr(clock, "_costs_after", lambda *_: costs)
    free = run(spec_with(SMALL), tmp_path, None)
    place.rounds.extend(free.rounds)
    after, act = clock.last_act(place)
    assert type(act) is (LastAct if whole else LastActInMinutes)
    assert after.spec.finalists.seeds == (3 if whole else 2)
    assert after.spec.finalists.top <= 2


def test_21_whether_another_cycle_is_worth_it_is_for_step_6_unless_there_is_no_time(tmp_path, monkeypatch):
    free = run(spec_with(SMALL), tmp_path, None)
    for seconds, epoch, fits in ((36_000.0, 0.01, None), (100.0, 10.0, False)):
        costs = Costs(epoch, epoch, epoch, baselines=0.0, slots=1)
        clock, place = clock_of(SMALL | {"max_cycles": 3}, tmp_path, seconds, costs, monkeypatch)
        monkeypatch.setattr(clock, "_costs_after", lambda *_, costs=costs: costs)
        place.rounds.extend(free.rounds)
        assert clock.another_fits(place) is fits


def test_21_a_round_that_an_earlier_version_has_begun_knows_of_no_share(tmp_path, monkeypatch):
    costs = Costs(epoch=0.5, network_epoch=0.5, single_epoch=0.5, baselines=0.0, slots=1)
    clock, place = clock_of(LARGE, tmp_path, 1000.0, costs, monkeypatch)
    round_ = layout.round_folder(tmp_path, 1)
    round_.mkdir()
    (round_ / layout.PLAN).write_text("{}")
    at = clock.coarse(place, place.spec.space())
    assert (at.deadline_of, at.sentences) == ("study", ())
    assert at.deadline == pytest.approx(time.monotonic() + 1000, abs=5)
    assert StudyFolder(tmp_path).read("minutes-1", Sized) is None


def test_21_a_budget_that_the_least_study_takes_many_times_is_refused_with_what_is_enough(tmp_path, monkeypatch):
    slow = Costs(epoch=100.0, network_epoch=100.0, single_epoch=100.0, baselines=0.0, slots=1)
    clock, place = clock_of(SMALL, tmp_path, 120.0, slow, monkeypatch)
    with pytest.raises(CheckFailedError, match=r"search.time_budget_s: 120 is too little .* 3 epochs") as said:
        clock.coarse(place, place.spec.space())
    # What it says is enough, if it is given.
    least = float(str(said.value).split("take about ")[1].split(" s")[0])
    enough, place = clock_of(SMALL, tmp_path, least, slow, monkeypatch)
    assert dataclasses.is_dataclass(enough.coarse(place, place.spec.space()))


def test_21_minutes_more_train_as_long_as_the_budget_had_time_for_and_not_as_the_config_says(tmp_path, monkeypatch):
    """Forty epochs would not fit in; nine were trained."""
    spec = spec_with(LARGE | {"time_budget_s": 60})
    short = spec_with(SMALL | {"refined": {"max_trials": 4, "max_epochs": 9}})
    place = Place(spec, wiring.prepare(spec).dataset, InlineRunner(), lambda event: None, tmp_path, None)
    # That of the study which goes on is another folder, in which nothing has ended.
    (tmp_path / "first").mkdir()
    place.rounds.extend(run(short, tmp_path / "first", None).rounds)
    costs = Costs(epoch=0.2, network_epoch=0.2, single_epoch=0.2, baselines=0.0, slots=1)
    more = MoreMinutesClock(spec, Minutes(90.0, time.monotonic(), spent_s=30.0), StudyFolder(tmp_path))
    monkeypatch.setattr(more, "_costs_after", lambda *_: costs)
    coarse = more.coarse(place, spec.space())
    sizing = StudyFolder(tmp_path).read("minutes-3", Sized).sizing
    assert sizing.fits
    assert 9 <= sizing.refined.epochs < 40
    assert coarse.spec.search.coarse.max_epochs <= sizing.refined.epochs
