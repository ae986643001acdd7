"""What came out of a study as the page shows it: the headline, the finalists, and the simpler models beside them."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from search_service.records import curves
from search_service.records.finalists import Finalist, FinalistsResult, possible
from search_service.records.numbers import score_text, spread_text
from search_service.records.results import DataSummary, StudyResult, StudyStatus
from search_service.records.rounds import TrialStatus
from search_service.records.steps import Step
from search_service.report.documents import Document, HealthDocument, Number
from search_service.report.looking_back import describe_contenders
from search_service.report.page.figures_in_short import cut, evenly, short
from search_service.report.page.search import CurvePart, ToldRound, best_so_far
from search_service.report.study_report import (
    counted,
    describe,
    describe_model,
    describe_prediction_interval,
    describe_threshold,
    format_value,
    trainings,
)
from search_service.report.worth import Answer, judge, not_compared
from search_service.spec.study_spec import StudySpec
from trainables.records import Advantage

# Of the curves of a finalist.
MOST_EPOCHS = 120


Verdict = Answer | Literal["not compared", "failed", "interrupted"]


class NumberPart(Document):
    """A number that belongs to the answer, and how it relates to the headline."""

    name: str
    value: Number
    meaning: str


class HeadlinePart(Document):
    """Did it work, how good is it, and was it worth it: what the first screen answers."""

    title: str
    verdict: Verdict
    metric: str
    score: Number = Field(description="Test score of the model; null where there is none.")
    low: Number = Field(description="Ends of the interval around it.")
    high: Number
    interval: str = Field(description="What the interval holds, in a sentence.")
    worth: str
    sentences: list[str]
    numbers: list[NumberPart]

    @classmethod
    def of(cls, spec: StudySpec, result: StudyResult, rounds: list[ToldRound]) -> HeadlinePart:
        """Make it of a study, however it ended."""
        final = result.finalists
        sentences = _how_it_went(result, rounds)
        if final is None:
            return _without_answer(spec, result, rounds, sentences)
        low, high, interval = _interval(final, result.data)
        found = judge(final)
        return cls(
            title=f"Test {_words(final.metric)} {score_text(final.model_test_score)}",
            verdict="not compared" if found is None else found.answer,
            metric=final.metric,
            score=short(final.model_test_score),
            low=low,
            high=high,
            interval=interval,
            worth=not_compared(final) if found is None else found.sentence,
            sentences=[*sentences, *filter(None, [describe_threshold(final), _ends(final)])],
            numbers=_numbers(final, rounds),
        )


def _ends(final: FinalistsResult) -> str:
    """How far a true number is from its prediction; empty where nobody asked."""
    found = final.prediction_interval
    return "" if found is None else describe_prediction_interval(found)


def _words(metric: str) -> str:
    return metric.replace("_", " ")


def _without_answer(
    spec: StudySpec, result: StudyResult, rounds: list[ToldRound], sentences: list[str]
) -> HeadlinePart:
    failed = next((check for check in result.checks if not check.passed), None)
    if result.status is StudyStatus.INTERRUPTED:
        title, verdict = "No model yet: the study was interrupted", "interrupted"
        worth_it = "Nothing has met the test rows yet."
    else:
        at = f" at step {failed.step}, {failed.name}" if failed else ""
        if not failed and rounds:
            at = f" at step {rounds[-1].plan.name}"
        title, verdict = f"No model: the study stopped{at}", "failed"
        worth_it = "Nothing has met the test rows."
    return HeadlinePart(
        title=title,
        verdict=verdict,
        metric=spec.metric,
        score=None,
        low=None,
        high=None,
        interval=worth_it,
        worth=f"Why: {result.reason}",
        sentences=sentences,
        numbers=_number_of_best(spec.metric, rounds),
    )


def _how_it_went(result: StudyResult, rounds: list[ToldRound]) -> list[str]:
    passed = {check.step for check in result.checks if check.passed}
    failed = {check.step for check in result.checks if not check.passed}
    asked = (Step.INITIAL_LOSS, Step.SMALL_SAMPLE, Step.LEARNING_RATES)
    if not failed and passed == set(asked):
        checks = "All three checks passed before the search."
    elif failed:
        names = " and ".join(f"step {step} ({Step(step).title})" for step in sorted(failed))
        checks = f"Not passed: {names}."
    else:
        checks = f"{len(passed)} of 3 checks were done, and passed."
    trials = [trial for done in rounds for trial in done.trials]
    to_the_end = sum(trial.status is TrialStatus.COMPLETED for trial in trials)
    searched = (
        f"{counted(len(trials), 'trial')}, {to_the_end} of them trained to the end." if trials else "No trial ran."
    )
    return [checks, searched, f"It took {_duration(result.seconds)}."]


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"


def _interval(final: FinalistsResult, data: DataSummary | None) -> tuple[Number, Number, str]:
    """Where the test score would lie, in 95 % of cases, with other test rows and another seed."""
    if final.test_interval is None or final.rows_error is None:
        return None, None, "How sure this number is cannot be said."
    (low, high), rows = final.test_interval, f"{data.n_test:,} other rows" if data else "other rows"
    seeds = ", and what another seed would change is not known from one"
    if len(final.test_scores) > 1:
        seeds = f", training from another seed by ± {spread_text(final.test_std)}"
    change = f"{rows} would move it by ± {spread_text(final.rows_error)}{seeds}"
    return short(low), short(high), f"95 % interval {score_text(low)} to {score_text(high)}: {change}."


def _number_of_best(metric: str, rounds: list[ToldRound]) -> list[NumberPart]:
    """The best trial, if one has a score."""
    best = best_so_far(rounds)
    if not best:
        return []
    found = f"best validation {_words(metric)} of any trial ({best[-1].trial}); too good, being the best of many"
    return [NumberPart(name="best trial", value=best[-1].score, meaning=found)]


def _numbers(final: FinalistsResult, rounds: list[ToldRound]) -> list[NumberPart]:
    winner, metric = final.winner, _words(final.metric)
    seeds = counted(len(winner.seeds), "seed")
    of_best = "" if winner.fold_scores else " of the best epochs"
    numbers = [
        NumberPart(
            name="the model on test rows",
            value=short(final.model_test_score),
            meaning=f"the headline: {describe_model(final)}",
        ),
        NumberPart(
            name="the winner on test rows",
            value=short(final.test_mean),
            meaning=f"test {metric}, mean over {seeds} (± {spread_text(final.test_std)}), "
            "learnt from training rows alone",
        ),
        NumberPart(
            name="the winner on validation rows",
            value=short(winner.mean),
            meaning=f"validation {metric} that chose it: mean over {trainings(winner)}{of_best} "
            f"(± {spread_text(winner.std)})",
        ),
    ]
    if final.average is not None:
        alone = NumberPart(
            name="the winner's network alone on test rows",
            value=short(final.network_test_score),
            meaning=f"test {metric} of the model that model.average: none would have given",
        )
        numbers.insert(1, alone)
    trivial = NumberPart(
        name="ignoring the inputs",
        value=short(final.trivial_test_score),
        meaning=f"test {metric} of a predictor that does not look at the table",
    )
    return [*numbers, *_number_of_best(final.metric, rounds), trivial]


class BandPart(Document):
    """A finalist's mean validation curve, and the range over its seeds."""

    mean: CurvePart
    low: list[Number]
    high: list[Number]


class FinalistPart(Document):
    """A configuration that was trained again from fresh seeds."""

    trial_id: str
    place: str = Field(description="winner, cannot be told from the best, or worse than the best.")
    seeds: list[int]
    scores: list[Number] = Field(
        description="Best validation score of each seed; with folds that of each fold, mean over the seeds."
    )
    unit: str = Field(default="seed", description="What the scores are of.")
    mean: Number
    std: Number
    low: Number = Field(description="95 % confidence interval of the mean over seeds or folds.")
    high: Number
    test_scores: list[Number] = Field(description="One per seed, of the winner alone: others never meet the test rows.")
    parameters: int
    config: dict[str, str]
    curve: BandPart | None
    fit: str
    fit_summary: str
    fit_remedy: str
    gradients: HealthDocument | None

    @classmethod
    def of(cls, finalist: Finalist, final: FinalistsResult) -> FinalistPart:
        """Make it of a finalist."""
        is_winner = finalist is final.winner
        alike = "cannot be told from the best" if finalist.trial_id in final.contenders else "worse than the best"
        low, high = possible(final.metric, finalist.interval) if finalist.interval else (math.nan, math.nan)
        return cls(
            trial_id=finalist.trial_id,
            place="winner" if is_winner else alike,
            seeds=list(finalist.seeds),
            scores=[short(score) for score in finalist.units],
            unit=finalist.unit,
            mean=short(finalist.mean),
            std=short(finalist.std),
            low=short(low),
            high=short(high),
            test_scores=[short(score) for score in final.test_scores] if is_winner else [],
            parameters=finalist.parameters,
            config={leaf: cut(format_value(value)) for leaf, value in describe(finalist.config).items()},
            curve=_band(finalist),
            fit=finalist.fit.name,
            fit_summary=finalist.fit.summary,
            fit_remedy=finalist.fit.remedy,
            gradients=HealthDocument.of(finalist.health),
        )


def _band(finalist: Finalist) -> BandPart | None:
    if not finalist.curves or not all(finalist.curves):
        return None
    mean = curves.mean(finalist.curves)
    shown = evenly(len(mean), MOST_EPOCHS)
    at = [[curve[i].validation_score for curve in finalist.curves] for i in shown]
    finite = [[score for score in scores if math.isfinite(score)] for scores in at]
    return BandPart(
        mean=CurvePart.of([mean[i] for i in shown], MOST_EPOCHS),
        low=[short(min(scores)) if scores else None for scores in finite],
        high=[short(max(scores)) if scores else None for scores in finite],
    )


class BaselinePart(Document):
    """A simpler model beside the network, on the same test rows."""

    name: str
    test: Number
    validation: Number
    lead: str = Field(description="By how much the model is better, in a sentence.")
    note: str


def baselines_of(final: FinalistsResult) -> list[BaselinePart]:
    """The simpler models, and last the one that ignores its inputs."""
    parts = [
        BaselinePart(
            name=baseline.model,
            test=short(baseline.test.get(final.metric)),
            validation=short(baseline.validation.get(final.metric)),
            lead=_lead(baseline.lead),
            note=f"not available: {baseline.unavailable}" if baseline.unavailable else baseline.note,
        )
        for baseline in final.baselines
    ]
    trivial = BaselinePart(
        name="ignoring the inputs",
        test=short(final.trivial_test_score),
        validation=None,
        lead=_lead(final.over_trivial),
        note="",
    )
    return [*parts, trivial]


def _lead(lead: Advantage | None) -> str:
    if lead is None:
        return ""
    by = f"{spread_text(abs(lead.difference))} ± {spread_text(lead.error)} on the same {lead.rows:,} rows"
    if lead.difference == 0:
        return f"as good on the same {lead.rows:,} rows"
    if lead.sign == 0:
        return f"cannot be told apart: the model is {'better' if lead.difference > 0 else 'worse'} by {by}"
    return f"the model is {'better' if lead.sign > 0 else 'worse'} by {by}"


def describe_finalists(spec: StudySpec, final: FinalistsResult) -> str:
    """Who won and why, and who qualified, in sentences."""
    return f"{describe_contenders(final, spec.finalists.prefer)}. {final.rule}".rstrip()
