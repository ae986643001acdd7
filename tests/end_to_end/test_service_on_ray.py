"""D1, D4, D6: studies submitted to the service run as jobs of a Ray cluster, whose head may be lost."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from search_service import Client
from search_service.folder import journals
from search_service.service.jobs import Job
from search_service.service.ray_jobs import RayJobs
from tests.processes import kill_all
from tests.services import ADMIN, serving
from tests.services import until as wait_until

RAY = Path(sys.executable).with_name("ray")
# As a study's own Ray (runners/ray_tune/starting.py).
MOST_STARTS = 4
LONG = {
    "name": "long",
    "data": {"source": "wine"},
    "search_space": {},
    "search": {
        "coarse": {"max_trials": 3000, "max_epochs": 81},
        "refined": {"max_trials": 4, "max_epochs": 81},
        "early_stopping": False,
        "population_size": 2,
        "max_cycles": 1,
    },
    "finalists": {"top": 1, "seeds": 2, "baselines": False},
    "model": {"refit": False},
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
def node(*arguments: str) -> Iterator[None]:
    """A Ray node with one CPU, in processes of its own."""
    (agent,) = free_ports(1)
    command = [RAY, "start", "--block", "--num-cpus=1", "--object-store-memory=100000000", *arguments]
    command += ["--node-ip-address=127.0.0.1", f"--dashboard-agent-listen-port={agent}"]
    # Ray's workers stand back for everything else, and beside other tests they would for minutes.
    environment = {**os.environ, "RAY_worker_niceness": "0"}
    process = begun(command, environment)
    try:
        yield
    finally:
        end(process)


def begun(command: list, environment: dict[str, str]) -> subprocess.Popen:
    """A node that runs: Ray gives up its own start after 30 s, which it may need on a busy machine."""
    for _ in range(MOST_STARTS):
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        said = []
        for line in process.stdout:
            said.append(line)
            if "Ray runtime started" in line:
                return process
        end(process)
    raise AssertionError("".join(said))


def end(process: subprocess.Popen) -> None:
    """Not by SIGTERM: a node takes half a minute to leave in good order, and nobody needs it any more."""
    kill_all(process.pid)
    process.communicate(timeout=60)


def head(port: int, dashboard: int):
    """A cluster's head, with its Jobs API."""
    return node("--head", f"--port={port}", f"--dashboard-port={dashboard}", "--include-dashboard=true")


def until(holds) -> None:
    wait_until(holds, 400, 0.2)


@pytest.mark.timeout(1200)
def test_d6_a_study_is_a_job_that_uses_every_node_and_goes_on_when_the_head_is_lost(tmp_path, monkeypatch):
    port, dashboard = free_ports(2)
    # What a job finds on its node: the environment of `ray start`.
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
    settings = {"jobs": "ray", "ray_dashboard": f"http://127.0.0.1:{dashboard}", "admin_token": ADMIN, "max_running": 1}
    with serving(tmp_path, **settings) as service, Client(str(service.base_url), ADMIN) as client:
        study = client.submit(LONG).id
        folder = tmp_path / "studies" / study
        # No cluster yet: it is said, and the study waits.
        until(lambda: service.get("/readyz").json()["trouble"] != "")
        with head(port, dashboard), node(f"--address=127.0.0.1:{port}"):
            # D1: a worker on each of the two nodes, which have one CPU each.
            until(lambda: len({entry["worker"] for entry in told(folder)}) == 2)
            client.cancel(study)
            assert client.wait(study, timeout_s=400).state == "cancelled"
            assert "Interrupted" in client.logs(study)[0]
            # The cluster is none of the study's: it is still there.
            client.resume(study)
            before = client.study(study).trials
            until(lambda: client.study(study).trials > before)
        # The head is gone with everything that it knew.
        with head(port, dashboard):
            until(lambda: client.study(study).attempt == 3)
            before = client.study(study).trials
            until(lambda: client.study(study).trials > before)
            client.stop(study)
            done = client.wait(study, timeout_s=400)
            assert done.state == "completed", done.reason + client.logs(study)[0]
            finished = [event.content["trial"] for event in client.events(study) if event.type == "trial_finished"]
            assert len(finished) == len(set(finished)) == done.trials
            jobs = RayJobs(settings["ray_dashboard"])
            status = jobs.status(f"{study}-3", folder)
            assert (status.state, status.exit_code) == ("ended", 0)
            # One id is one job, whoever submits it again.
            jobs.submit(Job(f"{study}-3", ["false"], folder, {}))
            assert jobs.status(f"{study}-3", folder).exit_code == 0


def told(folder: Path) -> list[dict]:
    """What a study's journals say of its trials."""
    return [entry for path in folder.glob("round-*/told.jsonl") for entry in journals.read(path)]
