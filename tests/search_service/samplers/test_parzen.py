"""C1: the rung-reading sampler as any sampler of Optuna's, and its densities against Optuna's."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator, _ParzenEstimatorParameters
from optuna.samplers._tpe.sampler import default_weights
from optuna.trial import TrialState
from scipy.integrate import trapezoid

from search_service.samplers.parzen import ParzenDensity, RungParzenSampler, choice_shares, good_ones

PAGE = Path(__file__).parents[3] / "docs" / "optuna.md"
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


def objective(trial: optuna.Trial) -> float:
    """Best at x = 1e-2 and n = 4 with adam; three rungs, at which the lead grows."""
    x = trial.suggest_float("x", 1e-4, 1.0, log=True)
    n = trial.suggest_int("n", 1, 9)
    name = trial.suggest_categorical("name", ("sgd", "adam"))
    share = trial.suggest_float("share", 0.0, 0.6, step=0.1) if name == "sgd" else 0.3
    loss = abs(math.log10(x) + 2) + 0.2 * abs(n - 4) + (name == "sgd") + share
    if trial.number == 7:
        raise ValueError("this one crashes")
    for step in (1, 3, 9):
        trial.report(loss * (1 + 1 / step), step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return loss


def study_of(sampler: optuna.samplers.BaseSampler, storage=None, name="study") -> optuna.Study:
    return optuna.create_study(
        sampler=sampler,
        storage=storage,
        study_name=name,
        load_if_exists=True,
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
    )


def test_c1_an_ordinary_study_with_a_pruner_finds_the_best_sooner_than_by_chance():
    best = {}
    for sampler in (RungParzenSampler, optuna.samplers.RandomSampler):
        found = []
        for seed in range(5):
            study = study_of(sampler(seed=seed))
            study.optimize(objective, n_trials=80, catch=ValueError)
            assert {trial.state for trial in study.trials} == {TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL}
            found.append(study.best_value)
        best[sampler] = np.median(found)
    # 0.3 is the least that there is.
    assert best[RungParzenSampler] - 0.3 < 0.5 * (best[optuna.samplers.RandomSampler] - 0.3)


def test_c1_a_study_that_is_loaded_again_goes_on_as_if_it_had_never_ended(tmp_path):
    whole = study_of(RungParzenSampler(seed=3))
    whole.optimize(objective, n_trials=40, catch=ValueError)
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    for trials in (15, 25):
        study_of(RungParzenSampler(seed=3), storage).optimize(objective, n_trials=trials, catch=ValueError)
    again = optuna.load_study(study_name="study", storage=storage)
    assert [trial.params for trial in again.trials] == [trial.params for trial in whole.trials]


def test_c1_what_is_given_for_rungs_is_what_is_observed():
    """Scores between the rungs say the opposite here, and are not heard."""

    def misled(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0.0, 1.0)
        for step in range(1, 10):
            trial.report(x if step % 3 == 0 else 2 - x, step)
        return x

    study = optuna.create_study(sampler=RungParzenSampler(seed=0, rungs=(3, 6, 9)))
    study.optimize(misled, n_trials=60)
    assert np.median([trial.params["x"] for trial in study.trials[-20:]]) < 0.1


def test_c1_a_range_that_changes_inside_a_study_is_judged_as_it_is_now():
    study = optuna.create_study(sampler=RungParzenSampler(seed=0))
    study.optimize(lambda trial: abs(trial.suggest_float("x", 0.0, 1.0) - 0.4), n_trials=40)
    study.optimize(lambda trial: abs(trial.suggest_float("x", 0.0, 4.0) - 0.4), n_trials=40)
    assert abs(np.median([trial.params["x"] for trial in study.trials[-20:]]) - 0.4) < 0.2


def test_c1_two_objectives_are_refused():
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=RungParzenSampler(seed=0))
    with pytest.raises(ValueError, match="one objective, and the study has 2"):
        study.ask().suggest_float("x", 0.0, 1.0)


def test_c1_the_example_with_a_network_of_torch_runs(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(code, str(PAGE), "exec"), {})
    accuracy, stopped = map(float, capsys.readouterr().out.split())
    assert accuracy > 0.9
    assert stopped > 0
