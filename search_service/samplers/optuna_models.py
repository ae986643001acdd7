"""Samplers that learn from what they are told: Gaussian processes, CMA-ES and Parzen estimators, all of them Optuna's.

They are told once, at a configuration's end, with its score: for them a repeated point is noise. Numbers are drawn as
coordinates from 0 to 1 in which their range is uniform, and become values by the range itself. A configuration that
diverged is told as the worst there is, so that its neighbourhood is avoided. Gaussian processes and Parzen estimators
know what is being trained, so that parallel workers are kept apart, and search for what is good by two objectives,
where there are two; CMA-ES draws each of a generation from the same distribution, whatever the others are at.
"""

from __future__ import annotations

import abc
import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import optuna
from optuna.trial import TrialState

from search_service.samplers.base import SamplingTask
from search_service.space.ranges import Choices, Range, drawn_leaves
from trainables.seeds import derive_seed

optuna.logging.set_verbosity(optuna.logging.ERROR)

# numpy's seeds, which Optuna's samplers take, lie below this.
_SEEDS_OF_NUMPY = 2**32
# Points drawn at random before a model is believed. Optuna's default.
STARTUP = 10


class _OptunaModel(abc.ABC):
    """Draws configurations from an Optuna study of its own."""

    learns = True
    may_run_out = False
    knows_two_objectives = True

    def __init__(self, task: SamplingTask) -> None:
        self._space, self._base, self._seed = task.space, task.base, task.seed
        # Larger is better.
        self._sign = 1.0 if task.mode == "max" else -1.0
        self._cost = task.cost if self.knows_two_objectives else None
        # Numbers in Optuna's study of those that have not ended, and what they cost.
        self._running: dict[int, tuple[int, list[float]]] = {}
        self._worst = math.nan
        directions = ["maximize" if task.mode == "max" else "minimize", *(["minimize"] if self._cost else [])]
        self._study = optuna.create_study(directions=directions)

    @abc.abstractmethod
    def _sampler_for(self, number: int) -> optuna.samplers.BaseSampler:
        """Optuna's sampler for a configuration."""

    def draw(self, number: int, fixed: Mapping[str, Any]) -> dict[str, Any]:
        """A configuration's leaves, of which ``fixed`` are given."""
        if fixed:
            self._study.enqueue_trial({leaf: _encode(self._space[leaf], value) for leaf, value in fixed.items()})
        self._study.sampler = self._sampler_for(number)
        with warnings.catch_warnings():
            # CMA-ES draws categories and conditional leaves by themselves, which is what they are.
            warnings.simplefilter("ignore")
            trial = self._study.ask()
            # A given value is kept as it is: there and back again it would be off in its last digit.
            values = drawn_leaves(
                self._space, self._base, lambda leaf, range_: fixed.get(leaf, _draw(trial, leaf, range_))
            )
        self._running[number] = trial.number, [] if self._cost is None else [self._cost(values)]
        return values

    def observe(self, number: int, score: float) -> None:  # noqa: B027 (there is nothing to override)
        """A configuration has a score at a rung, and goes on: what it is worth is told at its end."""

    def end(self, number: int, score: float | None) -> None:
        """A configuration has ended, at its last score, or without one that counts."""
        if score is not None and not self._sign * score >= self._sign * self._worst:
            self._worst = score
        told = score if score is not None else self._worst
        own, cost = self._running.pop(number)
        if math.isfinite(told):
            self._study.tell(own, [told, *cost])
        else:
            # Nothing has a score yet to be the worst.
            self._study.tell(own, state=TrialState.FAIL)

    def has(self, structure: Mapping[str, Any]) -> bool:
        """There is always another one."""
        return True


class GaussianProcess(_OptunaModel):
    """Bayesian optimisation by a Gaussian process."""

    def _sampler_for(self, number: int) -> optuna.samplers.BaseSampler:
        return _make(optuna.samplers.GPSampler, derive_seed(self._seed, number), n_startup_trials=STARTUP)


class OptunaTpe(_OptunaModel):
    """The tree-structured Parzen estimator as Optuna has it by default: all leaves together, told at the end alone."""

    def _sampler_for(self, number: int) -> optuna.samplers.BaseSampler:
        return _make(optuna.samplers.TPESampler, derive_seed(self._seed, number), warn_independent_sampling=False)


class CmaEs(_OptunaModel):
    """CMA-ES, which keeps the state of its evolution: one sampler of Optuna's for the whole round."""

    knows_two_objectives = False

    def __init__(self, task: SamplingTask) -> None:
        super().__init__(task)
        settings = {"n_startup_trials": STARTUP, "warn_independent_sampling": False}
        self._relative = _make(optuna.samplers.CmaEsSampler, self._seed, **settings)

    def _sampler_for(self, number: int) -> optuna.samplers.BaseSampler:
        return self._relative


def _make(kind: Callable[..., optuna.samplers.BaseSampler], seed: int, **settings: Any) -> optuna.samplers.BaseSampler:
    with warnings.catch_warnings():
        # "Experimental", says Optuna of some of these settings.
        warnings.simplefilter("ignore")
        return kind(seed=seed % _SEEDS_OF_NUMPY, **settings)


def _encode(range_: Range, value: Any) -> Any:
    # Optuna's categories are scalars.
    return range_.encode(value) if isinstance(range_, Choices) else range_.to_unit(value)


def _draw(trial: optuna.Trial, leaf: str, range_: Range) -> Any:
    if isinstance(range_, Choices):
        return range_.decode(trial.suggest_categorical(leaf, list(map(range_.encode, range_.choices))))
    # Not the range's own numbers: for whole ones Optuna takes five times as long.
    return range_.from_unit(trial.suggest_float(leaf, 0.0, 1.0))
