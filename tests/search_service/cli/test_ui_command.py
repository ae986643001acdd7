"""D3: ``search-service ui`` opens MLflow on a study's page, and nothing of it is left afterwards."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from mlflow import MlflowClient

from search_service.recorders.mlflow.store import open_client


@pytest.fixture
def home(tmp_path):
    """A home with two studies in its record."""
    client = open_client(f"sqlite:///{tmp_path / 'home' / 'mlflow.db'}")
    experiment = client.create_experiment("wine")
    for number in (1, 2):
        tags = {"study_id": f"wine-{number}", "kind": "study"}
        client.create_run(experiment, start_time=number, run_name=f"0.9{number} wine", tags=tags)
    return tmp_path / "home"


def test_d3_the_ui_opens_on_the_newest_studys_page_and_ends_with_the_command(home):
    command = [sys.executable, "-m", "search_service", "ui", "--no-browser", "--port", "0", "--home", str(home)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        page = process.stdout.readline().strip()
        address, _, path = page.partition("/#/")
        newest = MlflowClient(f"sqlite:///{home / 'mlflow.db'}").search_runs(["1"], "tags.study_id = 'wine-2'")[0]
        assert path == f"experiments/1/runs/{newest.info.run_id}?workflowType=machine_learning"
        answer = httpx.get(f"{address}/ajax-api/2.0/mlflow/runs/get", params={"run_id": newest.info.run_id})
        assert answer.json()["run"]["info"]["run_name"] == "0.92 wine"
    finally:
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=500)[1]
    assert "Traceback" not in said
    with pytest.raises(httpx.ConnectError):
        httpx.get(address)
    assert not [entry.name for entry in Path("/proc").iterdir() if str(home) in arguments(entry.name)]


def arguments(pid: str) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


def test_d2_a_home_without_a_record_and_a_study_that_is_not_there_are_said(called, home, tmp_path):
    missing = called("ui", "--home", tmp_path / "nowhere")
    assert (missing.returncode, "run a study first" in missing.stderr) == (2, True)
    unknown = called("ui", "wine-9", "--home", home)
    assert (unknown.returncode, "wine-9" in unknown.stderr) == (2, True)
