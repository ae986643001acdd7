"""C4, E3: what fits into a study's minutes, by what things cost: against sums by hand, and for all paces and times."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_service.recipe.asked import FEWEST_TRIALS, LENGTHS, AskedSize
from search_service.recipe.budgeting import LAST_SHARE, MOST_REFINED, least_seconds, size
from search_service.recipe.costs import Costs, LastActSize
from search_service.spec.sections import SearchSpec
from search_service.spec.study_spec import StudySpec
from trainables.data.config import DataConfig


def asked(search=None, finalists=None, model=None) -> AskedSize:
    sections = {"search": search or {}, "finalists": finalists or {}, "model": model or {}}
    return AskedSize.of(StudySpec(name="x", data=DataConfig(source="digits"), **sections))


def costs(epoch=0.1, slots=2, baselines=5.0) -> Costs:
    """As of networks that cost the same in rounds and last act."""
    return Costs(epoch, slots * epoch, slots * epoch, baselines, slots)


def test_e3_seconds_of_a_last_act_by_hand():
    # 3 × 2 networks of 10 epochs at 0.2 s, on 2 workers of which one waits 15 % of the time.
    act = LastActSize(top=3, seeds=2, folds=0, epochs=10)
    assert act.seconds_of_finalists(costs()) == pytest.approx(1.15 * 6 * 10 * 0.2 / 2)
    # The length is tried by 2 networks for 6 of 10 epochs, beside 5 s of simpler models; then 10 epochs alone.
    assert act.seconds_after(costs()) == pytest.approx((2 * 6 * 0.2 + 5.0) / 2 + 10 * 0.2)
    assert LastActSize(3, 2, 4, 10).seconds_of_finalists(costs()) == pytest.approx(
        5 * act.seconds_of_finalists(costs())
    )
    without = LastActSize(3, 2, 0, 10, refit=False, length=False, baselines=False)
    assert without.seconds(costs()) == without.seconds_of_finalists(costs())


def test_e3_seconds_of_the_rounds_by_hand():
    """Without early stopping, n trials of E epochs cost n · E epochs."""
    found = size(100.0, costs(), asked({"early_stopping": False}))
    for round_ in (found.coarse, found.refined):
        assert round_.seconds == pytest.approx(round_.trials * round_.epochs * 0.1)
    assert found.seconds_of_last == pytest.approx(found.last.seconds(costs()))


@settings(max_examples=60)
@given(st.floats(5.0, 5_000.0), st.floats(1e-3, 10.0), st.integers(1, 16), st.booleans())
def test_e3_what_is_said_to_fit_fits_and_what_does_not_is_the_least(seconds, epoch, slots, with_coarse):
    found = size(seconds, costs(epoch, slots), asked(), with_coarse=with_coarse)
    assert (found.coarse is not None) == with_coarse
    if found.fits:
        assert found.seconds <= seconds * (1 + 1e-9)
    else:
        assert found.refined.trials == FEWEST_TRIALS
        assert found.left_out
    if found.refined.epochs > LENGTHS[-1]:
        assert found.seconds_of_last <= LAST_SHARE * seconds
    assert found.refined.epochs == found.last.epochs


@settings(max_examples=40)
@given(st.floats(20.0, 2_000.0), st.floats(1e-3, 1.0))
def test_e3_twice_the_time_is_never_used_for_shorter_trainings(seconds, epoch):
    less, more = (size(time, costs(epoch), asked()) for time in (seconds, 2 * seconds))
    assert more.refined.epochs >= less.refined.epochs
    assert more.fits or not less.fits


def test_e3_a_quick_table_gets_long_trainings_a_slow_one_short_ones_and_says_what_is_left_out():
    quick, slow = size(300.0, costs(0.002), asked()), size(120.0, costs(0.5), asked())
    assert (quick.refined.epochs, quick.refined.trials) == (LENGTHS[0], MOST_REFINED)
    assert (quick.last.top, quick.last.seeds, quick.left_out) == (3, 5, ())
    assert slow.refined.epochs < 10
    assert any("seeds" in text for text in slow.left_out)
    poor = size(30.0, costs(3.0), asked())
    assert not poor.fits
    assert {"no refit", "no simpler models"} <= set(poor.left_out)


def test_e3_what_the_config_says_holds_and_the_rest_follows():
    given_ = asked(
        {"coarse": {"max_epochs": 5}, "refined": {"max_epochs": 20}},
        {"top": 2, "seeds": 4, "folds": 3},
        {"refit": False},
    )
    for seconds in (60.0, 600.0):
        found = size(seconds, costs(0.02), given_)
        assert (found.coarse.epochs, found.refined.epochs) == (5, 20)
        assert (found.last.top, found.last.seeds, found.last.folds, found.last.refit) == (2, 4, 3, False)
    # Defaults that nobody has written are nothing that was asked for.
    assert asked().refined_epochs is None
    assert asked().top is None


def test_e3_later_cycles_train_no_shorter_than_those_before():
    epochs = [size(40.0, costs(), AskedSize(SearchSpec(), least_epochs=least)).refined.epochs for least in (1, 18, 45)]
    assert epochs == sorted(epochs)
    assert epochs[-1] >= 45


def test_e3_every_point_to_try_has_its_trial():
    points = tuple({"optimizer.lr": 10.0**-power} for power in range(1, 8))
    found = size(1.0, costs(), asked({"points_to_evaluate": points}))
    assert found.coarse.trials > len(points)


def test_e3_the_least_is_less_than_anything_that_fits():
    for epoch, slots in itertools.product((0.01, 0.3), (1, 4)):
        least = least_seconds(costs(epoch, slots), asked())
        assert math.isfinite(least)
        assert size(1.01 * least, costs(epoch, slots), asked()).fits
        assert not size(0.9 * least, costs(epoch, slots), asked()).fits


@settings(max_examples=60)
@given(st.floats(1.0, 5_000.0), st.floats(1e-3, 10.0), st.tuples(*[st.integers(1, 60)] * 2), st.integers(1, 12))
def test_21_under_a_budget_nothing_is_more_than_the_config_says(seconds, epoch, trials, seeds):
    data, (coarse, refined) = DataConfig(source="digits"), trials
    search = {"coarse": {"max_trials": coarse, "max_epochs": 5}, "refined": {"max_trials": refined, "max_epochs": 20}}
    spec = StudySpec(name="x", data=data, search=search, finalists={"top": 4, "seeds": seeds})
    found = size(seconds, costs(epoch), AskedSize.at_most(spec))
    assert found.coarse.epochs <= min(5, found.refined.epochs)
    assert found.refined.epochs == found.last.epochs <= 20
    assert 1 <= found.coarse.trials <= coarse
    assert 1 <= found.refined.trials <= refined
    assert 1 <= found.last.top <= 4
    assert 1 <= found.last.seeds <= seeds
    if found.fits:
        assert found.seconds <= seconds * (1 + 1e-9)


def test_21_with_time_for_all_of_it_a_budget_takes_nothing_away():
    data = DataConfig(source="digits")
    spec = StudySpec(name="x", data=data, finalists={"top": 4, "seeds": 7})
    found = size(1e6, costs(), AskedSize.at_most(spec))
    assert found.fits
    assert not found.left_out
    assert found.coarse.trials == spec.search.coarse.max_trials
    assert found.refined.trials == spec.search.refined.max_trials
    assert (found.coarse.epochs, found.refined.epochs) == (
        spec.search.coarse.max_epochs,
        spec.search.refined.max_epochs,
    )
    assert (found.last.top, found.last.seeds) == (4, 7)


def test_21_trainings_are_shortened_where_a_dozen_of_them_would_not_fit_into_a_budget():
    data = DataConfig(source="digits")
    search = {"coarse": {"max_epochs": 12}, "refined": {"max_trials": 40, "max_epochs": 60}}
    asked_ = AskedSize.at_most(StudySpec(name="x", data=data, search=search))
    whole, short = (size(seconds, costs(0.2), asked_) for seconds in (3600.0, 120.0))
    assert (whole.coarse.epochs, whole.refined.epochs) == (12, 60)
    assert short.refined.epochs < 60
    assert short.coarse.epochs == max(3, round(short.refined.epochs / 5))
    assert short.fits
    assert short.refined.trials >= 12
