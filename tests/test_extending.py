"""What docs/extending.md promises: a sampler, a stopping rule and a runner of one's own, by the public registries."""

from __future__ import annotations

import pytest

import search_service
from search_service.errors import InvalidSpecError
from search_service.records.checks import CheckResult, InitialLossResult, LearningRatesResult, OverfitResult
from search_service.records.rounds import TrialStatus
from search_service.runners.base import run_here
from search_service.runners.inline import InlineRunner
from search_service.runners.registry import RunnerKind
from search_service.samplers.base import NonAdaptive
from search_service.samplers.sampler import Sampler
from search_service.space.ranges import Choices, drawn_leaves
from tests.plans import make_plan

CONFIG = {
    "name": "extended",
    "data": {"source": "wine"},
    "trial": {"network": {"hidden_sizes": [8]}},
    "search_space": {"optimizer.lr": {"low": 1e-3, "high": 1e-1, "log": True}},
    "search": {
        "sampler": "ends",
        "coarse": {"max_trials": 9, "max_epochs": 3},
        "refined": {"max_trials": 9, "max_epochs": 3},
        "early_stopping": False,
        "population_size": 1,
        "max_cycles": 1,
        "noise_seeds": 0,
    },
    "finalists": {"top": 1, "seeds": 2, "baselines": False},
    "model": {"refit": False, "register": False},
}


class Ends(NonAdaptive):
    """Draws the low and the high end of each range, in turn."""

    def __init__(self, task):
        self._task = task

    def draw(self, number, fixed):
        def end(leaf, range_):
            ends = range_.choices if isinstance(range_, Choices) else (range_.low, range_.high)
            return fixed.get(leaf, ends[number % 2 * -1])

        return drawn_leaves(self._task.space, self._task.base, end)


class Counting:
    """The inline runner, which counts its rounds."""

    def __init__(self, address):
        self.address, self.plans, self.tasks, self.closed = address, [], [], False
        self._inline = InlineRunner()

    def prepare(self, resources):
        self._inline.prepare(resources)

    def run_round(self, plan, dataset, listen):
        self.plans.append(plan)
        return self._inline.run_round(plan, dataset, listen)

    def run_tasks(self, tasks, resources, listen):
        self.tasks += [task.name for task in tasks]
        return run_here(tasks, listen)

    def close(self):
        self.closed = True


def five_completed(plan, progress):
    """Stops a round once five of its trials were trained to the end."""
    done = sum(trial.status is TrialStatus.COMPLETED for trial in progress.ended)
    return f"{done} trials are enough" if done >= 5 else ""


def test_a_study_with_a_sampler_a_stopping_rule_and_a_runner_of_ones_own(monkeypatch, tmp_path):
    made = []

    def make(address):
        made.append(Counting(address))
        return made[-1]

    monkeypatch.setitem(search_service.SAMPLERS, "ends", Ends)
    monkeypatch.setitem(search_service.STOPPING_RULES, "enough", five_completed)
    monkeypatch.setitem(search_service.RUNNERS, "counting", RunnerKind("this process, counted", make))
    study = search_service.prepare(search_service.parse(CONFIG))
    settings = search_service.Settings(home=tmp_path)
    result = search_service.run(study, settings=settings, runner="counting", ray_address="a-cluster").result
    (runner,) = made
    assert (runner.address, len(runner.plans), runner.closed) == ("a-cluster", 2, True)
    for done in result.rounds:
        assert done.stop_reason == "5 trials are enough"
        assert len(done.trials) == 5
        rates = done.plan.space["optimizer.lr"]
        # After the points tried first, only ends are drawn.
        assert {trial.config.optimizer.lr for trial in done.trials[-2:]} <= {rates.low, rates.high}
    assert result.finalists is not None


def test_a_sampler_that_nobody_has_registered_is_no_config():
    with pytest.raises(InvalidSpecError, match="one of: 'tpe'"):
        search_service.parse(CONFIG)


def test_a_grid_of_ones_own_ends_a_round_when_it_runs_out(monkeypatch, digits, tmp_path):
    class Three(Ends):
        may_run_out = True

        def draw(self, number, fixed):
            return super().draw(number, fixed) if number < 3 else None

        def has(self, structure):
            return False  # Whoever is asked beside another one has come too late.

    monkeypatch.setitem(search_service.SAMPLERS, "three", Three)
    plan = make_plan(tmp_path, sampler="three", population_size=2, max_epochs=1)
    done = InlineRunner().run_round(plan, digits[0], lambda event: None)
    assert len(done.trials) == 3
    assert done.stop_reason == "the whole grid of 3 configurations is done"


def test_a_sampler_that_learns_hears_of_earlier_trials_and_one_that_does_not_hears_none(monkeypatch, tmp_path):
    plan, heard = make_plan(tmp_path), []

    class Listening(Ends):
        learns = True

        def end(self, number, score):
            heard.append((number < 0, score))

    class Deaf(Listening):
        learns = False

    for name, kind in (("listening", Listening), ("deaf", Deaf)):
        monkeypatch.setitem(search_service.SAMPLERS, name, kind)
        sampler = Sampler(plan.space, plan.base, method=name, mode="max", seed=0)
        sampler.learn({"optimizer.lr": 0.01, "network.dropout": 0.1}, "completed", 0.5)
    assert heard == [(True, 0.5)]


def test_every_check_is_drawn_and_measured_in_the_record():
    """A check that nobody has told the recorder of would be recorded without its figures and numbers."""
    told = {InitialLossResult, OverfitResult, LearningRatesResult}
    assert set(CheckResult.__subclasses__()) == told, (
        "draw the new check in recorders/mlflow/study_runs.py (_log_figures), write its numbers in "
        "recorders/mlflow/metrics.py (of_check), then add it here"
    )
