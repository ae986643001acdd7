"""D1, D4, D6: studies submitted to the service run as jobs of a Ray cluster, whose head may be lost."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from search_service import Client
from search_service.service.jobs import Job
from search_service.service.ray_jobs import RayJobs
from tests.services import ADMIN, serving
from tests.services import until as wait_until

RAY = Path(sys.executable).with_name("ray")
WINE = {
    "name": "wine",
    "data": {"source": "wine"},
    "search": {
        "coarse": {"max_trials": 6, "max_epochs": 9},
        "refined": {"max_trials": 4, "max_epochs": 9},
        "max_cycles": 1,
    },
    "finalists": {"top": 1, "seeds": 2},
}
LONG = WINE | {
    "name": "long",
    "search": {
        "coarse": {"max_trials": 3000, "max_epochs": 27},
        "early_stopping": False,
        "population_size": 2,
        "max_cycles": 1,
    },
}


def free_ports(n: int) -> list[int]:
    probes = [socket.socket() for _ in range(n)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@contextmanager
def head(port: int, dashboard: int) -> Iterator[None]:
    """A Ray head with two CPUs and its Jobs API."""
    (agent,) = free_ports(1)
    command = [RAY, "start", "--head", "--block", "--num-cpus=2", "--object-store-memory=100000000"]
    command += [f"--port={port}", f"--dashboard-port={dashboard}", "--node-ip-address=127.0.0.1"]
    command += [f"--dashboard-agent-listen-port={agent}", "--include-dashboard=true"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert any("Ray runtime started" in line for line in process.stdout)
            yield
        finally:
            for part in [*psutil.Process(process.pid).children(recursive=True), process]:
                part.kill()
            process.communicate(timeout=60)


def until(holds) -> None:
    wait_until(holds, 180, 0.2)


@pytest.mark.timeout(600)
def test_d6_studies_run_as_jobs_and_go_on_when_the_head_is_lost(tmp_path, monkeypatch):
    port, dashboard = free_ports(2)
    # What a job finds on its node: the environment of `ray start`.
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
    settings = {"jobs": "ray", "ray_dashboard": f"http://127.0.0.1:{dashboard}", "admin_token": ADMIN, "max_running": 1}
    with serving(tmp_path, **settings) as service, Client(str(service.base_url), ADMIN) as client:
        first = client.submit(WINE).id
        # No cluster yet: it is said, and the study waits.
        until(lambda: service.get("/readyz").json()["trouble"] != "")
        with head(port, dashboard):
            done = client.wait(first, timeout_s=240)
            assert done.state == "completed", done.reason + client.logs(first)[0]
            assert client.trials(first).total == 10
            jobs = RayJobs(settings["ray_dashboard"])
            folder = tmp_path / "studies" / first
            status = jobs.status(f"{first}-1", folder)
            assert (status.state, status.exit_code) == ("ended", 0)
            # One id is one job, whoever submits it again.
            jobs.submit(Job(f"{first}-1", ["false"], folder, {}))
            assert jobs.status(f"{first}-1", folder).exit_code == 0

            cancelled = client.submit(LONG).id
            until(lambda: client.study(cancelled).trials >= 2)
            client.cancel(cancelled)
            assert client.wait(cancelled, timeout_s=120).state == "cancelled"
            assert "Interrupted" in client.logs(cancelled)[0]
            client.resume(cancelled)
            before = client.study(cancelled).trials
            until(lambda: client.study(cancelled).trials > before)
        # The head is gone with everything that it knew.
        with head(port, dashboard):
            until(lambda: client.study(cancelled).attempt == 3)
            before = client.study(cancelled).trials
            until(lambda: client.study(cancelled).trials > before)
            client.stop(cancelled)
            done = client.wait(cancelled, timeout_s=240)
            assert done.state == "completed", done.reason
            told = [event.content["trial"] for event in client.events(cancelled) if event.type == "trial_finished"]
            assert len(told) == len(set(told)) == done.trials
