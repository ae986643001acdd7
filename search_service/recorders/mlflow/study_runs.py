"""A study in MLflow, event by event; ``recorder.py`` shows its runs."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from functools import partial
from typing import Any, assert_never

from mlflow import MlflowClient

from search_service.recorders.figures import activations, gradients, losses, schedules
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
from search_service.records import curves
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
    TrialFinished,
    TrialProgressed,
)
from search_service.records.finalists import FinalistsResult
from search_service.records.round_plan import RoundPlan
from search_service.records.rounds import RoundResult, TrialResult, TrialStatus
from search_service.report.page.story import Story
from search_service.report.study_report import describe, format_value, worth
from search_service.space.ranges import conditions


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
        self._round = ""
        self._open_round = False
        # By number: a round that is told again, for want of an answer, is no further round.
        self._rounds: dict[int, RoundResult] = {}
        self._step_started_ms = 0
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
        """Write what an event says."""
        self._story.hear(event)
        match event:
            case StudyStarted():
                self._begin_study(event)
            case StepStarted():
                self._step_started_ms = self._runs.at_ms
            case CheckFinished():
                self._write_check(event)
            case RoundStarted():
                self._begin_round(event)
            case TrialProgressed():
                # For those who watch: a trial's curve comes with its end.
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
        self._runs.batch(run, metrics=metrics, tags={"mlflow.note.content": note})
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
        self._runs.batch(self._round, params=params, tags={"mlflow.note.content": note} if note else {})

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
        tags = {"verdict": verdict, "reason": decision.reason, "mlflow.note.content": note}
        run = self._runs.start(name, "decision", parent=self._study, tags=tags)
        numbers = {"gain": decision.gain, "expected_gain": decision.expected_gain, "noise": decision.noise}
        known = {key: value for key, value in numbers.items() if value is not None}
        self._runs.batch(run, metrics=values.finite(known))
        self._runs.end(run)

    def _write_answer(self, event: FinalistsFinished) -> None:
        final = event.result
        if self._runs.ended("finalists", "finalists") is None:
            self._write_finalists(final)
        self._runs.batch(
            self._study,
            metrics=values.finite(values.of_answer(final)),
            tags={f"best.{leaf}": format_value(value) for leaf, value in describe(final.winner.config).items()}
            | {f"baseline.{b.name}": b.unavailable for b in final.baselines if b.unavailable}
            | {"worth": worth(final) or "", "alike": " ".join(final.alike)},
        )
        mlflow_search.log_pareto(self._client, self._study, final)
        for path in dict.fromkeys((final.checkpoint, final.model[0])):
            self._client.log_artifact(self._study, str(path), "winner")

    def _write_finalists(self, final: FinalistsResult) -> None:
        group = self._runs.start("finalists", "finalists", parent=self._study, start_ms=self._step_started_ms)
        for finalist in final.finalists:
            if self._runs.ended("finalist", f"finalist {finalist.trial_id}"):
                continue
            run = self._runs.start(f"finalist {finalist.trial_id}", "finalist", parent=group)
            metrics = [values.metric("score_mean", finalist.mean), values.metric("score_std", finalist.std)]
            metrics += values.finite(mlflow_search.finalist_metrics(finalist))
            metrics += [values.metric("score_by_seed", s, step=i) for i, s in enumerate(finalist.scores)]
            metrics += [
                values.metric("score_by_fold", sum(scores) / len(scores), step=i)
                for i, scores in enumerate(finalist.fold_scores, start=1)
            ]
            metrics += values.finite({f"validation_mean_{name}": v for name, v in finalist.validation_metrics.items()})
            metrics += [m for point in curves.mean(finalist.curves) for m in values.of_point(point, final.metric)]
            metrics += [
                values.metric("learning_rate", r, step=e) for e, r in enumerate(finalist.learning_rates, start=1)
            ]
            metrics += values.of_health(finalist.health)
            tags = {
                "contender": str(finalist.trial_id in final.contenders).lower(),
                "gradient_health": finalist.health.verdict.name,
                "fit": finalist.fit.name,
                "mlflow.note.content": f"{finalist.fit.summary}\n\n{finalist.health.verdict.summary}",
            }
            self._runs.batch(run, metrics=metrics, params=finalist.config.flat(), tags=tags)
            title = f"Finalist {finalist.trial_id}, first seed"
            log_picture(self._client, run, "gradient_health.png", partial(gradients.draw, finalist.health, title))
            self._runs.end(run)
        self._runs.batch(group, metrics=[values.metric("seconds", final.seconds)])
        log_picture(self._client, group, "finalists.png", partial(losses.draw_finalists, final))
        log_picture(self._client, group, "learning_rates.png", partial(schedules.draw, final))
        self._runs.end(group)

    def _write_model(self, event: ModelPacked) -> None:
        ids = {"run": self._study, "study_id": self._study_id}
        known = self._client.get_run(self._study).data.tags
        self.registered = known.get("registered", "")
        uri = known.get(mlflow_models.URI_TAG) or mlflow_models.log(
            self._client, event, experiment=self._runs.experiment, **ids
        )
        if event.register_as is None or self.registered:
            return
        # Alone: two studies that end at once would both find the old champion and not each other.
        with alone(self._uri):
            self.registered = str(mlflow_models.register(self._client, event, uri, **ids))
        self._runs.batch(self._study, tags={"registered": self.registered})

    def _end_study(self, event: StudyFinished) -> None:
        result = event.result
        if not self._study:
            return
        if self._open_round:
            # Cut short by Ctrl-C or a failure outside.
            self._runs.end(self._round, "KILLED")
        tags = {"status": result.status, "reason": result.reason, "mlflow.note.content": event.report}
        self._runs.batch(self._study, metrics=[values.metric("seconds", result.seconds)], tags=tags)
        self._client.log_text(self._study, event.report, "report.md")
        log_page(self._client, self._study, self._story, event)
        mlflow_search.log_study(self._client, self._study, result.rounds)
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
