"""Timing a few steps: what is measured is what an epoch consists of."""

from __future__ import annotations

import statistics
import time

from tests.plans import plain
from trainables.records import Pace
from trainables.timing import measure
from trainables.training import PopulationTraining


def test_an_epoch_is_its_steps_and_a_validation_pass():
    assert Pace(4, 0.5, 2.0, 10).seconds_per_epoch == 7.0


def test_a_pace_counts_the_steps_of_this_table_and_predicts_an_epoch(digits):
    configs = [plain(batch_size=32)] * 3
    training = PopulationTraining(configs, digits[0], order_seed=0)
    epochs = training.epochs()
    next(epochs)
    # A busy machine stretches either of the two, now the one and now the other: the middle of seven is what must be
    # right, in the order of magnitude.
    ratios = []
    for _ in range(7):
        pace = measure(configs, digits[0])
        assert (pace.size, pace.steps_per_epoch) == (3, training.steps_per_epoch)
        started = time.perf_counter()
        next(epochs)
        ratios.append(pace.seconds_per_epoch / (time.perf_counter() - started))
    assert 1 / 5 < statistics.median(ratios) < 5, ratios
