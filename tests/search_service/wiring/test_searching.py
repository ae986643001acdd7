"""A search in one call: a data frame in, predictions out, and everything that a study leaves."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import search_service
from search_service import CheckFailedError, InvalidSpecError
from trainables.errors import DataError
from trainables.model import TableModel

SMALL = {
    "search.coarse": {"max_trials": 4, "max_epochs": 2},
    "search.refined": {"max_trials": 2, "max_epochs": 4},
    "search.max_cycles": 1,
    "finalists": {"top": 1, "seeds": 2, "baselines": False},
}


def frame(rows=240):
    random = np.random.default_rng(0)
    a, price = random.normal(size=rows), random.uniform(1_000, 9_000, rows)
    churn = np.where(a + (price - 5_000) / 3_000 > 0, "yes", "<b>no</b>")
    town = random.choice(["Bonn", "Kiel"], rows)
    return pd.DataFrame({"a": a, "price": [f"${p:,.2f}" for p in price], "town": town, "churn": churn})


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    return search_service.search(frame(), "churn", home=home, runner="inline", changes=SMALL, show=False)


def test_e1_a_frame_becomes_a_model_that_predicts_frames(found):
    others = frame(20).drop(columns="churn")
    assert found.result.status == "completed"
    assert found.predict(others).name == "churn"
    assert set(found.predict(others)) <= {"yes", "<b>no</b>"}
    shares = found.predict_proba(others)
    assert list(shares.columns) == ["<b>no</b>", "yes"]
    assert shares.sum(axis=1).to_numpy() == pytest.approx(np.ones(20))
    assert (shares.idxmax(axis=1).to_numpy() == found.predict(others).to_numpy()).all()
    # Each of its own row, however the frame was cut and shuffled: put into a frame, they went to others.
    some = others.sample(12, random_state=1)
    for predict in (found.predict, found.predict_proba, found.model.predict):
        assert predict(some).equals(predict(others).loc[some.index])
    # Signal of two columns, which a line separates.
    assert found.test_score > 0.8


@pytest.mark.parametrize(
    "values",
    [
        np.array([0, 1]),
        np.array([False, True]),
        pd.array([3, 7], dtype="Int8"),
        np.array([1.0, 2.0]),
        np.array(["0", "1"]),
    ],
    ids=["numbers", "truths", "nullable", "floats", "texts"],
)
def test_e1_classes_are_predicted_as_the_frame_has_them(tmp_path, values):
    table = frame()
    table["churn"] = pd.Series(values).take((table["churn"] == "yes").astype(int)).array
    found = search_service.search(
        table, "churn", home=tmp_path, runner="inline", changes=SMALL, show=False, record=False
    )
    said = found.predict(table.drop(columns="churn"))
    assert (said == table["churn"]).mean() > 0.8
    assert list(found.predict_proba(table).columns) == list(values)


def test_e1_numbers_have_ends_where_they_were_asked_for_and_classes_have_none(found, tmp_path):
    changes = SMALL | {
        "model": {"prediction_interval": 0.8, "register": False, "refit": False},
        "finalists.folds": None,
    }
    table = frame(120).assign(amount=lambda rows: 3 * rows["a"] + 7)
    of_numbers = search_service.search(
        table, "amount", home=tmp_path, runner="inline", changes=changes, record=False, show=False
    )
    ends, said = of_numbers.predict_interval(table), of_numbers.predict(table)
    assert list(ends) == ["lower", "upper"]
    assert ((ends["lower"] < said) & (said < ends["upper"])).all()
    with pytest.raises(DataError, match=r"search with model.prediction_interval: 0\.9"):
        found.predict_interval(frame(2))


def test_e1_the_study_is_one_like_all_others_and_can_be_replayed_without_the_frame(found, called):
    assert found.places["folder"].endswith(found.study_id)
    (table,) = (found.settings.home / "tables").iterdir()
    assert found.spec.data.source == str(table)
    assert found.spec.name == "churn"
    # What it stands for can be kept as a config.
    assert search_service.parse(search_service.spec.config_file.read_text(found.config, "text")) == found.spec
    replayed = called("replay", found.study_id, "--home", found.settings.home, "--trials", "r1-000")
    assert replayed.returncode == 0, replayed.stderr


def test_d3_the_page_is_that_of_the_studys_own_run_which_begins_with_the_verdict(found):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{found.settings.home / 'mlflow.db'}")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    (run,) = client.search_runs(experiments, f"tags.study_id = '{found.study_id}' AND tags.kind = 'study'")
    address = f"/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}?workflowType=machine_learning"
    assert found.places["page"].endswith(address)
    first = run.data.tags["mlflow.note.content"].splitlines()[0]
    assert first.startswith(f"**Test accuracy {found.test_score:.4g}**")


def test_e1_in_a_notebook_it_shows_its_report_and_nothing_of_a_table_is_html(found):
    shown = found._repr_html_()
    assert "<table>" in shown
    assert "<h1>" in shown
    assert "<b>no</b>" not in shown
    assert found.plot().axes


def test_e1_in_a_shell_it_is_a_line(found):
    """It was 160 000 letters."""
    assert repr(found) == (
        f"<SearchResult {found.study_id}: completed, test accuracy {found.test_score:.4g}; "
        "print(result.report) for all of it>"
    )


def test_e1_it_exports_what_the_command_exports(found, tmp_path):
    found.export(tmp_path / "model")
    model = TableModel.load(tmp_path / "model" / "mlflow_model" / "artifacts" / "model")
    others = frame(5).drop(columns="churn")
    assert model.predict(others)["prediction"].tolist() == found.predict(others).tolist()
    assert torch.load(tmp_path / "model" / "network.pt", weights_only=True)


def test_e1_what_is_wrong_is_said_before_anything_is_left(tmp_path):
    home = tmp_path / "home"
    for given, words in (
        ({"target": None}, "--target"),
        ({"target": "chrun"}, "'churn'"),
        ({"target": "churn", "metric": "auc"}, "did you mean roc_auc"),
        ({"target": "churn", "changes": {"search.coarse.trials": 3}}, "max_trials"),
    ):
        with pytest.raises(InvalidSpecError, match=words):
            search_service.search(frame(), home=home, runner="inline", show=False, **given)
    with pytest.raises(InvalidSpecError, match="runner: 'gpu'"):
        search_service.search(frame(), "churn", home=home, runner="gpu", show=False)
    # The table that was in memory is not left there either.
    assert not home.exists()
    with pytest.raises(InvalidSpecError, match="home: '/proc/nowhere'"):
        search_service.search(frame(), "churn", home="/proc/nowhere", runner="inline", show=False)


def test_e1_a_table_that_another_study_uses_is_not_taken_away_with_one_that_is_refused(found):
    home = found.settings.home
    tables = sorted((home / "tables").iterdir())
    assert tables
    with pytest.raises(InvalidSpecError, match="churn"):
        search_service.search(frame(), "chrun", home=home, runner="inline", name="churn", show=False)
    assert sorted((home / "tables").iterdir()) == tables


def test_e1_a_search_that_fails_a_check_says_so_when_it_is_asked(tmp_path):
    # A rate at which nothing can be memorised in one step.
    changes = {"checks.overfit_small_sample": {"max_steps": 1}} | SMALL
    found = search_service.search(frame(), "churn", home=tmp_path, runner="inline", changes=changes, show=False)
    assert found.result.status == "failed"
    with pytest.raises(CheckFailedError, match="step 2"):
        found.predict(frame(3))
    assert "step 2" in found._repr_html_()
    assert "failed, step 2" in repr(found)


def test_e1_progress_is_shown_as_the_command_shows_it(tmp_path, capsys):
    changes = {"checks.overfit_small_sample": {"max_steps": 1}} | SMALL
    search_service.search(frame(), "churn", home=tmp_path, runner="inline", changes=changes)
    assert "Step 1" in capsys.readouterr().out
