"""Timing a few steps: what is measured is what an epoch consists of."""

from __future__ import annotations

import time

from tests.plans import plain
from trainables.records import Pace
from trainables.timing import measure
from trainables.training import PopulationTraining


def test_an_epoch_is_its_steps_and_a_validation_pass():
    assert Pace(4, 0.5, 2.0, 10).seconds_per_epoch == 7.0


def test_a_pace_counts_the_steps_of_this_table_and_predicts_an_epoch(digits):
    configs = [plain(batch_size=32)] * 3
    pace = measure(configs, digits[0])
    training = PopulationTraining(configs, digits[0], order_seed=0)
    assert (pace.size, pace.steps_per_epoch) == (3, training.steps_per_epoch)
    epochs = training.epochs()
    next(epochs)
    started = time.perf_counter()
    for _ in range(5):
        next(epochs)
    taken = (time.perf_counter() - started) / 5
    # A busy machine stretches either of the two: the order of magnitude is what must be right.
    assert taken / 5 < pace.seconds_per_epoch < taken * 5
