"""B, the last act: networks that predict together, against NumPy, SciPy and a selection written out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import expit, logit, softmax
from sklearn.metrics import accuracy_score, mean_squared_error

from trainables import averaging
from trainables.row_tensors import RowTensors
from trainables.target_scaling import TargetScaling


@pytest.fixture
def random():
    return np.random.default_rng(0)


def rows_of(targets):
    return RowTensors(torch.empty(len(targets), 0), torch.as_tensor(targets))


def test_b_classes_are_averaged_as_probabilities_and_numbers_as_numbers(random):
    shares = np.array([0.5, 0.3, 0.2])
    outputs = random.normal(size=(3, 7, 4)) * 5
    of_classes = averaging.mean(torch.as_tensor(outputs), torch.as_tensor(shares), "logits").numpy()
    expected = np.einsum("m,mnc->nc", shares, softmax(outputs, axis=2))
    assert softmax(of_classes, axis=1) == pytest.approx(expected)
    one = outputs[:, :, :1]
    odds = averaging.mean(torch.as_tensor(one), torch.as_tensor(shares), "log_odds").numpy()
    assert odds == pytest.approx(logit(np.einsum("m,mnc->nc", shares, expit(one))))
    numbers = averaging.mean(torch.as_tensor(one), torch.as_tensor(shares), "number").numpy()
    assert numbers == pytest.approx(np.average(one, axis=0, weights=shares))


def test_b_networks_that_are_certain_leave_finite_outputs():
    certain = torch.tensor([[[900.0, -900.0]], [[900.0, -900.0]]])
    assert averaging.mean(certain, torch.tensor([0.5, 0.5]), "logits").isfinite().all()
    assert averaging.mean(certain[:, :, :1], torch.tensor([0.5, 0.5]), "log_odds").tolist() == [[900.0]]


def by_hand(shown, error, picks, at_most):
    """Caruana's selection as it is told: add the best one, again and again, and go back to where it was best last."""
    chosen, history = [], []
    for _ in range(picks):
        able = [m for m in range(len(shown)) if m in chosen or len(set(chosen)) < at_most]
        best = min(able, key=lambda m: error(np.mean([shown[c] for c in [*chosen, m]], axis=0)))
        chosen.append(best)
        history.append(error(np.mean([shown[c] for c in chosen], axis=0)))
    return chosen[: len(history) - int(np.argmin(history[::-1]))], min(history)


@pytest.mark.parametrize("at_most", [2, 16])
def test_b_networks_are_chosen_as_by_hand(random, at_most):
    targets = random.integers(0, 3, 80)
    outputs = random.normal(size=(6, 80, 3)) + 1.2 * np.eye(3)[targets]
    found, score = averaging.choose(torch.as_tensor(outputs), rows_of(targets), "accuracy", "logits", at_most=at_most)
    shown = softmax(outputs, axis=2)
    chosen, error = by_hand(shown, lambda p: 1 - accuracy_score(targets, p.argmax(axis=1)), 16, at_most)
    assert found == {m: pytest.approx(chosen.count(m) / len(chosen)) for m in set(chosen)}
    assert 1 < len(found) <= at_most
    assert score == pytest.approx(1 - error)
    # None of them is as good alone.
    assert score > max(accuracy_score(targets, p.argmax(axis=1)) for p in shown)


def test_b_numbers_are_chosen_by_their_error_in_the_targets_own_unit(random):
    targets = random.normal(size=60)
    outputs = targets[None, :, None] + random.normal(size=(5, 60, 1))
    found, score = averaging.choose(
        torch.as_tensor(outputs), rows_of(targets), "rmse", "number", scaling=TargetScaling(0.0, 100.0)
    )
    chosen, error = by_hand(outputs[:, :, 0], lambda x: 100 * mean_squared_error(targets, x) ** 0.5, 16, 16)
    assert found == {m: pytest.approx(chosen.count(m) / len(chosen)) for m in set(chosen)}
    assert score == pytest.approx(error)


def test_b_a_network_without_outputs_is_never_chosen_and_none_are_where_none_has_any(random):
    targets = random.integers(0, 2, 20)
    outputs = torch.as_tensor(random.normal(size=(2, 20, 2)))
    outputs[0, 3, 1] = torch.nan
    assert averaging.choose(outputs, rows_of(targets), "log_loss", "logits")[0] == {1: 1.0}
    outputs[1] = torch.inf
    found, score = averaging.choose(outputs, rows_of(targets), "accuracy", "logits")
    assert (found, np.isnan(score)) == ({}, True)
