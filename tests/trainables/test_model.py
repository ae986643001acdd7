"""The model at the end: raw rows to predictions, the same in every process, and nothing that can run on loading."""

from __future__ import annotations

import io
import json
import os
import pickletools
import subprocess
import sys
import zipfile
from typing import get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from scipy.special import expit, softmax

from tests import raw_tables
from tests.conftest import REPOSITORY
from trainables import model as models
from trainables.choices import ActivationName
from trainables.config import NetworkConfig, TrialConfig
from trainables.data.config import DataConfig
from trainables.data.dataset import read
from trainables.errors import DataError
from trainables.model import TableModel
from trainables.training import PopulationTraining

LOSSES = {
    "cross_entropy": "classification",
    "binary_cross_entropy": "classification",
    "hinge": "classification",
    "mse": "regression",
    "huber": "regression",
}
# float32 sums in another order.
CLOSE = {"rtol": 2e-5, "atol": 2e-5}


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    source = str(raw_tables.write(tmp_path_factory.mktemp("table")))
    return {
        "classification": read(DataConfig(source=source, target="bought", drop=("spent",)), "classification"),
        "regression": read(DataConfig(source=source, target="spent", drop=("bought",)), "regression"),
    }


def train(table, loss="cross_entropy", *, epochs=2, **network) -> PopulationTraining:
    """Three members that differ in seed and slope, trained so that running statistics have moved."""
    configs = [
        TrialConfig(
            loss=loss,
            seed=seed,
            batch_size=16,
            optimizer={"lr": 0.01},
            network=NetworkConfig(**({"hidden_sizes": (8, 5)} | network)),
        )
        for seed in range(3)
    ]
    if network.get("activation") == "leaky_relu":
        slopes = (0.01, 0.2, 0.35)
        configs = [c.replace({"network.negative_slope": s}) for c, s in zip(configs, slopes, strict=True)]
    training = PopulationTraining(configs, table.dataset, order_seed=0, max_epochs=epochs)
    for record in training.epochs():
        if record.epoch == epochs:
            return training
    raise AssertionError


def pack(table, training, member=1, **how) -> TableModel:
    return pack_several(table, [(training, member)], **how)


def pack_several(table, networks, **how) -> TableModel:
    return TableModel.from_training(
        networks, table.dataset, table.preparation, name="people", target=table.target, example=table.example, **how
    )


@pytest.fixture(scope="module")
def packed(tables) -> TableModel:
    table = tables["classification"]
    return pack(table, train(table))


ROWS = raw_tables.people(300, seed=9).drop(columns=["bought", "spent"])


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("normalization", ["none", "batch_norm"])
@pytest.mark.parametrize("activation", get_args(ActivationName))
def test_d3_the_plain_network_computes_what_the_population_does(tables, activation, normalization, loss):
    table = tables[LOSSES[loss]]
    training = train(
        table, loss, epochs=1, activation=activation, normalization=normalization, dropout=0.2, dropconnect=0.1
    )
    inputs = table.test_rows.inputs
    expected = training.outputs(torch.from_numpy(inputs))
    for member in range(training.size):
        outputs = pack(table, training, member).outputs(inputs)
        np.testing.assert_allclose(outputs, expected[member].numpy(), **CLOSE)
    # Members do differ: the comparison above is of each with its own.
    assert not np.allclose(expected[0], expected[1], **CLOSE)


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if loss != "hinge"])
def test_d3_an_average_of_networks_of_any_shape_is_saved_and_predicts_as_one(tables, loss, tmp_path):
    table = tables[LOSSES[loss]]
    deep, shallow = train(table, loss, normalization="batch_norm"), train(table, loss, hidden_sizes=())
    networks, shares = [(deep, 2), (shallow, 0), (deep, 0)], (0.5, 0.25, 0.25)
    inputs = torch.from_numpy(table.test_rows.inputs)
    each = torch.stack([training.outputs(inputs)[k] for training, k in networks]).double().numpy()
    model = pack_several(table, networks, shares=shares)
    model.save(tmp_path)
    outputs = TableModel.load(tmp_path).outputs(table.test_rows.inputs)
    np.testing.assert_array_equal(outputs, model.outputs(table.test_rows.inputs))
    if loss in ("mse", "huber"):
        np.testing.assert_allclose(outputs, np.average(each, axis=0, weights=shares), rtol=1e-3, atol=1e-4)
    elif loss == "binary_cross_entropy":
        np.testing.assert_allclose(expit(outputs), np.average(expit(each), axis=0, weights=shares), **CLOSE)
    else:
        expected = np.average(softmax(each, axis=2), axis=0, weights=shares)
        np.testing.assert_allclose(softmax(outputs, axis=1), expected, **CLOSE)
    assert model.predict(ROWS).equals(TableModel.load(tmp_path).predict(ROWS))


def test_d7_an_average_whose_file_says_something_impossible_is_refused(tables, tmp_path):
    table = tables["regression"]
    training = train(table, "mse")
    pack_several(table, [(training, 0), (training, 1)], shares=(0.5, 0.5)).save(tmp_path)
    said = json.loads((tmp_path / "model.json").read_text())
    for change in ({"shares": [1.0]}, {"loss": "hinge"}):
        (tmp_path / "model.json").write_text(json.dumps(said | change))
        with pytest.raises(DataError, match="shares of"):
            TableModel.load(tmp_path)
    # What is no average is written as before there were any.
    pack(table, training).save(tmp_path / "one")
    assert not {"shares", "others"} & set(json.loads((tmp_path / "one" / "model.json").read_text()))


def test_d3_a_linear_model_is_one_layer(tables):
    table = tables["regression"]
    training = train(table, "mse", hidden_sizes=())
    packed = pack(table, training)
    assert [type(part).__name__ for part in packed.network] == ["Linear"]
    inputs = table.test_rows.inputs
    np.testing.assert_allclose(packed.outputs(inputs), training.outputs(torch.from_numpy(inputs))[1], **CLOSE)


def test_d3_cross_entropy_gives_softmax_of_the_logits_over_the_temperature(tables, packed):
    table = tables["classification"]
    warm = pack(table, train(table), temperature=2.5)
    for model, temperature in ((packed, 1.0), (warm, 2.5)):
        found = model.predict(ROWS)
        inputs = table.preparation.transform(pa.Table.from_pandas(ROWS))
        logits = torch.from_numpy(model.outputs(inputs)).double()
        expected = torch.softmax(logits / temperature, dim=1).numpy()
        assert list(found) == ["prediction", "probability_no", "probability_yes"]
        np.testing.assert_allclose(found[["probability_no", "probability_yes"]], expected, rtol=1e-12)
        assert list(found["prediction"]) == [("no", "yes")[i] for i in logits.argmax(dim=1)]
    assert list(warm.predict(ROWS)["prediction"]) == list(packed.predict(ROWS)["prediction"])


def test_d3_binary_cross_entropy_gives_sigmoid_of_its_one_output(tables):
    table = tables["classification"]
    model = pack(table, train(table, "binary_cross_entropy", epochs=10))
    found = model.predict(ROWS)
    z = torch.from_numpy(model.outputs(model.prepare(pa.Table.from_pandas(ROWS)))).double()[:, 0]
    np.testing.assert_allclose(found["probability_yes"], torch.sigmoid(z), rtol=1e-12)
    np.testing.assert_allclose(found["probability_no"] + found["probability_yes"], 1.0)
    assert set(found["prediction"]) == {"no", "yes"}
    assert ((found["prediction"] == "yes") == (z > 0).numpy()).all()


def test_d3_hinge_names_a_class_and_no_probabilities(tables):
    table = tables["classification"]
    model = pack(table, train(table, "hinge", epochs=10))
    found = model.predict(ROWS)
    assert list(found) == ["prediction"]
    assert set(found["prediction"]) == {"no", "yes"}


@pytest.mark.parametrize("loss", ["mse", "huber"])
def test_d3_numbers_are_in_the_targets_units(tables, loss):
    table = tables["regression"]
    training = train(table, loss, epochs=30)
    found = pack(table, training).predict(ROWS)
    assert list(found) == ["prediction"]
    truth = raw_tables.people(300, seed=9)["spent"]
    # Far better than the mean, which a wrong mean or scale could not be.
    assert np.abs(found["prediction"] - truth).mean() < 0.7 * np.abs(truth - truth.mean()).mean()


# ---- rows as they come ---------------------------------------------------------------------------------------------


def test_d3_a_rows_numbers_do_not_depend_on_the_rows_beside_it(packed):
    together = packed.predict(ROWS)
    alone = pd.concat([packed.predict(ROWS.iloc[[i]]) for i in range(len(ROWS))], ignore_index=True)
    shuffled = packed.predict(ROWS[::-1])[::-1].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, together, check_exact=True)
    pd.testing.assert_frame_equal(shuffled, together, check_exact=True)


def test_d3_unseen_categories_gaps_and_extra_columns_are_fine(packed):
    row = ROWS.iloc[[0]]
    gaps = pd.DataFrame([dict.fromkeys(ROWS)])
    odd = row.assign(city="Nowhere", extra=[["a", "list"]], more=1)
    for rows in (row, gaps, odd, odd[list(odd)[::-1]]):
        found = packed.predict(rows)
        assert np.isfinite(found["probability_yes"]).all()
        assert len(found) == 1
    assert len(packed.predict(ROWS.iloc[:0])) == 0
    assert list(packed.predict(ROWS.iloc[:0])) == list(packed.predict(row))


def test_d3_the_same_values_in_other_types_are_the_same_rows(packed):
    expected = packed.predict(ROWS)
    typed = ROWS.assign(
        age=ROWS["age"].astype("float32"),
        city=ROWS["city"].astype("category"),
        member=ROWS["member"].map({True: "yes", False: "no"}),
        since=pd.to_datetime(ROWS["since"]),
        income=ROWS["income"].astype("Float64"),
    )
    texts = ROWS.astype({"age": str}).assign(member=ROWS["member"].astype(int))
    as_json = pd.DataFrame(json.loads(ROWS.to_json(orient="records")))
    for rows in (typed, texts, as_json, pa.Table.from_pandas(ROWS)):
        pd.testing.assert_frame_equal(packed.predict(rows), expected, check_exact=True)
    # Of a frame with labels of its own, each with its row's.
    labelled = ROWS.set_index("zip", drop=False)
    expected = expected.set_axis(labelled.index, axis="index")
    pd.testing.assert_frame_equal(packed.predict(labelled), expected, check_exact=True)


def test_d3_missing_columns_are_refused_by_name(packed):
    for rows in (ROWS.drop(columns=["age", "city"]), pa.Table.from_pandas(ROWS.drop(columns=["age", "city"]))):
        with pytest.raises(DataError) as caught:
            packed.predict(rows)
        (problem,) = caught.value.problems
        assert (problem.path, problem.fix) == ("rows", "add or rename them")
        assert "it lacks age, city" in problem.rule


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("age", "old", "column age, row 2: 'old'"),
        ("member", "perhaps", "column member, row 2: 'perhaps'"),
        ("since", "yesterday", "column since, row 2: 'yesterday'"),
        ("age", {"years": 3}, "column age"),
        ("city", ["Lyon"], "column city"),
        ("income", float("inf"), "column income, row 2: inf"),
        ("age", b"\xff", "column age"),
    ],
)
def test_d3_values_that_are_not_of_their_kind_are_refused_with_their_place(packed, column, value, words):
    rows = ROWS.iloc[:3].astype(object)
    rows[column] = pd.Series([rows[column].iloc[0], value, rows[column].iloc[2]], index=rows.index, dtype=object)
    with pytest.raises(DataError) as caught:
        packed.predict(rows, path="served")
    assert any(words in str(problem) for problem in caught.value.problems), str(caught.value)
    assert {problem.path for problem in caught.value.problems} == {"served"}


def test_d3_codes_that_are_numbers_in_one_row_and_text_in_the_next_are_categories(packed):
    mixed = ROWS.iloc[:3].astype(object).assign(city=["Lyon", 7, 7.0])
    texts = ROWS.iloc[:3].astype(object).assign(city=["Lyon", "7", "7"])
    pd.testing.assert_frame_equal(packed.predict(mixed), packed.predict(texts), check_exact=True)


def test_d3_column_names_that_repeat_are_refused(packed):
    with pytest.raises(DataError, match="column names that differ"):
        packed.predict(pd.concat([ROWS, ROWS[["age"]]], axis=1))


# ---- the folder ----------------------------------------------------------------------------------------------------

_IN_ANOTHER_PROCESS = """
import sys, pandas, torch
torch.set_num_threads(int(sys.argv[3]))
from pathlib import Path
from trainables.model import TableModel
rows = pandas.read_json(sys.argv[2], orient="records", dtype=False, convert_dates=False)
TableModel.load(Path(sys.argv[1])).predict(rows).to_json(sys.stdout, orient="records", double_precision=15)
forbidden = {"search_service", "mlflow", "ray"} & set(sys.modules)
assert not forbidden, forbidden
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_d3_a_saved_model_gives_the_same_numbers_in_another_process(packed, tmp_path, threads):
    packed.save(tmp_path / "model")
    ROWS.to_json(tmp_path / "rows.json", orient="records")
    done = subprocess.run(
        [sys.executable, "-c", _IN_ANOTHER_PROCESS, tmp_path / "model", tmp_path / "rows.json", str(threads)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True, check=False, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    expected = json.loads(packed.predict(ROWS).to_json(orient="records", double_precision=15))
    assert json.loads(done.stdout) == expected
    loaded = TableModel.load(tmp_path / "model")
    assert loaded.facts == packed.facts
    inputs = packed.prepare(pa.Table.from_pandas(ROWS))
    assert np.array_equal(loaded.outputs(inputs), packed.outputs(inputs))


def test_d3_nothing_in_the_folder_is_a_pickle_that_could_run(packed, tmp_path):
    packed.save(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {
        "model.json", "schema.json", "preparation.skops", "network.pt",
    }  # fmt: skip
    with zipfile.ZipFile(tmp_path / "preparation.skops") as archive:
        for name in archive.namelist():
            assert name.endswith((".json", ".npy")), name
            if name.endswith(".npy"):
                np.load(io.BytesIO(archive.read(name)), allow_pickle=False)
    with zipfile.ZipFile(tmp_path / "network.pt") as archive:
        (pickled,) = [name for name in archive.namelist() if name.endswith(".pkl")]
        opcodes = [(code.name, argument) for code, argument, _ in pickletools.genops(archive.read(pickled))]
    named = {argument for code, argument in opcodes if code in ("GLOBAL", "STACK_GLOBAL", "INST")}
    assert named <= {"torch._utils _rebuild_tensor_v2", "torch FloatStorage", "collections OrderedDict"}
    assert set(torch.load(tmp_path / "network.pt", weights_only=True)) == set(packed.state())


class _Dangerous:
    def __reduce__(self):
        return os.system, ("touch ran",)


def test_d3_a_folder_that_would_run_code_is_refused(packed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    packed.save(tmp_path / "model")
    torch.save({"0.weight": _Dangerous()}, tmp_path / "model" / "network.pt")
    with pytest.raises(DataError, match="a folder with a model"):
        TableModel.load(tmp_path / "model")
    import skops.io

    packed.save(tmp_path / "model")
    skops.io.dump(subprocess.Popen, tmp_path / "model" / "preparation.skops")
    with pytest.raises(DataError, match="a folder with a model"):
        TableModel.load(tmp_path / "model")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("model.json", '{"format": 99}'),
        ("model.json", "not json"),
        ("network.pt", "short"),
        ("preparation.skops", "short"),
        ("model.json", None),
        ("network.pt", None),
        ("schema.json", None),
    ],
)
def test_d3_a_broken_folder_is_said_to_be_one(packed, tmp_path, file, content):
    packed.save(tmp_path)
    if content is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_text(content)
    with pytest.raises(DataError) as caught:
        TableModel.load(tmp_path)
    assert caught.value.problems[0].value == str(tmp_path)


def test_d3_weights_of_another_network_are_refused(packed, tables, tmp_path):
    packed.save(tmp_path)
    other = pack(tables["classification"], train(tables["classification"], hidden_sizes=(4,)))
    torch.save(other.state(), tmp_path / "network.pt")
    with pytest.raises(DataError, match="model"):
        TableModel.load(tmp_path)


def test_d3_the_example_is_json_and_can_be_predicted(packed):
    rows = json.loads(json.dumps(packed.facts.example))
    assert len(rows) == 5
    assert set(rows[0]) == set(packed.preparation.schema.names())
    assert len(packed.predict(pd.DataFrame(rows))) == 5


def test_d3_values_as_json_has_them():
    import datetime
    from decimal import Decimal

    table = pa.table(
        {
            "d": [datetime.date(2026, 11, 24)],
            "t": [datetime.datetime(2026, 11, 24, 7, 30)],
            "n": [float("nan")],
            "x": [Decimal("1.50")],
            "b": [True],
        }
    )
    assert models.as_json_rows(table) == [
        {"d": "2026-11-24", "t": "2026-11-24T07:30:00", "n": None, "x": 1.5, "b": True}
    ]
