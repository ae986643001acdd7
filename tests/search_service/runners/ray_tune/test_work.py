"""What becomes of pieces of work whose workers are lost; rounds on Ray are in tests/contracts and tests/faults."""

from __future__ import annotations

import pickle

import pytest

from search_service.errors import RunnerError
from search_service.records.rounds import TrialStatus
from search_service.runners.base import Task
from search_service.runners.book import RoundBook
from search_service.runners.cohort import CohortTraining
from search_service.runners.ray_tune.work import MAX_FAILURES, RoundWork, TaskWork
from search_service.runners.ray_tune.worker import encode
from search_service.runners.sizing import CohortSizes, MeasuredSizes
from tests.plans import make_plan

TIMES = '{"worker": "here:1", "began_at": 1.0, "seconds": 2.0}'


@pytest.fixture
def plan(tmp_path):
    return make_plan(tmp_path, max_trials=2, population_size=2, early_stopping=False)


@pytest.fixture
def book(plan, digits):
    return RoundBook(plan, CohortSizes(plan, digits[0], MeasuredSizes()), lambda event: None)


@pytest.fixture
def work(plan, digits, book):
    return RoundWork("work", plan, digits[0], book)


def trained(to_do, plan, digits):
    """What a worker says of a cohort, at its end."""
    training = CohortTraining(to_do.unpack(), plan, digits[0], lambda rung, scores: set(scores))
    return encode(training.advance())


def test_e1_a_cohort_that_tune_gives_up_begins_again_and_its_trials_have_not_failed(work, book, plan, digits):
    """One death of a worker may be two errors, at the second of which Tune gives up."""
    first = work.next()
    assert work.next() is None
    work.lost(first.name)
    assert not work.is_closed
    again = work.next()
    assert again.unpack() == first.unpack()
    assert work.report(again.name, trained(again, plan, digits))
    assert work.next() is None
    assert work.is_closed
    assert [trial.status for trial in book.result().trials] == [TrialStatus.COMPLETED] * 2


def test_e1_a_cohort_that_is_given_up_again_and_again_has_failed(work, book):
    for _ in range(MAX_FAILURES + 1):
        work.lost(work.next().name)
    assert work.next() is None
    result = book.result()
    assert [trial.status for trial in result.trials] == [TrialStatus.FAILED] * 2
    assert "failed more than 2 times" in result.trials[0].reason


def doing(*efforts, results=None):
    tasks = [Task(f"task {effort}", len, ((effort,),), effort=effort) for effort in efforts]
    delivered = results or {}
    return TaskWork("work", tasks, lambda task, result, times: None, lambda work, piece: delivered.get(piece))


def test_tasks_are_handed_out_the_longest_first_and_share_their_rows():
    rows = (1, 2, 3)
    tasks = [Task(f"{effort}", len, (rows,), effort=effort) for effort in (1, 3, 2)]
    work = TaskWork("work", tasks, lambda task, result, times: None, lambda work, piece: None)
    assert [work.next().name for _ in tasks] == ["3", "2", "1"]
    assert work.rows == [rows]


def test_e1_a_task_whose_result_is_lost_is_done_again_and_fails_in_the_end():
    work = doing(1)
    for _ in range(MAX_FAILURES):
        assert work.report(work.next().name, TIMES)
        assert not work.is_closed
    with pytest.raises(RunnerError, match="task 1: its worker failed more than 2 times"):
        work.report(work.next().name, TIMES)


def test_after_a_task_that_went_wrong_no_other_is_begun():
    work = doing(3, 2, 1, results={"task 3": pickle.dumps((False, ValueError("bad luck")))})
    assert work.report(work.next().name, TIMES)
    assert work.is_closed
    with pytest.raises(ValueError, match="bad luck"):
        _ = work.results
