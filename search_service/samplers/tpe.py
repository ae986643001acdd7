"""The tree-structured Parzen estimator: configurations near what did well, away from what did not.

What differs from Optuna's, and why (bench/early_stopping.py, docs/search.md):

- **An observation is a configuration's score at one rung**, and not a trial. A configuration that survives two rungs is
  observed three times, so good ones weigh more, and early scores guide the search long before anything has been trained
  to the end. Optuna's default (multivariate, told once per trial, those stopped early as PRUNED) does worse under ASHA
  than random search.
- **Good are the best ½√n of n observations** (``good_ones``).
- **A whole number, or a step, is judged where it will be**, and not where its coordinate was drawn.
- **An ask takes milliseconds**, not tens of them: with dozens of tiny networks per core, the sampler is what waits.

The densities are Optuna's own (univariate, with its bandwidths, weights and prior), which the tests hold them against.
A configuration that diverged is told as the worst there is, so that its neighbourhood is avoided, and one that is being
trained counts as bad (constant liar), so that parallel workers are kept apart.

Sources: Bergstra et al. 2011 and 2013; Watanabe 2023, "Tree-Structured Parzen Estimator: Understanding Its Algorithm".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from search_service.samplers.base import SamplingTask
from search_service.space.ranges import Choices, NumericRange, Range, drawn_leaves
from trainables.seeds import derive_seed

Floats = NDArray[np.float64]

# Observations before the densities are believed; until then configurations are drawn uniformly. Twice as many did not
# do better.
STARTUP = 10
# Drawn from the good ones' density; the one that the two densities favour most is taken. Optuna's number.
CANDIDATES = 24
# Observations that weigh fully: the latest. Those before them weigh less and less (Bergstra et al. 2013).
FULL_WEIGHTS = 25
# Bad observations that a density is made of. Of more, one in a few stands for the rest: beyond some hundreds they
# hardly change it, and what an ask takes grows with them.
MOST_BAD = 1000
# Narrowest kernel, as a share of the range, and how many kernels it takes to have it. Optuna's "magic clip".
_MOST_KERNELS = 100.0


class TreeParzen:
    """Draws configurations, and learns from their scores."""

    learns = True
    may_run_out = False

    def __init__(self, task: SamplingTask) -> None:
        self._space, self._base, self._seed = task.space, task.base, task.seed
        self._sign = 1.0 if task.mode == "max" else -1.0
        # Coordinates of what was drawn: from 0 to 1 in which a range is uniform, or the index of a choice.
        self._drawn: dict[int, dict[str, float]] = {}
        # Drawn, and without a score so far.
        self._running: set[int] = set()
        # Observations: whose, where, and how good; larger is better, and -inf the worst there is.
        self._numbers: list[int] = []
        self._points: list[dict[str, float]] = []
        self._scores: list[float] = []

    def draw(self, number: int, fixed: Mapping[str, Any]) -> dict[str, Any]:
        """A configuration's leaves, of which ``fixed`` are given."""
        random = np.random.default_rng(derive_seed(self._seed, number))
        good, bad = self._split()
        point: dict[str, float] = {}

        def draw(leaf: str, range_: Range) -> Any:
            if leaf in fixed:
                # Kept as it is: there and back again it would be off in its last digit.
                point[leaf] = _coordinate(range_, fixed[leaf])
                return fixed[leaf]
            if len(self._scores) < STARTUP:
                value = range_.from_unit(random.random())
            else:
                value = _propose(range_, _coordinates(leaf, good), _coordinates(leaf, bad), random)
            point[leaf] = _coordinate(range_, value)
            return value

        values = drawn_leaves(self._space, self._base, draw)
        self._drawn[number] = point
        self._running.add(number)
        return values

    def observe(self, number: int, score: float) -> None:
        """A configuration has a score at a rung, and goes on."""
        self._running.discard(number)
        self._numbers.append(number)
        self._points.append(self._drawn[number])
        self._scores.append(self._sign * score)

    def end(self, number: int, score: float | None) -> None:
        """A configuration has ended, at its last score, or without one that counts."""
        self.observe(number, -self._sign * math.inf if score is None else score)
        del self._drawn[number]

    def has(self, structure: Mapping[str, Any]) -> bool:
        """There is always another one."""
        return True

    def _split(self) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
        """Good and bad observations, each in the order of the configurations' numbers, the bad with what is running."""
        n = len(self._scores)
        order = np.argsort(-np.asarray(self._scores), kind="stable")
        n_good = good_ones(n) if n else 0
        by_number = self._numbers.__getitem__
        good, bad = (sorted(part, key=by_number) for part in (order[:n_good].tolist(), order[n_good:].tolist()))
        if len(bad) > MOST_BAD:
            bad = [bad[i] for i in np.linspace(0, len(bad) - 1, MOST_BAD).round().astype(int)]
        running = [self._drawn[number] for number in sorted(self._running)]
        return [self._points[i] for i in good], [self._points[i] for i in bad] + running


def good_ones(n: int) -> int:
    """How many of n observations are taken for good: half of √n.

    Between a quarter of √n, as in Bergstra et al. 2013, and Optuna's tenth of n; with survivors observed at every rung,
    the first takes too few configurations and the second, in a long round, too many (docs/search.md).
    """
    return max(1, math.ceil(0.5 * math.sqrt(n)))


def _coordinate(range_: Range, value: Any) -> float:
    if isinstance(range_, Choices):
        return float(range_.choices.index(value))
    return range_.to_unit(value)


def _coordinates(leaf: str, points: Sequence[Mapping[str, float]]) -> Floats:
    """Coordinates of those that have the leaf."""
    return np.array([point[leaf] for point in points if leaf in point])


def _propose(range_: Range, good: Floats, bad: Floats, random: np.random.Generator) -> Any:
    """The candidate whose neighbourhood is most often good."""
    if isinstance(range_, Choices):
        shares_good, shares_bad = (choice_shares(part, len(range_.choices)) for part in (good, bad))
        candidates = random.choice(len(shares_good), size=CANDIDATES, p=shares_good)
        return range_.choices[max(candidates, key=lambda index: shares_good[index] / shares_bad[index])]
    density_good, density_bad = ParzenDensity(good), ParzenDensity(bad)
    drawn = density_good.sample(random, CANDIDATES)
    values = [range_.from_unit(coordinate) for coordinate in drawn.tolist()]
    if _is_discrete(range_):
        drawn = np.array([range_.to_unit(value) for value in values])
    return values[int(np.argmax(density_good.log_pdf(drawn) - density_bad.log_pdf(drawn)))]


def _is_discrete(range_: NumericRange) -> bool:
    return range_.integer or range_.step is not None


def choice_shares(indices: Floats, n_choices: int) -> Floats:
    """Probability of each choice, ``[n_choices]``, from observed indices ``[n]`` and a uniform prior."""
    n = len(indices)
    kernels = np.full((n + 1, n_choices), 1.0 / (n + 1))
    kernels[np.arange(n), indices.astype(int)] += 1.0
    return np.asarray(_weights(n) @ (kernels / kernels.sum(axis=1, keepdims=True)))


class ParzenDensity:
    """A mixture of normal distributions on [0, 1], one per observation, and a wide one in the middle as the prior.

    Args:
        observations: ``[n]``, oldest first.
    """

    def __init__(self, observations: Floats) -> None:
        n = len(observations)
        self._weights = _weights(n)
        self._means = np.append(observations, 0.5)
        self._stds = np.append(_bandwidths(observations), 1.0)
        self._below, self._above = ndtr(-self._means / self._stds), ndtr((1.0 - self._means) / self._stds)
        # Of each kernel at its mean, with its weight. Its share inside [0, 1] is a third at least: means lie there.
        inside = self._above - self._below
        self._log_heights = np.log(self._weights / (self._stds * math.sqrt(2 * math.pi) * inside))

    def sample(self, random: np.random.Generator, size: int) -> Floats:
        """``[size]`` coordinates."""
        kernel = random.choice(len(self._weights), size=size, p=self._weights)
        low, high = self._below[kernel], self._above[kernel]
        quantiles = low + random.random(size) * (high - low)
        return np.asarray(np.clip(self._means[kernel] + self._stds[kernel] * ndtri(quantiles), 0.0, 1.0))

    def log_pdf(self, coordinates: Floats) -> Floats:
        """``[m]`` -> ``[m]``."""
        z = (coordinates[:, None] - self._means) / self._stds
        terms = self._log_heights - 0.5 * z * z  # [m, n + 1]
        largest = terms.max(axis=1)
        return np.asarray(largest + np.log(np.exp(terms - largest[:, None]).sum(axis=1)))


def _bandwidths(observations: Floats) -> Floats:
    """Bandwidth of each kernel: the larger distance to its neighbours, within bounds."""
    n = len(observations)
    if n == 0:
        return np.empty(0)
    order = np.argsort(observations)
    between = np.diff(observations[order], prepend=0.0, append=1.0)
    widths = np.maximum(between[:-1], between[1:])
    if n >= 2:
        # At the ends of the range there is no neighbour.
        widths[0], widths[-1] = between[1], between[-2]
    bandwidths = np.empty(n)
    bandwidths[order] = np.clip(widths, 1.0 / min(_MOST_KERNELS, n + 2.0), 1.0)
    return bandwidths


def _weights(n: int) -> Floats:
    """Weights of n observations, oldest first, and the prior; their sum is 1."""
    rising = max(0, n - FULL_WEIGHTS)
    ramp = np.linspace(1.0 / n, 1.0, rising) if rising else np.empty(0)
    weights = np.concatenate([ramp, np.ones(n - rising + 1)])
    return np.asarray(weights / weights.sum())
