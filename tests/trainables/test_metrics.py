"""Scores against sklearn.metrics."""

from __future__ import annotations

import pytest
import sklearn.metrics
import torch

from trainables.metrics import METRICS, trivial_outputs

GENERATOR = torch.Generator().manual_seed(0)


def test_accuracy():
    outputs, targets = torch.randn(3, 40, 4, generator=GENERATOR), torch.randint(4, (40,), generator=GENERATOR)
    ours = METRICS["accuracy"].score(outputs, targets, 1.0)
    assert ours.tolist() == pytest.approx([sklearn.metrics.accuracy_score(targets, o.argmax(1)) for o in outputs])


def test_balanced_accuracy_also_with_one_output_and_a_class_that_does_not_occur():
    outputs, targets = torch.randn(3, 40, 5, generator=GENERATOR), torch.randint(4, (40,), generator=GENERATOR)
    ours = METRICS["balanced_accuracy"].score(outputs[:, :, :4], targets, 1.0)
    expected = [sklearn.metrics.balanced_accuracy_score(targets, o[:, :4].argmax(1)) for o in outputs]
    assert ours.tolist() == pytest.approx(expected)
    binary = (targets > 2).long()
    ours = METRICS["balanced_accuracy"].score(outputs[:, :, :1], binary, 1.0)
    expected = [sklearn.metrics.balanced_accuracy_score(binary, (o[:, 0] > 0).long()) for o in outputs]
    assert ours.tolist() == pytest.approx(expected)


def test_rmse_is_in_the_targets_own_units_and_r2_has_none():
    outputs, targets, scale = torch.randn(3, 40, 1, generator=GENERATOR), torch.randn(40, generator=GENERATOR), 7.5
    mean = 100.0
    own = targets.double() * scale + mean
    for k in range(3):
        predicted = outputs[k, :, 0].double() * scale + mean
        rmse, r2 = (METRICS[name].score(outputs, targets, scale)[k].item() for name in ("rmse", "r2"))
        assert rmse == pytest.approx(sklearn.metrics.root_mean_squared_error(own, predicted), rel=1e-5)
        assert r2 == pytest.approx(sklearn.metrics.r2_score(own, predicted), rel=1e-5)


def test_better_follows_the_mode_and_nan_is_never_better():
    nan = float("nan")
    assert METRICS["accuracy"].better(0.9, 0.8)
    assert METRICS["rmse"].better(0.8, 0.9)
    assert not METRICS["accuracy"].better(nan, 0.1)
    assert not METRICS["rmse"].better(nan, 0.1)


def test_rank_sorts_the_best_first_and_nan_last():
    nan = float("nan")
    assert sorted([0.8, nan, 0.9], key=METRICS["accuracy"].rank)[:2] == [0.9, 0.8]
    assert sorted([0.8, nan, 0.9], key=METRICS["rmse"].rank)[:2] == [0.8, 0.9]


def test_the_trivial_predictor_says_majority_class_or_mean():
    assert trivial_outputs(torch.tensor([2, 0, 2]), 4, 3).argmax(dim=2).tolist() == [[2, 2, 2, 2]]
    assert trivial_outputs(torch.tensor([1.0, 2.0]), 2, 1).flatten().tolist() == [1.5, 1.5]
