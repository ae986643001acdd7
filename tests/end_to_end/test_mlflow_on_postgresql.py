"""D3, D5: MLflow on PostgreSQL with the stack's settings loses nothing, however many write at once."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import yaml

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from mlflow import MlflowClient
from mlflow.entities import Metric

from tests.conftest import REPOSITORY
from tests.databases import new_database, postgresql_server

WRITERS, BATCHES, METRICS = 48, 10, 20
# Of the stack's MLflow, what has to do with its database and workers.
SETTINGS = (
    "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE",
    "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION",
)


@contextmanager
def mlflow_server(database: str, folder: Path) -> Iterator[str]:
    """The address of a server as docker-compose.yml starts it."""
    of_stack = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]["mlflow"]
    assert "--workers=1" in of_stack["command"]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {key: of_stack["environment"][key] for key in SETTINGS}
    command = [Path(sys.executable).with_name("mlflow"), "server", "--host=127.0.0.1", f"--port={port}", "--workers=1"]
    command += [
        f"--backend-store-uri={database}",
        f"--artifacts-destination={folder / 'artifacts'}",
        "--serve-artifacts",
    ]
    with (folder / "mlflow.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 150
        while True:
            assert process.poll() is None, (folder / "mlflow.log").read_text()[-2000:]
            assert time.monotonic() < deadline, "the server does not answer"
            try:
                httpx.get(f"{url}/health").raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(0.2)
        yield url
    finally:
        os.killpg(process.pid, 15)
        process.wait(timeout=60)


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
