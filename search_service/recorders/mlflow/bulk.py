"""Whole runs in MLflow's database, many in one transaction.

MLflow's client writes a run in three calls, each of several transactions: on a SQLite file some 110 ms, to a server
70 ms of CPU on both sides. Populations end dozens of trials at once. Where the store is a database that this process
opens itself, their runs go into its tables as MLflow would have written them, with as many statements as there are
tables. A server that runs ``server.py`` does the same for its callers. To any other they go one by one, through
the client.

The tables are MLflow's own declarations of them (``mlflow.store.tracking.dbmodels``), of the version that is pinned;
the contract tests read everything back through the client, and compare it with what the client writes.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Literal, NamedTuple

from mlflow import MlflowClient
from mlflow.entities import LifecycleStage, RunStatus, SourceType
from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlMetric, SqlParam, SqlRun, SqlTag
from mlflow.store.tracking.rest_store import RestStore
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.rest_utils import http_request, verify_rest_response
from mlflow.utils.uri import append_to_uri_path
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import insert, select

# Rows of an INSERT: databases bound the number of values in one, and the fewest that any of them takes is 32 766
# (SQLite); a row has at most 15.
ROWS_AT_ONCE = 2_000

# Where a server takes whole runs; a GET says whether it does, and in which form.
PATH = "/api/2.0/search-service/whole-runs"
FORM = {"whole_runs": 2}
# Of one request to a server: a megabyte or two of JSON, some tenths of a second.
MOST_RUNS, MOST_VALUES = 200, 20_000

# MLflow's limits.
Key = Annotated[str, Field(min_length=1, max_length=250)]


class Value(NamedTuple):
    """One value of a metric.

    Attributes:
        key: The metric's name.
        value: May be NaN or infinite.
        timestamp: Milliseconds since 1970.
        step: An epoch, mostly.
    """

    key: Key
    value: float
    timestamp: int
    step: int


class WholeRun(BaseModel):
    """A run that is over.

    Attributes:
        id: Chosen by whoever writes it, so that writing it once more, for want of an answer, does not write it twice.
        name: The run's name.
        status: ``FINISHED``, ``FAILED`` or ``KILLED``.
        tags: Beside the name; texts short enough for MLflow.
        params: Its parameters, as text.
        metrics: The run's metrics with their times and steps.
        start_ms: When it began, in milliseconds since 1970; by default at its first value.
        end_ms: When it was over, in milliseconds since 1970; by default when it is written.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    id: str = Field(default_factory=lambda: uuid.uuid4().hex, pattern="^[0-9a-f]{32}$")
    name: Key
    status: Literal["FINISHED", "FAILED", "KILLED"]
    tags: Mapping[Key, Annotated[str, Field(max_length=8_000)]]
    params: Mapping[Key, Annotated[str, Field(max_length=6_000)]]
    metrics: Sequence[Value]
    start_ms: int | None = None
    end_ms: int | None = None


class WholeRuns(BaseModel):
    """What is sent to a server."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    experiment_id: Annotated[str, Field(pattern="^[0-9]{1,20}$")]
    runs: Sequence[WholeRun]


# Takes an experiment's id and runs; all or none of those that one request holds.
Writer = Callable[[str, Sequence[WholeRun]], None]


def writer_of(client: MlflowClient) -> Writer | None:
    """What writes whole runs into the client's store; None where only the client can.

    Raises:
        MlflowException: A server does not answer.
    """
    store = client._tracking_client.store
    if isinstance(store, SqlAlchemyStore):
        # Looked up at each call: tests die in the middle of it.
        return lambda experiment_id, runs: write(store, experiment_id, runs)
    if isinstance(store, RestStore):
        answer = http_request(store.get_host_creds(), PATH, "GET")
        if answer.status_code == HTTPStatus.OK and _json_of(answer) == FORM:
            return partial(send, store)
    return None


def send(store: RestStore, experiment_id: str, runs: Sequence[WholeRun]) -> None:
    """Have a server write runs.

    Args:
        store: The server's store.
        experiment_id: The experiment to which they belong.
        runs: The runs, however many.

    Raises:
        MlflowException: The server refuses or, after the client's retries, does not answer.
    """
    for some in _requests(runs):
        body = WholeRuns(experiment_id=experiment_id, runs=some).model_dump_json().encode()
        headers = {"Content-Type": "application/json"}
        answer = http_request(store.get_host_creds(), PATH, "POST", data=body, extra_headers=headers)
        verify_rest_response(answer, PATH)


def _requests(runs: Sequence[WholeRun]) -> Iterator[Sequence[WholeRun]]:
    some: list[WholeRun] = []
    values = 0
    for run in runs:
        if some and (len(some) == MOST_RUNS or values + len(run.metrics) > MOST_VALUES):
            yield some
            some, values = [], 0
        some.append(run)
        values += len(run.metrics)
    if some:
        yield some


def _json_of(answer: Any) -> Any:
    try:
        return answer.json()
    except ValueError:  # A page of somebody else's.
        return None


def write(store: SqlAlchemyStore, experiment_id: str, runs: Sequence[WholeRun]) -> None:
    """Write runs, all or none; those that are there already are left as they are.

    Args:
        store: MLflow's database.
        experiment_id: The experiment to which they belong.
        runs: The runs, however many.

    Raises:
        MlflowException: The experiment is not there, or was deleted.
        SQLAlchemyError: The database refuses.
    """
    if not runs:
        return
    experiment = store.get_experiment(experiment_id)
    store._check_experiment_is_active(experiment)
    with store.ManagedSessionMaker(read_only=False) as session:
        there = set(session.scalars(select(SqlRun.run_uuid).where(SqlRun.run_uuid.in_([run.id for run in runs]))))
        for table, rows in _rows(store, experiment, [run for run in runs if run.id not in there]).items():
            for start in range(0, len(rows), ROWS_AT_ONCE):
                session.execute(insert(table), rows[start : start + ROWS_AT_ONCE])


def _rows(store: SqlAlchemyStore, experiment: Any, runs: Sequence[WholeRun]) -> dict[type[Any], list[dict[str, Any]]]:
    """Rows by table, in the order in which tables refer to each other."""
    now = int(time.time() * 1000)
    metrics = [list(_metrics(store, run)) for run in runs]
    return {
        SqlRun: [_run(run, experiment, now) for run in runs],
        SqlTag: [
            {"run_uuid": run.id, "key": key, "value": value}
            for run in runs
            for key, value in ({"mlflow.runName": run.name} | dict(run.tags)).items()
        ],
        SqlParam: [
            {"run_uuid": run.id, "key": key, "value": value} for run in runs for key, value in run.params.items()
        ],
        SqlMetric: [row for of_run in metrics for row in of_run],
        SqlLatestMetric: [row for of_run in metrics for row in _latest(of_run)],
    }


def _run(run: WholeRun, experiment: Any, now: int) -> dict[str, Any]:
    times, end = [metric.timestamp for metric in run.metrics], now if run.end_ms is None else run.end_ms
    return {
        "run_uuid": run.id,
        "name": run.name,
        "experiment_id": int(experiment.experiment_id),
        "artifact_uri": append_to_uri_path(experiment.artifact_location, run.id, SqlAlchemyStore.ARTIFACTS_FOLDER_NAME),
        "source_type": SourceType.to_string(SourceType.UNKNOWN),
        "source_name": "",
        "entry_point_name": "",
        "source_version": "",
        "user_id": "unknown",
        "status": RunStatus.to_string(RunStatus.from_string(run.status)),
        "start_time": min(times, default=end) if run.start_ms is None else run.start_ms,
        "end_time": max(end, *times) if times else end,
        "lifecycle_stage": LifecycleStage.ACTIVE,
    }


def _metrics(store: SqlAlchemyStore, run: WholeRun) -> Iterator[dict[str, Any]]:
    """Each once: MLflow's key is all of a metric."""
    rows: dict[tuple[object, ...], dict[str, Any]] = {}
    for metric in run.metrics:
        is_nan, value = store.sanitize_metric_value(metric.value)
        # By what is stored: no NaN is equal to another, and all are stored alike.
        rows[metric.key, metric.timestamp, metric.step, value, is_nan] = {
            "run_uuid": run.id,
            "key": metric.key,
            "value": value,
            "timestamp": metric.timestamp,
            "step": metric.step,
            "is_nan": is_nan,
        }
    yield from rows.values()


def _latest(rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The latest value of each name: that of the largest step, by MLflow's order."""
    latest: dict[str, dict[str, Any]] = {}
    for row in rows:
        best = latest.get(row["key"])
        if best is None or _order(row) > _order(best):
            latest[row["key"]] = row
    yield from latest.values()


def _order(row: Mapping[str, Any]) -> tuple[int, int, float]:
    return row["step"], row["timestamp"], row["value"]
