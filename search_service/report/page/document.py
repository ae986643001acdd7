"""``ReportPage``: all that the page of a study shows, as one document.

It is made of what a study told, kept in the record as ``report.json``, and rendered from there alone: whoever deletes a
study's folder can draw the same page again. Whatever a study did not come to is said in a sentence in ``missing``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pydantic import Field

from search_service.records.checks import LearningRatesResult
from search_service.records.events import TaskDone
from search_service.records.results import DataSummary, StudyResult
from search_service.report.columns import how_measured
from search_service.report.documents import Document, StudyDocument
from search_service.report.page.answer import (
    BaselinePart,
    FinalistPart,
    HeadlinePart,
    baselines_of,
    describe_finalists,
)
from search_service.report.page.search import (
    Detail,
    ImprovementPart,
    LeafPart,
    RoundPart,
    TaskPart,
    ToldRound,
    TrialPart,
    best_so_far,
    clock_of,
    describe_importance,
    leaves_of,
    tasks_of,
    trials_of,
)
from search_service.report.page.steps import RatesPart, StepPart, steps_of
from search_service.report.page.worked import pauses_said
from search_service.report.partial_dependence import how_asked
from search_service.report.study_report import describe_data
from search_service.spec import config_file
from search_service.spec.study_spec import StudySpec
from trainables.data.locations import BUNDLED, OPENML, is_url
from trainables.metrics import METRICS

# Raised when a key of the document changes its meaning or goes.
PAGE_VERSION = 1
# Bytes of the document as the page holds it. The page itself, with its styles and scripts, is a twentieth of that.
MOST_BYTES = 900_000
# Tried one after another until the document is small enough; the first is for all but very large studies.
DETAILS = (
    Detail(trials=2_000, epochs=60, curves=2_000),
    Detail(trials=2_000, epochs=30, curves=1_000),
    Detail(trials=1_500, epochs=20, curves=500),
    Detail(trials=1_000, epochs=15, curves=200),
    Detail(trials=500, epochs=10, curves=50),
    Detail(trials=200, epochs=0, curves=0),
    Detail(trials=0, epochs=0, curves=0),
)
# Points of a Pareto set; those that another trial dominates are the first to go.
MOST_POINTS = 500


@dataclass(frozen=True)
class Told:
    """What a study tells while it runs, and its result does not hold.

    Attributes:
        versions: The libraries' versions, by name.
        rounds: Every round that began, with the trials that ended in it.
        tasks: What was trained beside the rounds, by whom and when.
    """

    versions: Mapping[str, str] = field(default_factory=dict)
    rounds: tuple[ToldRound, ...] = ()
    tasks: tuple[TaskDone, ...] = ()


class AgainPart(Document):
    """How to run the study again."""

    config: str = Field(description="The config, as YAML.")
    command: str
    replay: str = Field(description="The command that trains every trial again and compares the numbers.")
    table: str = Field(description="Where the table is read from, and what to do if it is not there.")
    fingerprint: str
    versions: dict[str, str]


class ReportPage(Document):
    """A study's page."""

    page_version: int
    study: StudyDocument
    headline: HeadlinePart
    metric: str
    larger_is_better: bool
    steps: list[StepPart]
    rates: list[RatesPart]
    leaves: list[LeafPart] = Field(description="The most important first.")
    importance: str
    rounds: list[RoundPart]
    trials: list[TrialPart] = Field(description="In the order of their ends.")
    trials_in_all: int
    best_so_far: list[ImprovementPart]
    tasks: list[TaskPart] = Field(
        default_factory=list, description="What was trained after the first trial and beside the rounds."
    )
    pauses: str = Field(default="", description="What of the time line's time is not shown; empty if nothing.")
    left_out: str = Field(description="What of the trials is not shown; empty if nothing.")
    winner: str | None
    finalists: list[FinalistPart] = Field(description="The winner first.")
    finalists_said: str
    baselines: list[BaselinePart]
    columns_said: str = Field(default="", description="How it was measured which columns matter; empty if it was not.")
    partial_dependence_said: str = Field(
        default="", description="Where what is said at columns' values comes from; or empty."
    )
    data: list[str]
    warnings: list[str]
    again: AgainPart
    missing: dict[str, str] = Field(description="Why a part of the page is empty, by its name.")

    @classmethod
    def of(
        cls, spec: StudySpec, result: StudyResult, places: Mapping[str, str] | None = None, told: Told | None = None
    ) -> ReportPage:
        """Make it of a study, however it ended; never larger than ``MOST_BYTES``.

        Args:
            spec: What was asked.
            result: What the study found.
            places: Where the record and the files are, by name.
            told: What it told beside; None for what the result holds.
        """
        told = told or Told(rounds=tuple(ToldRound(done.plan, done.trials, (), done) for done in result.rounds))
        whole = _whole(spec, result, places or {}, told)
        page = whole
        for detail in DETAILS:
            trials, count = trials_of(told.rounds, detail, clock_of(told.tasks, told.rounds))
            page = whole.model_copy(update={"trials": trials, "left_out": _left_out(trials, count, detail)})
            if len(page.model_dump_json()) <= MOST_BYTES:
                break
        return page


def _whole(spec: StudySpec, result: StudyResult, places: Mapping[str, str], told: Told) -> ReportPage:
    """Everything but the trials."""
    final, rounds, clock = result.finalists, list(told.rounds), clock_of(told.tasks, told.rounds)
    study = _without_dominated(StudyDocument.of(spec, result, places))
    rates = [check for check in result.checks if isinstance(check, LearningRatesResult)]
    return ReportPage(
        page_version=PAGE_VERSION,
        study=study,
        headline=HeadlinePart.of(spec, result, rounds),
        metric=spec.metric,
        larger_is_better=METRICS[spec.metric].mode == "max",
        steps=steps_of(spec, result, rounds),
        rates=[RatesPart.of(check, spec.checks.learning_rates.falls_to) for check in rates],
        leaves=leaves_of(rounds, study.rounds),
        importance=describe_importance(study.rounds),
        rounds=[RoundPart.of(done) for done in rounds],
        trials=[],
        best_so_far=best_so_far(rounds),
        trials_in_all=sum(len(done.trials) for done in rounds),
        tasks=tasks_of(told.tasks, clock),
        pauses=pauses_said(clock.paused),
        left_out="",
        winner=final.winner.trial_id if final else None,
        finalists=[FinalistPart.of(finalist, final) for finalist in final.finalists] if final else [],
        finalists_said=describe_finalists(spec, final) if final else "",
        baselines=baselines_of(final) if final else [],
        columns_said=how_measured(final.columns) if final and final.columns else "",
        partial_dependence_said=how_asked(final.partial_dependences) if final else "",
        data=[s for s in describe_data(result.data) if not s.startswith("⚠ ")] if result.data else [],
        warnings=list(result.data.warnings) if result.data else [],
        again=_again(spec, result.study_id, result.data, told.versions),
        missing=_missing(result, rounds),
    )


def _without_dominated(study: StudyDocument) -> StudyDocument:
    best = study.best
    if best is None or best.pareto is None or len(best.pareto.points) <= MOST_POINTS:
        return study
    kept = replace(best.pareto, points=best.pareto.optimal[:MOST_POINTS])
    return study.model_copy(update={"best": best.model_copy(update={"pareto": kept})})


def _left_out(trials: Sequence[TrialPart], count: int, detail: Detail) -> str:
    if len(trials) < count:
        drawn = f"{len(trials):,} of the {count:,} trials: the best, and an even sample of the others"
        return f"So that this page stays small, it draws {drawn}. MLflow has every one."
    if len(trials) > detail.curves:
        return f"So that this page stays small, only the best {detail.curves:,} trials have a curve. MLflow has all."
    return ""


def _again(spec: StudySpec, study_id: str, data: DataSummary | None, versions: Mapping[str, str]) -> AgainPart:
    return AgainPart(
        config=config_file.to_run_again(spec),
        command="search-service run config.yaml",
        replay=f"search-service replay {study_id}",
        table=_table(spec),
        fingerprint=data.fingerprint if data else "",
        versions=dict(versions),
    )


def _table(spec: StudySpec) -> str:
    given = [str(place) for place in (spec.data.source, spec.data.train, spec.data.validation, spec.data.test) if place]
    if all(place in BUNDLED or place.startswith(OPENML) for place in given):
        return f"The table, {given[0]}, is found by its name." if given else ""
    named = ", ".join(given)
    if all(is_url(place) for place in given):
        return f"The table is read from {named}."
    return f"The table is read from {named}: put it there, or change the section data of the config."


def _missing(result: StudyResult, rounds: Sequence[ToldRound]) -> dict[str, str]:
    """Why a part of the page is empty."""
    missing = {}
    trials = [trial for done in rounds for trial in done.trials]
    if not any(isinstance(check, LearningRatesResult) for check in result.checks):
        missing["rates"] = "The study ended before learning rates were tried."
    if not rounds:
        missing["search"] = missing["ranges"] = "The study ended before the search began."
    elif not trials:
        missing["search"] = "No trial had ended when the study did."
    elif all(trial.best_point is None for trial in trials):
        missing["search"] = "No trial has a score: every one diverged or failed, so there is no best one to draw."
    if result.finalists is None:
        missing["finalists"] = "The study ended before the best configurations were trained again from fresh seeds."
        missing["baselines"] = "The study ended before anything met the test rows."
    if result.finalists is None or result.finalists.columns is None:
        missing["columns"] = "The study did not come to it, or is of a version that did not measure it."
    elif reason := result.finalists.columns.reason:
        missing["columns"] = f"Not measured: {reason}."
    if trials and not any(trial.times for trial in trials):
        missing["timeline"] = "When trials were trained is not in the record of this study."
    return missing
