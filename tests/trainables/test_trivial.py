"""The best that can be said without looking at the inputs, against scikit-learn's dummies and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics
import torch
from sklearn.dummy import DummyClassifier, DummyRegressor

from trainables.metrics import METRICS
from trainables.row_tensors import RowTensors
from trainables.scores import SCORES, probabilities
from trainables.target_scaling import UNSCALED
from trainables.trivial import TrivialPredictor

SHARES = (0.5, 0.3, 0.15, 0.05)


def drawn(seed, rows, shares=SHARES):
    return np.random.default_rng(seed).choice(len(shares), rows, p=shares)


def test_it_says_frequencies_or_mean_by_weight():
    outputs = TrivialPredictor(torch.tensor([2, 0, 2]), 3).outputs(4, "accuracy")
    assert outputs.argmax(dim=2).tolist() == [[2, 2, 2, 2]]
    assert probabilities(outputs)[0, 0].tolist() == pytest.approx([1 / 3, 0, 2 / 3], abs=1e-9)
    numbers = torch.tensor([1.0, 2.0])
    assert TrivialPredictor(numbers, 1).outputs(2, "rmse").flatten().tolist() == [1.5, 1.5]
    weights = torch.tensor([1.0, 5.0, 1.0])
    weighted = TrivialPredictor(torch.tensor([2, 0, 2]), 3, weights).outputs(1, "accuracy")
    assert weighted.argmax(dim=2).tolist() == [[0]]
    assert TrivialPredictor(numbers, 1, weights[:2]).outputs(1, "r2").item() == pytest.approx(11 / 6)
    # What a constant can reach at best: the entropy of the frequencies.
    targets = torch.tensor([2, 0, 2])
    loss = SCORES["log_loss"](TrivialPredictor(targets, 3).outputs(3, "log_loss"), targets, UNSCALED)
    assert loss.item() == pytest.approx(-(np.log(1 / 3) + 2 * np.log(2 / 3)) / 3)


@pytest.mark.parametrize(
    ("metric", "score"),
    [
        ("accuracy", sklearn.metrics.accuracy_score),
        ("balanced_accuracy", sklearn.metrics.balanced_accuracy_score),
        ("log_loss", sklearn.metrics.log_loss),
    ],
)
def test_b_of_classes_it_scores_as_scikit_learns_prior_does(metric, score):
    train, judged = drawn(0, 400), drawn(1, 300)
    dummy = DummyClassifier(strategy="prior").fit(np.zeros((400, 1)), train)
    said = dummy.predict_proba if metric == "log_loss" else dummy.predict
    found = TrivialPredictor(torch.as_tensor(train), 4).score(metric, torch.as_tensor(judged))
    assert found == pytest.approx(score(judged, said(np.zeros((300, 1)))))


@pytest.mark.parametrize("metric", ["rmse", "mae", "r2"])
def test_b_of_numbers_it_scores_as_scikit_learns_mean_or_median_does(metric):
    train, judged = (np.random.default_rng(seed).exponential(size=301).astype(np.float32) for seed in (0, 1))
    score = {
        "rmse": sklearn.metrics.root_mean_squared_error,
        "mae": sklearn.metrics.mean_absolute_error,
        "r2": sklearn.metrics.r2_score,
    }[metric]
    dummy = DummyRegressor(strategy="median" if metric == "mae" else "mean").fit(np.zeros((301, 1)), train)
    found = TrivialPredictor(torch.as_tensor(train), 1).score(metric, torch.as_tensor(judged))
    assert found == pytest.approx(score(judged, dummy.predict(np.zeros((301, 1)))), rel=1e-5, abs=1e-6)


def test_b_the_median_is_that_of_rows_as_often_as_they_weigh():
    values, counts = np.array([3.0, 1.0, 7.0, 2.0], np.float32), np.array([1, 2, 1, 5])
    repeated = np.repeat(values, counts)
    weighted = TrivialPredictor(torch.as_tensor(values), 1, torch.as_tensor(counts, dtype=torch.float32))
    assert weighted.outputs(1, "mae").item() == np.median(repeated)


def test_b_macro_f1_is_that_of_guesses_by_frequency_and_no_other_guess_is_better():
    train, judged = drawn(0, 4000), drawn(1, 2000)
    found = TrivialPredictor(torch.as_tensor(train), 4).score("macro_f1", torch.as_tensor(judged))
    assert found == pytest.approx(1 / 4, abs=0.005)
    guesses = []
    for seed in range(20):
        dummy = DummyClassifier(strategy="stratified", random_state=seed).fit(np.zeros((4000, 1)), train)
        guesses.append(sklearn.metrics.f1_score(judged, dummy.predict(np.zeros((2000, 1))), average="macro"))
    assert found == pytest.approx(np.mean(guesses), abs=3 * np.std(guesses) / 20**0.5)
    for shares in ((1, 0, 0, 0), (0.25,) * 4, (0.7, 0.3, 0, 0)):
        other = sklearn.metrics.f1_score(judged, drawn(2, 2000, shares), average="macro")
        assert found > other - 3 * np.std(guesses)


@pytest.mark.parametrize("metric", [name for name, it in METRICS.items() if it.task == "classification"])
def test_b_weights_count_as_repeated_rows_do(metric):
    train, judged = drawn(0, 60), drawn(1, 50)
    counts, others = (np.random.default_rng(seed).integers(1, 4, rows) for seed, rows in ((2, 60), (3, 50)))
    weighted = TrivialPredictor(torch.as_tensor(train), 4, torch.as_tensor(counts, dtype=torch.float32))
    repeated = TrivialPredictor(torch.as_tensor(np.repeat(train, counts)), 4)
    rows = RowTensors(torch.empty(50, 0), torch.as_tensor(judged), torch.as_tensor(others, dtype=torch.float32))
    expected = repeated.score(metric, torch.as_tensor(np.repeat(judged, others)))
    assert weighted.scores([metric], rows)[metric] == pytest.approx(expected, rel=1e-6)
