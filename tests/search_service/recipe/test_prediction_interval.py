"""E1: a model of numbers says how far it may be wrong, by test rows, which have chosen nothing."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

from search_service import wiring
from search_service.errors import InvalidSpecError
from search_service.report.documents import StudyDocument
from search_service.report.study_report import describe_prediction_interval
from search_service.settings import Settings
from search_service.spec.study_spec import parse
from trainables.errors import DataError
from trainables.model import TableModel

SMALL = {
    "trial": {"network": {"hidden_sizes": [8]}},
    "search_space": {},
    "search": {
        "coarse": {"max_trials": 2, "max_epochs": 3},
        "refined": {"max_trials": 2, "max_epochs": 4},
        "max_cycles": 1,
    },
    "finalists": {"top": 1, "seeds": 2, "baselines": False},
}


def spec(share, **sections):
    return parse({"name": "ends", "data": {"source": "diabetes"}, "model": {"prediction_interval": share}} | sections)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    home = tmp_path_factory.mktemp("ends")
    prepared = wiring.prepare(spec(0.8, **SMALL))
    done = wiring.run(prepared, settings=Settings(home=home), runner="inline", record=False)
    return prepared, done.result, TableModel.load(home / "studies" / done.result.study_id / "model")


def test_e1_its_width_is_that_of_the_models_own_errors_on_test_rows(finished):
    prepared, result, model = finished
    dataset, tests = prepared.dataset, prepared.test_rows
    said = model.interpret(model.outputs(tests.inputs))
    truth = dataset.scaling.restore(tests.targets)
    errors = np.sort(np.abs(said["prediction"] - truth))
    found = result.finalists.prediction_interval
    assert (found.share, found.rows) == (0.8, len(tests))
    assert found.half_width == pytest.approx(errors[math.ceil((len(tests) + 1) * 0.8) - 1], rel=1e-5)
    assert 0.65 < found.covered < 0.95
    assert model.facts.half_width == found.half_width


def test_e1_predictions_have_ends_also_of_raw_rows(finished):
    prepared, result, model = finished
    rows = prepared.table.example.to_pandas()
    said = model.predict(rows)
    width = result.finalists.prediction_interval.half_width
    assert list(said) == ["prediction", "lower", "upper"]
    assert said["upper"].to_numpy() == pytest.approx(said["prediction"] + width)
    assert said["lower"].to_numpy() == pytest.approx(said["prediction"] - width)
    assert np.isfinite(said.to_numpy()).all()


def test_e1_report_and_result_say_it(finished):
    prepared, result, _ = finished
    found = result.finalists.prediction_interval
    said = describe_prediction_interval(found)
    assert said.startswith(f"80 % of new rows are to lie within ± {found.half_width:.4g}")
    best = StudyDocument.of(prepared.spec, result, {}).plain()["best"]
    assert best["prediction_interval"]["half_width"] == found.half_width


def test_e1_a_model_without_ends_is_written_as_ever(finished, tmp_path):
    """Versions that know no intervals read it."""
    _, _, model = finished
    facts = model.facts.to_json()
    assert facts["prediction_interval"] == 0.8
    del facts["prediction_interval"], facts["half_width"]
    model.save(tmp_path)
    (tmp_path / "model.json").write_text(json.dumps(facts))
    without = TableModel.load(tmp_path)
    assert without.facts.to_json() == facts
    assert list(without.interpret(np.zeros((1, 1), np.float32))) == ["prediction"]


@pytest.mark.parametrize("half_width", [-1.0, math.inf])
def test_e1_a_folder_with_ends_that_are_none_is_refused(finished, tmp_path, half_width):
    _, _, model = finished
    model.save(tmp_path)
    (tmp_path / "model.json").write_text(json.dumps(model.facts.to_json() | {"half_width": half_width}))
    with pytest.raises(DataError, match="an interval of"):
        TableModel.load(tmp_path)


def classes(folder):
    path = folder / "classes.csv"
    pd.DataFrame({"a": range(200), "y": ["yes", "no"] * 100}).to_csv(path, index=False)
    return str(path)


def test_e1_classes_have_no_ends(tmp_path):
    refused = r"model.prediction_interval: 0\.9\s+rule: null, since classes have no ends"
    with pytest.raises(InvalidSpecError, match=refused):
        spec(0.9, trial={"loss": "cross_entropy"})
    with pytest.raises(InvalidSpecError, match=refused):
        wiring.prepare(spec(0.9, data={"source": classes(tmp_path), "target": "y"}))


def test_e1_a_share_that_the_test_rows_cannot_tell_is_refused_and_what_is_said_to_do_works():
    """Of diabetes' 442 rows 89 are test rows: half of them can tell 97.7 %, and no more."""
    with pytest.raises(InvalidSpecError, match="a share that 89 test rows can tell: 0.99 takes 198"):
        wiring.prepare(spec(0.99, **SMALL))
    assert wiring.prepare(spec(0.97, **SMALL)).spec.model.prediction_interval == 0.97
    assert wiring.prepare(spec(0.99, **SMALL, data={"source": "diabetes", "test_fraction": 0.5}))


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0, 90])
def test_e1_shares_are_between_one_half_and_one(share):
    with pytest.raises(InvalidSpecError, match=r"model.prediction_interval"):
        spec(share)
