"""A11: scores against sklearn.metrics, with and without weights, for one member and for five."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import sklearn.metrics
import torch

from trainables.metrics import METRICS, MetricName, effective_rows, metrics_for
from trainables.scores import SCORES, probabilities
from trainables.target_scaling import UNSCALED, TargetScaling

ROWS = 60
# Classes of the outputs: one output for two classes, and one per class. The last of five does not occur in the rows.
SHAPES = {"one output": (1, 2), "two outputs": (2, 2), "five outputs, four classes": (5, 4)}


def drawn(members, shape, weighted, seed=0):
    """Outputs, targets, weights as tensors; targets, probabilities and weights for scikit-learn."""
    outputs_of, present = SHAPES[shape]
    generator = torch.Generator().manual_seed(seed)
    outputs = 2 * torch.randn(members, ROWS, outputs_of, generator=generator)
    targets = torch.cat([torch.arange(present), torch.randint(present, (ROWS - present,), generator=generator)])
    weights = 0.1 + 3 * torch.rand(ROWS, generator=generator) if weighted else None
    if outputs_of == 1:
        of_one = 1 / (1 + np.exp(-outputs[:, :, 0].double().numpy()))
        p = np.stack([1 - of_one, of_one], axis=2)
    else:
        p = np.exp(outputs.double().numpy())
        p /= p.sum(axis=2, keepdims=True)
    return (outputs, targets, weights), targets.numpy(), p, None if weights is None else weights.numpy()


def one_against_the_rest(y, p, w):
    """Macro average over the classes that occur, by scikit-learn's own multilabel form."""
    present = np.unique(y)
    if p.shape[1] == 2:
        return sklearn.metrics.roc_auc_score(y, p[:, 1], sample_weight=w)
    one_hot = (y[:, None] == present).astype(int)
    return sklearn.metrics.roc_auc_score(one_hot, p[:, present], average="macro", sample_weight=w)


OF_CLASSES = {
    "accuracy": lambda y, p, w: sklearn.metrics.accuracy_score(y, p.argmax(1), sample_weight=w),
    "balanced_accuracy": lambda y, p, w: np.mean(
        [sklearn.metrics.recall_score(y == c, p.argmax(1) == c, sample_weight=w) for c in np.unique(y)]
    ),
    "macro_f1": lambda y, p, w: sklearn.metrics.f1_score(y, p.argmax(1), average="macro", sample_weight=w),
    "log_loss": lambda y, p, w: np.average(-np.log(p[np.arange(len(y)), y]), weights=w),
    "roc_auc": one_against_the_rest,
}
OF_NUMBERS = {
    "rmse": sklearn.metrics.root_mean_squared_error,
    "mae": sklearn.metrics.mean_absolute_error,
    "r2": sklearn.metrics.r2_score,
}


# From what networks learn to the target's own units.
BACK = {
    "none": lambda z: z,
    "sqrt": lambda z: np.sign(z) * z**2,
    "log": lambda z: np.sign(z) * (np.exp(np.abs(z)) - 1),
}


def test_a11_every_metric_has_a_reference():
    assert set(METRICS) == set(get_args(MetricName)) == set(OF_CLASSES) | set(OF_NUMBERS)


@pytest.mark.parametrize("weighted", [False, True], ids=["alike", "weighted"])
@pytest.mark.parametrize("members", [1, 5])
@pytest.mark.parametrize("shape", sorted(SHAPES))
@pytest.mark.parametrize("name", sorted(OF_CLASSES))
def test_a11_scores_of_classes_are_those_of_scikit_learn(name, shape, members, weighted):
    tensors, y, p, w = drawn(members, shape, weighted)
    outputs, targets, weights = tensors
    ours = SCORES[name](outputs, targets, UNSCALED, weights)
    assert ours.dtype == torch.float64
    assert ours.tolist() == pytest.approx([OF_CLASSES[name](y, own, w) for own in p], rel=1e-6)


@pytest.mark.parametrize("weighted", [False, True], ids=["alike", "weighted"])
@pytest.mark.parametrize("members", [1, 5])
@pytest.mark.parametrize("transform", sorted(BACK))
@pytest.mark.parametrize("name", sorted(OF_NUMBERS))
def test_a11_scores_of_numbers_are_those_of_scikit_learn_in_the_targets_own_units(name, transform, members, weighted):
    generator = torch.Generator().manual_seed(0)
    outputs, targets = torch.randn(members, 40, 1, generator=generator), torch.randn(40, generator=generator)
    weights = 0.1 + torch.rand(40, generator=generator) if weighted else None
    ours = SCORES[name](outputs, targets, TargetScaling(4.0, 1.5, transform), weights)
    own, predicted = (BACK[transform](x.double().numpy() * 1.5 + 4.0) for x in (targets, outputs[:, :, 0]))
    expected = [OF_NUMBERS[name](own, p, sample_weight=weights) for p in predicted]
    assert ours.tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", sorted(METRICS))
def test_a11_a_row_of_weight_three_scores_as_a_row_that_stands_there_three_times(name):
    generator = torch.Generator().manual_seed(1)
    classes = METRICS[name].task == "classification"
    outputs = torch.randn(3, 30, 3 if classes else 1, generator=generator)
    targets = torch.randint(3, (30,), generator=generator) if classes else torch.randn(30, generator=generator)
    counts = torch.randint(1, 5, (30,), generator=generator)
    repeated = outputs.repeat_interleave(counts, dim=1), targets.repeat_interleave(counts)
    expected = SCORES[name](*repeated, UNSCALED).tolist()
    for factor in (1.0, 0.01):
        assert SCORES[name](outputs, targets, UNSCALED, counts * factor).tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_a11_rows_that_a_member_finds_equally_likely_count_half_in_an_area(shape):
    (outputs, targets, _), *_ = drawn(5, shape, False)
    outputs = outputs.round()
    p = probabilities(outputs).numpy()
    expected = [OF_CLASSES["roc_auc"](targets.numpy(), own, None) for own in p]
    assert SCORES["roc_auc"](outputs, targets, UNSCALED).tolist() == pytest.approx(expected, rel=1e-12)
    assert SCORES["roc_auc"](torch.zeros_like(outputs), targets, UNSCALED).tolist() == [0.5] * 5


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["macro_f1", "log_loss", "roc_auc"])
def test_a11_outputs_that_are_not_finite_have_no_score_and_leave_the_others_theirs(name, broken):
    (outputs, targets, _), y, p, _ = drawn(3, "five outputs, four classes", False)
    outputs[1, 7, 2] = broken
    scores = SCORES[name](outputs, targets, UNSCALED).tolist()
    assert np.isnan(scores[1])
    assert [scores[0], scores[2]] == pytest.approx([OF_CLASSES[name](y, p[k], None) for k in (0, 2)])


def test_a11_an_area_needs_two_classes_and_the_other_scores_do_not():
    outputs, targets = torch.randn(2, 10, 3, generator=torch.Generator().manual_seed(0)), torch.ones(10).long()
    assert SCORES["roc_auc"](outputs, targets, UNSCALED).isnan().all()
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "log_loss"):
        assert SCORES[name](outputs, targets, UNSCALED).isfinite().all()


def test_a11_outputs_far_apart_have_a_large_finite_log_loss():
    outputs = torch.tensor([[[1e5, -1e5]], [[-1e5, 1e5]]])
    wrong, right = SCORES["log_loss"](outputs, torch.tensor([1]), UNSCALED).tolist()
    assert 30 < wrong < 1000
    assert right == pytest.approx(0.0, abs=1e-9)


def test_a11_one_output_is_the_probability_of_the_second_class():
    p = probabilities(torch.tensor([[[0.0], [2.0]]]))
    assert p.tolist() == [[[0.5, 0.5], pytest.approx([1 / (1 + np.exp(2.0)), 1 / (1 + np.exp(-2.0))])]]


def test_a11_without_probabilities_there_is_no_log_loss():
    assert metrics_for("classification", gives_probabilities=True) == (
        "accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "log_loss",
    )  # fmt: skip
    without = {"accuracy", "balanced_accuracy", "macro_f1", "roc_auc"}
    assert set(metrics_for("classification", gives_probabilities=False)) == without
    assert metrics_for("regression", gives_probabilities=False) == ("rmse", "mae", "r2")


def test_better_follows_the_mode_and_nan_is_never_better():
    nan = float("nan")
    assert METRICS["accuracy"].better(0.9, 0.8)
    assert METRICS["rmse"].better(0.8, 0.9)
    assert METRICS["log_loss"].better(0.8, 0.9)
    assert not METRICS["accuracy"].better(nan, 0.1)
    assert not METRICS["rmse"].better(nan, 0.1)


def test_rank_puts_the_best_first_and_nan_last():
    nan = float("nan")
    assert sorted([0.8, nan, 0.9], key=METRICS["accuracy"].rank)[:2] == [0.9, 0.8]
    assert sorted([0.8, nan, 0.9], key=METRICS["rmse"].rank)[:2] == [0.8, 0.9]


def test_a_few_heavy_rows_say_as_much_as_a_few_rows():
    assert effective_rows(None, 7) == 7
    assert effective_rows(np.full(7, 0.5, dtype=np.float32), 7) == pytest.approx(7)
    assert effective_rows(np.array([1e6, 1e6, 1, 1], dtype=np.float32), 4) == pytest.approx(2, rel=1e-4)
