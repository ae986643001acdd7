"""Studies in MLflow. A reviewer needs nothing but the MLflow UI.

    experiment            the spec's ``experiment``
    └── study             parameters: the whole config; report.md, spec.json; the model; result as metrics, with
        │                 those of simpler models (test_accuracy_linear, test_accuracy_boosting, test_accuracy_trivial)
        ├── 1 initial loss, 2 overfit a small sample, 3 learning rates
        │                 measured and expected as metrics, verdict as tags and description, a figure
        ├── 4 coarse search, 5 refined search
        │   │             pictures of the search and trials.csv (mlflow_search.py); what mattered as metrics
        │   └── r1-000 …  a run per trial: parameters by dotted path, metrics with the epoch as step
        ├── 6 repeat      the decision and its reason
        └── finalists
            └── …         a run per finalist, curves averaged over seeds; every metric (validation_mean_roc_auc)

A comparison of optimisers is a run of its own, with a run per optimiser: its mean curves, and its row of the table.

    experiment
    └── comparison        report.md as description; loss_curves.png, loss_slice.png, paths.html
        └── sgd …         parameters by dotted path, metrics with the epoch as step

Runs are joined by the tag ``mlflow.parentRunId``. Everything about a run is written in one batch when it ends, from
the driver: workers never speak to MLflow. ``mlflow_models.py`` logs, registers and finds models, ``mlflow_search.py``
logs the pictures and tables that look back on the search.

A study that goes on after it was cut short tells what it had told before. So every run of a study has its id as the tag
``study_id``, and one search at the start learns which runs there are: what is finished is left as it is, and what was
being written is completed, without writing a value twice.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import statistics
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial, singledispatchmethod
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from mlflow.entities import Experiment, LifecycleStage
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from search_service.errors import InvalidSpecError, Problem, RecorderError, RecordRefusedError
from search_service.recorders.figures import activations, gradients, losses, schedules
from search_service.recorders.mlflow import bulk as mlflow_bulk
from search_service.recorders.mlflow import metrics as values
from search_service.recorders.mlflow import models as mlflow_models
from search_service.recorders.mlflow import search as mlflow_search
from search_service.recorders.mlflow.pictures import log_picture
from search_service.recorders.mlflow.runs import MAX_PARAM_LENGTH, Runs, format_param
from search_service.recorders.mlflow.store import alone, open_client
from search_service.records.checks import CheckResult, InitialLossResult, LearningRatesResult, OverfitResult
from search_service.records.events import (
    CheckFinished,
    ComparisonFinished,
    ComparisonStarted,
    CycleDecided,
    Event,
    FinalistsFinished,
    ModelPacked,
    OptimizerCompared,
    RoundFinished,
    RoundStarted,
    StepStarted,
    StudyFinished,
    StudyStarted,
    TrialFinished,
)
from search_service.records.finalists import FinalistsResult
from search_service.records.results import StudyStatus
from search_service.records.rounds import RoundPlan, RoundResult, TrialResult, TrialStatus
from search_service.report.study_report import describe, describe_data, format_value, health_of, worth
from search_service.space.ranges import conditions
from trainables.redaction import redact

# Trials written to a server at once: a call is mostly waiting for its disk and its answer.
CALLS_AT_ONCE = 4

# MLflow's words for what it will refuse again, however often it is asked.
_REFUSALS = ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "INVALID_STATE", "FEATURE_DISABLED")

_RUN_STATUS = {
    StudyStatus.COMPLETED: "FINISHED",
    StudyStatus.FAILED: "FAILED",
    StudyStatus.INTERRUPTED: "KILLED",
    TrialStatus.COMPLETED: "FINISHED",
    # Stopped by ASHA: that is the search working, not a failure.
    TrialStatus.PRUNED: "FINISHED",
    TrialStatus.DIVERGED: "FAILED",
    TrialStatus.FAILED: "FAILED",
}


class MlflowRecorder:
    """Writes a study to an MLflow store.

    Args:
        uri: Of the store: ``sqlite:///…`` or a server.
        artifacts: Folder for files, where no server keeps them.

    Raises:
        RecorderError: The store cannot be opened.
    """

    def __init__(self, uri: str, artifacts: Path | None = None) -> None:
        self._uri, self._artifacts = uri, artifacts
        with self._errors():
            self._client = open_client(uri)
            self._client.search_experiments(max_results=1)
            self._write_whole = mlflow_bulk.writer_of(self._client)
        self._runs = Runs(self._client)
        # Ids by name.
        self._experiments: dict[str, str] = {}
        self._study = ""
        self._study_id = ""
        self._registered = ""
        self._round = ""
        self._open_round = False
        # By number: a round that is told again, for want of an answer, is no further round.
        self._rounds: dict[int, RoundResult] = {}
        self._step_started_ms = 0
        self._comparison = ""
        self._optimizers: dict[str, str] = {}

    @property
    def page(self) -> str:
        """The experiment's runs, in the UI's view for training (its default is the one for generative AI)."""
        return f"/#/experiments/{self._runs.experiment}/runs?workflowType=machine_learning"

    @property
    def registered(self) -> str:
        """See ``Recorder.registered``."""
        return self._registered

    def open_experiment(self, name: str) -> None:
        """Find or make the experiment of what will be recorded, before anything is: its page is known then.

        Raises:
            InvalidSpecError: It was deleted: its name stays taken, and nothing can be written to it.
            RecorderError: MLflow cannot be reached, or refuses.
        """
        with self._errors():
            self._runs.experiment = self._find_or_create_experiment(name)

    def record(self, event: Event) -> None:
        """See ``Recorder.record``."""
        self.record_at(event, _now_ms())

    def record_at(self, event: Event, at_ms: int) -> None:
        """See ``BulkRecorder.record_at``."""
        with self._errors():
            self._runs.at_ms = at_ms
            self._write(event)

    def record_trials(self, events: Sequence[tuple[TrialFinished, int]]) -> None:
        """See ``BulkRecorder.record_trials``."""
        with self._errors():
            self._write_trials([(event.trial, at_ms) for event, at_ms in events])

    def recover(self) -> None:
        """See ``BulkRecorder.recover``."""
        with self._errors():
            self._runs.recover()

    def close(self) -> None:
        """Everything is written by ``record`` itself."""

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (MlflowException, SQLAlchemyError, OSError) as error:
            reason = redact(str(error).splitlines()[0], self._uri)
            kind = RecordRefusedError if getattr(error, "error_code", "") in _REFUSALS else RecorderError
            raise kind(f"MLflow at {self._uri} cannot record the study: {reason}") from error

    # ---- events ------------------------------------------------------------------------------------------------

    @singledispatchmethod
    def _write(self, event: object) -> None:
        """Other events are for those who watch; their content comes again in one that is written."""

    @_write.register
    def _(self, event: StudyStarted) -> None:
        self._study_id = event.study_id
        self._runs.experiment = self._find_or_create_experiment(event.spec.experiment or event.spec.name)
        self._runs.of("study_id", event.study_id)
        self._study = self._begin("study", event.study_id, event, unasked={"comparison"})

    @_write.register
    def _(self, event: StepStarted) -> None:
        self._step_started_ms = self._runs.at_ms

    @_write.register
    def _(self, event: CheckFinished) -> None:
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
        health = health_of(check)
        if health is not None:
            tags = {"gradient_health": health.verdict.name}
            self._runs.batch(run, metrics=values.of_health(health), tags=tags)
        self._runs.batch(run, metrics=metrics, tags={"mlflow.note.content": note})
        self._figures_of(check, run)
        self._runs.end(run, "FINISHED" if check.passed else "FAILED")

    @_write.register
    def _(self, event: RoundStarted) -> None:
        plan, name = event.plan, _round_name(event.plan)
        if (ended := self._runs.ended("round", name)) is not None:
            self._round = ended
            return
        self._round = self._runs.start(name, "round", parent=self._study, tags={"cycle": str(plan.cycle)})
        self._open_round = True
        params: dict[str, Any] = {
            f"range.{leaf}": f"{range_} {conditions(range_)}".rstrip() for leaf, range_ in plan.space.items()
        }
        params |= {"max_trials": plan.max_trials, "max_epochs": plan.max_epochs, "sampler": plan.sampler}
        note = "\n".join(f"- {sentence}" for sentence in event.sentences)
        self._runs.batch(self._round, params=params, tags={"mlflow.note.content": note} if note else {})

    @_write.register
    def _(self, event: TrialFinished) -> None:
        self._write_trials([(event.trial, self._runs.at_ms)])

    def _write_trials(self, trials: Sequence[tuple[TrialResult, int]]) -> None:
        """New ones in one transaction where that is possible; those that were begun before are gone on with."""
        fresh, others = [], []
        for trial, at_ms in trials:
            if trial.times is not None:
                # By the journal and not by when it was heard of: told again, it is the same run.
                at_ms = _ms(trial.times.ended_at)  # noqa: PLW2901
            if self._write_whole and not self._runs.is_there("trial", trial.trial_id):
                fresh.append(self._whole(trial, at_ms))
            elif self._runs.ended("trial", trial.trial_id) is None:
                others.append((trial, at_ms))
        if self._write_whole:
            self._write_whole(self._runs.experiment, fresh)
        # One after another: what must not be repeated is asked with a setting of the whole process.
        begun = [
            (
                self._runs.start(
                    trial.trial_id,
                    "trial",
                    parent=self._round,
                    tags=_trial_tags(trial),
                    start_ms=_start_ms(trial, at_ms),
                ),
                trial,
                at_ms,
            )
            for trial, at_ms in others
        ]
        if begun:
            with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
                list(pool.map(lambda of: self._write_trial(*of), begun))

    def _write_trial(self, run: str, trial: TrialResult, at_ms: int) -> None:
        self._runs.batch(run, metrics=values.of_trial(trial), params=trial.config.flat(), at_ms=at_ms)
        self._runs.end(run, _RUN_STATUS[trial.status], at_ms=at_ms)

    def _whole(self, trial: TrialResult, at_ms: int) -> mlflow_bulk.WholeRun:
        name = trial.trial_id
        return mlflow_bulk.WholeRun(
            id=self._runs.id_of("trial", name),
            name=name,
            status=_RUN_STATUS[trial.status],
            tags=self._runs.tags(name, "trial", self._round, _trial_tags(trial)),
            params={key: format_param(value)[:MAX_PARAM_LENGTH] for key, value in trial.config.flat().items()},
            metrics=[mlflow_bulk.Value(m.key, m.value, at_ms, m.step) for m in values.of_trial(trial)],
            start_ms=_start_ms(trial, at_ms),
            end_ms=at_ms,
        )

    @_write.register
    def _(self, event: RoundFinished) -> None:
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

    @_write.register
    def _(self, event: CycleDecided) -> None:
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

    @_write.register
    def _(self, event: FinalistsFinished) -> None:
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
            metrics += [m for point in values.mean_curve(finalist.curves) for m in values.of_point(point, final.metric)]
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
            self._picture(run, "gradient_health.png", partial(gradients.draw, finalist.health, title))
            self._runs.end(run)
        self._runs.batch(group, metrics=[values.metric("seconds", final.seconds)])
        self._picture(group, "finalists.png", partial(losses.draw_finalists, final))
        self._picture(group, "learning_rates.png", partial(schedules.draw, final))
        self._runs.end(group)

    @_write.register
    def _(self, event: ModelPacked) -> None:
        ids = {"run": self._study, "study_id": self._study_id}
        known = self._client.get_run(self._study).data.tags
        self._registered = known.get("registered", "")
        uri = known.get(mlflow_models.URI_TAG) or mlflow_models.log(
            self._client, event, experiment=self._runs.experiment, **ids
        )
        if event.register_as is None or self._registered:
            return
        # Alone: two studies that end at once would both find the old champion and not each other.
        with alone(self._uri):
            self._registered = str(mlflow_models.register(self._client, event, uri, **ids))
        self._runs.batch(self._study, tags={"registered": self._registered})

    @_write.register
    def _(self, event: StudyFinished) -> None:
        result = event.result
        if not self._study:
            return
        if self._open_round:
            # Cut short by Ctrl-C or a failure outside.
            self._runs.end(self._round, "KILLED")
        tags = {"status": result.status, "reason": result.reason, "mlflow.note.content": event.report}
        self._runs.batch(self._study, metrics=[values.metric("seconds", result.seconds)], tags=tags)
        self._client.log_text(self._study, event.report, "report.md")
        mlflow_search.log_study(self._client, self._study, result.rounds)
        self._runs.check()
        self._runs.end(self._study, _RUN_STATUS[result.status])

    @_write.register
    def _(self, event: ComparisonStarted) -> None:
        unasked = {"search_space", "checks", "search", "finalists", "model"}
        self._runs.experiment = self._find_or_create_experiment(event.spec.experiment or event.spec.name)
        self._runs.of("comparison_id", event.comparison_id)
        self._comparison = self._begin("comparison", event.comparison_id, event, unasked=unasked)

    @_write.register
    def _(self, event: OptimizerCompared) -> None:
        outcome = event.outcome
        run = self._runs.start(
            outcome.name, "optimizer", parent=self._comparison, tags={"swept": "; ".join(outcome.swept)}
        )
        self._optimizers[outcome.name] = run
        metrics = [m for point in outcome.mean_curve for m in values.of_point(point, outcome.metric)]
        metrics += [values.metric(f"sweep.lr_{tried.rate:.3g}", tried.loss) for tried in outcome.rates]
        metrics += [
            values.metric("divergences", outcome.diverged),
            values.metric("divergences_sweep", outcome.diverged_in_sweep),
        ]
        if outcome.config is not None:
            metrics += [
                values.metric("best_score_mean", outcome.best_mean),
                values.metric("best_score_std", outcome.best_std),
            ]
        self._runs.batch(run, metrics=metrics, params=describe(outcome.config) if outcome.config else {})
        self._runs.end(run, "FINISHED" if outcome.config else "FAILED")

    @_write.register
    def _(self, event: ComparisonFinished) -> None:
        result = event.result
        if not self._comparison:
            return
        for outcome in result.outcomes:
            # Known only now: the best drop is the best of all optimisers.
            epochs = result.epochs_to_arrive(outcome)
            # Ctrl-C may have come before its run was made.
            if epochs is not None and outcome.name in self._optimizers:
                self._runs.batch(self._optimizers[outcome.name], metrics=[values.metric("epochs_to_95", epochs)])
        tags = {"status": result.status, "reason": result.reason, "mlflow.note.content": event.report}
        metrics = [values.metric("seconds", result.seconds)]
        if math.isfinite(result.best_drop):
            metrics += [values.metric("start_loss", result.start_loss), values.metric("best_drop", result.best_drop)]
        self._runs.batch(self._comparison, metrics=metrics, tags=tags)
        self._client.log_text(self._comparison, event.report, "report.md")
        for file in event.files:
            self._client.log_artifact(self._comparison, str(file))
        self._runs.end(self._comparison, _RUN_STATUS[result.status])

    # ---- writing -----------------------------------------------------------------------------------------------

    def _begin(self, kind: str, name: str, event: StudyStarted | ComparisonStarted, *, unasked: Collection[str]) -> str:
        """A run without a parent, with the whole config but the sections ``unasked``, which it does not use."""
        tags = {f"{kind}_id": name, "data.fingerprint": event.data.fingerprint}
        tags |= {"data.described": "\n".join(describe_data(event.data))}
        tags |= {"data.suspicious": "\n".join(event.data.warnings)}
        tags |= {f"version.{library}": version for library, version in event.versions.items()}
        run = self._runs.start(name, kind, parent=None, tags=tags)
        data = event.data
        facts = {
            "data.rows.train": data.n_train,
            "data.rows.validation": data.n_validation,
            "data.rows.test": data.n_test,
            "data.features": data.n_inputs,
            "data.outputs": data.n_outputs,
            "data.is": data.task,
            **{f"data.columns.of_kind.{kind}": count for kind, count in data.columns.items()},
        }
        # Of the trial, the leaves that mean something for its choices.
        plain = event.spec.model_dump(mode="json", exclude={"trial", *unasked})
        # A column may have any name, a key of MLflow's may not.
        plain["data"]["columns"] = json.dumps(plain["data"]["columns"], ensure_ascii=False)
        asked = _flatten(plain)
        trial = {f"trial.{leaf}": value for leaf, value in event.spec.trial.flat().items()}
        self._runs.batch(run, params={**asked, **trial, **facts})
        self._client.log_text(run, event.spec.model_dump_json(indent=2, exclude_unset=True), "spec.json")
        return run

    def _find_or_create_experiment(self, name: str) -> str:
        if name not in self._experiments:
            self._experiments[name] = self._experiment_of(name)
        return self._experiments[name]

    def _experiment_of(self, name: str) -> str:
        if (existing := self._client.get_experiment_by_name(name)) is not None:
            _require_active(existing)
            return str(existing.experiment_id)
        location = (self._artifacts / _folder_of(name)).as_uri() if self._artifacts else None
        # Without this tag the UI opens its view for generative AI.
        tags = {"mlflow.experimentKind": "custom_model_development"}
        try:
            return str(self._client.create_experiment(name, artifact_location=location, tags=tags))
        except MlflowException:
            # Another study may have made it at the same time, or the answer to this request was lost.
            if (existing := self._client.get_experiment_by_name(name)) is None:
                raise
            return str(existing.experiment_id)

    def _picture(self, run: str, name: str, draw: Callable[[], Figure]) -> None:
        log_picture(self._client, run, name, draw)

    def _figures_of(self, check: CheckResult, run: str) -> None:
        if isinstance(check, InitialLossResult):
            self._picture(run, "activations.png", partial(activations.draw, check))
        elif isinstance(check, OverfitResult):
            self._picture(run, "small_sample_loss.png", partial(losses.draw_small_sample, check))
            if check.health is not None:
                title = "Step 2: the configured network, memorising"
                self._picture(run, "gradient_health.png", partial(gradients.draw, check.health, title))
        elif isinstance(check, LearningRatesResult):
            self._picture(run, "learning_rates.png", partial(losses.draw_learning_rates, check))


def _trial_tags(trial: TrialResult) -> dict[str, str]:
    return {"status": str(trial.status), "reason": trial.reason, "worker": trial.worker}


def _ms(seconds: float) -> int:
    return round(1000 * seconds)


def _start_ms(trial: TrialResult, at_ms: int) -> int:
    return at_ms if trial.times is None else _ms(trial.times.began_at)


def _round_name(plan: RoundPlan) -> str:
    return plan.name + (f" (cycle {plan.cycle})" if plan.cycle > 1 else "")


def _now_ms() -> int:
    return int(time.time() * 1000)


def _require_active(experiment: Experiment) -> None:
    if experiment.lifecycle_stage == LifecycleStage.DELETED:
        restore = f"mlflow experiments restore --experiment-id {experiment.experiment_id}"
        fix = f"restore it ({restore}), or choose another name with experiment"
        rule = "an experiment of MLflow that is not deleted, or a new name"
        raise InvalidSpecError([Problem("experiment", experiment.name, rule, fix)])


def _folder_of(experiment: str) -> str:
    """The folder of an experiment's files: its name, or what is left of it where it is more than a plain word.

    >>> _folder_of("digits"), _folder_of("../up")
    ('digits', '___up-8c722b8a')
    """
    if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", experiment):
        return experiment
    # Two names may leave the same letters; their digests differ.
    digest = hashlib.sha256(experiment.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9_-]', '_', experiment)[:60]}-{digest}"


def _flatten(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} to {"a.b": 1}; what is not set is left out."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        elif value is not None:
            flat[prefix + key] = value
    return flat
