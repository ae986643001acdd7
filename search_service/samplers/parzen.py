"""The tree-structured Parzen estimator, for Optuna: configurations near what did well, away from what did not.

A sampler for any study of Optuna's with one objective. This module imports Optuna, numpy and SciPy alone, and may be
copied into a script:

    study = optuna.create_study(sampler=RungParzenSampler(seed=0), pruner=optuna.pruners.SuccessiveHalvingPruner())
    study.optimize(objective)  # which calls trial.report(score, step) at its rungs

What differs from Optuna's ``TPESampler``, and why (bench/early_stopping.py, docs/search.md):

- **An observation is a configuration's score at one rung**, and not a trial. Whatever a trial reports is observed, with
  its state: a configuration that survives two rungs is observed three times, so good ones weigh more, and early scores
  guide the search long before anything has been trained to the end. Optuna's default (multivariate, told once per
  trial, those stopped early as PRUNED) does worse under ASHA than random search.
- **Good are the best ½√n of n observations** (``good_ones``).
- **A whole number, or a step, is judged where it will be**, and not where its coordinate was drawn.
- **An ask takes milliseconds**, not tens of them: with dozens of tiny networks per core, the sampler is what waits.
- **What is drawn depends on the seed, the trial's number and the trials so far**, and on no state of the sampler's: a
  study that is loaded again goes on as if it had never ended.

The densities are Optuna's own (univariate, with its bandwidths, weights and prior), which the tests hold them against.
A trial that failed, or whose score is no number, counts as the worst there is, so that its neighbourhood is avoided,
and one that has not reported yet counts as bad (constant liar), so that parallel workers are kept apart.

Sources: Bergstra et al. 2011 and 2013; Watanabe 2023, "Tree-Structured Parzen Estimator: Understanding Its Algorithm".
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from scipy.special import ndtr, ndtri

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]

# In place of a coordinate: that of a trial that nobody has looked at.
_UNKNOWN = -1.0

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


@dataclass(frozen=True)
class _Draw:
    """What a trial's parameters are drawn by: numbers of the trials that did well and badly, one per observation."""

    random: np.random.Generator
    # None before there are enough observations.
    good: Numbers | None
    bad: Numbers


class RungParzenSampler(BaseSampler):
    """Draws each parameter by itself, and learns from every score that a trial reports.

    Args:
        seed: It decides, with a trial's number and the trials so far, what is drawn; None for any.
        rungs: Steps of ``trial.report`` that are observed; None for all. A trial that reports every epoch is observed
            at each, which is more than its scores are worth: give the steps at which a pruner looks.
        n_startup_observations: Before the densities are believed; until then parameters are drawn uniformly.
    """

    def __init__(
        self, seed: int | None = None, *, rungs: Collection[int] | None = None, n_startup_observations: int = STARTUP
    ) -> None:
        self._seed = _any_seed() if seed is None else seed
        self._rungs = None if rungs is None else frozenset(rungs)
        self._startup = n_startup_observations
        self._study: Study | None = None
        self._forget()

    def _forget(self) -> None:
        """What is kept is a copy of what the study says, so as not to work it out at every ask."""
        # Observations of trials that have ended: whose, and how good; larger is better, and -inf the worst there is.
        self._ended: set[int] = set()
        self._numbers: list[int] = []
        self._scores: list[float] = []
        # By parameter: its distribution, and coordinates by trial, from 0 to 1 or the index of a category; NaN for a
        # trial without one.
        self._columns: dict[str, tuple[BaseDistribution, Floats]] = {}
        self._draws: dict[int, _Draw] = {}

    def reseed_rng(self) -> None:
        """See ``BaseSampler``."""
        self._seed = _any_seed()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """See ``BaseSampler``: no parameter is drawn together with another."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """See ``BaseSampler``: no parameter is drawn together with another."""
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Draw one parameter of a trial.

        Raises:
            ValueError: The study has several objectives.
        """
        if len(study.directions) > 1:
            raise ValueError(f"RungParzenSampler searches one objective, and the study has {len(study.directions)}")
        if study is not self._study:
            self._study = study
            self._forget()
        trials = study.get_trials(deepcopy=False)
        draw = self._draws.get(trial.number)
        if draw is None:
            draw = self._draws[trial.number] = self._begin(study, trial.number, trials)
        if draw.good is None:
            return _from_unit(param_distribution, draw.random.random())
        good, bad = (self._coordinates(trials, part, param_name, param_distribution) for part in (draw.good, draw.bad))
        return _propose(param_distribution, good, bad, draw.random)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """See ``BaseSampler``."""
        self._draws.pop(trial.number, None)

    def _begin(self, study: Study, number: int, trials: Sequence[FrozenTrial]) -> _Draw:
        """Part the observations for a trial's parameters, all of which are drawn by them."""
        sign = 1.0 if study.direction == StudyDirection.MAXIMIZE else -1.0
        # Those that are running are observed anew at every ask.
        running, running_numbers, running_scores = [], [], []
        for trial in trials:
            if trial.number in self._ended or trial.number == number or trial.state == TrialState.WAITING:
                continue
            scores = self._observed(trial, sign)
            if trial.state.is_finished():
                self._ended.add(trial.number)
                self._numbers += [trial.number] * len(scores)
                self._scores += scores
            elif scores:
                running_numbers += [trial.number] * len(scores)
                running_scores += scores
            else:
                running.append(trial.number)
        random = self._generator(number)
        numbers, observed = self._numbers + running_numbers, self._scores + running_scores
        if len(observed) < max(self._startup, 1):
            return _Draw(random, None, np.empty(0, np.int64))
        good, bad = _split(np.array(numbers), np.array(observed))
        return _Draw(random, good, np.append(bad, np.array(running, np.int64)))

    def _generator(self, number: int) -> np.random.Generator:
        """What a trial's parameters are drawn from, in their order."""
        return np.random.default_rng([self._seed, number])

    def _observed(self, trial: FrozenTrial, sign: float) -> list[float]:
        """A trial's scores, larger for better: at its rungs, and at its end unless that is the last of them."""
        steps = sorted(step for step in trial.intermediate_values if self._rungs is None or step in self._rungs)
        scores = [sign * trial.intermediate_values[step] for step in steps]
        scores = [score for score in scores if math.isfinite(score)]
        if not trial.state.is_finished():
            return scores
        if trial.state == TrialState.FAIL:
            return [*scores, -math.inf]
        if trial.state == TrialState.COMPLETE and trial.value is not None and math.isfinite(trial.value):
            end = sign * trial.value
            return scores if scores and scores[-1] == end else [*scores, end]
        # Stopped, and not a number that counts.
        return scores or [-math.inf]

    def _coordinates(
        self, trials: Sequence[FrozenTrial], numbers: Numbers, name: str, distribution: BaseDistribution
    ) -> Floats:
        """Coordinates of those trials that have the parameter, in what is its range now."""
        known, column = self._columns.get(name, (distribution, np.empty(0)))
        if known != distribution:
            column = np.empty(0)
        if len(column) < len(trials):
            # Twice as many, so that not every ask makes room.
            column = np.append(column, np.full(2 * len(trials) - len(column), _UNKNOWN))
        self._columns[name] = (distribution, column)
        for number in numbers[column[numbers] == _UNKNOWN].tolist():
            trial = trials[number]
            if name in trial.params:
                column[number] = _to_unit(distribution, trial.params[name])
            elif trial.state.is_finished():
                column[number] = math.nan
        found = column[numbers]
        return np.asarray(found[found >= 0.0])


def _any_seed() -> int:
    return int(np.random.default_rng().integers(2**63))


def _split(numbers: Numbers, scores: Floats) -> tuple[Numbers, Numbers]:
    """Trials' numbers of the good and of the bad observations, ascending; equal scores in the order of the numbers."""
    order = np.lexsort((numbers, -scores))
    n_good = good_ones(len(scores))
    good, bad = np.sort(numbers[order[:n_good]]), np.sort(numbers[order[n_good:]])
    if len(bad) > MOST_BAD:
        bad = bad[np.linspace(0, len(bad) - 1, MOST_BAD).round().astype(int)]
    return good, bad


def good_ones(n: int) -> int:
    """How many of n observations are taken for good: half of √n.

    Between a quarter of √n, as in Bergstra et al. 2013, and Optuna's tenth of n; with survivors observed at every rung,
    the first takes too few configurations and the second, in a long round, too many (docs/search.md).
    """
    return max(1, math.ceil(0.5 * math.sqrt(n)))


def _from_unit(distribution: BaseDistribution, coordinate: float) -> Any:
    """A value by its quantile in [0, 1] under the distribution."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[math.floor(coordinate * len(distribution.choices))]
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    if (n_steps := _steps(distribution)) is not None:
        return _at_step(distribution, min(math.floor(coordinate * (n_steps + 1)), n_steps))
    start, end = _span(distribution)
    value = start + coordinate * (end - start)
    value = math.exp(value) if distribution.log else value
    value = round(value) if isinstance(distribution, IntDistribution) else value
    return min(max(value, distribution.low), distribution.high)


def _to_unit(distribution: BaseDistribution, value: Any) -> float:
    """The quantile of a value, of one that stands for several the middle of theirs; a category's index.

    NaN if the distribution does not have it.
    """
    if isinstance(distribution, CategoricalDistribution):
        return float(distribution.to_internal_repr(value)) if value in distribution.choices else math.nan
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    if not distribution.low <= value <= distribution.high:
        return math.nan
    if (n_steps := _steps(distribution)) is not None:
        index = min(round((value - distribution.low) / (distribution.step or 1)), n_steps)
        return float((index + 0.5) / (n_steps + 1))
    start, end = _span(distribution)
    place = math.log(value) if distribution.log else float(value)
    return (place - start) / (end - start) if start < end else 0.5


def _steps(distribution: FloatDistribution | IntDistribution) -> int | None:
    """Steps from end to end; None where all numbers are possible, or whole ones in their logarithm."""
    if distribution.log or distribution.step is None:
        return None
    # A billionth of a step is rounding: (0.3 - 0) / 0.1 is 2.9999999999999996.
    n_steps: int = math.floor((distribution.high - distribution.low) / distribution.step + 1e-9)
    return n_steps


def _at_step(distribution: FloatDistribution | IntDistribution, index: int) -> float:
    """In decimals, as Optuna's distributions reckon: 3 * 0.1 lies above 0.3."""
    low, step = distribution.low, distribution.step or 1
    if isinstance(distribution, IntDistribution):
        return int(low + index * step)
    return float(Decimal(repr(low)) + index * Decimal(repr(step)))


def _span(distribution: FloatDistribution | IntDistribution) -> tuple[float, float]:
    """Ends in the distribution's scale; a whole number takes half of one on either side, or the ends would be rare."""
    half = 0.5 if isinstance(distribution, IntDistribution) else 0.0
    low, high = distribution.low - half, distribution.high + half
    return (math.log(low), math.log(high)) if distribution.log else (low, high)


def _propose(distribution: BaseDistribution, good: Floats, bad: Floats, random: np.random.Generator) -> Any:
    """The candidate whose neighbourhood is most often good."""
    if isinstance(distribution, CategoricalDistribution):
        shares_good, shares_bad = (choice_shares(part, len(distribution.choices)) for part in (good, bad))
        candidates = random.choice(len(shares_good), size=CANDIDATES, p=shares_good)
        return distribution.choices[max(candidates, key=lambda index: shares_good[index] / shares_bad[index])]
    density_good, density_bad = ParzenDensity(good), ParzenDensity(bad)
    drawn = density_good.sample(random, CANDIDATES)
    values = [_from_unit(distribution, coordinate) for coordinate in drawn.tolist()]
    if isinstance(distribution, IntDistribution) or getattr(distribution, "step", None) is not None:
        drawn = np.array([_to_unit(distribution, value) for value in values])
    return values[int(np.argmax(density_good.log_pdf(drawn) - density_bad.log_pdf(drawn)))]


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
