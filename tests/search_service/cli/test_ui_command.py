"""D3: ``search-service ui`` opens MLflow on a study's page, and nothing of it is left afterwards."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from mlflow import MlflowClient

from search_service.recorders.mlflow.store import open_client
from search_service.runners.inline import InlineRunner
from tests.plans import make_plan


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


def test_d3_optunas_dashboard_has_the_trials_of_the_newest_study(tmp_path, wine):
    old, new = (tmp_path / "studies" / name for name in ("old", "new"))
    for number, folder in enumerate((old, new)):
        InlineRunner().run_round(make_plan(folder / "round-1", max_trials=4), wine[0], lambda event: None)
        (folder / "spec.json").write_text("{}")
        os.utime(folder / "spec.json", (number, number))
    command = [sys.executable, "-m", "search_service", "ui", "--optuna", "--no-browser", "--port", "0"]
    with subprocess.Popen([*command, "--home", str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        try:
            address = process.stdout.readline().strip().removesuffix("/dashboard/")
            (study,) = httpx.get(f"{address}/api/studies").json()["study_summaries"]
            assert study["study_name"] == "new round-1"
            trials = httpx.get(f"{address}/api/studies/{study['study_id']}").json()["trials"]
            assert {trial["state"] for trial in trials} <= {"Complete", "Pruned", "Fail"}
            assert len(trials) == 4
            assert httpx.get(f"{address}/dashboard/").status_code == 200
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(address)


def test_d3_a_dashboard_that_is_not_installed_and_a_home_without_trials_are_said(called, tmp_path, monkeypatch):
    empty = called("ui", "--optuna", "--home", tmp_path)
    assert (empty.returncode, "run a study first" in empty.stderr) == (2, True)
    (tmp_path / "studies" / "s").mkdir(parents=True)
    (tmp_path / "studies" / "s" / "spec.json").write_text("{}")
    early = called("ui", "s", "--optuna", "--home", tmp_path)
    assert (early.returncode, "wait until its search has begun" in early.stderr) == (2, True)
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    absent = called("ui", "--optuna", "--home", tmp_path)
    assert (absent.returncode, "search-service[dashboard]" in absent.stderr) == (2, True)


def arguments(pid: str) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


def test_d2_a_home_without_a_record_and_a_study_that_is_not_there_are_said(called, home, tmp_path):
    missing = called("ui", "--home", tmp_path / "nowhere")
    assert (missing.returncode, "run a study first" in missing.stderr) == (2, True)
    unknown = called("ui", "wine-9", "--home", home)
    assert (unknown.returncode, "wine-9" in unknown.stderr) == (2, True)
