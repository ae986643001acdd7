"""A plan that cannot be is refused where it is made, in words that say what is wrong."""

from __future__ import annotations

import pytest

from search_service.records.steps import Step
from tests.plans import make_plan


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_trials", 0),
        ("max_epochs", 0),
        ("patience_trials", 0),
        ("patience_minutes", 0.0),
        ("max_concurrent_trials", 0),
        ("cpus_per_trial", 0),
        ("gpus_per_trial", -1),
        ("population_size", 0),
        ("step", Step.LEARNING_RATES),
        ("grace_period", 0),
    ],
)
def test_a_plan_that_cannot_be_is_refused_where_it_is_made(name, value, tmp_path):
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        make_plan(tmp_path, **{name: value})


def test_rounds_and_cycles_are_counted_from_1(tmp_path):
    for name in ("number", "cycle"):
        with pytest.raises(ValueError, match="counted from 1"):
            make_plan(tmp_path, **{name: 0})


def test_a_budget_of_epochs_may_be_more_than_spent(tmp_path):
    """Trials under way go on beyond it: what is left may be less than nothing."""
    assert make_plan(tmp_path, epochs_left=-3).limits.epochs_left == -3


def test_c2_a_cohort_reports_first_at_the_first_rung_or_at_the_end(tmp_path):
    assert make_plan(tmp_path).first_report == 2
    assert make_plan(tmp_path, grace_period=9).first_report == 6
    assert make_plan(tmp_path, early_stopping=False).first_report == 6
    assert make_plan(tmp_path, early_stopping=False).rungs == ()
