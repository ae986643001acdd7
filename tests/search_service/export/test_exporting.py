"""A study's model as people use it: packed, exported, served, asked about files; the same numbers everywhere."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import json
import os
import re
import runpy
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import onnxruntime
import optuna
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
import torch
from markdown_it import MarkdownIt
from mlflow import MlflowClient
from scipy.special import softmax
from typer.testing import CliRunner

from search_service import wiring
from search_service.cli.commands import app
from search_service.export import exporting, texts
from search_service.folder.study_folder import StudyFolder
from search_service.recipe import packing
from search_service.recorders.memory import MemoryRecorder
from search_service.recorders.mlflow.recorder import MlflowRecorder
from search_service.records.events import FinalistsFinished, ModelPacked, StudyFinished, StudyStarted
from search_service.settings import Settings
from search_service.spec.study_spec import parse
from tests import raw_tables
from trainables import checkpoint
from trainables.data.config import DataConfig
from trainables.data.dataset import read
from trainables.errors import DataError
from trainables.model import TableModel

# Seconds for MLflow's server to answer: it imports MLflow and torch in two processes, on a machine that may be busy.
STARTS_WITHIN_S = 120


class Study:
    """A study that was run, and where it is."""

    def __init__(self, folder: Path, task: str) -> None:
        self.file = raw_tables.write(folder)
        self.settings = Settings(home=folder / "home", tracking_uri=None)
        self.memory = MemoryRecorder()
        # Of classes the mean of several networks, of numbers one.
        several = {"model": {"average": 3}, "finalists": {"top": 1, "seeds": 5}}
        changes = several if task == "classification" else {"model": {"average": "none"}}
        self.prepared = wiring.prepare(parse(raw_tables.spec(self.file, task, **changes)))
        self.finished = wiring.run(
            self.prepared, settings=self.settings, runner="inline", listeners=[self.memory.record]
        )
        self.id = self.finished.result.study_id
        self.folder = Path(self.finished.places["folder"])
        self.model = TableModel.load(self.folder / "model")


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    return Study(tmp_path_factory.mktemp("classification"), "classification")


@pytest.fixture(scope="module")
def regression(tmp_path_factory) -> Study:
    return Study(tmp_path_factory.mktemp("regression"), "regression")


@pytest.fixture(scope="module")
def exported(study, tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("exported") / "out"
    assert exporting.export(study.id, target, study.settings) == ()
    return target


def rows_to_predict(rows: int = 40) -> pd.DataFrame:
    """Rows without targets, with a category that training did not have and a gap in every column."""
    frame = raw_tables.people(rows, seed=5).drop(columns=["bought", "spent"]).astype(object)
    frame.loc[0, "city"] = "Atlantis"
    for row, name in enumerate(frame, start=1):
        frame.loc[row, name] = None
    return frame


def search_service(*arguments, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "search_service", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=500, check=False)


# ---- packed ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_b_a_study_ends_with_the_exported_network_packed(task, request):
    study = request.getfixturevalue("study" if task == "classification" else "regression")
    kinds = [type(event) for event in study.memory.events]
    assert kinds.index(FinalistsFinished) < kinds.index(ModelPacked) < kinds.index(StudyFinished)
    (packed,) = study.memory.of(ModelPacked)
    final = study.finished.result.finalists
    table = study.prepared.table
    assert packed.folder == study.folder / "model" == Path(study.finished.places["model"])
    assert packed.test_score == final.model_test_score
    assert packed.test_fingerprint == table.test_fingerprint
    # It is what was evaluated, to float32's rounding, and scores what that scored.
    inputs, targets = torch.from_numpy(table.test_rows.inputs), table.test_rows.targets
    outputs = study.model.outputs(table.test_rows.inputs)
    if task == "classification":
        networks = final.average.networks
        assert 1 < len(networks) <= 3
        assert sum(network.share for network in networks) == pytest.approx(1)
        p = sum(
            network.share * checkpoint.load(network.checkpoint, table.dataset).outputs(inputs)[network.place].softmax(1)
            for network in networks
        )
        np.testing.assert_allclose(softmax(outputs, axis=1), p, rtol=1e-4, atol=1e-5)
    else:
        path, member = final.network
        evaluated = checkpoint.load(path, table.dataset).outputs(inputs)
        np.testing.assert_allclose(outputs, evaluated[member], rtol=1e-4, atol=1e-5)
    if task == "classification":
        assert (outputs.argmax(axis=1) == targets).mean() == packed.test_score
    else:
        errors = (outputs[:, 0] - targets) * table.dataset.scaling.scale
        assert np.sqrt(np.square(errors).mean()) == pytest.approx(packed.test_score, rel=1e-5)
    assert study.model.facts.versions["torch"] == torch.__version__


def test_b_the_registry_says_who_is_champion_and_the_user_hears_it(study):
    client = MlflowClient(tracking_uri=study.settings.record_uri, registry_uri=study.settings.record_uri)
    assert study.finished.places["registered"] == "models:/people/1, champion: people had none"
    version = client.get_model_version_by_alias("people", "champion")
    (packed,) = study.memory.of(ModelPacked)
    assert version.tags["study_id"] == study.id
    assert float(version.tags["test_score"]) == packed.test_score
    run = client.get_run(version.run_id)
    assert run.data.tags["study_id"] == study.id
    assert run.data.tags["registered"] == study.finished.places["registered"]


def test_b_register_false_keeps_a_model_out_of_the_registry(study, tmp_path):
    spec = parse(raw_tables.spec(study.file, model={"register": False}))
    final = study.finished.result.finalists
    packed = packing.run(spec, final, study.prepared.table, tmp_path, versions={})
    settings = Settings(home=tmp_path / "home", tracking_uri=None)
    recorder = MlflowRecorder(settings.record_uri, settings.artifacts)
    recorder.record(study.memory.of(StudyStarted)[0])
    recorder.record(packed)
    assert recorder.registered == ""
    client = MlflowClient(tracking_uri=settings.record_uri, registry_uri=settings.record_uri)
    assert client.search_registered_models() == []
    # It is logged all the same, and found by its study where the files are not.
    with exporting.find(study.id, settings, "STUDY") as folder:
        assert TableModel.load(folder).facts.name == "people"


# ---- the same numbers everywhere -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(exported) -> str:
    """The address of ``mlflow models serve``, as the export's README starts it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", "mlflow_model", "--env-manager", "local"]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    # As in an activated environment: MLflow starts uvicorn by its name.
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    log = exported.parent / "serve.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)], cwd=exported, stdout=output, stderr=output,
            env=environment | {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"},
            start_new_session=True,
        )  # fmt: skip
        try:
            _wait_for(f"http://127.0.0.1:{port}/ping", process, log)
            yield f"http://127.0.0.1:{port}/invocations"
        finally:
            # The server is a child of the command: the whole session that was started here.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=30)


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5):
            return
        time.sleep(0.2)
    pytest.fail(f"the server did not start: {log.read_text()[-2000:]}")


def ask(address: str, body: dict) -> tuple[int, str]:
    data = json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_d3_the_served_model_gives_exactly_the_exported_models_numbers(served, study, exported):
    rows = rows_to_predict()
    expected = study.model.predict(rows)
    records = json.loads(rows.to_json(orient="records"))
    split = {"columns": list(rows), "data": [list(record.values()) for record in records]}
    for body in ({"dataframe_records": records}, {"dataframe_split": split}):
        status, text = ask(served, body)
        assert status == 200, text
        pd.testing.assert_frame_equal(pd.DataFrame(json.loads(text)["predictions"]), expected, check_exact=True)
    # One row at a time: null alone in a column says nothing of the column's type.
    for number, record in enumerate(records[:8]):
        status, text = ask(served, {"dataframe_records": [record]})
        assert (status, json.loads(text)["predictions"]) == (200, expected.iloc[[number]].to_dict("records"))
    assert len(expected["prediction"].unique()) == 2


def test_d3_the_served_model_refuses_a_row_that_lacks_a_column_or_has_nonsense(served):
    (record,) = json.loads(rows_to_predict(10).iloc[[9]].to_json(orient="records"))
    lacking = {key: value for key, value in record.items() if key != "income"}
    status, text = ask(served, {"dataframe_records": [lacking]})
    assert status == 400
    assert "income" in text
    status, text = ask(served, {"dataframe_records": [record, record | {"age": "old"}]})
    assert status == 400
    assert "column age, row 2: 'old'" in json.loads(text)["message"]
    assert ask(served, {"dataframe_records": [record]})[0] == 200


def test_d3_predict_gives_the_same_numbers_wherever_the_model_is(study, exported, tmp_path):
    rows = rows_to_predict()
    rows.to_csv(tmp_path / "rows.csv", index=False)
    rows.to_csv(tmp_path / "rows.tsv", index=False, sep="\t")
    pq = pa.Table.from_pandas(pd.read_csv(tmp_path / "rows.csv"))
    pa.parquet.write_table(pq, tmp_path / "rows.parquet")
    expected = study.model.predict(rows)
    names = [
        study.id, str(study.folder), str(study.folder / "model"), str(exported), str(exported / "mlflow_model"),
        "models:/people/1", "models:/people@champion",
    ]  # fmt: skip
    for name in names:
        found = exporting.predict(name, str(tmp_path / "rows.csv"), study.settings)
        pd.testing.assert_frame_equal(found, expected, check_exact=True)
    for suffix in ("tsv", "parquet"):
        found = exporting.predict(str(exported), str(tmp_path / f"rows.{suffix}"), study.settings)
        pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_d4_predict_writes_csv_to_the_output_or_a_file(study, exported, tmp_path, called):
    rows_to_predict().to_csv(tmp_path / "rows.csv", index=False)
    shown = search_service("predict", exported, "rows.csv", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    written = called("predict", study.id, "rows.csv", "--to", "out.csv", "--home", study.settings.home)
    assert (written.returncode, written.stdout) == (0, ""), written.stderr
    assert f"out.csv: {len(rows_to_predict())} rows predicted" in written.stderr
    assert "column city: 1 row has a value that no training row had, such as 'Atlantis'" in written.stderr
    assert (tmp_path / "out.csv").read_text() == shown.stdout
    found = pd.read_csv(tmp_path / "out.csv")
    pd.testing.assert_frame_equal(found, study.model.predict(rows_to_predict()), check_exact=True)


def test_e1_predict_carries_columns_along_as_they_are_written(study, tmp_path, called):
    rows = rows_to_predict(4).head(4)
    plain = exporting.predict(study.id, str(_written(rows, tmp_path)), study.settings)
    marked = rows.assign(order=["007", "1.10", "", "x,y"], note=["NA", "2024-01-01", "1e5", "true"])
    _written(marked, tmp_path)
    for options, columns in ((["--id", "order"], ["order"]), (["--with-rows"], list(marked.columns))):
        done = called("predict", study.id, "rows.csv", *options, "--to", "out.csv", "--home", study.settings.home)
        assert done.returncode == 0, done.stderr
        found = pd.read_csv(tmp_path / "out.csv", dtype=str, keep_default_na=False)
        assert list(found) == [*columns, *plain.columns]
        assert found["order"].tolist() == ["007", "1.10", "", "x,y"]
        assert found["prediction"].tolist() == plain["prediction"].astype(str).tolist()
    assert found["note"].tolist() == ["NA", "2024-01-01", "1e5", "true"]
    refused = called("predict", study.id, "rows.csv", "--id", "ordr", "--home", study.settings.home)
    assert refused.returncode == 2
    assert "one of: " in refused.stderr
    # Files that were joined have their names within: no row of the model, and none of the column alone either.
    lines = _written(rows.assign(order=["1", "2", "3", "4"]), tmp_path).read_text().splitlines()
    (tmp_path / "rows.csv").write_text("\n".join([*lines[:3], lines[0], *lines[3:]]) + "\n")
    joined = exporting.predict(study.id, str(tmp_path / "rows.csv"), study.settings, carried=["order"])
    assert joined["order"].tolist() == ["1", "2", "3", "4"]
    assert joined["prediction"].tolist() == plain["prediction"].tolist()
    # What nobody asks for may be anything: the index that pandas writes without a name, a column given twice.
    lines = _written(rows.assign(order=["1", "2", "3", "4"]), tmp_path).read_text().splitlines()
    heads = [",twice,twice,", *(f"{number},a,b," for number in range(4))]
    (tmp_path / "rows.csv").write_text("\n".join(map("".join, zip(heads, lines, strict=True))) + "\n")
    others = exporting.predict(study.id, str(tmp_path / "rows.csv"), study.settings, carried=["order"])
    pd.testing.assert_frame_equal(others, joined)
    _written(rows.assign(prediction=1), tmp_path)
    refused = called("predict", study.id, "rows.csv", "--with-rows", "--home", study.settings.home)
    assert "called otherwise" in refused.stderr


def _written(rows, folder):
    rows.to_csv(folder / "rows.csv", index=False)
    return folder / "rows.csv"


def test_d3_numbers_that_a_regression_predicts_are_in_its_units(regression, tmp_path):
    frame = raw_tables.people(60, seed=6)
    frame.to_csv(tmp_path / "rows.csv", index=False)
    found = exporting.predict(regression.id, str(tmp_path / "rows.csv"), regression.settings)
    assert list(found) == ["prediction"]
    assert frame["spent"].min() - 100 < found["prediction"].mean() < frame["spent"].max() + 100
    assert np.corrcoef(found["prediction"], frame["spent"])[0, 1] > 0.5


# ---- the exported folder -------------------------------------------------------------------------------------------


def test_d3_an_export_holds_what_it_says_and_no_pickle(exported):
    assert {file.name for file in exported.iterdir()} == {
        "README.md", "mlflow_model", "network.json", "network.py", "network.pt", "network.onnx",
    }  # fmt: skip
    files = [file for file in exported.rglob("*") if file.is_file()]
    assert not [file for file in files if file.suffix in (".pkl", ".pickle", ".joblib", ".pyc")]
    # Only torch's own archives hold pickled data, which is read with weights_only=True.
    pickled = [file for file in files if b"\x80\x02" in file.read_bytes()[:512] or b"data.pkl" in file.read_bytes()]
    assert {file.name for file in pickled} == {"network.pt"}
    for file in pickled:
        torch.load(file, weights_only=True)


_ALONE = """
import sys
sys.path.insert(0, sys.argv[1])
import network, torch
assert not {"trainables", "search_service", "mlflow", "sklearn", "pandas"} & set(sys.modules)
module = network.load(sys.argv[1] + "/network.pt")
inputs = torch.load(sys.argv[2], weights_only=True)
torch.save(module(inputs).detach(), sys.argv[3])
print(type(module).__mro__[1].__module__, len(network.FEATURES))
"""


@pytest.mark.parametrize("changes", [{}, {"normalization": "batch_norm", "activation": "leaky_relu"}])
def test_d3_network_py_stands_alone_and_is_the_network(study, exported, tmp_path, changes):
    model, folder = study.model, exported
    if changes:
        from tests.trainables.test_model import pack, train

        model = pack(study.prepared.table, train(study.prepared.table, **changes))
        model.save(tmp_path / "model")
        folder = tmp_path / "out"
        exporting.export(str(tmp_path / "model"), folder, study.settings)
    inputs = study.prepared.table.test_rows.inputs
    torch.save(torch.from_numpy(inputs), tmp_path / "inputs.pt")
    done = subprocess.run(
        [sys.executable, "-I", "-c", _ALONE, folder, tmp_path / "inputs.pt", tmp_path / "outputs.pt"],
        capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    # The study's is an average.
    parent = "container" if changes else "module"
    assert done.stdout.split() == [f"torch.nn.modules.{parent}", str(inputs.shape[1])]
    expected = model.outputs(inputs)
    np.testing.assert_allclose(torch.load(tmp_path / "outputs.pt", weights_only=True), expected, rtol=1e-4, atol=1e-5)
    session = onnxruntime.InferenceSession(str(folder / "network.onnx"))
    for rows in (inputs, inputs[:1]):
        (outputs,) = session.run(["outputs"], {"features": rows})
        np.testing.assert_allclose(outputs, expected[: len(rows)], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("loss", ["mse", "binary_cross_entropy"])
def test_d3_network_py_averages_numbers_and_log_odds_too(study, regression, tmp_path, loss):
    from tests.trainables.test_model import pack_several, train

    table = (regression if loss == "mse" else study).prepared.table
    training = train(table, loss)
    model = pack_several(table, [(training, 0), (training, 2)], shares=(0.75, 0.25))
    (tmp_path / "network.py").write_text(texts.network_source(model))
    (tmp_path / "network.json").write_text(texts.network_facts(model))
    torch.save(model.state(), tmp_path / "network.pt")
    network = runpy.run_path(str(tmp_path / "network.py"))["load"](tmp_path / "network.pt")
    inputs = table.test_rows.inputs
    outputs = network(torch.from_numpy(inputs)).detach()
    np.testing.assert_allclose(outputs, model.outputs(inputs), rtol=1e-4, atol=1e-5)


def test_c9_a_studys_trials_are_exported_for_optunas_tools(study, tmp_path):
    command = ["export", study.id, "--home", str(study.settings.home)]
    done = CliRunner().invoke(app, [*command, "--optuna", str(tmp_path / "study.db")])
    assert (done.exit_code, done.output.count("\n")) == (0, 1)
    summaries = optuna.get_all_study_summaries(f"sqlite:///{tmp_path / 'study.db'}")
    rounds = study.finished.result.rounds
    assert [(each.study_name, each.n_trials) for each in summaries] == [
        (f"{study.id} round-{number}", len(found.trials)) for number, found in enumerate(rounds, start=1)
    ]
    with pytest.raises(DataError, match="--optuna and a file"):
        CliRunner().invoke(app, command, catch_exceptions=False)


# What ends strings, docstrings, code spans, cells, lines and format fields, and what shows as something else.
_RUNS = '__import__("pathlib").Path("ran").touch()'
_HOSTILE = (
    f'yes"""+str({_RUNS})+"""', f"no'+str({_RUNS})+'", f"\\\\\n{_RUNS}\n#", "{name} {0} %s", f"` ``` ~~~\n{_RUNS}",
    "<img src=x onerror=alert(1)> [a](javascript:alert(1)) | \u202e\x1b[2J\x7f",
)  # fmt: skip


def test_e1_names_and_labels_are_data_in_an_export_and_nothing_of_them_runs(study, tmp_path):
    from tests.trainables.test_model import pack, train

    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(120, 5)), columns=list(_HOSTILE[:5]))
    frame[_HOSTILE[5]] = np.asarray(_HOSTILE, dtype=object)[np.arange(120) % 6]
    pa.parquet.write_table(pa.Table.from_pandas(frame), tmp_path / "t.parquet")
    table = read(DataConfig(source=str(tmp_path / "t.parquet"), target=_HOSTILE[5]), "classification")
    named = dataclasses.replace(pack(table, train(table)).facts, name=_HOSTILE[0] + "\ud800\x00")
    model = dataclasses.replace(pack(table, train(table)), facts=named)
    model.save(tmp_path / "model")
    exporting.export(str(tmp_path / "model"), tmp_path / "out", study.settings)
    torch.save(torch.from_numpy(table.test_rows.inputs), tmp_path / "inputs.pt")
    command = [sys.executable, "-I", "-c", _ALONE + "print(ascii((network.CLASSES, network.FACTS['name'])))"]
    done = subprocess.run(
        [*command, tmp_path / "out", tmp_path / "inputs.pt", tmp_path / "outputs.pt"],
        capture_output=True, text=True, timeout=500, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.rglob("ran"))
    assert done.stdout.splitlines()[-1] == ascii((tuple(sorted(_HOSTILE)), named.name))
    expected = model.outputs(table.test_rows.inputs)
    np.testing.assert_allclose(torch.load(tmp_path / "outputs.pt", weights_only=True), expected, rtol=1e-4, atol=1e-5)
    source = (tmp_path / "out" / "network.py").read_text()
    assert "ran" not in source.replace("trained", "").replace("training", "")
    text = (tmp_path / "out" / "README.md").read_text()
    assert all(line.isprintable() for line in text.split("\n"))
    rendered = MarkdownIt("commonmark").enable("table").render(text)
    assert "<img" not in rendered
    assert "<a " not in rendered
    assert rendered.count("<pre>") == 3
    # The snippet of the README still is a program that names the columns as they are.
    rows = re.search(r"pandas.DataFrame\((.*)\)\n", text)
    assert set(ast.literal_eval(rows[1])[0]) == set(_HOSTILE[:5])


def test_e1_what_predict_says_of_categories_reaches_a_terminal_as_text(study, tmp_path):
    from tests.trainables.test_model import pack, train

    column, label = "\x1b[2Jcity", "\x1b]0;evil\x07"
    frame = pd.DataFrame({column: ["Bonn", "Kiel"] * 60, "x": np.arange(120.0), "y": ["a", "b"] * 60})
    pa.parquet.write_table(pa.Table.from_pandas(frame), tmp_path / "t.parquet")
    table = read(DataConfig(source=str(tmp_path / "t.parquet"), target="y"), "classification")
    pack(table, train(table)).save(tmp_path / "model")
    pa.parquet.write_table(pa.Table.from_pandas(frame.assign(**{column: label})), tmp_path / "rows.parquet")
    said: list[str] = []
    exporting.predict(str(tmp_path / "model"), str(tmp_path / "rows.parquet"), study.settings, say=said.append)
    (text,) = said
    assert "120 rows have a value that no training row had" in text
    assert text.isprintable()


@pytest.mark.parametrize(
    "changes",
    [
        {"temperature": f'"""+{_RUNS}+"""'},
        {"architecture": {"negative_slope": f"1), {_RUNS}, nn.LeakyReLU(1"}},
        {"architecture": {"batch_norm_eps": f"1), {_RUNS}, (1"}},
        {"architecture": {"layer_sizes": ["4", "x"]}},
        {"further": 1},
    ],
)
def test_e1_a_model_folder_with_text_for_a_number_is_refused(study, tmp_path, changes):
    study.model.save(tmp_path / "model")
    content = json.loads((tmp_path / "model" / "model.json").read_text())
    changed = {key: content[key] | value if isinstance(value, dict) else value for key, value in changes.items()}
    (tmp_path / "model" / "model.json").write_text(json.dumps(content | changed))
    with pytest.raises(DataError, match="a folder with a model"):
        exporting.export(str(tmp_path / "model"), tmp_path / "out", study.settings)
    assert not (tmp_path / "out").exists()


def test_d3_the_snippets_of_the_exported_readme_run(study, exported):
    text = (exported / "README.md").read_text()
    first, second = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    for code in (first, second + "print(net)"):
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=exported, env=environment, capture_output=True, text=True, timeout=500,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    # What -c runs leaves compiled files behind; a later look at the folder is not about those.
    for compiled in exported.rglob("__pycache__"):
        for file in compiled.iterdir():
            file.unlink()
        compiled.rmdir()
    for column in study.model.preparation.schema.names():
        assert f"| `{column}` | " in text
    body = re.search(r"-d '(.*)'\n", text)
    assert [set(row) for row in json.loads(body[1])["dataframe_records"]] == [
        set(study.model.preparation.schema.names())
    ] * 2


def test_d3_without_the_onnx_packages_an_export_says_so_and_goes_on(study, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "_ONNX_PACKAGES", ("no_such_package",))
    (note,) = exporting.export(study.id, tmp_path / "out", study.settings)
    assert note == "no network.onnx: pip install 'search-service[onnx]'"
    assert not (tmp_path / "out" / "network.onnx").exists()
    assert "onnx" not in (tmp_path / "out" / "README.md").read_text().lower()


def test_d4_an_export_is_whole_or_not_at_all(study, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("")
    broken = tmp_path / "broken"
    study.model.save(broken)
    (broken / "network.pt").write_bytes(b"half")
    before = sorted(tmp_path.rglob("*"))
    for name, target, words in (
        (study.id, "full", "a new or empty folder"),
        (study.id, "file", "there is a file of that name"),
        (study.id, "file/below", "a folder that can be written"),
        ("no-such-study", "out", "check the name"),
        (str(broken), "out", "a folder with a model"),
    ):
        with pytest.raises(DataError, match=words):
            exporting.export(name, tmp_path / target, study.settings)
    assert sorted(tmp_path.rglob("*")) == before
    (tmp_path / "empty").mkdir()
    exporting.export(study.id, tmp_path / "empty", study.settings)
    assert (tmp_path / "empty" / "README.md").exists()


# ---- mistakes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "file", "words"),
    [
        ("models:/people/9", "rows.csv", "MODEL: 'models:/people/9'"),
        ("models:/people@nobody", "rows.csv", "models:/NAME@champion"),
        ("nobody", "rows.csv", "MODEL: 'nobody'"),
        ("../home", "rows.csv", "MODEL: '../home'"),
        ("{id}", "none.csv", "FILE: 'none.csv'"),
        ("{id}", "short.csv", "it lacks age"),
        ("{id}", "odd.csv", "column age, row 1: 'old'"),
        ("{id}", "binary.parquet", "FILE: 'binary.parquet'"),
    ],
)
def test_d4_what_the_user_gave_wrongly_is_said_in_one_message(study, tmp_path, monkeypatch, model, file, words):
    monkeypatch.chdir(tmp_path)
    rows = rows_to_predict(3).fillna({"age": 3})
    rows.drop(columns="age").to_csv("short.csv", index=False)
    rows.assign(age="old").to_csv("odd.csv", index=False)
    rows.to_csv("rows.csv", index=False)
    (tmp_path / "binary.parquet").write_bytes(b"\0" * 64)
    with pytest.raises(DataError) as caught:
        exporting.predict(model.format(id=study.id), file, study.settings)
    assert words in str(caught.value)


def test_d4_exit_codes_of_export_and_predict(study, exported, tmp_path, called, monkeypatch):
    rows_to_predict().drop(columns="age").to_csv(tmp_path / "short.csv", index=False)
    for arguments in (("predict", exported, "short.csv"), ("export", "nobody", "--to", "out")):
        done = called(*arguments, "--home", study.settings.home)
        assert done.returncode == 2
        assert "This cannot be done: 1 mistake" in done.stderr
        assert "Traceback" not in done.stderr
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    done = called("predict", "models:/people/1", "short.csv")
    assert done.returncode == 4
    assert "MLflow at http://127.0.0.1:9 cannot be asked" in done.stderr
    assert "Traceback" not in done.stderr
    assert {file.name for file in tmp_path.iterdir()} == {"short.csv"}


def test_d4_files_outside_the_folders_that_may_be_read_are_refused(study, tmp_path):
    rows_to_predict().to_csv(tmp_path / "rows.csv", index=False)
    settings = Settings(home=study.settings.home, tracking_uri=None, data_folders=str(study.file.parent / "none"))
    with pytest.raises(DataError, match="SEARCH_SERVICE_DATA_FOLDERS"):
        exporting.predict(study.id, str(tmp_path / "rows.csv"), settings)


def test_d4_where_there_is_no_model_it_is_said_why_and_where_to_go(tmp_path, monkeypatch):
    settings, rows = Settings(home=tmp_path), str(tmp_path / "rows.csv")
    cut, failed = (StudyFolder(tmp_path / "studies" / name) for name in ("cut-1", "failed-1"))
    for folder in (cut, failed):
        folder.path.mkdir(parents=True)
        (folder.path / "spec.json").write_text("{}")
    failed.end("failed", "step 2: it cannot memorise")
    for name, fix in {
        "cut-1": "it has not ended: go on with search-service run --study cut-1",
        "failed-1": "it has no model, since it failed: step 2: it cannot memorise",
        "elsewhere-1": "check the name, or --home; a study that failed has no model",
    }.items():
        with pytest.raises(DataError) as error:
            exporting.predict(name, rows, settings)
        assert error.value.problems[0].fix == fix
    monkeypatch.setenv("SEARCH_SERVICE_URL", "http://127.0.0.1:8000")
    with pytest.raises(DataError, match="first search-service export elsewhere-1 --to FOLDER"):
        exporting.predict("elsewhere-1", rows, settings)
