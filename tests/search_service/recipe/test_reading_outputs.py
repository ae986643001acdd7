"""E1: a rare class is predicted from the probability on that validation rows show to be best, and nowhere else."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score

from search_service import wiring
from search_service.errors import InvalidSpecError
from search_service.report.columns import describe_columns, how_measured, shown_of
from search_service.report.documents import StudyDocument
from search_service.report.study_report import describe_threshold
from search_service.report.worth import worth
from search_service.settings import Settings
from search_service.spec.study_spec import parse
from trainables import advantage
from trainables.model import TableModel

ROWS = 6_000


def table(folder, *, signal=1.2):
    """Two classes, one row in twenty-five of the second, which inputs tell only roughly."""
    random = np.random.default_rng(3)
    inputs = random.normal(size=(ROWS, 4))
    odds = signal * inputs[:, 0] + signal * inputs[:, 1] * inputs[:, 2]
    # The intercept that makes 4 % of them positive.
    level = np.quantile(odds + random.logistic(size=ROWS), 0.96)
    target = np.where(odds + random.logistic(size=ROWS) > level, "yes", "no")
    path = folder / "rare.csv"
    pd.DataFrame(inputs, columns=list("abcd")).assign(churn=target).to_csv(path, index=False)
    return path


def study(folder, home, *, model=(), finalists=(), table_of=table):
    spec = parse(
        {
            "name": "rare",
            "data": {"source": str(table_of(folder)), "target": "churn"},
            "trial": {"network": {"hidden_sizes": [16]}},
            "search_space": {"optimizer.lr": {"low": 1e-3, "high": 1e-2, "log": True}},
            "search": {
                "coarse": {"max_trials": 3, "max_epochs": 4},
                "refined": {"max_trials": 2, "max_epochs": 6},
                "max_cycles": 1,
            },
            "finalists": {"top": 1, "seeds": 2} | dict(finalists),
            "objective": {"metric": "roc_auc"},
            "model": {"refit": False, "average": "none"} | dict(model),
        }
    )
    prepared = wiring.prepare(spec)
    return prepared, wiring.run(prepared, settings=Settings(home=home), runner="inline", record=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rare")
    return *study(folder, folder / "home"), folder / "home"


def folder_of(done, home):
    return home / "studies" / done.result.study_id


def test_e1_a_rare_class_is_predicted_where_validation_macro_f1_is_best(finished):
    prepared, done, home = finished
    final = done.result.finalists
    model = TableModel.load(folder_of(done, home) / "model")
    said = model.interpret(model.outputs(prepared.dataset.validation.inputs))
    p, targets = said["probability_yes"], prepared.dataset.validation.targets
    scores = {cut: f1_score(targets, p >= cut, average="macro") for cut in np.unique(p)}
    assert final.threshold.chosen_by == "macro_f1"
    assert final.threshold.class_name == "yes"
    assert final.threshold.validation == pytest.approx((scores_at_half(targets, p), max(scores.values())))
    assert final.threshold.probability < 0.4
    assert f1_score(targets, p >= final.threshold.probability, average="macro") == pytest.approx(max(scores.values()))
    # At 0.5 it named the class for hardly any row, and now for about as many as have it.
    assert (p > 0.5).mean() < targets.mean() / 2 < (said["prediction"] == "yes").mean() < 3 * targets.mean()


def scores_at_half(targets, p):
    return f1_score(targets, p > 0.5, average="macro")


def test_e1_the_model_predicts_by_it_and_all_test_scores_are_those_of_its_predictions(finished):
    prepared, done, home = finished
    final = done.result.finalists
    model = TableModel.load(folder_of(done, home) / "model")
    said = model.interpret(model.outputs(prepared.test_rows.inputs))
    assert ((said["probability_yes"] >= final.threshold.probability) == (said["prediction"] == "yes")).all()
    targets, named = prepared.test_rows.targets, said["prediction"] == "yes"
    assert final.threshold.test["macro_f1"] == pytest.approx(f1_score(targets, named, average="macro"))
    assert final.threshold.test["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(targets, named))
    at_half = said["probability_yes"] > 0.5
    assert final.threshold.test_at_half["macro_f1"] == pytest.approx(f1_score(targets, at_half, average="macro"))
    assert final.model_test_score == pytest.approx(roc_auc_score(targets, said["probability_yes"]))
    kept = np.load(folder_of(done, home) / "test_predictions.npz")
    assert float(kept["shift"]) == final.threshold.shift
    itself = folder_of(done, home) / "test_predictions.npz"
    assert advantage.compare(itself, itself, "macro_f1").difference == 0.0


def test_e1_simpler_models_have_thresholds_of_their_own(finished):
    _, done, _ = finished
    final = done.result.finalists
    for baseline in final.baselines:
        # At one half neither names the class often enough for that.
        assert baseline.test["macro_f1"] > 0.55
        assert baseline.leads["macro_f1"].difference == pytest.approx(
            final.threshold.test["macro_f1"] - baseline.test["macro_f1"]
        )


def test_b_the_verdict_does_not_compare_what_thresholds_were_not_chosen_by(finished):
    """Each model has the threshold of its best macro F1: which accuracy that happens to give says nothing of it."""
    _, done, _ = finished
    final = done.result.finalists

    def ahead(baseline):
        leads = {name: dataclasses.replace(lead, difference=-1.0, error=0.001) for name, lead in baseline.leads.items()}
        return dataclasses.replace(baseline, leads=leads)

    far_behind = dataclasses.replace(final, baselines=tuple(ahead(baseline) for baseline in final.baselines))
    said = worth(far_behind)
    assert "macro_f1" in said
    assert "log_loss" in said
    assert "accuracy" not in said.replace("balanced_accuracy", "accuracy")
    at_half = worth(dataclasses.replace(far_behind, threshold=None))
    assert " accuracy (" in at_half


def test_b_report_document_and_model_say_it(finished):
    prepared, done, home = finished
    final, folder = done.result.finalists, folder_of(done, home)
    said = describe_threshold(final)
    assert said in (folder / "report.txt").read_text(encoding="utf-8")
    assert f"'yes' is predicted from a probability of {final.threshold.probability:.3g} on" in said
    document = StudyDocument.of(prepared.spec, done.result, {})
    assert document.best.threshold == final.threshold
    assert json.loads((folder / "model" / "model.json").read_text())["threshold"] == final.threshold.probability
    assert "is predicted from a probability of" in (folder / "report.html").read_text(encoding="utf-8")


def test_e1_report_page_and_document_say_which_columns_matter(finished):
    prepared, done, home = finished
    final, folder = done.result.finalists, folder_of(done, home)
    found = final.columns
    assert {column.name for column in found.columns} == set("abcd")
    worse = {column.name: column.worse for column in found.columns}
    # The table's signal is in a, and in b and c together; d is noise.
    assert worse["a"] > max(0.05, 5 * abs(worse["d"]))
    assert StudyDocument.of(prepared.spec, done.result, {}).best.columns == found
    shown = shown_of(found)[0]
    text = (folder / "report.txt").read_text(encoding="utf-8")
    assert all(f"| {column.name} | {column.worse:.2g} ±" in text for column in shown)
    assert f"by {shown[0].worse:.2g} with {shown[0].name} shuffled" in describe_columns(found)
    # Up to what a page has to escape.
    assert how_measured(found).partition(":")[0] in (folder / "report.html").read_text(encoding="utf-8")


def test_e1_a_threshold_that_chance_alone_could_make_is_left_at_one_half(tmp_path):
    """Labels that nothing tells: the best cut of these rows is the best of many, and no better on others."""

    def shuffled(folder):
        path = table(folder)
        rows = pd.read_csv(path)
        rows["churn"] = rows["churn"].sample(frac=1, random_state=0).to_numpy()
        rows.to_csv(path, index=False)
        return path

    _, done = study(tmp_path, tmp_path / "home", table_of=shuffled)
    assert done.result.finalists.threshold is None
    assert "threshold" not in (folder_of(done, tmp_path / "home") / "model" / "model.json").read_text()


def test_e1_a_number_is_taken_as_it_is_also_of_calibrated_probabilities(tmp_path):
    asked = {"threshold": 0.2, "refit": True}
    finalists = {"top": 1, "seeds": 2, "calibration": "temperature"}
    prepared, done = study(tmp_path, tmp_path / "home", model=asked, finalists=finalists)
    final = done.result.finalists
    assert (final.threshold.probability, final.threshold.chosen_by) == (0.2, None)
    assert final.calibration.temperature != 1.0
    model = TableModel.load(folder_of(done, tmp_path / "home") / "model")
    said = model.interpret(model.outputs(prepared.test_rows.inputs))
    named = said["prediction"] == "yes"
    assert ((said["probability_yes"] >= 0.2) == named).all()
    balanced = balanced_accuracy_score(prepared.test_rows.targets, named)
    assert final.threshold.test["balanced_accuracy"] == pytest.approx(balanced)
    assert final.refit.test_metrics["balanced_accuracy"] == pytest.approx(balanced)
    assert "as model.threshold says" in describe_threshold(final)


def test_e1_a_number_for_what_has_not_two_classes_is_refused(tmp_path):
    with pytest.raises(InvalidSpecError, match=r"(?s)model\.threshold.*0\.3.*between two classes"):
        wiring.prepare(parse({"name": "x", "data": {"source": "digits"}, "model": {"threshold": 0.3}}))
    with pytest.raises(InvalidSpecError, match=r"(?s)model\.threshold.*gives no probabilities"):
        hinge = {"name": "x", "data": {"source": "digits"}, "trial": {"loss": "hinge"}, "model": {"threshold": 0.3}}
        parse(hinge)
