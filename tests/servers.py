"""Real MLflow servers for tests, as docker-compose.yml starts its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import yaml

from tests.conftest import REPOSITORY

# Of the stack's MLflow, what has to do with its database and workers.
SETTINGS = (
    "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE",
    "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION",
)


@contextmanager
def mlflow_server(database: str, folder: Path) -> Iterator[str]:
    """The address of a server whose records are in ``database``, whose files are in ``folder``."""
    of_stack = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]["mlflow"]
    assert {"--workers=1", "--app-name=search-service", "--serve-artifacts"} < set(of_stack["command"])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {key: of_stack["environment"][key] for key in SETTINGS}
    command = [
        str(Path(sys.executable).with_name("mlflow")), "server", "--host=127.0.0.1", f"--port={port}", "--workers=1",
        "--app-name=search-service", "--serve-artifacts", f"--backend-store-uri={database}",
        f"--artifacts-destination={folder / 'artifacts'}",
    ]  # fmt: skip
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
