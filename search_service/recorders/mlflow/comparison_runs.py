"""A comparison of optimisers in MLflow; ``recorder.py`` shows its runs."""

from __future__ import annotations

import math
from typing import assert_never

from mlflow import MlflowClient

from search_service.recorders.mlflow import metrics as values
from search_service.recorders.mlflow.experiments import Experiments
from search_service.recorders.mlflow.runs import Runs
from search_service.recorders.mlflow.top_run import RUN_STATUS, begin
from search_service.records.events import ComparisonEvent, ComparisonFinished, ComparisonStarted, OptimizerCompared
from search_service.report.study_report import describe


class ComparisonRuns:
    """Writes one comparison of optimisers: its run, and a run per optimiser.

    Args:
        client: The client of the MLflow store.
        runs: The comparison's runs.
        experiments: Where it goes.
    """

    def __init__(self, client: MlflowClient, runs: Runs, experiments: Experiments) -> None:
        self._client, self._runs, self._experiments = client, runs, experiments
        self._comparison = ""
        self._optimizers: dict[str, str] = {}

    @property
    def run(self) -> str:
        """Id of the comparison's run; empty before it has begun."""
        return self._comparison

    def write(self, event: ComparisonEvent) -> None:
        """Write what an event says."""
        match event:
            case ComparisonStarted():
                self._begin(event)
            case OptimizerCompared():
                self._write_optimizer(event)
            case ComparisonFinished():
                self._finish(event)
            case _:
                assert_never(event)

    def _begin(self, event: ComparisonStarted) -> None:
        unasked = {"search_space", "checks", "search", "finalists", "model"}
        self._runs.experiment = self._experiments.open(event.spec.experiment or event.spec.name)
        self._runs.of("comparison_id", event.comparison_id)
        self._comparison = begin(self._client, self._runs, "comparison", event.comparison_id, event, unasked=unasked)

    def _write_optimizer(self, event: OptimizerCompared) -> None:
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

    def _finish(self, event: ComparisonFinished) -> None:
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
        self._runs.end(self._comparison, RUN_STATUS[result.status])
