"""Ranges as Optuna's distributions, and values as it has them: its categories are scalars, and its steps exact."""

from __future__ import annotations

from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search_service.space.ranges import Choices, Range

# Of each study that is made, and each trial that ends, Optuna says so.
optuna.logging.set_verbosity(optuna.logging.ERROR)


def distribution_of(range_: Range) -> BaseDistribution:
    """Optuna's distribution of the same values, as likely."""
    if isinstance(range_, Choices):
        return CategoricalDistribution(list(map(range_.encode, range_.choices)))
    if range_.integer:
        step = int(range_.step) if range_.step else 1
        return IntDistribution(int(range_.low), int(range_.high), log=range_.log, step=step)
    if range_.step is not None:
        # The last step, since Optuna warns of an end that lies between two.
        return FloatDistribution(range_.low, float(range_.at_step(range_.n_steps)), step=range_.step)
    return FloatDistribution(range_.low, range_.high, log=range_.log)


def to_optuna(range_: Range, value: Any) -> Any:
    """A value as Optuna has it; a config's own one may lie between the steps, and is the nearest of them there."""
    if isinstance(range_, Choices):
        return range_.encode(value)
    return value if range_.step is None else range_.at_step(range_.index_of(value))


def from_optuna(range_: Range, value: Any) -> Any:
    """The inverse of ``to_optuna``, of a value of the distribution."""
    return range_.decode(value) if isinstance(range_, Choices) else value


def suggest(trial: optuna.Trial, name: str, distribution: BaseDistribution) -> Any:
    """Let a trial's sampler draw a parameter."""
    match distribution:
        case CategoricalDistribution():
            return trial.suggest_categorical(name, distribution.choices)
        case IntDistribution():
            low, high = distribution.low, distribution.high
            return trial.suggest_int(name, low, high, log=distribution.log, step=distribution.step)
        case FloatDistribution():
            low, high = distribution.low, distribution.high
            return trial.suggest_float(name, low, high, log=distribution.log, step=distribution.step)
    raise TypeError(f"{name} has {distribution}, which Optuna cannot suggest")
