"""D6: what earlier versions have written is gone on with, replayed, exported and used (tests/earlier_homes)."""

from __future__ import annotations

import json
import sqlite3
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from search_service import wiring
from search_service.export import exporting
from search_service.settings import Settings
from tests.conftest import REPOSITORY

HOMES = sorted((REPOSITORY / "tests" / "earlier_homes").glob("*.tar.xz"))


@pytest.fixture(params=HOMES, ids=lambda path: path.name.partition(".")[0])
def home(request, tmp_path) -> Path:
    with tarfile.open(request.param) as archive:
        archive.extractall(tmp_path, filter="data")
    database = sqlite3.connect(tmp_path / "mlflow.db")
    database.executescript((tmp_path / "mlflow.sql").read_text().replace("{home}", str(tmp_path)))
    database.close()
    return tmp_path


def study_of(home: Path, name: str) -> str:
    (folder,) = home.glob(f"studies/{name}-*")
    return folder.name


def told(home: Path, study: str) -> dict[str, dict]:
    """Trials that have ended, by id, each once, without what a journal has for its own use."""
    entries = [
        json.loads(line)
        for path in sorted((home / "studies" / study).glob("round-*/told.jsonl"))
        for line in path.read_text().splitlines()
    ]
    assert len(entries) == len({entry["trial"] for entry in entries})
    return {entry.pop("trial"): {key: entry[key] for key in entry if key != "crc"} for entry in entries}


def assert_recorded_once(home: Path, study: str) -> None:
    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    (experiment,) = [e for e in client.search_experiments() if e.name == study.partition("-")[0]]
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    trials = [run.info.run_name for run in runs if run.data.tags["kind"] == "trial"]
    assert sorted(trials) == sorted(told(home, study))
    kinds = [run.data.tags["kind"] for run in runs]
    assert (kinds.count("study"), kinds.count("finalists"), kinds.count("check")) == (1, 1, 3)
    assert {run.info.status for run in runs} <= {"FINISHED", "FAILED"}


@pytest.mark.parametrize("name", ["cut", "taught"])
def test_d6_a_study_that_an_earlier_version_began_goes_on(home, name):
    study, settings = study_of(home, name), Settings(home=home)
    before = told(home, study)
    finished = wiring.run(wiring.prepare_again(study, settings=settings), settings=settings, runner="inline")
    assert finished.result.status == "completed"
    assert finished.backlog.is_complete
    after = told(home, study)
    assert {trial: after[trial] for trial in before} == before
    assert len(after) == 12
    assert_recorded_once(home, study)


def test_d6_a_study_that_an_earlier_version_ended_is_told_to_the_record_again_without_a_double(home):
    study = study_of(home, "whole")
    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("whole").experiment_id

    def run_of_the_study():
        (run,) = client.search_runs([experiment], "tags.kind = 'study'")
        return run.info.status, run.info.start_time, run.info.end_time

    before = run_of_the_study()
    assert wiring.sync(study, settings=Settings(home=home)).backlog.is_complete
    assert_recorded_once(home, study)
    # Nor does it look as if somebody had worked on it.
    assert run_of_the_study() == before


def test_c5_a_study_of_an_earlier_version_is_replayed(home):
    replayed = wiring.replay(study_of(home, "whole"), settings=Settings(home=home), trials=["r1-000", "r2-001"])
    assert replayed.agrees


def test_d3_a_model_of_an_earlier_version_predicts_and_is_exported(home):
    study, settings = study_of(home, "whole"), Settings(home=home)
    then = pd.read_csv(home / "predicted.csv")
    exporting.export(study, home / "exported", settings)
    for model in (study, str(home / "exported")):
        now = exporting.predict(model, str(home / "rows.csv"), settings)
        assert list(now.columns) == list(then.columns)
        np.testing.assert_allclose(now.to_numpy(float), then.to_numpy(float), rtol=1e-6)
