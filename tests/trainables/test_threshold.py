"""E1: the threshold that is found is the best that there is by scikit-learn, and what it does is what it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, log_loss, roc_auc_score

from trainables.metrics import METRICS
from trainables.row_tensors import RowTensors
from trainables.threshold import best_shift, probability_at, scores_at, shift_at

BY = {
    "balanced_accuracy": balanced_accuracy_score,
    "macro_f1": lambda *rows, **weights: f1_score(*rows, average="macro", zero_division=0, **weights),
}


def drawn(seed, rows=300, *, parts, outputs_of, weighted):
    """Log-odds of a rare class, many alike where they are whole eighths; as one output or as two."""
    random = np.random.default_rng(seed)
    odds = np.round(random.normal(-2.5, 1.0, rows) * parts) / parts
    targets = (random.random(rows) < expit(1.5 * odds + 1)).astype(np.int64)
    weights = random.uniform(0.5, 3.0, rows) if weighted else None
    first = np.round(random.normal(size=rows) * 8) / 8 if outputs_of == 2 else None
    columns = [odds] if first is None else [first, first + odds]
    given = RowTensors(
        torch.empty(rows, 0), torch.from_numpy(targets), None if weights is None else torch.from_numpy(weights)
    )
    return torch.from_numpy(np.stack(columns, axis=1)), given, odds


@pytest.mark.parametrize("metric", BY)
@pytest.mark.parametrize("outputs_of", [1, 2])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("parts", [8, 2**20])
def test_e1_no_threshold_is_better_by_scikit_learn(metric, outputs_of, weighted, parts):
    for seed in range(3):
        # scikit-learn takes a millisecond for a cut, and each row is one.
        outputs, rows, odds = drawn(seed, 100, parts=parts, outputs_of=outputs_of, weighted=weighted)
        weights = {} if rows.weights is None else {"sample_weight": rows.weights.numpy()}
        cuts = [-math.inf, *(np.unique(odds) + 1e-9)]
        best = max(BY[metric](rows.targets, odds > cut, **weights) for cut in cuts)
        shift = best_shift(outputs, rows, metric)
        assert BY[metric](rows.targets, odds > shift, **weights) == pytest.approx(best)
        found = scores_at(outputs.unsqueeze(0), rows, [metric], shift=shift)[metric]
        assert found.item() == pytest.approx(best)


def test_e1_a_cut_lies_between_rows_and_the_nearest_to_one_half_is_taken():
    rows = RowTensors(torch.empty(4, 0), torch.tensor([0, 0, 1, 1]))
    assert best_shift(torch.tensor([[-3.0], [-1.0], [2.0], [3.0]]), rows, "macro_f1") == 0.5
    # Told apart by nothing: all of one class or all of the other are alike, and one of them is one half.
    same = torch.zeros(4, 1)
    assert abs(best_shift(same, rows, "balanced_accuracy")) == 1.0


def test_e1_only_scores_of_named_classes_see_it():
    outputs, rows, odds = drawn(0, parts=2**20, outputs_of=2, weighted=False)
    names = [name for name, metric in METRICS.items() if metric.task == "classification"]
    at_half, there = (scores_at(outputs.unsqueeze(0), rows, names, shift=shift) for shift in (0.0, -2.0))
    p = expit(odds)
    expected = {
        "accuracy": accuracy_score(rows.targets, odds > -2),
        "balanced_accuracy": balanced_accuracy_score(rows.targets, odds > -2),
        "macro_f1": f1_score(rows.targets, odds > -2, average="macro"),
        "roc_auc": roc_auc_score(rows.targets, p),
        "log_loss": log_loss(rows.targets, p),
    }
    assert {name: score.item() for name, score in there.items()} == pytest.approx(expected)
    assert {name for name in names if at_half[name].item() != there[name].item()} == {
        name for name in names if METRICS[name].of_named_classes
    }


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_e1_a_probability_and_its_shift_are_one_cut(temperature):
    odds = torch.linspace(-5, 5, 1001, dtype=torch.float64)
    for probability in (0.03, 0.5, 0.9):
        shift = shift_at(probability, temperature)
        assert probability_at(shift, temperature) == pytest.approx(probability)
        named = torch.sigmoid(odds / temperature) > probability
        assert torch.equal(named, odds > shift)
