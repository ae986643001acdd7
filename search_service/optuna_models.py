"""Samplers that learn from what they are told: TPE, Gaussian processes, CMA-ES, all of them Optuna's.

What an Optuna trial is here is settled by experiment (bench/early_stopping.py, docs/search.md):

- **TPE**: a trial of Optuna's is one observation, a configuration's score at one rung. A configuration that survives
  two rungs is observed three times, so good ones weigh more, and early scores guide the search long before anything
  has been trained to the end. Univariate: Optuna's own default (multivariate, told once per trial, those stopped early
  as PRUNED) does worse under ASHA than random search.
- **GP** and **CMA-ES** are told once, at a configuration's end, with its score: for them a repeated point is noise.

Numbers are drawn as coordinates from 0 to 1 in which their range is uniform, and become values by the range itself.

Whatever the model, a configuration that diverged is told as the worst there is, so that its neighbourhood is avoided,
and one that is being trained is known to be (constant liar), so that parallel workers are kept apart.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial

from search_service.space import Choices, Range, Space, drawn_leaves
from trainables.config import TrialConfig
from trainables.seeds import derive_seed

optuna.logging.set_verbosity(optuna.logging.ERROR)

AdaptiveMethod = Literal["tpe", "gp", "cma_es"]
# Points drawn at random before a model is believed. Optuna's default, which 20 did not improve on.
STARTUP = 10
# Observations that TPE looks at: what an ask takes grows with them, and beyond some hundreds they hardly change the
# densities. Beyond twice as many, the study is begun anew with the best of them, and of the others one in two.
MOST_OBSERVATIONS = 500
# Of those, the share that are the best there are. The others are from the whole round: of the latest alone, the regions
# that the search had learnt to avoid would look unexplored.
BEST_SHARE = 0.1


class OptunaModel:
    """Draws configurations from an Optuna study of its own.

    Args:
        space: Ranges by leaf, choices before what depends on them.
        base: Says which choices hold where ``space`` does not sample them.
        method: Which model.
        mode: Whether larger or smaller scores are better.
        seed: With a configuration's number, decides what is drawn.
    """

    def __init__(
        self, space: Space, base: TrialConfig, *, method: AdaptiveMethod, mode: Literal["max", "min"], seed: int
    ) -> None:
        self._space, self._base, self._method, self._seed = space, base, method, seed
        self._direction = "maximize" if mode == "max" else "minimize"
        # Larger is better.
        self._sign = 1.0 if mode == "max" else -1.0
        self._distributions = {leaf: _distribution(range_) for leaf, range_ in space.items()}
        self._drawn: dict[int, dict[str, Any]] = {}
        # Numbers in the study of those whose first score is awaited.
        self._running: dict[int, int] = {}
        # TPE's observations in their order: values and score, None for a configuration that diverged.
        self._observed: list[tuple[dict[str, Any], float | None]] = []
        self._worst = math.nan
        self._relative = self._make_sampler(seed % 2**32) if method == "cma_es" else None
        self._study = self._new_study()

    def draw(self, number: int, fixed: Mapping[str, Any]) -> dict[str, Any]:
        """A configuration's leaves, of which ``fixed`` are given."""
        if fixed:
            self._study.enqueue_trial({leaf: _encode(self._space[leaf], value) for leaf, value in fixed.items()})
        self._study.sampler = self._relative or self._make_sampler(derive_seed(self._seed, number) % 2**32)
        with warnings.catch_warnings():
            # CMA-ES draws categories and conditional leaves by themselves, which is what they are.
            warnings.simplefilter("ignore")
            trial = self._study.ask()
            # A given value is kept as it is: there and back again it would be off in its last digit.
            values = drawn_leaves(
                self._space, self._base, lambda leaf, range_: fixed.get(leaf, _draw(trial, leaf, range_))
            )
        self._drawn[number] = dict(trial.params)
        self._running[number] = trial.number
        return values

    def observe(self, number: int, score: float) -> None:
        """A configuration has a score at a rung, and goes on."""
        if self._method == "tpe":
            self._enter(number, score)

    def end(self, number: int, score: float | None) -> None:
        """A configuration has ended, at its last score, or without one that counts."""
        if score is not None and not self._sign * score >= self._sign * self._worst:
            self._worst = score
        if self._method == "tpe":
            self._enter(number, score)
        elif number in self._running:
            told = score if score is not None else self._worst
            if math.isfinite(told):
                self._study.tell(self._running.pop(number), told)
            else:
                # Nothing has a score yet to be the worst.
                self._study.tell(self._running.pop(number), state=TrialState.FAIL)
        del self._drawn[number]

    def _enter(self, number: int, score: float | None) -> None:
        params = self._drawn[number]
        self._observed.append((params, score))
        if number in self._running:
            running = self._running.pop(number)
            if score is None:
                # Without a value it ranks behind everything that has one.
                self._study.tell(running, state=TrialState.PRUNED)
            else:
                self._study.tell(running, score)
        else:
            self._study.add_trial(self._observation(params, score))
        if len(self._observed) > 2 * MOST_OBSERVATIONS:
            self._forget()

    def _observation(self, params: Mapping[str, Any], score: float | None) -> optuna.trial.FrozenTrial:
        state = TrialState.PRUNED if score is None else TrialState.COMPLETE
        return create_trial(params=dict(params), distributions=self._of(params), value=score, state=state)

    def _of(self, params: Mapping[str, Any]) -> dict[str, BaseDistribution]:
        return {leaf: self._distributions[leaf] for leaf in params}

    def _forget(self) -> None:
        """Begin a study anew with the observations that matter."""
        order = sorted(range(len(self._observed)), key=lambda i: self._rank(self._observed[i][1]))
        best = set(order[: int(BEST_SHARE * MOST_OBSERVATIONS)])
        others = [i for i in range(len(self._observed)) if i not in best]
        thinned = np.linspace(0, len(others) - 1, MOST_OBSERVATIONS - len(best)).round().astype(int)
        kept = sorted(best | {others[i] for i in thinned})
        self._observed = [self._observed[i] for i in kept]
        self._study = self._new_study()
        for params, score in self._observed:
            self._study.add_trial(self._observation(params, score))
        for number in self._running:
            params = self._drawn[number]
            self._study.add_trial(create_trial(params=params, distributions=self._of(params), state=TrialState.RUNNING))
            self._running[number] = len(self._study.get_trials(deepcopy=False)) - 1

    def _rank(self, score: float | None) -> float:
        return math.inf if score is None else -self._sign * score

    def _new_study(self) -> optuna.Study:
        return optuna.create_study(direction=self._direction)

    def _make_sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        with warnings.catch_warnings():
            # "Experimental", says Optuna of some of these settings.
            warnings.simplefilter("ignore")
            if self._method == "gp":
                return optuna.samplers.GPSampler(seed=seed, n_startup_trials=STARTUP)
            if self._method == "cma_es":
                # It keeps the state of its evolution: one for the whole round.
                return optuna.samplers.CmaEsSampler(
                    seed=seed, n_startup_trials=STARTUP, warn_independent_sampling=False
                )
            return optuna.samplers.TPESampler(
                seed=seed, multivariate=False, constant_liar=True, n_startup_trials=STARTUP, gamma=good_ones
            )


def good_ones(n: int) -> int:
    """How many of n observations TPE takes for good: half of √n.

    Between a quarter of √n, as in Bergstra et al. 2013, and Optuna's tenth of n; with survivors observed at every rung,
    the first takes too few configurations and the second, in a long round, too many (docs/search.md).
    """
    return max(1, math.ceil(0.5 * math.sqrt(n)))


def _encode(range_: Range, value: Any) -> Any:
    # Optuna's categories are scalars; hidden_sizes are lists. JSON text stands for any choice.
    return json.dumps(value) if isinstance(range_, Choices) else range_.to_unit(value)


def _distribution(range_: Range) -> BaseDistribution:
    if isinstance(range_, Choices):
        return CategoricalDistribution([_encode(range_, choice) for choice in range_.choices])
    # Not the range's own numbers: for whole ones Optuna takes five times as long.
    return FloatDistribution(0.0, 1.0)


def _draw(trial: optuna.Trial, leaf: str, range_: Range) -> Any:
    if isinstance(range_, Choices):
        encoded = {_encode(range_, choice): choice for choice in range_.choices}
        return encoded[trial.suggest_categorical(leaf, list(encoded))]
    return range_.from_unit(trial.suggest_float(leaf, 0.0, 1.0))
