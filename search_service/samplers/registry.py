"""The samplers by name: what ``search.sampler`` of a config may say.

A sampler of one's own is registered before a config that names it is read:

    SAMPLERS["mine"] = Mine      # a function or class that makes a ConfigurationSampler of a SamplingTask

Each module is imported when a round asks for its sampler: who only reads a config needs neither SciPy nor Optuna, which
take about a second in every worker.
"""

from __future__ import annotations

from collections.abc import Callable

from search_service.samplers.base import ConfigurationSampler, SamplingTask


def _tpe(task: SamplingTask) -> ConfigurationSampler:
    from search_service.samplers.tpe import TreeParzen

    return TreeParzen(task)


def _random(task: SamplingTask) -> ConfigurationSampler:
    from search_service.samplers.uniform import Uniform

    return Uniform(task)


def _quasi_random(task: SamplingTask) -> ConfigurationSampler:
    from search_service.samplers.sobol import Sobol

    return Sobol(task)


def _grid(task: SamplingTask) -> ConfigurationSampler:
    from search_service.samplers.grid import Grid

    return Grid(task)


def _gp(task: SamplingTask) -> ConfigurationSampler:
    from search_service.samplers.optuna_models import GaussianProcess

    return GaussianProcess(task)


def _optuna_tpe(task: SamplingTask) -> ConfigurationSampler:
    from search_service.samplers.optuna_models import OptunaTpe

    return OptunaTpe(task)


def _cma_es(task: SamplingTask) -> ConfigurationSampler:
    from search_service.samplers.optuna_models import CmaEs

    return CmaEs(task)


# Those that search for what is good by two objectives, where there are two.
OF_TWO_OBJECTIVES = frozenset({"optuna_tpe", "gp"})

SAMPLERS: dict[str, Callable[[SamplingTask], ConfigurationSampler]] = {
    "tpe": _tpe,
    "random": _random,
    "quasi_random": _quasi_random,
    "grid": _grid,
    "optuna_tpe": _optuna_tpe,
    "gp": _gp,
    "cma_es": _cma_es,
}
