"""Whole runs in MLflow's database, many in one transaction.

MLflow's client writes a run in three calls, each of several transactions: on a SQLite file some 110 ms. Populations end
dozens of trials at once. Where the store is a database that this process opens itself, their runs go into its tables as
MLflow would have written them, with as many statements as there are tables. To a server they go one by one, through the
client.

The tables are MLflow's own declarations of them (``mlflow.store.tracking.dbmodels``), of the version that is pinned;
the contract tests read everything back through the client, and compare it with what the client writes.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import LifecycleStage, Metric, RunStatus, SourceType
from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlMetric, SqlParam, SqlRun, SqlTag
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.uri import append_to_uri_path
from sqlalchemy import insert

# Rows of an INSERT: databases bound the number of values in one, and the fewest that any of them takes is 32 766
# (SQLite); a row has at most 15.
ROWS_AT_ONCE = 2_000


@dataclass(frozen=True)
class WholeRun:
    """A run that is over.

    Attributes:
        name: Of the run.
        status: ``FINISHED``, ``FAILED`` or ``KILLED``.
        tags: Beside the name; texts short enough for MLflow.
        params: Likewise.
        metrics: With their times and steps.
    """

    name: str
    status: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Sequence[Metric]


def database_of(client: MlflowClient) -> SqlAlchemyStore | None:
    """The client's store, if that is a database and not a server."""
    store = client._tracking_client.store
    return store if isinstance(store, SqlAlchemyStore) else None


def write(store: SqlAlchemyStore, experiment_id: str, runs: Sequence[WholeRun]) -> None:
    """Write runs, all or none.

    Args:
        store: MLflow's database.
        experiment_id: To which they belong.
        runs: Of any number.

    Raises:
        MlflowException: The experiment is not there, or was deleted.
        SQLAlchemyError: The database refuses.
    """
    if not runs:
        return
    experiment = store.get_experiment(experiment_id)
    now = int(time.time() * 1000)
    ids = [uuid.uuid4().hex for _ in runs]
    metrics = [list(_metrics(store, run.metrics, own)) for run, own in zip(runs, ids, strict=True)]
    rows: dict[type[Any], list[dict[str, Any]]] = {
        SqlRun: [_run(run, own, experiment, now) for run, own in zip(runs, ids, strict=True)],
        SqlTag: [
            {"run_uuid": own, "key": key, "value": value}
            for run, own in zip(runs, ids, strict=True)
            for key, value in ({"mlflow.runName": run.name} | dict(run.tags)).items()
        ],
        SqlParam: [
            {"run_uuid": own, "key": key, "value": value}
            for run, own in zip(runs, ids, strict=True)
            for key, value in run.params.items()
        ],
        SqlMetric: [row for of_run in metrics for row in of_run],
        SqlLatestMetric: [row for of_run in metrics for row in _latest(of_run)],
    }
    with store.ManagedSessionMaker(read_only=False) as session:
        for table, own_rows in rows.items():
            for start in range(0, len(own_rows), ROWS_AT_ONCE):
                session.execute(insert(table), own_rows[start : start + ROWS_AT_ONCE])


def _run(run: WholeRun, run_id: str, experiment: Any, now: int) -> dict[str, Any]:
    times = [metric.timestamp for metric in run.metrics]
    return {
        "run_uuid": run_id,
        "name": run.name,
        "experiment_id": int(experiment.experiment_id),
        "artifact_uri": append_to_uri_path(experiment.artifact_location, run_id, SqlAlchemyStore.ARTIFACTS_FOLDER_NAME),
        "source_type": SourceType.to_string(SourceType.UNKNOWN),
        "source_name": "",
        "entry_point_name": "",
        "source_version": "",
        "user_id": "unknown",
        "status": RunStatus.to_string(RunStatus.from_string(run.status)),
        "start_time": min(times, default=now),
        "end_time": now,
        "lifecycle_stage": LifecycleStage.ACTIVE,
    }


def _metrics(store: SqlAlchemyStore, metrics: Sequence[Metric], run_id: str) -> Iterator[dict[str, Any]]:
    """Each once: MLflow's key is all of a metric."""
    for metric in dict.fromkeys(metrics):
        is_nan, value = store.sanitize_metric_value(metric.value)
        yield {
            "run_uuid": run_id,
            "key": metric.key,
            "value": value,
            "timestamp": metric.timestamp,
            "step": metric.step,
            "is_nan": is_nan,
        }


def _latest(rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Of each name that of the largest step, by MLflow's order."""
    latest: dict[str, dict[str, Any]] = {}
    for row in rows:
        best = latest.get(row["key"])
        if best is None or _order(row) > _order(best):
            latest[row["key"]] = row
    yield from latest.values()


def _order(row: Mapping[str, Any]) -> tuple[int, int, float]:
    return row["step"], row["timestamp"], row["value"]
