"""Models in MLflow: what is saved, what is registered, and who is champion, in a real SQLite store."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.models import Model

from search_service.errors import RecorderError
from search_service.folder import layout
from search_service.recorders.mlflow import models as mlflow_models
from search_service.recorders.mlflow import registry
from search_service.recorders.mlflow.recorder import MlflowRecorder
from search_service.records.events import ModelPacked
from tests import raw_tables
from trainables.advantage import save
from trainables.config import NetworkConfig, TrialConfig
from trainables.data.config import DataConfig
from trainables.data.dataset import read
from trainables.model import TableModel
from trainables.row_tensors import RowTensors
from trainables.training import PopulationTraining


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> Path:
    """A model, as a study packs it; how good it is does not matter here."""
    folder = tmp_path_factory.mktemp("packed")
    table = read(DataConfig(source=str(raw_tables.write(folder)), target="bought", drop=("spent",)), "classification")
    config = TrialConfig(network=NetworkConfig(hidden_sizes=(4,)))
    training = PopulationTraining([config], table.dataset, order_seed=0, max_epochs=1)
    TableModel.from_training(
        [(training, 0)], table.dataset, table.preparation, name="people", target="bought", example=table.example
    ).save(folder / "model")
    return folder / "model"


class Store:
    """A record with a run for each study, whose models become versions of ``name``."""

    name, studies, run, study = "", 0, "", ""

    def __init__(self, folder: Path, packed: Path) -> None:
        self.uri = f"sqlite:///{folder / 'mlflow.db'}"
        self.client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
        self.experiment = self.client.create_experiment("people", artifact_location=(folder / "artifacts").as_uri())
        self._packed = packed

    def begin(self) -> None:
        """Another study has its run."""
        self.studies += 1
        self.study = f"people-{self.studies}"
        tags = {"study_id": self.study, "kind": "study"}
        self.run = self.client.create_run(self.experiment, tags=tags).info.run_id

    def register(self, **changes) -> registry.Registered:
        """Another study's model is logged and registered."""
        self.begin()
        return self.record(**changes)

    def record(self, **changes) -> registry.Registered:
        """The last study's model is, perhaps once more."""
        event = dataclasses.replace(ModelPacked(self._packed, "accuracy", 0.9, "rows-1", self.name), **changes)
        uri = mlflow_models.log(self.client, event, experiment=self.experiment, run=self.run, study_id=self.study)
        return registry.register(self.client, event, uri, run=self.run, study_id=self.study)

    def version(self, number: int):
        return self.client.get_model_version(self.name, str(number))

    @property
    def champion(self) -> str:
        return str(self.client.get_registered_model(self.name).aliases.get("champion"))


@pytest.fixture(scope="module")
def one_store(tmp_path_factory, packed) -> Store:
    """One for all tests: making its tables takes seconds."""
    return Store(tmp_path_factory.mktemp("store"), packed)


@pytest.fixture
def store(one_store, request) -> Store:
    """The store with a name of its own for each test."""
    one_store.name = re.sub(r"\W+", "-", request.node.name)
    return one_store


def test_d3_the_first_version_is_champion_and_has_its_tags(store):
    first = store.register()
    assert (first.version, first.is_champion, store.champion) == ("1", True, "1")
    assert str(first) == f"models:/{store.name}/1, champion: {store.name} had none"
    assert store.version(1).tags == {
        "study_id": store.study, "metric": "accuracy", "test_score": "0.9", "test_fingerprint": "rows-1",
        "champion_reason": first.reason,
    }  # fmt: skip
    outputs = store.client.get_run(store.run).outputs.model_outputs
    (logged,) = [store.client.get_logged_model(o.model_id) for o in outputs if o.model_id in store.version(1).source]
    assert logged.status == "READY"
    assert logged.tags["study_id"] == store.study
    # As MLflow's own register_model leaves it: the model's page links the version.
    assert json.loads(logged.tags["mlflow.modelVersions"]) == [{"name": store.name, "version": "1"}]
    assert [(metric.key, metric.value) for metric in logged.metrics] == [("model/test_accuracy", 0.9)]
    assert f"models:/{store.name}@champion" in store.client.get_registered_model(store.name).description


CALLS = (
    "create_logged_model", "log_model_artifacts", "finalize_logged_model", "log_outputs", "set_tag",
    "create_registered_model", "create_model_version", "set_registered_model_alias", "set_model_version_tag",
)  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
def test_e1_a_call_whose_answer_is_lost_or_after_which_its_process_dies_makes_no_second_model(store, monkeypatch, call):
    """The call is done, and its caller does not hear of it; then everything is recorded once more."""
    store.begin()
    does = getattr(MlflowClient, call)

    def do_and_lose(*arguments, **options):
        does(*arguments, **options)
        raise MlflowException("API request failed: no answer")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, call, do_and_lose)
        # Some are looked for at once, and found.
        with contextlib.suppress(MlflowException):
            store.record()
    registered = store.record()
    logged = store.client.search_logged_models([store.experiment], f"tags.study_id = '{store.study}'")
    assert [model.status for model in logged] == ["READY"]
    assert [output.model_id for output in store.client.get_run(store.run).outputs.model_outputs] == [logged[0].model_id]
    versions = store.client.search_model_versions(f"name = '{store.name}'")
    assert [str(version.version) for version in versions] == [registered.version] == ["1"]
    assert registered.is_champion
    assert store.champion == "1"


def test_d3_a_better_score_on_the_same_rows_takes_the_alias_and_a_worse_one_does_not(store):
    store.register(test_score=0.9)
    worse = store.register(test_score=0.85)
    assert not worse.is_champion
    assert store.champion == "1"
    assert worse.reason == "test accuracy 0.85 does not beat the 0.9 of version 1, on the same rows"
    equal = store.register(test_score=0.9)
    assert not equal.is_champion
    better = store.register(test_score=0.90001)
    assert better.is_champion
    assert store.champion == "4"
    # Four digits would have said that 0.9 beats 0.9.
    assert better.reason == "test accuracy 0.90001 beats the 0.9 of version 1, on the same rows"
    assert store.version(4).tags["champion_reason"] == better.reason


def said(right: int, rows: int = 400) -> torch.Tensor:
    """What a model says of two classes that is right in the first rows and wrong in the others: ``[N, 2]``."""
    truth = torch.arange(rows) % 2
    return torch.nn.functional.one_hot(truth ^ (torch.arange(rows) >= right)).float()


def test_d3_a_model_takes_the_alias_where_it_is_better_row_by_row_beyond_chance(store, packed, tmp_path):
    rows = RowTensors(torch.empty(400, 0), torch.arange(400) % 2)
    dataset = SimpleNamespace(task="classification")
    folder = shutil.copytree(packed, tmp_path / "study" / "model")

    def register(right: int) -> registry.Registered:
        save(folder.parent / layout.TEST_PREDICTIONS, said(right), rows, dataset)
        store.begin()
        store.client.log_artifact(store.run, str(folder.parent / layout.TEST_PREDICTIONS))
        return store.record(folder=folder, test_score=right / 400)

    assert register(360).is_champion
    # Two rows more, of 400: McNemar's test says p = 0.5.
    lucky = register(362)
    assert not lucky.is_champion
    # Of two rows that differ, the standard error is √2 / 400.
    assert re.fullmatch(
        r"it cannot be told from version 1, which is: better by 0\.005 ± 0\.003\d on the same 400 rows", lucky.reason
    )
    better = register(380)
    assert better.is_champion
    assert better.reason.startswith("compared with version 1, better by 0.05 ± 0.0")
    worse = register(360)
    assert not worse.is_champion
    assert worse.reason.startswith("compared with version 3, worse by 0.05 ± 0.0")


def test_d3_a_model_that_is_no_better_than_ignoring_the_inputs_is_never_champion(store):
    shortfall = "test accuracy 0.9 is no better than the 0.9 of ignoring the inputs"
    worthless = store.register(test_score=0.9, shortfall=shortfall)
    assert (worthless.is_champion, worthless.reason) == (False, shortfall)
    assert "champion" not in store.client.get_registered_model(store.name).aliases
    # Nor has it been in the way of one that is better.
    assert store.register(test_score=0.8).is_champion


def test_d3_smaller_is_better_where_the_metric_says_so_and_no_number_loses(store):
    store.register(metric="rmse", test_score=float("nan"))
    assert store.champion == "1"
    assert store.register(metric="rmse", test_score=3.0).is_champion
    assert not store.register(metric="rmse", test_score=4.0).is_champion
    assert store.register(metric="rmse", test_score=2.0).is_champion
    assert not store.register(metric="rmse", test_score=float("nan")).is_champion
    assert store.champion == "4"


def test_d3_scores_on_other_rows_or_by_another_metric_are_not_compared(store):
    store.register(test_score=0.5)
    rows = store.register(test_score=0.99, test_fingerprint="rows-2")
    assert not rows.is_champion
    assert rows.reason == "version 1, which is, was tested on other rows: scores cannot be compared"
    metric = store.register(test_score=0.99, metric="balanced_accuracy")
    assert not metric.is_champion
    assert metric.reason == "version 1, which is, was tested by accuracy, not balanced_accuracy"
    assert store.champion == "1"


def test_d3_a_champion_that_somebody_else_made_stays(store):
    store.register()
    store.client.delete_model_version_tag(store.name, "1", "test_score")
    assert "has no test score to compare with" in store.register(test_score=0.99).reason
    assert store.champion == "1"
    store.client.delete_registered_model_alias(store.name, "champion")
    assert store.register(test_score=0.1).is_champion


# ---- what is saved -------------------------------------------------------------------------------------------------

_LOADED_ELSEWHERE = """
import sys, json
import mlflow.pyfunc, pandas
model = mlflow.pyfunc.load_model(sys.argv[1])
import trainables
assert trainables.__file__.startswith(sys.argv[1]), trainables.__file__
assert "search_service" not in sys.modules
print(model.predict(pandas.DataFrame(json.loads(sys.argv[2]))).to_json(orient="records", double_precision=15))
"""


def test_d3_a_saved_model_needs_nothing_of_this_project(packed, tmp_path):
    model = mlflow_models.save(packed, tmp_path / "saved")
    rows = [dict(row) for row in model.facts.example]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", _LOADED_ELSEWHERE, tmp_path / "saved", json.dumps(rows)],
        env=environment | {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"},
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    # MLflow's own advice is for those who write such scripts.
    assert "type hints" not in done.stderr
    expected = model.predict(pd.DataFrame(rows)).to_json(orient="records", double_precision=15)
    assert json.loads(done.stdout) == json.loads(expected)


def test_d3_what_is_saved_has_no_pickle_no_local_path_and_a_signature_by_name(packed, tmp_path):
    model = mlflow_models.save(packed, tmp_path / "saved")
    files = [file for file in (tmp_path / "saved").rglob("*") if file.is_file()]
    assert not [file for file in files if file.suffix in (".pkl", ".pickle", ".joblib", ".pyc")]
    for file in files:
        if file.suffix in ("", ".yaml", ".json", ".txt"):
            assert str(tmp_path) not in file.read_text(), file
            assert str(packed) not in file.read_text(), file
    signature = Model.load(str(tmp_path / "saved")).signature
    assert signature.inputs.required_input_names() == model.preparation.schema.names()
    assert signature.outputs.input_names() == ["prediction", "probability_no", "probability_yes"]
    example = json.loads((tmp_path / "saved" / "serving_input_example.json").read_text())
    names, rows = example["dataframe_split"]["columns"], example["dataframe_split"]["data"]
    assert [dict(zip(names, row, strict=True)) for row in rows] == [dict(row) for row in model.facts.example]


def test_d3_requirements_are_exact_and_name_all_that_the_model_imports(packed, tmp_path):
    mlflow_models.save(packed, tmp_path / "saved")
    lines = (tmp_path / "saved" / "requirements.txt").read_text().split()
    pinned = dict(line.split("==") for line in lines)
    assert pinned["torch"] == "2.13.0"
    code = (
        "import sys, trainables.model\nprint(*[m.__file__ for n, m in sys.modules.items() if n[:11] == 'trainables.'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    script = Path(mlflow_models.__file__).with_name("served.py")
    imported = {
        name.split(".")[0]
        for file in [*map(Path, done.stdout.split()), script]
        for node in ast.parse(file.read_text()).body
        for name in _imported(node)
    }
    of_package = importlib.metadata.packages_distributions()
    needed = {of_package[name][0].lower().replace("_", "-") for name in imported if name in of_package}
    needed -= {"search-service", "trainables"}
    assert len(needed) > 5
    # mlflow comes in several packages of which one brings the others.
    assert {"mlflow" if name.startswith("mlflow") else name for name in needed} <= set(pinned)


def _imported(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module else []


# ---- finding again -------------------------------------------------------------------------------------------------


def test_d3_a_model_is_fetched_by_version_alias_or_study(store, packed, tmp_path):
    store.register()
    by_study = mlflow_models.find(store.uri, store.study)
    for number, name in enumerate([f"models:/{store.name}/1", f"models:/{store.name}@champion", by_study]):
        (tmp_path / str(number)).mkdir()
        found = mlflow_models.fetch(store.uri, name, tmp_path / str(number))
        assert found.is_relative_to(tmp_path / str(number))
        assert (found / "network.pt").read_bytes() == (packed / "network.pt").read_bytes()


def test_d3_what_is_not_there_is_not_found(store, tmp_path):
    store.register()
    for name in (f"{store.name}/9", f"{store.name}/x", f"{store.name}@nobody", "other/1", "m-0", ""):
        assert mlflow_models.fetch(store.uri, f"models:/{name}", tmp_path) is None, name
    assert mlflow_models.find(store.uri, "nobody-1") is None
    assert mlflow_models.find(store.uri, "x' or tags.kind = 'study") is None


def test_d3_a_store_that_cannot_be_reached_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(RecorderError, match=r"cannot be asked: nothing answers there \(Connection refused\); is it"):
        mlflow_models.find("http://127.0.0.1:9", "people-1")
    with pytest.raises(RecorderError, match="cannot be asked"):
        mlflow_models.fetch("http://127.0.0.1:9", "models:/people/1", tmp_path)


def test_d3_a_model_that_cannot_be_registered_is_an_error_of_the_recorder(packed, tmp_path):
    recorder = MlflowRecorder(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path / "artifacts")
    # No study was started: there is no run that the model could belong to.
    with pytest.raises(RecorderError, match="cannot record the study"):
        recorder.record(ModelPacked(packed, "accuracy", 0.9, "rows-1", "people"))
    assert recorder.registered == ""
