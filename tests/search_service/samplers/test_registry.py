"""C1: every sampler that a config may name is made, draws within the ranges, and is imported only then."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from search_service.samplers.base import SamplingTask
from search_service.samplers.registry import SAMPLERS
from search_service.space.ranges import NumericRange
from search_service.spec.study_spec import StudySpec, parse
from trainables.config import TrialConfig

SPACE = {"optimizer.lr": NumericRange(1e-4, 1e-1, log=True), "network.dropout": NumericRange(0.0, 0.5)}


@pytest.mark.parametrize("name", list(SAMPLERS))
def test_c1_each_draws_within_the_ranges_keeps_what_is_given_and_hears_of_it(name):
    sampler = SAMPLERS[name](SamplingTask(SPACE, TrialConfig(), "max", seed=1, most=20))
    for number in range(12):
        fixed = {"network.dropout": 0.25} if number == 3 else {}
        values = sampler.draw(number, fixed)
        assert all(SPACE[leaf].contains(value) for leaf, value in values.items())
        assert values.keys() == SPACE.keys()
        assert values["network.dropout"] == fixed.get("network.dropout", values["network.dropout"])
        sampler.observe(number, 0.1 * number)
        sampler.end(number, None if number == 5 else 0.2 * number)
    assert sampler.has({}) or sampler.may_run_out


def test_only_a_grid_runs_out_and_only_models_learn():
    made = {name: make(SamplingTask(SPACE, TrialConfig(), "max", seed=1, most=20)) for name, make in SAMPLERS.items()}
    assert {name for name, sampler in made.items() if sampler.may_run_out} == {"grid"}
    assert {name for name, sampler in made.items() if sampler.learns} == {"tpe", "optuna_tpe", "gp", "cma_es"}


def test_a_config_may_name_each_and_no_other(monkeypatch):
    for name in SAMPLERS:
        assert parse({"name": "x", "data": {"source": "wine"}, "search": {"sampler": name}}).search.sampler == name
    schema = StudySpec.model_json_schema()["$defs"]["SearchSpec"]["properties"]["sampler"]
    assert schema["enum"] == list(SAMPLERS)


def test_reading_a_config_loads_no_sampler():
    code = "import search_service.spec.study_spec, sys; print({'scipy', 'optuna', 'torch'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("mode", ["min", "max"])
def test_c1_optunas_own_estimator_learns_from_what_it_is_told(mode):
    """A valley in the logarithm of the rate and in dropout, to which its last draws come nearer than random ones."""

    def distance(values):
        return (np.log10(values["optimizer.lr"]) + 2.0) ** 2 + (4 * (values["network.dropout"] - 0.1)) ** 2

    def last(name):
        found = []
        for seed in range(3):
            sampler = SAMPLERS[name](SamplingTask(SPACE, TrialConfig(), mode, seed=seed, most=40))
            for number in range(40):
                values = sampler.draw(number, {})
                sampler.end(number, distance(values) if mode == "min" else -distance(values))
                found += [distance(values)] if number >= 25 else []
        return float(np.median(found))

    assert last("optuna_tpe") < 0.6 * last("random")
