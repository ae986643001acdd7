"""One rule for the best score of a training: an epoch whose loss or score is not finite has none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_service.records import curves
from trainables.records import EpochPoint
from trainables.training import EpochRecord

NUMBERS = st.sampled_from([0.1, 0.5, 0.9, math.nan, math.inf, -math.inf])


@given(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=8), st.sampled_from(["accuracy", "rmse"]))
def test_the_best_epoch_is_the_first_of_the_best_finite_scores(values, metric):
    curve = [EpochPoint(epoch, 1.0, loss, score) for epoch, (loss, score) in enumerate(values, start=1)]
    losses, scores = np.array([*zip(*values, strict=True)]) if values else (np.empty(0), np.empty(0))
    able = np.isfinite(losses) & np.isfinite(scores)
    if not able.any():
        assert curves.best(curve, metric) is None
        assert math.isnan(curves.best_score(curve, metric))
        return
    signed = np.where(able, scores if metric == "accuracy" else -scores, -np.inf)
    assert curves.best(curve, metric) is curve[int(np.argmax(signed))]
    assert curves.best_score(curve, metric) == scores[int(np.argmax(signed))]


def test_a_network_whose_outputs_are_no_numbers_has_no_score_though_it_names_a_class():
    curve = [EpochPoint(1, 0.5, 0.5, 0.3), EpochPoint(2, math.nan, math.nan, 0.8)]
    assert curves.best_score(curve, "accuracy") == 0.3


def test_a_score_after_an_epoch_and_the_mean_over_trainings():
    one = [EpochPoint(1, 1.0, 2.0, 0.5), EpochPoint(2, 0.5, 1.0, 0.7)]
    other = [EpochPoint(1, 3.0, 4.0, 0.7), EpochPoint(2, 1.5, math.nan, 0.9)]
    assert curves.score_at(one, 2) == 0.7
    assert math.isnan(curves.score_at(one, 3))
    first, second = curves.mean([one, other])
    assert first == EpochPoint(1, 2.0, 3.0, 0.6)
    assert (second.epoch, second.train_loss, second.validation_score) == (2, 1.0, pytest.approx(0.8))
    assert math.isnan(second.validation_loss)


def test_an_epoch_of_a_population_is_that_of_each_member():
    record = EpochRecord(3, (1.0, 2.0), (3.0, 4.0), (0.5, 0.6))
    assert record.of(1) == EpochPoint(3, 2.0, 4.0, 0.6)
