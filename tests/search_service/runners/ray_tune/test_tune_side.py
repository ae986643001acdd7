"""D1: which of Tune's trials gets a free worker."""

from __future__ import annotations

import pytest
from ray.tune.experiment import Trial

from search_service.runners.ray_tune.tune_side import DeskScheduler
from search_service.runners.ray_tune.worker import TO_DO, Rest, ToDo

WORK = ToDo("round-1", "cohort-1", b"")


@pytest.fixture
def scheduler():
    return DeskScheduler(desk=None)


def added(scheduler, *to_do) -> list[Trial]:
    """Trials of Tune that wait for a worker."""
    trials = [Trial("worker", config={TO_DO: each}, stub=True) for each in to_do]
    for trial in trials:
        scheduler.on_trial_add(None, trial)
    return trials


def begin(trial):
    trial.set_status(Trial.RUNNING)


def test_d1_work_gets_the_worker_that_was_started_to_wait(scheduler):
    """Work has come before the first workers: the second would have been thrown away, and the first gone on to wait."""
    first, second, work = added(scheduler, Rest(), Rest(), WORK)
    assert scheduler.choose_trial_to_run(None) is work
    # The first worker is there; what it waits for is the work, which has to be begun with it.
    begin(first)
    assert scheduler.choose_trial_to_run(None) is work
    begin(work)
    # The second one's trial is begun by Tune when its worker is there.
    assert scheduler.choose_trial_to_run(None) is None
    assert second.status == Trial.PENDING


def test_d1_of_several_that_have_work_the_first_goes_before_those_that_have_none(scheduler):
    _, first, second, _ = added(scheduler, Rest(), WORK, WORK, Rest())
    assert scheduler.choose_trial_to_run(None) is first
    begin(first)
    assert scheduler.choose_trial_to_run(None) is second


def test_d1_work_whose_own_worker_is_starting_waits_for_it(scheduler):
    """At the end of a round, when nothing else is to be done: or that worker would be thrown away with each round."""
    begun, last = added(scheduler, WORK, WORK)
    begin(begun)
    (rest,) = added(scheduler, Rest())
    assert scheduler.choose_trial_to_run(None) is rest
    assert scheduler.choose_trial_to_run(None) is None
    assert last.status == Trial.PENDING


@pytest.mark.parametrize("to_do", [WORK, Rest()])
def test_d1_among_equals_the_one_that_has_just_come_is_chosen_once(scheduler, to_do):
    """A worker is free because its trial has ended; for those before it, others are starting."""
    before, newest = added(scheduler, to_do, to_do)
    assert scheduler.choose_trial_to_run(None) is newest
    assert scheduler.choose_trial_to_run(None) is None
    begin(newest)
    assert scheduler.choose_trial_to_run(None) is None
    assert before.status == Trial.PENDING
    (again,) = added(scheduler, to_do)
    assert scheduler.choose_trial_to_run(None) is again


def test_d1_nobody_is_chosen_where_nobody_waits(scheduler):
    assert scheduler.choose_trial_to_run(None) is None
    (only,) = added(scheduler, WORK)
    begin(only)
    assert scheduler.choose_trial_to_run(None) is None
