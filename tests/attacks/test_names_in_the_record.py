"""E1: names of experiments and columns in the record: nothing is written outside the home, nothing breaks MLflow."""

from __future__ import annotations

import json
import random

import pytest
from mlflow import MlflowClient

from search_service import wiring
from search_service.errors import InvalidSpecError
from search_service.recorders.mlflow.recorder import MlflowRecorder
from search_service.settings import Settings
from search_service.spec.study_spec import parse

# Characters that MLflow takes in no key, and more letters than it takes.
COLUMNS = ["price (EUR)", "a=b&c,[d]#e?$%'+|", "n" * 240]


def config(folder, **changes) -> dict:
    """The smallest study of a table with such columns."""
    draw = random.Random(0)
    rows = [[draw.gauss(0, 1) for _ in COLUMNS] for _ in range(120)]
    header = ",".join(f'"{name}"' for name in [*COLUMNS, "y"])
    lines = [",".join([*map(str, row), "ab"[row[0] > 0]]) for row in rows]
    (folder / "t.csv").write_text("\n".join([header, *lines]) + "\n")
    budget = {"max_trials": 2, "max_epochs": 6}
    return {
        "name": "named",
        "data": {"source": str(folder / "t.csv"), "target": "y", "columns": dict.fromkeys(COLUMNS, "numeric")},
        "trial": {"network": {"hidden_sizes": [8]}, "batch_size": 16, "optimizer": {"lr": 0.03}},
        "checks": {"on_fail": "warn"},
        "search": {"coarse": budget, "refined": budget, "max_cycles": 1},
        "finalists": {"top": 1, "seeds": 1, "baselines": False},
        "model": {"refit": False, "register": False},
    } | changes


def files_of(folder) -> set:
    return {path for path in folder.rglob("*") if path.is_file()}


def test_e1_any_column_can_have_a_kind_and_an_experiment_any_name(tmp_path):
    home = tmp_path / "a" / "b" / "home"
    settings = Settings(home=home)
    spec = parse(config(tmp_path, experiment="churn, run (2)"))
    before = files_of(tmp_path)
    finished = wiring.run(wiring.prepare(spec, settings=settings), settings=settings, runner="inline")
    assert finished.result.status == "completed", finished.result.reason
    assert all(path.is_relative_to(home) for path in files_of(tmp_path) - before)
    client = MlflowClient(tracking_uri=settings.record_uri)
    experiment = client.get_experiment_by_name("churn, run (2)")
    (study,) = client.search_runs([experiment.experiment_id], "tags.kind = 'study'")
    assert json.loads(study.data.params["data.columns"]) == dict.fromkeys(COLUMNS, "numeric")
    assert (study.info.status, study.data.params["experiment"]) == ("FINISHED", "churn, run (2)")


def test_e1_a_deleted_experiment_is_named_before_anything_starts(tmp_path):
    settings = Settings(home=tmp_path / "home")
    recorder = MlflowRecorder(settings.record_uri, settings.artifacts)
    client = MlflowClient(tracking_uri=settings.record_uri)
    number = client.create_experiment("gone")
    client.delete_experiment(number)
    study = wiring.prepare(parse(config(tmp_path, experiment="gone")), settings=settings)
    with pytest.raises(InvalidSpecError, match=rf"restore it \(mlflow experiments restore --experiment-id {number}\)"):
        wiring.run(study, settings=settings, runner="inline")
    assert not (settings.home / "studies").exists()
    recorder.open_experiment("another")


@pytest.mark.parametrize("name", ["/tmp/escaped", "../../../escaped", "..", "%2e%2e%2fescaped", "a\\..\\b", ".hidden"])
def test_e1_the_record_makes_no_path_of_a_name_even_if_nobody_has_looked_at_it(tmp_path, name):
    artifacts = tmp_path / "artifacts"
    recorder = MlflowRecorder(f"sqlite:///{tmp_path / 'mlflow.db'}", artifacts)
    number = recorder._experiments.open(name)
    location = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}").get_experiment(number).artifact_location
    folder = location.removeprefix("file://").removeprefix(f"{artifacts}/")
    assert folder.replace("_", "").replace("-", "").isalnum(), location
