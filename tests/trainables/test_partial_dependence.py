"""E1: what networks say at a column's values is scikit-learn's partial dependence, in the target's own units."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.inspection import partial_dependence as by_sklearn

from tests.plans import plain
from trainables import partial_dependence
from trainables.data.dataset import Dataset, Rows
from trainables.data.grids import Grid
from trainables.partial_dependence import partial_dependences
from trainables.target_scaling import UNSCALED, TargetScaling
from trainables.training import PopulationTraining

N = 400
NAMES = ("size", "age", "city", "city")
GRIDS = {
    "size": Grid("numeric", (10.0, 20.0, 30.0), (), np.array([[-1.0], [0.0], [1.0]], np.float32)),
    "city": Grid("categorical", ("here", "there"), (0.6, 0.4), np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)),
}


def table(task, n_classes=2, weights=None, scaling=UNSCALED):
    random = np.random.default_rng(0)
    inputs = random.normal(size=(N, 4)).astype(np.float32)
    inputs[:, 2] = inputs[:, 2] > 0
    inputs[:, 3] = 1 - inputs[:, 2]
    said = inputs[:, 0] ** 2 + inputs[:, 2] + 0.1 * random.normal(size=N)
    targets = said.astype(np.float32)
    if task == "classification":
        targets = np.digitize(said, np.quantile(said, np.arange(1, n_classes) / n_classes)).astype(np.int64)
    half = N // 2
    rows = (
        Rows(inputs[p], targets[p], None if weights is None else weights[p]) for p in np.split(np.arange(N), [half])
    )
    classes = tuple("abcdefghij"[:n_classes]) if task == "classification" else ()
    outputs = len(classes) or 1
    return Dataset(*rows, task, outputs, tuple("wxyz"), classes, scaling, "", sources=NAMES)


def trained(dataset, loss, seeds=3):
    leaves = {"optimizer.lr": 0.02, "network.hidden_sizes": (8,), "loss": loss}
    configs = [plain(seed=seed).replace(leaves) for seed in range(seeds)]
    metric = "r2" if loss == "mse" else "accuracy"
    training = PopulationTraining(configs, dataset, order_seed=0, max_epochs=5, metric=metric)
    for _ in itertools.islice(training.epochs(), 5):
        pass
    return training


class Member(BaseEstimator):
    """A member as an estimator of scikit-learn's, fitted from the start."""

    def __init__(self, training=None, dataset=None, member=0):
        self.training, self.dataset, self.member = training, dataset, member
        if dataset is not None and dataset.class_names:
            self.classes_ = np.arange(dataset.n_outputs)

    def fit(self, inputs, targets):
        raise NotImplementedError

    def __sklearn_is_fitted__(self):
        return True

    def outputs(self, inputs):
        return self.training.outputs(torch.from_numpy(np.ascontiguousarray(inputs)))[self.member]


class Number(RegressorMixin, Member):
    """One that predicts in the target's units."""

    def predict(self, inputs):
        return self.dataset.scaling.restore(self.outputs(inputs).double())[:, 0].numpy()


class Classes(ClassifierMixin, Member):
    """One that gives probabilities."""

    def predict_proba(self, inputs):
        outputs = self.outputs(inputs).double()
        if outputs.shape[1] == 1:
            return torch.cat([1 - outputs.sigmoid(), outputs.sigmoid()], dim=1).numpy()
        return outputs.softmax(dim=1).numpy()


def expected(training, dataset, kind, weights=None):
    """Of ``size``: mean and deviation over the networks, a row per output."""
    every = [
        by_sklearn(
            kind(training, dataset, member), dataset.validation.inputs, [0], method="brute", sample_weight=weights,
            custom_values={0: GRIDS["size"].inputs[:, 0]},
        )["average"]
        for member in range(training.size)
    ]  # fmt: skip
    return np.mean(every, axis=0), np.std(every, axis=0)


@pytest.mark.parametrize("transform", ["none", "sqrt"])
def test_e1_of_a_number_it_is_scikit_learns_in_the_targets_units(transform):
    dataset = table("regression", scaling=TargetScaling(30.0, 4.0, transform))
    training = trained(dataset, "mse")
    size, city = partial_dependences(training, training.validation_rows, dataset, GRIDS, ["size", "city"])
    mean, spread = expected(training, dataset, Number)
    assert size.means[""] == pytest.approx(mean[0], rel=1e-5)
    assert size.spreads[""] == pytest.approx(spread[0], rel=1e-3)
    assert (size.column, size.values, size.networks, size.rows) == ("size", (10.0, 20.0, 30.0), 3, N // 2)
    # Both inputs of a category go together.
    inputs = torch.from_numpy(dataset.validation.inputs.copy())
    inputs[:, 2:] = torch.tensor([0.0, 1.0])
    there = dataset.scaling.restore(training.outputs(inputs).double()).mean()
    assert city.means[""][1] == pytest.approx(there.item(), rel=1e-5)
    assert (city.kind, city.shares) == ("categorical", (0.6, 0.4))


@pytest.mark.parametrize(
    ("loss", "classes", "shown"),
    [("cross_entropy", 2, "b"), ("binary_cross_entropy", 2, "b"), ("cross_entropy", 4, "abcd")],
)
def test_e1_of_classes_it_is_scikit_learns_probability(loss, classes, shown):
    dataset = table("classification", classes)
    training = trained(dataset, loss)
    (found,) = partial_dependences(training, training.validation_rows, dataset, GRIDS, ["size"])
    mean, _ = expected(training, dataset, Classes)
    assert list(found.means) == list(shown)
    for row, label in zip(mean[-len(shown) :], shown, strict=True):
        assert found.means[label] == pytest.approx(row, rel=1e-5)


def test_e1_rows_count_by_their_weight():
    weights = np.random.default_rng(1).uniform(0.1, 5, N).astype(np.float32)
    dataset = table("regression", weights=weights)
    training = trained(dataset, "mse")
    (found,) = partial_dependences(training, training.validation_rows, dataset, GRIDS, ["size"])
    mean, _ = expected(training, dataset, Number, dataset.validation.weights)
    assert found.means[""] == pytest.approx(mean[0], rel=1e-5)


def test_e1_without_probabilities_it_is_the_share_of_the_rows_that_are_given_a_class():
    dataset = table("classification", 3)
    training = trained(dataset, "hinge")
    (found,) = partial_dependences(training, training.validation_rows, dataset, GRIDS, ["size"])
    sums = [sum(means[at] for means in found.means.values()) for at in range(3)]
    assert sums == pytest.approx([1, 1, 1])
    inputs = torch.from_numpy(dataset.validation.inputs.copy())
    inputs[:, 0] = 1.0
    shares = torch.bincount(training.outputs(inputs).argmax(dim=2).flatten(), minlength=3) / (3 * N / 2)
    assert [means[2] for means in found.means.values()] == pytest.approx(shares.tolist())


def test_e1_of_many_classes_those_are_shown_that_move_most_and_the_same_everywhere():
    dataset = table("classification", 8)
    training = trained(dataset, "cross_entropy")
    size, city = partial_dependences(training, training.validation_rows, dataset, GRIDS, ["size", "city"])
    assert len(size.means) == partial_dependence.MOST_CLASSES
    assert list(size.means) == list(city.means) == sorted(size.means)
    whole = partial_dependences(training, training.validation_rows, dataset, GRIDS, ["size", "city"])
    assert whole == (size, city)


def test_e1_who_has_diverged_says_nothing_and_what_nobody_asked_or_has_a_grid_for_is_left_out():
    dataset = table("regression")
    training = trained(dataset, "mse", seeds=2)
    (alone,) = partial_dependences(training, training.validation_rows, dataset, GRIDS, ["size"])
    training.network.parameters[1] = torch.nan
    (found,) = partial_dependences(training, training.validation_rows, dataset, GRIDS, ["age", "size"])
    assert (found.column, found.networks, alone.networks) == ("size", 1, 2)
    assert np.isfinite(found.means[""]).all()
    training.network.parameters[0] = torch.nan
    assert partial_dependences(training, training.validation_rows, dataset, GRIDS, ["size"]) == ()
    assert partial_dependences(training, training.validation_rows, dataset, GRIDS, ["age"]) == ()


def test_e1_large_networks_are_asked_of_fewer_rows_and_the_largest_not_at_all(monkeypatch):
    dataset = table("regression")
    training = trained(dataset, "mse")
    of_a_row = 3 * (4 * 8 + 8) * 3
    monkeypatch.setattr(partial_dependence, "WORK", of_a_row * 150)
    (found,) = partial_dependences(training, training.validation_rows, dataset, GRIDS, ["size"])
    assert found.rows == 150
    monkeypatch.setattr(partial_dependence, "WORK", of_a_row * 99)
    assert partial_dependences(training, training.validation_rows, dataset, GRIDS, ["size"]) == ()
