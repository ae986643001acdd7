"""Real MLflow servers for tests, as docker-compose.yml starts its own."""

from __future__ import annotations

import os
import signal
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


class RestartingServer:
    """An MLflow server on SQLite that can be killed and started again, at the same address.

    Args:
        folder: For its database, files and log.
        database: URL of another database.
        whole_runs: Whether it takes whole runs, as the stack's does, or is MLflow's own and nothing more.
    """

    def __init__(self, folder: Path, database: str | None = None, *, whole_runs: bool = True) -> None:
        of_stack = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]["mlflow"]
        assert {"--workers=1", "--app-name=search-service", "--serve-artifacts"} < set(of_stack["command"])
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._log = folder / "mlflow.log"
        self._environment = os.environ | {key: of_stack["environment"][key] for key in SETTINGS}
        self._command = [
            str(Path(sys.executable).with_name("mlflow")), "server", "--host=127.0.0.1", f"--port={port}",
            "--workers=1", *(["--app-name=search-service"] if whole_runs else []), "--serve-artifacts",
            f"--backend-store-uri={database or 'sqlite:///' + str(folder / 'server.db')}",
            f"--artifacts-destination={folder / 'artifacts'}",
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> RestartingServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end(signal.SIGTERM)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + 150
        while True:
            assert self._process.poll() is None, self._log.read_text()[-2000:]
            assert time.monotonic() < deadline, "the server does not answer"
            try:
                httpx.get(f"{self.url}/health").raise_for_status()
            except httpx.HTTPError:
                time.sleep(0.2)
            else:
                return

    def kill(self) -> None:
        """SIGKILL to all of its processes."""
        self.end(signal.SIGKILL)

    def end(self, number: int) -> None:
        """Send a signal to all of its processes, and wait until they are gone."""
        if self._process is not None:
            os.killpg(self._process.pid, number)
            self._process.wait(timeout=60)
            self._process = None


@contextmanager
def mlflow_server(database: str, folder: Path) -> Iterator[str]:
    """The address of a server whose records are in ``database``, whose files are in ``folder``."""
    with RestartingServer(folder, database) as server:
        yield server.url
