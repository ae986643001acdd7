"""D1: the same config on a cluster that is already running: a head and a worker node, one CPU each."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from tests.conftest import REPOSITORY

RAY = Path(sys.executable).with_name("ray")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def node(*arguments: str) -> Iterator[None]:
    """A Ray node in processes of its own."""
    command = [RAY, "start", "--block", "--num-cpus=1", "--object-store-memory=100000000", *arguments]
    agent = f"--dashboard-agent-listen-port={free_port()}"
    with subprocess.Popen([*command, agent], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            for line in process.stdout:
                if "Ray runtime started" in line:
                    break
            yield
        finally:
            # Not SIGTERM: a node takes half a minute to leave in good order, and nobody needs it any more.
            for part in [*psutil.Process(process.pid).children(recursive=True), process]:
                part.kill()
            process.communicate(timeout=60)


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    address = f"127.0.0.1:{free_port()}"
    head = ("--head", f"--port={address.split(':')[1]}", "--include-dashboard=false", "--node-ip-address=127.0.0.1")
    with ExitStack() as stack:
        stack.enter_context(node(*head))
        stack.enter_context(node(f"--address={address}", "--node-ip-address=127.0.0.1"))
        yield address


def test_d1_a_study_runs_on_both_nodes_of_a_running_cluster_and_leaves_it_running(cluster, tmp_path):
    config = REPOSITORY / "configs" / "02_wine_hinge.yaml"
    # Trials of several seconds: Tune gives a waiting trial to a worker that is done with its own, and drops the worker
    # that was still starting for it, so that with trials shorter than a start (4 s) one node may do them all.
    changes = [
        "trial.network.hidden_sizes=[256, 256]",
        "search.coarse={max_trials: 4, max_epochs: 1000}",
        "search.refined={max_trials: 1, max_epochs: 1000}",
        "search.early_stopping=false",
        "finalists={top: 1, seeds: 1}",
    ]
    options = ["--ray-address", cluster, "--json", "--home", tmp_path]
    for change in changes:
        options += ["--set", change]
    command = [sys.executable, "-m", "search_service", "run", config, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["trials"]["completed"] == 5
    told = tmp_path.glob("studies/*/round-1/told.jsonl")
    workers = {json.loads(line)["worker"] for path in told for line in path.open()}
    assert len(workers) == 2
    host, port = cluster.split(":")
    socket.create_connection((host, int(port)), timeout=5).close()
