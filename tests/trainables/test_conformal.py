"""E1: intervals around predicted numbers hold the share that they are asked for, by closed forms and by counting."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trainables import conformal


@pytest.mark.parametrize(("rows", "share"), [(9, 0.9), (99, 0.9), (100, 0.9), (1_000, 0.5), (39, 0.95), (57, 0.8)])
def test_e1_half_the_width_is_the_error_at_its_place(rows, share):
    errors = np.random.default_rng(rows).permutation(np.arange(1.0, rows + 1))
    assert conformal.half_width(errors, share) == math.ceil(round((rows + 1) * share, 9))


@pytest.mark.parametrize("share", [0.5, 0.8, 0.9, 0.95, 0.99])
def test_e1_too_few_rows_for_a_share_are_said_to_be_so(share):
    fewest = conformal.fewest_rows(share)
    errors = np.arange(1.0, fewest + 1)
    assert conformal.half_width(errors, share) == fewest, "the largest error"
    assert conformal.half_width(errors[:-1], share) == math.inf


def test_e1_rows_of_a_weight_are_as_many_rows():
    random = np.random.default_rng(0)
    errors, weights = random.exponential(size=40), random.integers(1, 5, 40)
    several = np.repeat(errors, weights)
    # The new row counts as much as one of the 40 does in the mean, and not as one of the repeated.
    place = math.ceil((weights.sum() + weights.mean()) * 0.8)
    assert conformal.half_width(errors, 0.8, weights.astype(float)) == np.sort(several)[place - 1]


@pytest.mark.parametrize("draw", [np.random.Generator.normal, np.random.Generator.standard_cauchy])
def test_e1_of_new_rows_as_many_are_held_as_was_asked_for_whatever_their_distribution(draw):
    """Between share and share + 1 / (n + 1), in the mean over calibrations (Lei et al. 2018, theorem 2.2)."""
    random, rows, share, new, times = np.random.default_rng(3), 49, 0.9, 400, 600
    held = [
        (np.abs(draw(random, size=new)) <= conformal.half_width(np.abs(draw(random, size=rows)), share)).mean()
        for _ in range(times)
    ]
    error = np.std(held) / math.sqrt(times)
    assert share - 3 * error < np.mean(held) < share + 1 / (rows + 1) + 3 * error


def test_e1_what_an_interval_holds_is_judged_by_rows_that_have_not_set_it():
    """Of rows that all differ, those that set a width would hold the share of themselves, to the row, every time."""
    random = np.random.default_rng(5)
    found = [conformal.measure(random.exponential(size=200), 0.9) for _ in range(100)]
    assert {(one.share, one.rows) for one in found} == {(0.9, 200)}
    assert len({one.covered for one in found}) > 5
    assert np.mean([one.covered for one in found]) == pytest.approx(0.91, abs=0.01), "91 of 101 places"
