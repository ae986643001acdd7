"""B, the last act: simpler models on the same rows, against scikit-learn used by hand; none of them breaks a study."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import sklearn.metrics
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge

from tests.plans import plain
from trainables import baselines
from trainables.data.dataset import Rows
from trainables.metrics import metrics_for


def fit(config, given):
    return {name: baselines.fit(name, config, *given, seed=0).baseline for name in baselines.NAMES}


def test_b_classes_are_scored_as_by_hand(wine):
    dataset, tests = wine
    found = fit(plain(), wine)
    x, y = dataset.train.inputs.astype(float), dataset.train.targets
    by_hand = {
        "linear": LogisticRegression(max_iter=200).fit(x, y),
        "boosting": HistGradientBoostingClassifier(early_stopping=False, random_state=0).fit(x, y),
    }
    assert list(found) == ["linear", "boosting"]
    for name, model in by_hand.items():
        p = model.predict_proba(tests.inputs)
        assert set(found[name].test) == set(metrics_for("classification", gives_probabilities=True))
        assert found[name].test["accuracy"] == pytest.approx((p.argmax(axis=1) == tests.targets).mean())
        assert found[name].test["log_loss"] == pytest.approx(sklearn.metrics.log_loss(tests.targets, p), rel=1e-3)
        expected = sklearn.metrics.roc_auc_score(tests.targets, p, multi_class="ovr")
        assert found[name].test["roc_auc"] == pytest.approx(expected)
        own = model.predict(dataset.validation.inputs)
        assert found[name].validation["accuracy"] == pytest.approx((own == dataset.validation.targets).mean())
        assert (found[name].rows, found[name].note, found[name].unavailable) == (len(y), "", "")


def test_b_test_rows_meet_one_that_has_learnt_from_validation_rows_too_where_the_model_has(wine):
    dataset, tests = wine
    x = np.concatenate([dataset.train.inputs, dataset.validation.inputs]).astype(float)
    y = np.concatenate([dataset.train.targets, dataset.validation.targets])
    by_hand = {
        "linear": LogisticRegression(max_iter=200).fit(x, y),
        "boosting": HistGradientBoostingClassifier(early_stopping=False, random_state=0).fit(x, y),
    }
    once = fit(plain(), wine)
    for name, model in by_hand.items():
        found = baselines.fit(name, plain(), *wine, seed=0, again=True).baseline
        p = model.predict_proba(tests.inputs)
        assert found.test["log_loss"] == pytest.approx(sklearn.metrics.log_loss(tests.targets, p), rel=1e-3)
        assert found.rows == len(y) > once[name].rows
        # Validation rows still judge one that has not learnt from them.
        assert found.validation == once[name].validation
        train, validation = len(dataset.train), len(dataset.validation)
        cost, twice = (baselines.seconds(name, dataset, again=again) for again in (False, True))
        assert 2 * cost < twice <= (2 + validation / train) * cost


def test_b_numbers_are_scored_in_their_own_units(diabetes):
    dataset, tests = diabetes
    found = fit(plain(loss="mse"), diabetes)
    x, y = dataset.train.inputs.astype(float), dataset.train.targets.astype(float)
    models = {
        "linear": Ridge().fit(x, y),
        "boosting": HistGradientBoostingRegressor(early_stopping=False, random_state=0).fit(x, y),
    }
    for name, model in models.items():
        errors = (model.predict(tests.inputs) - tests.targets) * dataset.scaling.scale
        assert found[name].test["rmse"] == pytest.approx(np.sqrt((errors**2).mean()), rel=1e-5)
        assert found[name].test["mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-5)
        assert 45 < found[name].test["rmse"] < 70


def test_b_row_weights_and_the_winners_class_weights_hold_for_baselines_too(wine):
    dataset, tests = wine
    weights = np.random.default_rng(0).uniform(0.01, 5.0, len(dataset.train)).astype(np.float32)
    weighted = dataclasses.replace(dataset, train=dataclasses.replace(dataset.train, weights=weights))
    x, y = dataset.train.inputs.astype(float), dataset.train.targets
    of_classes = (1.0, 1.0, 50.0)
    config = plain().replace({"class_weights": of_classes})
    for given, asked, own in (
        (weighted, plain(), weights),
        (weighted, config, weights * np.array(of_classes)[y]),
        (dataset, config, np.array(of_classes)[y]),
    ):
        p = LogisticRegression(max_iter=200).fit(x, y, sample_weight=own).predict_proba(tests.inputs)
        ours = fit(asked, (given, tests))["linear"].test["log_loss"]
        assert ours == pytest.approx(sklearn.metrics.log_loss(tests.targets, p), rel=1e-3)
    alike = fit(plain(), wine)
    assert abs(alike["linear"].test["log_loss"] - ours) > 1e-3


def test_b_a_large_table_lends_rows_evenly_spread_and_the_result_says_so(digits, monkeypatch):
    monkeypatch.setattr(baselines, "MOST_ROWS", 200)
    found = fit(plain(), digits)
    total = len(digits[0].train)
    assert {baseline.rows for baseline in found.values()} == {200}
    assert all(f"learnt from 200 of {total:,} rows" in baseline.note for baseline in found.values())
    assert found["linear"].test["accuracy"] > 0.8


def test_b_what_would_be_too_expensive_is_left_out_with_its_reason(digits, monkeypatch):
    monkeypatch.setattr(baselines, "LOGISTIC_WORK", 64 * 10 * 999)
    monkeypatch.setattr(baselines, "BOOSTING_WORK", 10**8)
    for baseline in fit(plain(), digits).values():
        assert "too expensive with 64 features and 10 outputs" in baseline.unavailable
        assert baseline.test == {}


def test_b_the_cost_of_boosting_is_bounded_whatever_the_table(digits):
    dataset = digits[0]
    for rows, features, classes in ((1_000_000, 50, 2), (1_000_000, 50, 26), (300_000, 2000, 10), (5_000, 20, 3)):
        columns = np.broadcast_to(np.float32(0), (rows, features))
        wide = dataclasses.replace(dataset, train=Rows(columns, np.zeros(rows, dtype=np.int64)), n_outputs=classes)
        plan = baselines._boosting(wide, seed=0)
        used = min(plan.rows, rows, baselines.MOST_ROWS)
        model, trees = plan.make(used), classes if classes > 2 else 1
        work = model.max_iter * trees * ((used + baselines.ROWS_PER_FEATURE) * features + baselines.NUMBERS_PER_TREE)
        assert work <= baselines.BOOSTING_WORK
        assert model.max_iter >= baselines.ROUNDS


def test_b_bins_of_numbers_are_left_to_the_network(wine):
    dataset, tests = wine
    random = np.random.default_rng(0)

    def with_bins(rows):
        noise = random.normal(size=(len(rows.inputs), 3)).astype(np.float32)
        return dataclasses.replace(rows, inputs=np.hstack([rows.inputs[:, :2], noise, rows.inputs[:, 2:]]))

    binned = dataclasses.replace(
        dataset, train=with_bins(dataset.train), validation=with_bins(dataset.validation), bins=(2, 3, 4)
    )
    found = fit(plain(), (binned, with_bins(tests)))
    for name, baseline in fit(plain(), wine).items():
        assert found[name].test == baseline.test
        assert baselines.seconds(name, binned, again=True) == baselines.seconds(name, dataset, again=True)


def test_b_a_baseline_that_fails_says_why_and_the_other_stands(wine):
    dataset, tests = wine
    inputs = dataset.train.inputs.copy()
    inputs[3, 2] = np.nan  # Trees have a place for what is missing, a linear model has not.
    with_gap = dataclasses.replace(dataset, train=Rows(inputs, dataset.train.targets))
    found = fit(plain(), (with_gap, tests))
    assert found["linear"].unavailable == "Input X contains NaN."
    assert found["linear"].test == {}
    assert found["boosting"].test["accuracy"] > 0.8
    one_class = dataclasses.replace(dataset, train=Rows(dataset.train.inputs, np.zeros_like(dataset.train.targets)))
    assert all(baseline.unavailable for baseline in fit(plain(), (one_class, tests)).values())


def test_b_classes_that_no_training_row_has_are_given_no_chance(digits):
    dataset, tests = digits
    kept = dataset.train.targets != 9
    fewer = dataclasses.replace(dataset, train=Rows(dataset.train.inputs[kept], dataset.train.targets[kept]))
    found = fit(plain(), (fewer, tests))
    for baseline in found.values():
        assert 0.75 < baseline.test["accuracy"] < 0.95
        assert np.isfinite(baseline.test["log_loss"])


def test_b_no_convergence_is_said(wine, monkeypatch):
    monkeypatch.setattr(baselines, "LOGISTIC_ITERATIONS", 1)
    assert fit(plain(), wine)["linear"].note == "not converged in 1 iterations"
