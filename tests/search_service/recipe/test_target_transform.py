"""D2: a target that is transformed for networks is in its own units wherever a person or a program sees it."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor

from search_service import wiring
from search_service.export import exporting
from search_service.settings import Settings
from search_service.spec.study_spec import parse
from trainables.model import TableModel

ROWS = 500


@pytest.fixture(scope="module", params=["sqrt", "log"])
def finished(request, tmp_path_factory):
    """What was prepared, the study's result, its settings, its model, and the table."""
    home = tmp_path_factory.mktemp(request.param)
    random = np.random.default_rng(3)
    x = random.normal(size=(ROWS, 3))
    table = pd.DataFrame(x, columns=list("abc"))
    table["price"] = np.exp(x @ [0.8, -0.5, 0.3] + 0.2 * random.normal(size=ROWS)) * 1000
    table.to_csv(home / "prices.csv", index=False)
    spec = parse(
        {
            "name": "prices",
            "data": {
                "source": str(home / "prices.csv"), "target": "price", "target_transform": request.param,
                "preparation": {"numeric": "standard"},
            },
            "trial": {"network": {"hidden_sizes": [8]}},
            "search_space": {},
            "search": {
                "coarse": {"max_trials": 2, "max_epochs": 3},
                "refined": {"max_trials": 2, "max_epochs": 8},
                "max_cycles": 1,
            },
            "finalists": {"top": 1, "seeds": 2},
            "model": {"prediction_interval": 0.8},
        }
    )  # fmt: skip
    prepared, settings = wiring.prepare(spec), Settings(home=home)
    done = wiring.run(prepared, settings=settings, runner="inline", record=False)
    folder = home / "studies" / done.result.study_id / "model"
    return prepared, done.result, settings, TableModel.load(folder), table


def test_d2_the_test_score_is_that_of_its_predictions_of_raw_rows(finished):
    prepared, result, _, model, table = finished
    tests = prepared.test_rows
    true = prepared.dataset.scaling.restore(tests.targets)
    rows = np.abs(table["price"].to_numpy()[None, :] - true[:, None]).argmin(1)
    said = model.predict(table.iloc[rows].drop(columns="price"))
    errors = said["prediction"].to_numpy() - table["price"].to_numpy()[rows]
    assert result.finalists.model_test_score == pytest.approx(np.sqrt(np.mean(errors**2)), rel=1e-3)
    assert result.finalists.model_test_score < result.finalists.trivial_test_score


def test_d2_an_interval_is_as_wide_as_its_errors_in_its_own_units(finished):
    prepared, result, _, model, _ = finished
    tests = prepared.test_rows
    said = model.interpret(model.outputs(tests.inputs))
    errors = np.sort(np.abs(said["prediction"] - prepared.dataset.scaling.restore(tests.targets)))
    place = int(np.ceil((len(tests) + 1) * 0.8)) - 1
    assert result.finalists.prediction_interval.half_width == pytest.approx(errors[place], rel=1e-5)


def test_d2_who_ignores_the_inputs_says_the_mean_or_the_median_of_the_training_rows(finished):
    prepared, result, *_ = finished
    restore = prepared.dataset.scaling.restore
    train, tests = restore(prepared.dataset.train.targets), restore(prepared.test_rows.targets)
    expected = {"rmse": np.sqrt(np.mean((tests - train.mean()) ** 2)), "mae": np.mean(np.abs(tests - np.median(train)))}
    for name, score in expected.items():
        # The median of an even number of rows is any between two of them.
        close = 1e-4 if name == "rmse" else 1e-2
        assert result.finalists.trivial_test_metrics[name] == pytest.approx(score, rel=close)


def test_b_boosting_learns_the_same_and_is_judged_in_the_same_units(finished):
    prepared, result, *_ = finished
    # From as many rows as the model, which is trained once more.
    dataset, tests = prepared.dataset.with_validation_rows_trained(), prepared.test_rows
    (boosting,) = [baseline for baseline in result.finalists.baselines if baseline.name == "boosting"]
    trees = HistGradientBoostingRegressor(early_stopping=False, random_state=0)
    trees.fit(dataset.train.inputs.astype(np.float64), dataset.train.targets)
    back = (lambda z: np.sign(z) * z**2) if dataset.scaling.transform == "sqrt" else np.expm1
    said, true = (
        back(z * dataset.scaling.scale + dataset.scaling.mean) for z in (trees.predict(tests.inputs), tests.targets)
    )
    assert boosting.test["rmse"] == pytest.approx(np.sqrt(np.mean((said - true) ** 2)), rel=1e-4)
    assert boosting.rows == result.finalists.refit.rows == len(dataset.train)


def test_e1_what_is_exported_says_how_outputs_become_the_target(finished, tmp_path):
    prepared, _, settings, model, table = finished
    model.save(tmp_path / "model")
    exporting.export(str(tmp_path / "model"), tmp_path / "out", settings)
    meaning = json.loads((tmp_path / "out" / "network.json").read_text())["outputs"]
    facts = model.facts
    assert repr(facts.target_scale) in meaning
    assert {"sqrt": "square root of price", "log": "ln(1 + |price|)"}[facts.target_transform] in meaning
    outputs = model.outputs(prepared.test_rows.inputs)[:, 0].astype(float) * facts.target_scale + facts.target_mean
    # As the text has it.
    by_hand = (
        outputs * np.abs(outputs)
        if facts.target_transform == "sqrt"
        else np.sign(outputs) * (np.exp(np.abs(outputs)) - 1)
    )
    said = model.interpret(model.outputs(prepared.test_rows.inputs))["prediction"]
    assert by_hand == pytest.approx(said.to_numpy(), rel=1e-9)
    again = TableModel.load(tmp_path / "model").predict(table.head(5))
    assert again.equals(model.predict(table.head(5)))


def test_e1_a_model_of_a_target_as_it_is_is_written_as_ever(finished):
    *_, model, _ = finished
    content = model.facts.to_json()
    assert content["target_transform"] == model.facts.target_transform
    assert "target_transform" not in dataclasses.replace(model.facts, target_transform="none").to_json()
