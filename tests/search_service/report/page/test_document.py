"""The document of a page: equal to the result it is made of, whole however a study ends, and never too large."""

from __future__ import annotations

import json
import math
import statistics

import pytest

from search_service.records.checks import LearningRatesResult
from search_service.records.events import StudyStarted
from search_service.records.finalists import possible
from search_service.records.rounds import TrialStatus
from search_service.report.page import document
from search_service.report.page.document import ReportPage
from search_service.report.page.figures_in_short import evenly, short
from search_service.spec import config_file
from search_service.spec.study_spec import parse
from tests import pages


@pytest.fixture(scope="module")
def completed(tmp_path_factory):
    return pages.tell(pages.SPEC, tmp_path_factory.mktemp("completed"))


def test_c8_every_number_of_a_page_is_the_result_s(completed):
    page, result = pages.page_of(completed), pages.result_of(completed)
    final = result.finalists
    assert page.headline.score == short(final.model_test_score)
    assert page.headline.low <= page.headline.score <= page.headline.high
    assert page.study.best.test_mean == final.test_mean
    trials = {trial.trial_id: trial for done in result.rounds for trial in done.trials}
    assert {part.id for part in page.trials} == set(trials)
    for part in page.trials:
        trial = trials[part.id]
        assert (part.status, part.epochs, part.worker) == (trial.status, trial.epochs, trial.worker)
        assert part.score == short(trial.score)
        assert part.seconds == short(trial.times.seconds)
        assert part.curve.epochs == [point.epoch for point in trial.curve]
        assert part.curve.score == [short(point.validation_score) for point in trial.curve]
        assert part.values["optimizer.lr"] == short(trial.values["optimizer.lr"], 6)
    best = max(trial.score for trial in trials.values())
    assert page.best_so_far[-1].score == short(best)
    assert [part.order for part in page.trials] == list(range(1, len(trials) + 1))
    for finalist, part in zip(final.finalists, page.finalists, strict=True):
        assert part.scores == [short(score) for score in finalist.scores]
        assert part.mean == short(statistics.fmean(finalist.scores))
        # Of two seeds with the same score there is no interval.
        ends = possible(final.metric, finalist.interval) if finalist.interval else (math.nan, math.nan)
        assert (part.low, part.high) == tuple(short(end) for end in ends)
    assert any(finalist.interval for finalist in final.finalists)
    for finalist, part in zip(final.finalists, page.finalists, strict=True):
        at_end = [curve[-1].validation_score for curve in finalist.curves]
        assert (part.curve.low[-1], part.curve.high[-1]) == (short(min(at_end)), short(max(at_end)))
    assert page.finalists[0].place == "winner"
    assert page.finalists[0].test_scores == [short(score) for score in final.test_scores]
    assert [one.test for one in page.baselines[:-1]] == [short(b.test["accuracy"]) for b in final.baselines]
    assert page.missing == {}


def test_e5_what_was_trained_after_the_trials_is_on_their_clock(completed):
    page = pages.page_of(completed)
    kinds = {part.name.split("-")[0] for part in page.tasks}
    assert {"finalists", "baseline", "refit"} <= kinds
    last = max(trial.ended for trial in page.trials)
    # Rounded for the page, each by itself.
    assert all(last - 0.1 <= part.began <= part.ended < last + 600 for part in page.tasks if part.name != "step-2")
    assert {part.worker for part in page.tasks} == {trial.worker for trial in page.trials}


def test_c8_steps_say_what_was_measured_what_was_needed_and_the_margin(completed):
    page, result = pages.page_of(completed), pages.result_of(completed)
    assert [part.step for part in page.steps] == [1, 2, 3, 4, 5, 6]
    loss = page.steps[1].measures[0]
    assert (loss.measured, loss.needed) == (
        short(result.checks[1].measured["loss"]),
        short(result.checks[1].expected["loss"]),
    )
    assert loss.measured <= loss.needed
    assert "below the limit" in loss.margin
    decision = page.steps[5].measures
    assert [m.measured for m in decision] == [short(result.decisions[0].gain)]


def test_c8_the_curve_of_a_rate_ends_where_it_was_judged(completed):
    page, result = pages.page_of(completed), pages.result_of(completed)
    (check,) = [check for check in result.checks if isinstance(check, LearningRatesResult)]
    (rates,) = page.rates
    assert rates.searched == (short(check.low), short(check.high))
    for rate, outcome in zip(rates.rates, check.outcomes, strict=True):
        assert rate.shares[-1] == pytest.approx(outcome.falls_to, rel=1e-3)
        # Untrained, each of them has all of its loss.
        assert rate.shares[0] == pytest.approx(1, abs=0.9)
        assert rate.label == outcome.label


def test_c8_ranges_come_with_the_sentences_that_narrowed_them(completed):
    page = pages.page_of(completed)
    told = {range_.leaf: range_.sentence for range_ in page.rounds[1].ranges}
    assert "→" in told["optimizer.lr"]
    assert all(not sentence.startswith("optimizer.lr: ") for sentence in told.values())
    coarse, refined = ({r.leaf: r for r in part.ranges}["optimizer.lr"] for part in page.rounds)
    assert coarse.low <= refined.low < refined.high <= coarse.high


def test_c8_the_config_of_a_page_is_the_study_s(completed):
    page = pages.page_of(completed)
    spec = next(event.spec for event in completed if isinstance(event, StudyStarted))
    again = parse(config_file.read_text(page.again.config, "the page's config"))
    assert again.model_dump() == spec.model_dump()
    assert page.again.versions == {"torch": "2.x"}
    assert page.again.fingerprint == pages.result_of(completed).data.fingerprint


ENDS = {
    "step 1": (
        pages.ZERO_WEIGHTS,
        math.inf,
        "step 1",
        {"rates", "search", "ranges", "finalists", "baselines", "columns"},
    ),
    "step 3": (pages.ABSURD_RATES, math.inf, "step 3", {"search", "ranges", "finalists", "baselines", "columns"}),
    "nothing finite": (
        pages.NOTHING_FINITE,
        math.inf,
        "coarse search",
        {"search", "finalists", "baselines", "columns"},
    ),
    "interrupted": (pages.SPEC, 3, "interrupted", {"finalists", "baselines", "columns"}),
}


@pytest.mark.parametrize("end", ENDS)
def test_c8_a_page_stands_and_says_what_is_missing_however_a_study_ends(end, tmp_path):
    spec, trials, word, missing = ENDS[end]
    events = pages.tell(spec, tmp_path, trials=trials)
    page = pages.page_of(events)
    assert word in page.headline.title
    assert page.headline.score is None
    assert pages.result_of(events).reason in page.headline.worth
    assert set(page.missing) == missing
    assert all(sentence.endswith(".") for sentence in page.missing.values())
    assert [part.step for part in page.steps] == [1, 2, 3, 4, 5, 6]
    # JSON has no word for what is not finite.
    json.loads(page.model_dump_json(), parse_constant=pytest.fail)
    if end == "interrupted":
        # The round was not over: its trials are in no result, and on the page all the same.
        assert pages.result_of(events).rounds == ()
        assert len(page.trials) == page.trials_in_all == 3
        assert not page.rounds[0].is_over
        assert [(part.step, part.verdict) for part in page.steps[3:]] == [
            (4, "cut off"), (5, "not reached"), (6, "not reached"),
        ]  # fmt: skip
        assert "3 trials had ended" in page.steps[3].summary
    if end == "nothing finite":
        assert {trial.status for trial in page.trials} == {TrialStatus.DIVERGED}
        assert page.best_so_far == []
    if end == "step 3":
        assert all(rate.diverged_at is not None for rate in page.rates[0].rates)


def test_c8_a_study_of_500_trials_is_shown_whole(completed):
    page = pages.page_of(pages.with_trials(completed, 500, 60))
    assert len(page.model_dump_json()) <= document.MOST_BYTES
    assert len(page.trials) == page.trials_in_all == 504
    assert all(trial.curve for trial in page.trials)
    assert page.left_out == ""


def test_c8_a_study_of_10_000_trials_is_thinned_and_says_so(completed):
    events = pages.with_trials(completed, 10_000, 20)
    page = pages.page_of(events)
    assert len(page.model_dump_json()) <= document.MOST_BYTES
    assert page.trials_in_all == 10_004
    assert 500 <= len(page.trials) < 10_004
    assert f"{len(page.trials):,} of the 10,004 trials" in page.left_out
    # What is counted is counted of all, and the best are among those shown.
    assert sum(page.rounds[0].counts.values()) == 10_000
    shown = {trial.id for trial in page.trials}
    able = [t for d in pages.result_of(events).rounds for t in d.trials if math.isfinite(t.score)]
    assert {t.trial_id for t in sorted(able, key=lambda t: -t.score)[:100]} <= shown
    assert {trial.order for trial in page.trials} >= {1, 10_004}


def test_c8_a_page_of_a_result_alone_has_all_but_what_was_told(completed):
    spec = next(event.spec for event in completed if isinstance(event, StudyStarted))
    alone, told = ReportPage.of(spec, pages.result_of(completed)), pages.page_of(completed)
    assert alone.trials == told.trials
    assert alone.headline == told.headline


@pytest.mark.parametrize(("count", "most"), [(0, 5), (5, 5), (6, 5), (100, 7), (3, 1), (3, 0)])
def test_c8_what_is_thinned_keeps_its_ends(count, most):
    kept = evenly(count, most)
    assert kept == sorted(set(kept))
    assert len(kept) == min(count, most)
    if count > most > 1:
        assert (kept[0], kept[-1]) == (0, count - 1)
