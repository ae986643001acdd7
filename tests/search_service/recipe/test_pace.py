"""C4: what trainings cost, of steps that were timed and of rounds that are over, against sums by hand."""

from __future__ import annotations

import dataclasses

import pytest

from search_service.recipe import pace, tasks
from search_service.recipe.planned_rounds import planned_round
from search_service.records.rounds import RoundResult, TrialResult, TrialStatus, TrialTimes
from search_service.space.ranges import Choices
from search_service.spec.sections import RoundSpec
from search_service.spec.study_spec import parse
from tests.plans import make_plan, plain
from trainables.records import EpochPoint, Pace

SPEC = parse({"name": "x", "data": {"source": "digits"}, "finalists": {"baselines": False}})


@pytest.mark.parametrize(
    ("efforts", "slots", "seconds"),
    [([1, 3, 2], 1, 12.0), ([1, 3, 2], 2, 6.0), ([4, 4, 4], 2, 16.0), ([5], 4, 10.0), ([], 2, 0.0)],
)
def test_c4_tasks_take_as_long_as_the_worker_that_has_most(efforts, slots, seconds):
    assert pace.seconds_of(efforts, 2.0, slots) == seconds


def measured(config, dataset, factor=3.0, size=4) -> Pace:
    """As if every second of effort took so many."""
    seconds = factor * (tasks.effort([config] * size, dataset, 1) + pace.SECONDS_PER_EPOCH)
    return Pace(size, seconds_per_step=seconds / 10, seconds_per_validation=0.0, steps_per_epoch=10)


def test_c4_before_the_rounds_costs_follow_from_the_trials_own_pace_and_the_sizes_of_the_others(digits):
    dataset, config = digits[0], plain()
    spec = SPEC.model_copy(update={"trial": config})
    pace_of_it = measured(config, dataset)
    assert pace.factor_of(pace_of_it, config, dataset) == pytest.approx(3.0)
    same = {"network.hidden_sizes": Choices((config.network.hidden_sizes,))}
    found = pace.before_rounds(spec, dataset, same, pace_of_it, 2)
    assert found.alone > 1
    # Nothing but the trial's own shape: its own pace, with what workers and the first at a rung cost more.
    own = pace_of_it.seconds_per_epoch / 4
    assert found.epoch == pytest.approx(pace.MORE_EPOCHS * pace.SHARED * own / 2)
    alone = 3.0 * (tasks.effort([config], dataset, 1) + pace.SECONDS_PER_EPOCH)
    assert found.single_epoch == pytest.approx(pace.SHARED * alone)
    assert found.baselines == 0.0
    wide = {"network.hidden_sizes": Choices(((512, 512),))}
    large = pace.before_rounds(spec, dataset, wide, pace_of_it, 2)
    times = tasks.effort([config.replace({"network.hidden_sizes": (512, 512)})] * 4, dataset, 1)
    assert large.epoch / found.epoch == pytest.approx(3.0 * times / pace_of_it.seconds_per_epoch, rel=0.05)
    assert found.times(2.0).epoch == 2 * found.epoch


def round_of(folder, *, seconds, began=100.0, trials=4, epochs=6) -> RoundResult:
    plan = make_plan(folder, max_trials=trials, max_epochs=epochs, early_stopping=False)
    curve = tuple(EpochPoint(epoch, 1.0, 1.0, 0.5) for epoch in range(1, epochs + 1))
    times = TrialTimes(began, began + seconds, seconds)
    done = [
        TrialResult(f"r1-{n:03d}", n, plan.base, {}, TrialStatus.COMPLETED, "", curve, "accuracy", times=times)
        for n in range(trials)
    ]
    return RoundResult(plan, tuple(done), "all done", seconds)


def test_c4_a_round_that_is_over_says_what_an_epoch_costs(digits, tmp_path):
    spec = parse({"name": "x", "data": {"source": "digits"}, "search": {"early_stopping": False}})
    done = round_of(tmp_path, seconds=48.0)
    found = pace.after_round(spec, digits[0], done, done.trials[:2], 2)
    # 4 trials of 6 epochs in 48 seconds.
    assert found.epoch == pytest.approx(2.0)
    # Two workers for 24 epochs of one shape, none of them larger than another.
    assert found.single_epoch == pytest.approx(48.0 * 2 / 24)
    assert found.network_epoch <= found.single_epoch
    assert pace.finite(found)
    expected = planned_round(spec.search, done.plan.step, RoundSpec(max_trials=4, max_epochs=6)).epochs_expected
    assert found.epoch * expected == pytest.approx(48.0)


def test_c4_the_time_in_which_workers_start_is_no_pace(digits, tmp_path):
    """A round of 60 seconds, whose trainings begin after 50."""
    done = dataclasses.replace(round_of(tmp_path, seconds=10.0), seconds=60.0)
    assert pace.after_round(SPEC, digits[0], done, done.trials[:1], 2).epoch == pytest.approx(
        10.0 / planned_round(SPEC.search, done.plan.step, RoundSpec(max_trials=4, max_epochs=6)).epochs_expected
    )


def test_c4_a_round_in_which_nothing_was_trained_says_nothing(digits, tmp_path):
    done = dataclasses.replace(round_of(tmp_path, seconds=10.0), seconds=0.0)
    assert not pace.finite(pace.after_round(SPEC, digits[0], done, done.trials[:1], 2))
