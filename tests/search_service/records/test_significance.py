"""Intervals and tests over seeds, against tables and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import ttest_rel

from search_service.records.significance import confidence_interval, told_apart

# 97.5 % quantiles of Student's distribution by degrees of freedom, from a printed table.
T = {1: 12.706, 2: 4.303, 4: 2.776, 9: 2.262}


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_b_the_interval_is_that_of_students_table(n):
    scores = np.random.default_rng(n).normal(0.9, 0.02, n)
    low, high = confidence_interval(tuple(scores))
    reach = T[n - 1] * scores.std(ddof=1) / math.sqrt(n)
    assert (low, high) == pytest.approx((scores.mean() - reach, scores.mean() + reach), rel=1e-4)


def test_b_the_interval_holds_the_mean_in_95_of_100_samples():
    samples = np.random.default_rng(0).normal(0.9, 0.02, (2000, 5)).tolist()
    held = sum(low <= 0.9 <= high for low, high in map(confidence_interval, samples))
    assert held / 2000 == pytest.approx(0.95, abs=0.015)


def test_b_there_is_no_interval_of_one_seed_or_of_a_seed_that_diverged():
    assert confidence_interval((0.9,)) is None
    assert confidence_interval((0.9, math.nan)) is None
    assert confidence_interval((0.9, 0.9, 0.9)) == pytest.approx((0.9, 0.9))


def test_b_two_seeds_that_are_equal_or_differ_by_as_much_prove_nothing():
    """Of 100 rows they are so in every eighth case: one row more, twice, was a difference beyond chance."""
    assert confidence_interval((0.95, 0.95)) is None
    assert not told_apart((0.91, 0.92), (0.90, 0.91))
    random = np.random.default_rng(0)
    # Two networks that are the same, and a row or so that each seed of each decides.
    scores = np.round(0.9 + random.normal(0, 0.01, (2_000, 2, 2)), 2)
    assert np.mean([told_apart(one.tolist(), other.tolist()) for one, other in scores]) < 0.07


def test_b_configurations_that_are_the_same_are_told_apart_in_5_of_100_cases():
    random = np.random.default_rng(0)
    seeds = random.normal(0, 0.05, (1000, 5, 1))  # What a seed does to both.
    pairs = 0.9 + seeds + random.normal(0, 0.01, (1000, 5, 2))
    rejected = sum(told_apart(pair[:, 0].tolist(), pair[:, 1].tolist()) for pair in pairs)
    assert rejected / 1000 == pytest.approx(0.05, abs=0.02)


def test_b_over_seeds_it_is_scipys_paired_test():
    random = np.random.default_rng(1)
    for _ in range(200):
        one, other = random.normal(0.9, 0.02, (2, 5)).tolist()
        assert told_apart(one, other) is bool(ttest_rel(one, other).pvalue <= 0.05)


@pytest.mark.parametrize("folds", [3, 5, 10])
def test_b_over_folds_equals_are_told_apart_seldom_enough_and_without_the_correction_too_often(folds):
    """Two predictors that are the same but for noise of their training rows, judged on disjoint parts of one sample."""
    random, corrected, plain, tables, rows = np.random.default_rng(0), 0, 0, 600, 100
    for _ in range(tables):
        # Each predicts a constant, the mean of a half of its training rows chosen at random: equally good on average.
        sample = random.normal(size=rows)
        parts = np.array_split(random.permutation(rows), folds)
        halves = [random.permutation(rows) < rows // 2, None]
        halves[1] = ~halves[0]
        scores: list[list[float]] = [[], []]
        for part in parts:
            train = np.ones(rows, bool)
            train[part] = False
            for own, half in zip(scores, halves, strict=True):
                own.append(float(np.mean((sample[part] - sample[train & half].mean()) ** 2)))
        corrected += told_apart(scores[0], scores[1], 1 / (folds - 1))
        plain += told_apart(scores[0], scores[1])
    assert corrected / tables <= 0.08
    assert plain > corrected


def test_b_pairing_sees_what_the_seeds_noise_would_hide():
    seeds = np.array([-0.05, -0.02, 0.0, 0.03, 0.05])
    better = tuple(0.92 + seeds + np.array([0.001, -0.001, 0.0, 0.001, -0.001]))
    worse = tuple(0.91 + seeds)
    t = 0.01 / (np.std([0.011, 0.009, 0.01, 0.011, 0.009], ddof=1) / math.sqrt(5))
    assert t > T[4]
    assert told_apart(better, worse)
    # Unpaired, the intervals of the two overlap.
    assert confidence_interval(better)[0] < confidence_interval(worse)[1]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((0.9,), (0.1,), False),
        ((0.9, 0.8), (0.9, 0.8), False),
        ((0.75, 0.5, 0.6), (0.5, 0.25, 0.35), True),  # Better by as much with every seed.
        ((0.9, 0.8), (0.9, math.nan), True),
        ((0.9, 0.8, 0.7), (0.9, 0.8, 0.71), False),
    ],
)
def test_b_edges(one, other, expected):
    assert told_apart(one, other) is told_apart(other, one) is expected
