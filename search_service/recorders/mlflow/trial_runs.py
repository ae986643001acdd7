"""Trials in MLflow: a run each, dozens written at once."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from mlflow import MlflowClient

from search_service.recorders.mlflow import bulk as mlflow_bulk
from search_service.recorders.mlflow import metrics as values
from search_service.recorders.mlflow.runs import MAX_PARAM_LENGTH, Runs, format_param
from search_service.recorders.mlflow.top_run import RUN_STATUS
from search_service.records.rounds import TrialResult

# Trials written to a server at once: a call is mostly waiting for its disk and its answer.
CALLS_AT_ONCE = 4


class TrialRuns:
    """Writes the runs of trials.

    Args:
        client: The client of the MLflow store.
        runs: The study's runs.
    """

    def __init__(self, client: MlflowClient, runs: Runs) -> None:
        self._runs = runs
        self._write_whole = mlflow_bulk.writer_of(client)

    def write(self, trials: Sequence[tuple[TrialResult, int]], round_run: str) -> None:
        """New ones in one transaction where that is possible; those that were begun before are gone on with."""
        fresh, others = [], []
        for trial, at_ms in trials:
            if trial.times is not None:
                # By the journal and not by when it was heard of: told again, it is the same run.
                at_ms = _ms(trial.times.ended_at)  # noqa: PLW2901
            if self._write_whole and not self._runs.is_there("trial", trial.trial_id):
                fresh.append(self._whole(trial, round_run, at_ms))
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
                    parent=round_run,
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
        self._runs.end(run, RUN_STATUS[trial.status], at_ms=at_ms)

    def _whole(self, trial: TrialResult, round_run: str, at_ms: int) -> mlflow_bulk.WholeRun:
        name = trial.trial_id
        return mlflow_bulk.WholeRun(
            id=self._runs.id_of("trial", name),
            name=name,
            status=RUN_STATUS[trial.status],
            tags=self._runs.tags(name, "trial", round_run, _trial_tags(trial)),
            params={key: format_param(value)[:MAX_PARAM_LENGTH] for key, value in trial.config.flat().items()},
            metrics=[mlflow_bulk.Value(m.key, m.value, at_ms, m.step) for m in values.of_trial(trial)],
            start_ms=_start_ms(trial, at_ms),
            end_ms=at_ms,
        )


def _trial_tags(trial: TrialResult) -> dict[str, str]:
    return {"status": str(trial.status), "reason": trial.reason, "worker": trial.worker}


def _ms(seconds: float) -> int:
    return round(1000 * seconds)


def _start_ms(trial: TrialResult, at_ms: int) -> int:
    return at_ms if trial.times is None else _ms(trial.times.began_at)
