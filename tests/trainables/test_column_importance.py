"""E1: what a network misses is what scikit-learn's permutation importance says, and what is no use is not missed."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from sklearn.inspection import permutation_importance

from tests.plans import plain
from trainables import column_importance
from trainables.column_importance import importances
from trainables.data.dataset import Dataset, Rows
from trainables.metrics import METRICS
from trainables.scores import SCORES
from trainables.target_scaling import UNSCALED
from trainables.training import PopulationTraining

N = 1_200
NAMES = ("strong", "weak", "noise", "twin", "twin again", "city", "city")


@pytest.fixture(scope="module")
def table():
    """A strong and a weak number, noise, a number that is there twice, and a column of two inputs."""
    random = np.random.default_rng(0)
    inputs = random.normal(size=(N, 7)).astype(np.float32)
    inputs[:, 4] = inputs[:, 3]
    inputs[:, 5] = inputs[:, 5] > 0
    inputs[:, 6] = 1 - inputs[:, 5]
    said = 2 * inputs[:, 0] + 0.5 * inputs[:, 1] + inputs[:, 3] + inputs[:, 5] - inputs[:, 6]
    targets = (said + random.logistic(size=N) > 0).astype(np.int64)
    half = N // 2
    train, rest = Rows(inputs[:half], targets[:half]), Rows(inputs[half:], targets[half:])
    features = tuple(f"x{n}" for n in range(7))
    return Dataset(train, rest, "classification", 2, features, ("no", "yes"), UNSCALED, "", sources=NAMES)


@pytest.fixture(scope="module")
def trained(table):
    configs = [plain(seed=seed).replace({"optimizer.lr": 0.02, "network.hidden_sizes": (8,)}) for seed in range(3)]
    training = PopulationTraining(configs, table, order_seed=0, max_epochs=12, metric="accuracy")
    for _ in itertools.islice(training.epochs(), 12):
        pass
    return training


class Member:
    """A member as an estimator of scikit-learn's."""

    def __init__(self, training, member):
        self.training, self.member = training, member

    def fit(self, inputs, targets):
        raise NotImplementedError


@pytest.mark.parametrize("metric", ["accuracy", "log_loss"])
def test_e1_it_is_scikit_learns_permutation_importance(table, trained, metric):
    found = importances(trained, trained.validation_rows, NAMES, metric)
    by_name = {column.name: column for column in found.columns}
    assert (found.networks, found.rows, found.repeats) == (3, N // 2, 10)
    sign = 1 if METRICS[metric].mode == "max" else -1

    def score(estimator, inputs, targets):
        outputs = trained.outputs(torch.from_numpy(np.ascontiguousarray(inputs)))[[estimator.member]]
        return sign * SCORES[metric](outputs, torch.from_numpy(targets), UNSCALED).item()

    rows = table.validation
    expected = np.mean(
        [
            permutation_importance(
                Member(trained, member), rows.inputs, rows.targets, scoring=score, n_repeats=10, random_state=member
            ).importances_mean
            for member in range(3)
        ],
        axis=0,
    )
    for place, name in enumerate(NAMES[:5]):
        # Ten other shuffles: the means of 30 numbers each.
        tolerance = 3 * by_name[name].spread * (2 / 10) ** 0.5 + 1e-9
        assert by_name[name].worse == pytest.approx(expected[place], abs=tolerance)


def test_e1_the_strongest_comes_first_and_noise_is_not_missed(trained):
    found = importances(trained, trained.validation_rows, NAMES, "roc_auc")
    assert found.columns[0].name == "strong"
    assert {column.name for column in found.columns} == set(NAMES)
    assert [column.worse for column in found.columns] == sorted((c.worse for c in found.columns), reverse=True)
    noise = next(column for column in found.columns if column.name == "noise")
    assert noise.worse < max(noise.spread, 0.01)
    # Both inputs of a column go together: either by itself would be half of it.
    city = next(column for column in found.columns if column.name == "city")
    weak = next(column for column in found.columns if column.name == "weak")
    assert city.worse > weak.worse > noise.worse


def test_e1_a_column_is_shuffled_alike_whatever_else_there_is(trained):
    every = importances(trained, trained.validation_rows, NAMES, "accuracy").columns
    renamed = tuple("other" if name == "noise" else name for name in NAMES)
    again = importances(trained, trained.validation_rows, renamed, "accuracy").columns
    assert {c for c in every if c.name != "noise"} == {c for c in again if c.name != "other"}


def test_e1_what_would_take_too_long_is_said_and_fewer_rows_are_taken_first(trained, monkeypatch):
    whole = importances(trained, trained.validation_rows, NAMES, "accuracy")
    of_a_row = 3 * (7 * 8 + 8 * 2) * 6
    monkeypatch.setattr(column_importance, "WORK", of_a_row * 3 * 300)
    fewer = importances(trained, trained.validation_rows, NAMES, "accuracy")
    assert (fewer.rows, fewer.repeats) == (300, 3)
    assert fewer.columns[0].name == whole.columns[0].name
    monkeypatch.setattr(column_importance, "WORK", of_a_row * 3 * 100)
    assert "too long" in importances(trained, trained.validation_rows, NAMES, "accuracy").reason
    monkeypatch.setattr(column_importance, "MOST_COLUMNS", 5)
    none = importances(trained, trained.validation_rows, NAMES, "accuracy")
    assert none == dataclasses.replace(none, columns=(), reason="of 6 columns hardly one is missed by itself")
