"""E1: small files that unpack to gigabytes, or keep a CPU busy: refused, and the service does not grow or wait."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from bench.bombs import hidden_in_a_dictionary, lying_npz, npz, parquet, wide_csv
from tests.services import until

LIMIT_MB = 100


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A service in a process of its own, whose memory can be looked at."""
    home = tmp_path_factory.mktemp("home")
    command = [sys.executable, "-m", "search_service", "serve", "--port", "0", "--home", str(home)]
    bounds = {"READ_MEMORY_MB": "1024", "READ_SECONDS": "60", "MAX_UNPACKED_MB": "256"}
    environment = os.environ | {f"SEARCH_SERVICE_{name}": value for name, value in bounds.items()}
    log = home / "log"
    with log.open("w") as file, subprocess.Popen(command, stdout=file, stderr=file, env=environment) as process:
        try:
            until(lambda: "Press CTRL+C" in log.read_text(), seconds=100)
            url = re.findall(r"http://127\.0\.0\.1:\d+", log.read_text())[-1]
            with httpx.Client(base_url=url, timeout=100) as client:
                client.process, client.home = psutil.Process(process.pid), home
                config = {"name": "digits", "data": {"source": "digits"}}
                assert client.post("/api/v1/configs:validate", json=config).status_code == 200
                yield client
        finally:
            process.terminate()
            process.wait(60)


def peak_mb(process: psutil.Process) -> float:
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


@pytest.mark.parametrize(
    ("make", "suffix", "rule"),
    [
        (parquet, "parquet", "at most 50,000,000 values"),
        (npz, "npz", "at most 256 MB when unpacked"),
        (lying_npz, "npz", "at most 50,000,000 values"),
        (wide_csv, "csv", "at most 5,000 columns"),
        (hidden_in_a_dictionary, "parquet", "memory"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_e1_a_bomb_is_refused_and_the_service_stays_as_small_as_it_was(service, make, suffix, rule):
    content = make()
    assert len(content) < 4e6
    before = peak_mb(service.process)
    answer = service.post("/api/v1/datasets", params={"name": f"bomb.{suffix}"}, content=content)
    config = {"name": "bomb", "data": {"source": answer.json()["source"], "target": "y"}}
    answer = service.post("/api/v1/configs:validate", json=config)
    assert answer.status_code == 422, answer.text
    (problem,) = answer.json()["problems"]
    assert rule in problem["message"] or rule in problem["message"].replace("memory there is", "memory")
    assert problem["value"] == config["data"]["source"]
    # Nobody is told where the service keeps things.
    assert str(service.home) not in answer.text
    assert peak_mb(service.process) - before < LIMIT_MB
    assert service.get("/healthz").status_code == 200
