"""What Tune's searcher makes of errors; rounds on Ray are in tests/contracts and tests/faults."""

from __future__ import annotations

import pytest
from ray.tune.search import Searcher

from search_service.records.rounds import TrialStatus
from search_service.runners.book import RoundBook
from search_service.runners.cohort import CohortTraining
from search_service.runners.ray_tune.tune_side import MAX_FAILURES, CohortSearcher
from search_service.runners.ray_tune.worker import REPORT, encode
from search_service.runners.sizing import CohortSizes, MeasuredSizes
from tests.plans import make_plan


@pytest.fixture
def book(digits, tmp_path):
    plan = make_plan(tmp_path, max_trials=2, population_size=2, early_stopping=False)
    return RoundBook(plan, CohortSizes(plan, digits[0], MeasuredSizes()), lambda event: None)


def searching(book, tmp_path):
    return CohortSearcher(book, tmp_path, lambda: None)


def train(searcher, name, config, digits):
    """As a worker does, to the end."""
    training = CohortTraining(
        config["cohort"].unpack(), searcher._book._plan, digits[0], lambda rung, scores: set(scores)
    )
    searcher.on_trial_complete(name, {REPORT: encode(training.advance())})


def test_e1_a_cohort_that_tune_gives_up_begins_again_and_its_trials_have_not_failed(book, digits, tmp_path):
    """One death of a worker may be two errors, at the second of which Tune gives up."""
    searcher = searching(book, tmp_path)
    first = searcher.suggest("one")
    # While one is under way the search is not over: it may have to begin again.
    assert searcher.suggest("other") is None
    searcher.on_trial_complete("one", error=True)
    again = searcher.suggest("two")
    assert again["cohort"].unpack() == first["cohort"].unpack()
    train(searcher, "two", again, digits)
    assert searcher.suggest("three") == Searcher.FINISHED
    assert [trial.status for trial in book.result().trials] == [TrialStatus.COMPLETED] * 2


def test_e1_a_cohort_that_is_given_up_again_and_again_has_failed(book, tmp_path):
    searcher = searching(book, tmp_path)
    for number in range(MAX_FAILURES + 1):
        assert searcher.suggest(f"t{number}")["cohort"]
        searcher.on_trial_complete(f"t{number}", error=True)
    assert searcher.suggest("more") == Searcher.FINISHED
    result = book.result()
    assert [trial.status for trial in result.trials] == [TrialStatus.FAILED] * 2
    assert "failed more than 2 times" in result.trials[0].reason
