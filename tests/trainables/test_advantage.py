"""Whether a model is better than ignoring the inputs: against closed forms, and on models that are good for nothing."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from scipy import stats

from trainables.advantage import Drawn, compare, save
from trainables.data.dataset import Dataset, Rows
from trainables.metrics import METRICS
from trainables.row_tensors import to_tensors
from trainables.target_scaling import UNSCALED, TargetScaling

N = 600


def table(targets, class_names=("a", "b")):
    rows = Rows(np.zeros((len(targets), 1), np.float32), targets)
    classes = targets.dtype.kind == "i"
    return Dataset(
        rows, rows, "classification" if classes else "regression", len(class_names) if classes else 1, ("x",),
        class_names if classes else (), UNSCALED, "",
    )  # fmt: skip


def judged(outputs, targets, metric):
    return drawn(outputs, targets, metric).over_trivial(table(targets))


def drawn(outputs, targets, metric):
    return Drawn(torch.as_tensor(outputs), rows_of(table(targets)), metric)


def rows_of(dataset):
    return to_tensors(dataset.validation, "cpu", torch.float32)


def test_b_the_error_of_accuracies_is_the_binomials_of_paired_rows():
    """Rows where only the model is right, less rows where only the other is: a share of 0.2 and one of 0.1."""
    random = np.random.default_rng(0)
    targets = np.where(np.arange(N) < 0.7 * N, 0, 1).astype(np.int64)
    # Ignoring the inputs says 0. The model says 1 in two thirds of the rows of 1, and in a seventh of the others.
    says = np.where(targets == 1, random.permuted(np.arange(N)) % 3 > 0, random.permuted(np.arange(N)) % 7 == 0)
    outputs = np.stack([~says, says], axis=1).astype(np.float32)
    found = judged(outputs, targets, "accuracy")
    gained, lost = np.mean(says & (targets == 1)), np.mean(says & (targets == 0))
    assert found.difference == pytest.approx(gained - lost)
    assert found.error == pytest.approx(math.sqrt((gained + lost - (gained - lost) ** 2) / N), rel=0.25)
    assert found.is_certain


@pytest.mark.parametrize(("n", "limit"), [(3, 0.7076), (30, 0.1157)])
@pytest.mark.parametrize("right", [True, False])
def test_b_of_rows_that_are_all_right_or_all_wrong_the_exact_limit_is_known(n, limit, right):
    """Clopper and Pearson's, by scipy's beta distribution: every draw of such rows has the same score."""
    assert 1 - stats.beta.ppf(0.025, n, 1) == pytest.approx(limit, abs=1e-4)
    outputs = np.where(np.eye(2)[np.zeros(n, np.int64)], 1.0, -1.0).astype(np.float32)
    targets = np.full(n, 0 if right else 1)
    assert 1.96 * drawn(outputs, targets, "accuracy").error == pytest.approx(limit, abs=1e-4)


@pytest.mark.parametrize(
    ("metric", "limit"), [("accuracy", 0.0037), ("balanced_accuracy", 0.354), ("macro_f1", 0.354), ("roc_auc", 0.708)]
)
def test_b_a_perfect_score_of_few_rows_of_a_class_is_no_surer_than_that_class(metric, limit):
    """Of 3 rows that are all right, 0.29 may be the true share; half of that is missing in a mean of two classes."""
    targets = np.where(np.arange(1_000) < 3, 1, 0)
    outputs = np.where(np.eye(2)[targets], 1.0, -1.0).astype(np.float32)
    assert 1.96 * drawn(outputs, targets, metric).error == pytest.approx(limit, abs=1e-3)


@pytest.mark.parametrize("metric", [name for name, it in METRICS.items() if it.task == "classification"])
def test_b_outputs_that_know_nothing_are_never_certain_and_those_that_know_a_little_are(metric):
    certain = 0
    for draw in range(2):
        random = np.random.default_rng(draw)
        targets = (random.random(N) < 0.2).astype(np.int64)
        noise = random.normal(size=(N, 2)).astype(np.float32)
        certain += judged(noise, targets, metric).is_certain
        assert judged(noise + 2 * np.eye(2, dtype=np.float32)[targets] * 3, targets, metric).is_certain
    assert certain == 0


@pytest.mark.parametrize("metric", ["rmse", "mae", "r2"])
def test_b_a_number_that_is_known_a_little_is_better_than_the_mean_and_noise_is_not(metric):
    random = np.random.default_rng(0)
    targets = random.normal(size=N).astype(np.float32)
    mean = np.full((N, 1), targets.mean(), np.float32)
    assert not judged(mean, targets, metric).is_certain
    assert not judged(mean + 0.1 * random.normal(size=(N, 1)).astype(np.float32), targets, metric).is_certain
    assert judged(mean + 0.3 * (targets[:, None] - mean), targets, metric).is_certain


def test_b_of_many_rows_some_are_drawn_and_the_error_is_of_all():
    random = np.random.default_rng(0)
    targets = (random.random(80_000) < 0.5).astype(np.int64)
    outputs = (np.eye(2)[targets] + random.normal(size=(80_000, 2))).astype(np.float32)
    few, many = judged(outputs[:5_000], targets[:5_000], "accuracy"), judged(outputs, targets, "accuracy")
    assert many.error == pytest.approx(few.error / 4, rel=0.3)


def test_b_models_that_err_in_the_same_rows_are_told_apart_where_their_scores_alone_would_not():
    """As McNemar's test does: what both get right or wrong says nothing."""
    targets = (np.arange(1_000) % 2).astype(np.int64)
    one, other = targets.copy(), targets.copy()
    one[:200] ^= 1
    other[:220] ^= 1
    outputs = {name: np.eye(2, dtype=np.float32)[said] for name, said in (("one", one), ("other", other))}
    found = drawn(outputs["one"], targets, "accuracy").over(torch.as_tensor(outputs["other"]))
    assert found.difference == pytest.approx(0.02)
    # 20 rows in which they differ, all for the one: (0 + 20 - 400/1000) / 1000².
    assert found.error == pytest.approx(math.sqrt(0.02 - 0.02**2) / math.sqrt(1_000), rel=0.25)
    assert found.sign == 1
    assert found.error < METRICS["accuracy"].standard_error(0.8, 1_000) / 2
    back = drawn(outputs["other"], targets, "accuracy").over(torch.as_tensor(outputs["one"]))
    assert (back.difference, back.sign) == (pytest.approx(-0.02), -1)
    same = drawn(outputs["one"], targets, "accuracy").over(torch.as_tensor(outputs["one"]))
    assert (same.difference, same.sign, same.is_certain) == (0.0, 0, False)


def test_d3_what_models_said_of_the_same_rows_is_kept_and_compared_in_the_targets_own_unit(tmp_path):
    random = np.random.default_rng(0)
    truth = random.normal(size=N).astype(np.float32)
    said = {"good": truth + 0.1 * random.normal(size=N), "poor": truth + 0.5 * random.normal(size=N)}
    # Each divided the target by another number, as two studies with other training rows do.
    for name, (mean, scale) in {"good": (3.0, 10.0), "poor": (-1.0, 4.0)}.items():
        dataset = table(((truth - mean) / scale).astype(np.float32))
        dataset = dataclasses.replace(dataset, scaling=TargetScaling(mean, scale))
        outputs = torch.as_tensor((said[name] - mean) / scale).float().unsqueeze(1)
        save(tmp_path / f"{name}.npz", outputs, rows_of(dataset), dataset)
    found = compare(tmp_path / "good.npz", tmp_path / "poor.npz", "rmse")
    errors = {name: np.sqrt(np.mean((y - truth) ** 2)) for name, y in said.items()}
    assert found.difference == pytest.approx(errors["poor"] - errors["good"], rel=1e-4)
    assert (found.sign, found.rows) == (1, N)
    assert compare(tmp_path / "poor.npz", tmp_path / "good.npz", "rmse").sign == -1


def test_d3_models_that_were_tested_on_other_rows_are_not_compared(tmp_path):
    for name, n in (("one", 50), ("other", 60)):
        dataset = table((np.arange(n) % 2).astype(np.int64))
        save(tmp_path / name, torch.zeros(n, 2), rows_of(dataset), dataset)
    with pytest.raises(ValueError, match="same rows"):
        compare(tmp_path / "one", tmp_path / "other", "accuracy")
