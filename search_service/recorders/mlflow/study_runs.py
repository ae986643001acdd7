"""A study in MLflow, event by event; ``recorder.py`` shows its runs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from functools import partial
from typing import Any, assert_never

from mlflow import MlflowClient

from search_service.folder import layout
from search_service.recorders.figures import activations, columns, gradients, losses, partial_dependence
from search_service.recorders.mlflow import finalist_runs, notes, registry, views
from search_service.recorders.mlflow import metrics as values
from search_service.recorders.mlflow import models as mlflow_models
from search_service.recorders.mlflow import search as mlflow_search
from search_service.recorders.mlflow.experiments import Experiments
from search_service.recorders.mlflow.page import log_page
from search_service.recorders.mlflow.pictures import log_picture
from search_service.recorders.mlflow.runs import Runs
from search_service.recorders.mlflow.store import alone
from search_service.recorders.mlflow.top_run import RUN_STATUS, begin
from search_service.recorders.mlflow.trial_runs import TrialRuns
from search_service.records.checks import CheckResult, InitialLossResult, LearningRatesResult, OverfitResult
from search_service.records.events import (
    CheckFinished,
    CycleDecided,
    FinalistsFinished,
    ModelPacked,
    RoundFinished,
    RoundStarted,
    StepStarted,
    StudyEvent,
    StudyFinished,
    StudyStarted,
    TasksProgressed,
    TrialFinished,
    TrialProgressed,
)
from search_service.records.results import StudyStatus
from search_service.records.round_plan import RoundPlan
from search_service.records.rounds import RoundResult, TrialResult, TrialStatus
from search_service.report.documents import StudyDocument
from search_service.report.page.story import Story
from search_service.report.study_report import describe, format_value
from search_service.report.worth import worth
from search_service.space.ranges import conditions
from search_service.spec.study_spec import StudySpec

# What MLflow's page of a run shows as its description.
NOTE = "mlflow.note.content"


class StudyRuns:
    """Writes one study: its run, and the runs of its checks, rounds, trials, decisions and finalists.

    Args:
        uri: The store's address.
        client: The client of the MLflow store.
        runs: The study's runs.
        experiments: Where it goes.

    Attributes:
        registered: The version and the model that the study's became, once it is registered.
    """

    def __init__(self, uri: str, client: MlflowClient, runs: Runs, experiments: Experiments) -> None:
        self._uri, self._client, self._runs, self._experiments = uri, client, runs, experiments
        self._trials = TrialRuns(client, runs)
        self.registered = ""
        self._study = ""
        self._study_id = ""
        self._spec: StudySpec | None = None
        self._round = ""
        self._open_round = False
        # By number: a round that is told again, for want of an answer, is no further round.
        self._rounds: dict[int, RoundResult] = {}
        self._step_started_ms = 0
        self._progress = notes.Progress()
        # Of the winner, for the model's page: its hyperparameters, and what it is worth.
        self._best: dict[str, str] = {}
        self._verdict = ""
        self._story = Story()

    def write_trials(self, trials: Sequence[tuple[TrialResult, int]]) -> None:
        """Write trials of the round that is open, each with its time in milliseconds since 1970."""
        self._trials.write(trials, self._round)
        self._story.hear_trials(trial for trial, _ in trials)

    @property
    def run(self) -> str:
        """Id of the study's run; empty before it has begun."""
        return self._study

    def write(self, event: StudyEvent) -> None:
        """Write what an event says, and on the study's run where the study stands."""
        self._story.hear(event)
        self._write(event)
        if self._progress.hear(event) and self._runs.ended("study", self._study_id) is None:
            self._runs.batch(self._study, tags={NOTE: self._progress.text(self._runs.at_ms)})

    def _write(self, event: StudyEvent) -> None:
        match event:
            case StudyStarted():
                self._begin_study(event)
            case StepStarted():
                self._step_started_ms = self._runs.at_ms
            case CheckFinished():
                self._write_check(event)
            case RoundStarted():
                self._begin_round(event)
            case TrialProgressed() | TasksProgressed():
                # For those who watch: a trial's curve comes with its end, and the finalists' with theirs.
                pass
            case TrialFinished():
                self.write_trials([(event.trial, self._runs.at_ms)])
            case RoundFinished():
                self._end_round(event)
            case CycleDecided():
                self._write_decision(event)
            case FinalistsFinished():
                self._write_answer(event)
            case ModelPacked():
                self._write_model(event)
            case StudyFinished():
                self._end_study(event)
            case _:
                assert_never(event)

    def _begin_study(self, event: StudyStarted) -> None:
        self._study_id = event.study_id
        self._runs.experiment = self._experiments.open(event.spec.experiment or event.spec.name)
        self._runs.of("study_id", event.study_id)
        self._study = begin(self._client, self._runs, "study", event.study_id, event, unasked={"comparison"})
        self._spec = event.spec
        views.write(self._client, self._runs.experiment, event.study_id, event.spec.metric, event.spec.search_space)
        if self._runs.ended("study", event.study_id) is None:
            self._runs.rename(self._study, notes.name_while_running(event.spec.name))

    def _write_check(self, event: CheckFinished) -> None:
        check = event.check
        name = f"{check.step} {check.name}" + (f" (cycle {check.cycle})" if check.cycle > 1 else "")
        verdict = "passed" if check.passed else "failed"
        if self._runs.ended("check", name):
            return
        tags = {"verdict": verdict, "summary": check.summary, "advice": check.advice, "cycle": str(check.cycle)}
        run = self._runs.start(name, "check", parent=self._study, tags=tags, start_ms=self._step_started_ms)
        note = f"**{verdict}**: {check.summary}" + (f"\n\n**To do**: {check.advice}" if check.advice else "")
        metrics = [values.metric(f"measured.{key}", value) for key, value in check.measured.items()]
        metrics += [values.metric(f"expected.{key}", value) for key, value in check.expected.items()]
        metrics += [values.metric("passed", float(check.passed)), *values.of_check(check)]
        health = check.health
        if health is not None:
            tags = {"gradient_health": health.verdict.name}
            self._runs.batch(run, metrics=values.of_health(health), tags=tags)
        self._runs.batch(run, metrics=metrics, tags={NOTE: note})
        self._log_figures(check, run)
        self._runs.end(run, "FINISHED" if check.passed else "FAILED")

    def _begin_round(self, event: RoundStarted) -> None:
        plan, name = event.plan, _round_name(event.plan)
        if (ended := self._runs.ended("round", name)) is not None:
            self._round = ended
            return
        self._round = self._runs.start(name, "round", parent=self._study, tags={"cycle": str(plan.cycle)})
        self._open_round = True
        params: dict[str, Any] = {
            f"range.{leaf}": f"{range_} {conditions(range_)}".rstrip() for leaf, range_ in plan.space.items()
        }
        params |= {"max_trials": plan.limits.max_trials, "max_epochs": plan.limits.max_epochs}
        params["sampler"] = plan.sampling.sampler
        note = "\n".join(f"- {sentence}" for sentence in event.sentences)
        self._runs.batch(self._round, params=params, tags={NOTE: note} if note else {})

    def _end_round(self, event: RoundFinished) -> None:
        result = event.result
        self._rounds[result.plan.number] = result
        if self._runs.ended("round", _round_name(result.plan)):
            return
        metrics = [values.metric(f"trials.{s}", result.count(s)) for s in TrialStatus if s is not TrialStatus.RUNNING]
        metrics.append(values.metric("seconds", result.seconds))
        tags = {"stop_reason": result.stop_reason}
        if result.sizes:
            tags["populations"] = "; ".join(map(str, result.sizes))
            metrics.append(values.metric("population_gain", statistics.fmean(size.gain for size in result.sizes)))
        if result.best is not None:
            metrics.append(values.metric("best_score", result.best.score))
            tags["best_trial"] = result.best.trial_id
        metrics += values.finite(mlflow_search.importance_metrics(result))
        self._runs.batch(self._round, metrics=metrics, tags=tags)
        mlflow_search.log_round(self._client, self._round, list(self._rounds.values()))
        self._runs.end(self._round)
        self._open_round = False

    def _write_decision(self, event: CycleDecided) -> None:
        decision = event.decision
        name = "6 repeat" + (f" (cycle {decision.cycle})" if decision.cycle > 1 else "")
        if self._runs.ended("decision", name):
            return
        verdict = "stop" if decision.stop else "repeat"
        note = f"**{verdict}**: {decision.reason}\n\n" + "\n".join(f"- {s}" for s in decision.narrowing)
        tags = {"verdict": verdict, "reason": decision.reason, NOTE: note}
        run = self._runs.start(name, "decision", parent=self._study, tags=tags)
        numbers = {"gain": decision.gain, "expected_gain": decision.expected_gain, "noise": decision.noise}
        known = {key: value for key, value in numbers.items() if value is not None}
        self._runs.batch(run, metrics=values.finite(known))
        if (measured := decision.measured) is not None:
            scores = [
                values.metric("score_by_seed", score, step=i)
                for i, score in enumerate(measured.scores)
                if math.isfinite(score)  # One that diverged has none.
            ]
            self._runs.batch(run, metrics=scores, tags={"measured_on": measured.trial_id})
        self._runs.end(run)

    def _write_answer(self, event: FinalistsFinished) -> None:
        final = event.result
        self._best = {leaf: format_value(value) for leaf, value in describe(final.winner.config).items()}
        self._verdict = finalist_runs.verdict(final)
        if self._runs.ended("finalists", "finalists") is None:
            finalist_runs.write(self._client, self._runs, final, parent=self._study, start_ms=self._step_started_ms)
        self._runs.batch(
            self._study,
            metrics=values.finite(values.of_answer(final)),
            params={f"best.{leaf}": value for leaf, value in self._best.items()},
            tags={"worth": worth(final) or "", "winner": final.winner.trial_id, "alike": " ".join(final.alike)},
        )
        mlflow_search.log_pareto(self._client, self._study, final)
        if final.columns is not None and final.columns.columns:
            log_picture(self._client, self._study, "columns.png", partial(columns.draw, final.columns))
        if final.partial_dependences:
            target = self._spec.data.target if self._spec is not None else None
            draw = partial(partial_dependence.draw, final.partial_dependences, target)
            log_picture(self._client, self._study, "partial_dependence.png", draw)
        for path in final.checkpoints:
            self._client.log_artifact(self._study, str(path), "winner")
        # Of a study of an earlier version there is none.
        if (predictions := final.checkpoint.parent / layout.TEST_PREDICTIONS).exists():
            self._client.log_artifact(self._study, str(predictions))

    def _write_model(self, event: ModelPacked) -> None:
        ids = {"run": self._study, "study_id": self._study_id}
        known = self._client.get_run(self._study).data.tags
        self.registered = known.get("registered", "")
        uri = known.get(mlflow_models.URI_TAG) or mlflow_models.log(
            self._client, event, experiment=self._runs.experiment, params=self._best, **ids
        )
        if event.register_as is None or self.registered:
            return
        # Alone: two studies that end at once would both find the old champion and not each other.
        with alone(self._uri):
            self.registered = str(registry.register(self._client, event, uri, verdict=self._verdict, **ids))
        self._runs.batch(self._study, tags={"registered": self.registered})

    def _end_study(self, event: StudyFinished) -> None:
        result = event.result
        if not self._study:
            return
        if self._open_round:
            # Cut short by Ctrl-C or a failure outside.
            self._runs.end(self._round, "KILLED")
        note = notes.text(result, event.report, experiment=self._runs.experiment, run=self._study)
        tags = {"status": result.status, "reason": result.reason, NOTE: note}
        counts = {"seconds": result.seconds}
        # What is interrupted goes on, and has other numbers then.
        if result.status is not StudyStatus.INTERRUPTED:
            counts["trials"] = sum(len(done.trials) for done in result.rounds)
            counts["checks_passed"] = sum(check.passed for check in result.checks)
        self._runs.batch(self._study, metrics=values.finite(counts), tags=tags)
        assert self._spec is not None
        self._runs.rename(self._study, notes.name(self._spec.name, result))
        self._client.log_text(self._study, event.report, "report.md")
        document = StudyDocument.of(self._spec, result, {})
        self._client.log_text(self._study, document.model_dump_json(indent=2), layout.RESULT)
        log_page(self._client, self._study, self._story, event)
        winner = result.finalists.winner.trial_id if result.finalists is not None else ""
        mlflow_search.log_study(self._client, self._study, result.rounds, winner)
        self._runs.check()
        self._runs.end(self._study, RUN_STATUS[result.status])

    def _log_figures(self, check: CheckResult, run: str) -> None:
        if isinstance(check, InitialLossResult):
            log_picture(self._client, run, "activations.png", partial(activations.draw, check))
        elif isinstance(check, OverfitResult):
            log_picture(self._client, run, "small_sample_loss.png", partial(losses.draw_small_sample, check))
            if check.health is not None:
                title = "Step 2: the configured network, memorising"
                log_picture(self._client, run, "gradient_health.png", partial(gradients.draw, check.health, title))
        elif isinstance(check, LearningRatesResult):
            log_picture(self._client, run, "learning_rates.png", partial(losses.draw_learning_rates, check))


def _round_name(plan: RoundPlan) -> str:
    return plan.name + (f" (cycle {plan.cycle})" if plan.cycle > 1 else "")
