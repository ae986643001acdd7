"""C1: the tree-structured Parzen estimator on a round's configurations."""

from __future__ import annotations

import math

import numpy as np

from search_service.samplers.base import SamplingTask
from search_service.samplers.tpe import TreeParzen
from search_service.space.ranges import Choices, NumericRange
from trainables.config import TrialConfig


def drawn(tpe, count, score, *, first=0):
    """Values of ``count`` configurations, each told its score at once."""
    values = []
    for number in range(first, first + count):
        values.append(tpe.draw(number, {})["optimizer.lr"])
        tpe.end(number, score(values[-1]))
    return values


def test_c1_parallel_workers_are_kept_apart():
    """What is being trained counts as bad until it has a score."""
    space = {"optimizer.lr": NumericRange(1e-4, 1e-1, log=True)}

    def proposals(running):
        """Where the next ones would be, whatever the draw."""
        tpe = TreeParzen(SamplingTask(space, TrialConfig(), "max", seed=3, most=100))
        drawn(tpe, 40, lambda lr: -abs(math.log10(lr) + 2.5))
        for number, lr in enumerate(running, start=40):
            tpe.draw(number, {"optimizer.lr": lr})
        return np.log10([tpe.draw(number, {})["optimizer.lr"] for number in (100, 101, 102)])

    alone = proposals([])
    # Eight workers are on the spot that it would choose first.
    beside = proposals([10.0 ** alone[0]] * 8)
    assert abs(beside[0] - alone[0]) > 0.1


def test_c1_a_whole_number_is_judged_where_it_will_be():
    """Of three values the middle one is best; at 200 observations nothing else is drawn but by exploration."""
    space = {"optimizer.lr": NumericRange(1e-4, 1e-1, log=True), "network.depth": NumericRange(1, 3, integer=True)}
    tpe = TreeParzen(SamplingTask(space, TrialConfig(), "min", seed=0, most=100))
    depths = []
    for number in range(200):
        depths.append(tpe.draw(number, {})["network.depth"])
        tpe.end(number, abs(depths[-1] - 2))
    assert set(depths[:20]) == {1, 2, 3}
    assert depths[-50:].count(2) > 40


def test_c1_a_choice_that_diverges_is_left():
    space = {"optimizer.lr": NumericRange(1e-4, 1e-1, log=True), "optimizer.name": Choices(("sgd", "adam", "adamw"))}
    tpe = TreeParzen(SamplingTask(space, TrialConfig(), "max", seed=0, most=100))
    names = []
    for number in range(120):
        names.append(tpe.draw(number, {})["optimizer.name"])
        tpe.end(number, None if names[-1] != "adam" else 1.0 + 0.001 * number)
    assert names[-40:].count("adam") > 30


def test_c1_of_very_many_observations_some_stand_for_the_rest():
    """And the search goes on as well as before."""
    space = {"optimizer.lr": NumericRange(1e-4, 1e-1, log=True)}
    tpe = TreeParzen(SamplingTask(space, TrialConfig(), "max", seed=0, most=100))
    late = drawn(tpe, 1500, lambda lr: -abs(math.log10(lr) + 2.3))[-100:]
    assert np.median([abs(math.log10(lr) + 2.3) for lr in late]) < 0.1
