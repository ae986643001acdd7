"""D3, D5: MLflow on PostgreSQL with the stack's settings loses nothing, however many write at once."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from mlflow import MlflowClient
from mlflow.entities import Metric

from tests.databases import new_database, postgresql_server
from tests.servers import mlflow_server

WRITERS, BATCHES, METRICS = 48, 10, 20


def test_d3_of_48_who_write_at_once_no_batch_is_lost(tmp_path):
    with postgresql_server() as server, mlflow_server(new_database(server), tmp_path) as url:
        client = MlflowClient(url)
        experiment = client.create_experiment("many writers")

        def write(_: int) -> str:
            own = MlflowClient(url)
            run = own.create_run(experiment).info.run_id
            for batch in range(BATCHES):
                metrics = [Metric(f"metric_{n}", float(batch), 1_000 * batch, batch) for n in range(METRICS)]
                own.log_batch(run, metrics=metrics)
            return run

        with ThreadPoolExecutor(WRITERS) as pool:
            runs = list(pool.map(write, range(WRITERS)))
        assert len(set(runs)) == WRITERS
        for run in runs:
            assert [point.value for point in client.get_metric_history(run, "metric_7")] == [
                float(n) for n in range(BATCHES)
            ]
