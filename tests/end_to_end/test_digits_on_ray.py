"""The first thing a stranger does: the digits study through Ray Tune and MLflow, from the command line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.conftest import REPOSITORY


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    command = [sys.executable, "-m", "search_service", "run", str(REPOSITORY / "configs" / "01_digits.yaml")]
    done = subprocess.run(
        [*command, "--home", str(home), "--json"], capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), home


def test_b_the_whole_recipe_on_digits(study):
    document, _ = study
    assert document["status"] == "completed"
    assert all(check["passed"] for check in document["checks"])
    first = document["checks"][0]
    assert first["measured"]["loss_small_last_layer"] == pytest.approx(2.303, abs=0.001)
    # 0.965 to 0.98 over seeds; a search that is broken ends far below.
    assert document["best"]["test_mean"] >= 0.955
    assert document["best"]["test_trivial"] < 0.15
    assert document["trials"]["failed"] == 0


def test_c2_asha_stops_a_good_part_of_the_trials_early(study):
    document, _ = study
    trials = document["trials"]
    assert trials["completed"] > 0
    assert trials["pruned"] > trials["total"] / 4
    assert trials["total"] == sum(done["trials"] for done in document["rounds"])


def test_d1_two_workers_trained_all_rounds_and_what_comes_after_them(study):
    _, home = study
    (folder,) = home.glob("studies/*")
    told = [json.loads(line) for path in folder.glob("round-*/told.jsonl") for line in path.open()]
    events = [json.loads(line) for line in (folder / "events.jsonl").open()]
    tasks = {event["task"]: event["worker"] for event in events if event["type"] == "task_finished"}
    workers = {entry["worker"] for entry in told}
    assert len(workers) == 2
    assert set(tasks.values()) <= workers
    kinds = {re.sub(r"-\d.*", "", name) for name in tasks}
    assert {"finalists", "baseline-linear", "baseline-boosting", "refit"} <= kinds


def test_d3_every_step_round_and_trial_is_in_mlflow(study):
    document, home = study
    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("digits").experiment_id], max_results=1000)
    kinds = [run.data.tags["kind"] for run in runs]
    assert kinds.count("study") == 1
    assert kinds.count("check") == len(document["checks"])
    assert kinds.count("round") == len(document["rounds"])
    assert kinds.count("trial") == document["trials"]["total"]
    assert kinds.count("decision") == len(document["decisions"])
    root = next(run for run in runs if run.data.tags["kind"] == "study")
    assert root.data.tags["part"] == document["study_id"]
    assert root.data.metrics["test_accuracy"] == pytest.approx(document["best"]["model"]["test_score"])


def test_places_exist(study):
    document, _ = study
    folder = Path(document["places"]["folder"])
    assert {"spec.json", "result.json", "winner.pt"} <= {path.name for path in folder.iterdir()}
