"""C1: the tree-structured Parzen estimator; its densities against Optuna's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator, _ParzenEstimatorParameters
from optuna.samplers._tpe.sampler import default_weights
from scipy.integrate import trapezoid

from search_service.samplers.base import SamplingTask
from search_service.samplers.tpe import ParzenDensity, TreeParzen, choice_shares, good_ones
from search_service.space.ranges import Choices, NumericRange
from trainables.config import TrialConfig

PARAMETERS = _ParzenEstimatorParameters(1.0, True, False, default_weights, multivariate=False)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 80), st.integers(0, 999), st.booleans())
def test_c1_the_density_of_a_number_is_optunas(n, seed, repeated):
    random = np.random.default_rng(seed)
    observations = random.random(n) if not repeated else random.integers(0, 5, n) / 4.0
    expected = _ParzenEstimator({"x": observations}, {"x": FloatDistribution(0.0, 1.0)}, PARAMETERS)
    at = np.linspace(0, 1, 41)
    density = ParzenDensity(observations)
    # Where observations repeat, which of the equals has which bandwidth is up to the sorting.
    if not repeated:
        np.testing.assert_allclose(density.log_pdf(at), expected.log_pdf({"x": at}), rtol=1e-9, atol=1e-9)
    grid = np.linspace(0, 1, 20_001)
    assert trapezoid(np.exp(density.log_pdf(grid)), grid) == pytest.approx(1.0, abs=1e-3)


def test_c1_samples_follow_the_density():
    density = ParzenDensity(np.random.default_rng(0).beta(2, 8, 30))
    drawn = density.sample(np.random.default_rng(1), 50_000)
    counts, edges = np.histogram(drawn, bins=20, range=(0, 1))
    grid = np.linspace(0, 1, 20_001)
    cumulated = np.cumsum(np.exp(density.log_pdf(grid))) / 20_000
    expected = np.diff(np.interp(edges, grid, cumulated))
    # A share's standard error is 0.002 at most.
    np.testing.assert_allclose(counts / 50_000, expected, atol=0.01)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 3), max_size=60))
def test_c1_the_shares_of_choices_are_optunas(indices):
    expected = _ParzenEstimator(
        {"x": np.array(indices, float)}, {"x": CategoricalDistribution(("a", "b", "c", "d"))}, PARAMETERS
    )
    shares = choice_shares(np.array(indices, float), 4)
    np.testing.assert_allclose(np.log(shares), expected.log_pdf({"x": np.arange(4)}), rtol=1e-9)


def test_c1_a_half_of_the_root_is_good():
    assert [good_ones(n) for n in (1, 4, 10, 100, 1000)] == [1, 1, 2, 5, 16]


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
