"""The study as a whole, without Ray: order of events, failures with their diagnosis, what is left when it breaks."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pytest

from search_service import wiring
from search_service.errors import RunnerError
from search_service.folder import layout
from search_service.recorders.figures import parallel, search_map, slices
from search_service.recorders.memory import MemoryRecorder
from search_service.records.events import (
    CheckFinished,
    FinalistsFinished,
    RoundFinished,
    RoundStarted,
    StudyFinished,
    StudyStarted,
    TrialFinished,
)
from search_service.records.results import StudyStatus
from search_service.records.rounds import TrialStatus
from search_service.report.importance import importance
from search_service.runners.inline import InlineRunner
from search_service.spec.study_spec import parse
from search_service.study import run_study
from trainables.data.dataset import Rows

SMALL = {
    "name": "small",
    "data": {"source": "wine"},
    "trial": {"network": {"hidden_sizes": [8]}, "optimizer": {"lr": 0.01}, "batch_size": 16},
    "search_space": {"optimizer.weight_decay": {"low": 1e-3, "high": 1.0, "log": True}},
    "search": {
        "coarse": {"max_trials": 6, "max_epochs": 4},
        "refined": {"max_trials": 4, "max_epochs": 6},
        "max_cycles": 1,
    },
    # What simpler models reach, and a network packed for use, are shown elsewhere: they cost more than such a search.
    "finalists": {"top": 2, "seeds": 2, "baselines": False},
    "model": {"refit": False},
}


def run(changes=None, runner=None, mutate=lambda dataset: dataset, tmp_path=None):
    memory = MemoryRecorder()
    study = wiring.prepare(parse(SMALL | (changes or {})))
    run_it = lambda: run_study(  # noqa: E731
        study.spec, dataclasses.replace(study.table, dataset=mutate(study.dataset)), runner or InlineRunner(),
        memory.record, study_id="small-1",
        folder=tmp_path, versions={},
    )  # fmt: skip
    return memory, run_it


def test_e1_the_result_of_a_study_is_written_before_its_folder_says_that_it_is_over(tmp_path):
    """Killed in between, it had none for good: a study that is over does not go on."""
    study = wiring.prepare(parse(SMALL))
    delivered = []

    def die(result):
        delivered.append(result.status)
        raise KeyboardInterrupt

    arguments = {"study_id": "small-1", "folder": tmp_path, "versions": {}}
    listen = MemoryRecorder().record
    with pytest.raises(KeyboardInterrupt):
        run_study(study.spec, study.table, InlineRunner(), listen, **arguments, deliver=die)
    assert not (tmp_path / "ended.json").exists()
    # It goes on: there is nothing left to do but this.
    run_study(
        study.spec, study.table, InlineRunner(), listen, **arguments, deliver=lambda r: delivered.append(r.status)
    )
    assert delivered == [StudyStatus.COMPLETED] * 2
    assert (tmp_path / "ended.json").exists()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The study as it is, once for all who only look at it: what was heard of it, and its result."""
    memory, study = run(tmp_path=tmp_path_factory.mktemp("whole"))
    return memory, study()


def test_b_all_steps_happen_in_their_order(whole):
    memory, result = whole
    kinds = [type(event) for event in memory.events]
    assert kinds[0] is StudyStarted
    assert kinds[-1] is StudyFinished
    assert [event.check.step for event in memory.of(CheckFinished)] == [1, 2, 3]
    assert [event.plan.step for event in memory.of(RoundStarted)] == [4, 5]
    assert kinds.index(FinalistsFinished) > max(i for i, kind in enumerate(kinds) if kind is RoundFinished)
    assert result.status is StudyStatus.COMPLETED
    assert result.reason == result.decisions[-1].reason
    assert len(result.rounds) == 2


def test_c4_a_study_that_is_asked_to_stop_begins_no_further_trial_and_finds_its_finalists(tmp_path):
    class Asked(InlineRunner):
        def run_round(self, plan, dataset, listen):
            def hear(event):
                listen(event)
                if isinstance(event, TrialFinished) and event.trial.number == 2:
                    (tmp_path / layout.STOP).touch()

            return super().run_round(plan, dataset, hear)

    _, study = run({"search": SMALL["search"] | {"population_size": 1}}, Asked(), tmp_path=tmp_path)
    result = study()
    assert [len(done.trials) for done in result.rounds] == [3, 0]
    assert result.rounds[0].stop_reason == "a stop was requested"
    assert "a stop was requested" in result.reason
    assert result.status is StudyStatus.COMPLETED
    assert result.finalists is not None


def test_b6_a_stop_that_is_asked_for_between_rounds_is_the_reason(tmp_path):
    class Asked(InlineRunner):
        def run_round(self, plan, dataset, listen):
            result = super().run_round(plan, dataset, listen)
            if plan.number == 2:
                (tmp_path / layout.STOP).touch()
            return result

    _, study = run({"search": SMALL["search"] | {"max_cycles": 3}}, Asked(), tmp_path=tmp_path)
    result = study()
    assert len(result.rounds) == 2
    assert result.reason.startswith("a stop was requested")


def test_b_the_refined_round_is_narrower_longer_and_begins_with_the_best(whole):
    memory, _ = whole
    coarse, refined = (event.result for event in memory.of(RoundFinished))
    assert refined.plan.limits.max_epochs > coarse.plan.limits.max_epochs
    old, new = coarse.plan.space["optimizer.lr"], refined.plan.space["optimizer.lr"]
    assert new.high / new.low < old.high / old.low
    carried = coarse.ranked[0].values
    tried = refined.trials[0].values
    assert all(tried[leaf] == carried[leaf] for leaf in carried if refined.plan.space[leaf].contains(carried[leaf]))


def test_b_the_default_configuration_is_trial_0(whole):
    memory, _ = whole
    coarse = memory.of(RoundFinished)[0].result
    first, second = coarse.trials[:2]
    assert first.config.replace({"seed": 0}).flat() == parse(SMALL).trial.flat()
    # The same at the rate that did best in step 3.
    best = memory.of(CheckFinished)[2].check.best
    assert second.config.optimizer.lr == pytest.approx(best)
    assert second.config.optimizer.weight_decay == 0.1


def test_b_cycles_repeat_while_they_pay(tmp_path):
    # Images of ten digits, and few epochs: the first cycle leaves something to find.
    changes = {
        "data": {"source": "digits"},
        "trial": SMALL["trial"] | {"batch_size": 64},
        "search": {
            "coarse": {"max_trials": 3, "max_epochs": 1},
            "refined": {"max_trials": 3, "max_epochs": 3},
            "max_cycles": 3,
        },
        "finalists": {"top": 1, "seeds": 1, "baselines": False},
    }
    memory, study = run(changes, tmp_path=tmp_path)
    result = study()
    assert [check.cycle for check in result.checks if check.step == 3] == list(range(1, len(result.decisions) + 1))
    assert len(result.decisions) > 1
    assert all(not decision.stop for decision in result.decisions[:-1])
    assert len(result.rounds) == 2 * len(result.decisions)
    assert len({trial.trial_id for done in result.rounds for trial in done.trials}) == sum(
        len(done.trials) for done in result.rounds
    )
    assert memory.of(StudyFinished)[0].result is not None


def test_c7_the_same_seed_gives_the_same_study(tmp_path):
    # The time taken is all that may differ.
    results = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        _, study = run({"search": SMALL["search"] | {"sampler": "random"}}, tmp_path=tmp_path / name)
        results.append(study())
    one, two = ([(t.config, t.curve, t.status) for r in result.rounds for t in r.trials] for result in results)
    assert one == two
    assert results[0].finalists.test_scores == results[1].finalists.test_scores


@pytest.mark.parametrize(
    ("changes", "step", "words"),
    [
        ({"trial": {"network": {"init": "zeros"}}}, 1, "the same gradient"),
        ({"trial": {"network": {"output_scale": 50.0}}}, 1, "the last layer starts too large"),
        (
            {
                "checks": {"learning_rates": {"candidates": [1e8, 1e9]}},
                "trial": {"optimizer": {"name": "sgd", "lr": 0.1}},
                "search_space": {},
            },
            3,
            "far too large",
        ),
        ({"checks": {"learning_rates": {"candidates": [1e-12]}}}, 3, "far too small"),
        ({"search_space": {"optimizer.lr": {"low": 1e-9, "high": 1e-8, "log": True}}}, 3, "holds no rate that works"),
    ],
)
def test_b_a_failed_check_ends_the_study_with_its_diagnosis(tmp_path, changes, step, words):
    memory, study = run(changes, tmp_path=tmp_path)
    result = study()
    assert result.status is StudyStatus.FAILED
    assert result.checks[-1].step == step
    assert not result.checks[-1].passed
    assert words in result.reason
    assert "To do: " in result.reason
    assert result.rounds == ()
    assert memory.of(StudyFinished)[0].result == result


def test_b_on_fail_warn_goes_on(tmp_path):
    changes = {"checks": {"on_fail": "warn", "learning_rates": {"candidates": [0.01], "falls_to": 0.0001}}}
    _, study = run(changes, tmp_path=tmp_path)
    result = study()
    assert result.status is StudyStatus.COMPLETED
    assert [check.passed for check in result.checks] == [True, True, False]


def test_b4_no_trial_that_beats_the_trivial_predictor_ends_the_study(tmp_path):
    def meaningless(dataset):
        random = np.random.default_rng(0)
        inputs = [
            random.normal(size=part.inputs.shape).astype(np.float32) for part in (dataset.train, dataset.validation)
        ]
        targets = (np.zeros_like(dataset.validation.targets), dataset.train.targets)
        return dataclasses.replace(
            dataset, train=Rows(inputs[0], targets[1]), validation=Rows(inputs[1], np.full_like(targets[0], 1))
        )

    # Every validation row is of the majority class, so nothing can beat the predictor that always says so.
    _, study = run(mutate=meaningless, tmp_path=tmp_path)
    result = study()
    assert result.status is StudyStatus.FAILED
    assert "no trial beats the predictor that ignores its inputs" in result.reason


def test_c4_a_time_budget_spent_in_the_first_round_still_ends_with_an_answer(tmp_path):
    class Slow(InlineRunner):
        """The first round takes until the deadline."""

        def run_round(self, plan, dataset, listen):
            limits = dataclasses.replace(plan.limits, deadline=None if plan.number == 1 else 0.0)
            early = dataclasses.replace(plan, limits=limits)
            return super().run_round(early, dataset, listen)

    _, study = run({"search": SMALL["search"] | {"time_budget_s": 3600}}, runner=Slow(), tmp_path=tmp_path)
    result = study()
    assert result.status is StudyStatus.COMPLETED
    assert result.rounds[1].trials == ()
    assert "the time budget is spent" in result.reason
    assert {f.trial_id.split("-")[0] for f in result.finalists.finalists} == {"r1"}


def test_b_a_failed_check_in_a_later_cycle_does_not_throw_away_what_was_found(tmp_path, monkeypatch):
    from search_service.recipe import step3_learning_rates, step6_repeat
    from search_service.records.finalists import Decision

    def fails_later(*arguments, cycle, **options):
        result = real(*arguments, cycle=cycle, **options)
        return result if cycle == 1 else dataclasses.replace(result, passed=False, summary="made to fail")

    real = step3_learning_rates.run
    monkeypatch.setattr(step3_learning_rates, "run", fails_later)
    again = lambda spec, cycles, *_, **__: Decision(len(cycles), len(cycles) == 2, "twice")  # noqa: E731
    monkeypatch.setattr(step6_repeat, "run", again)
    _, study = run(tmp_path=tmp_path)
    result = study()
    assert result.status is StudyStatus.COMPLETED
    assert [check.passed for check in result.checks] == [True, True, True, False]
    assert len(result.rounds) == 4


def test_b4_a_round_in_which_everything_diverges_ends_the_study(tmp_path):
    changes = {
        "trial": {"network": {"hidden_sizes": [8]}, "optimizer": {"name": "sgd", "lr": 0.1}, "batch_size": 16},
        "search_space": {"optimizer.lr": {"choices": [1e20, 1e25]}},
        "checks": {"on_fail": "warn"},
    }
    _, study = run(changes, tmp_path=tmp_path)
    result = study()
    assert result.status is StudyStatus.FAILED
    assert result.rounds[0].count(TrialStatus.DIVERGED) == 6
    assert "6 diverged" in result.reason


class Broken(InlineRunner):
    """A runner that breaks in the first round."""

    def __init__(self, error):
        self._error = error

    def run_round(self, plan, dataset, listen):
        raise self._error


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RunnerError("Ray is gone"), StudyStatus.FAILED),
        (KeyboardInterrupt(), StudyStatus.INTERRUPTED),
        (ZeroDivisionError("a bug"), StudyStatus.FAILED),
    ],
)
def test_whatever_breaks_the_record_is_finished_first(tmp_path, error, status):
    memory, study = run(runner=Broken(error), tmp_path=tmp_path)
    with pytest.raises(type(error)):
        study()
    finished = memory.of(StudyFinished)
    assert len(finished) == 1
    assert finished[0].result.status is status
    assert len(finished[0].result.checks) == 3


def test_an_interrupt_with_the_very_first_event_is_recorded_too(tmp_path):
    study = wiring.prepare(parse(SMALL))
    memory = MemoryRecorder()

    def listen(event):
        memory.record(event)
        if isinstance(event, StudyStarted):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_study(
            study.spec,
            study.table,
            InlineRunner(),
            listen,
            study_id="s",
            folder=tmp_path,
            versions={},
        )
    (finished,) = memory.of(StudyFinished)
    assert finished.result.status is StudyStatus.INTERRUPTED
    assert finished.result.checks == ()


CONDITIONAL = SMALL | {
    "search_space": {
        "optimizer.name": {"choices": ["nesterov", "adamw"]},
        "optimizer.momentum": {
            "low": 0.5,
            "high": 0.9,
            "when": {"network.depth": [1, 2], "optimizer.name": "nesterov"},
        },
        "regularization.l2": {"low": 1e-6, "high": 1e-3, "log": True, "when": {"optimizer.name": "nesterov"}},
        "network.depth": {"low": 1, "high": 3},
        "network.width": {"low": 4, "high": 32, "log": True},
    },
    "search": {
        "coarse": {"max_trials": 12, "max_epochs": 4},
        "refined": {"max_trials": 6, "max_epochs": 6},
        "population_size": 2,
        "max_cycles": 2,
        "points_to_evaluate": [
            {"network.hidden_sizes": [7, 5], "optimizer.name": "nesterov", "regularization.l2": 1e-5},
            {"network.width": 9, "optimizer.lr": 0.02},
        ],
    },
}


@pytest.fixture(scope="module")
def conditional(tmp_path_factory):
    _, study = run(CONDITIONAL, tmp_path=tmp_path_factory.mktemp("conditional"))
    return study()


def test_c1_conditions_and_widths_hold_in_every_trial_of_a_study(conditional):
    result = conditional
    assert result.status is StudyStatus.COMPLETED
    trials = [trial for done in result.rounds for trial in done.trials]
    for trial in trials:
        config, values = trial.config, trial.values
        nesterov = config.optimizer.name == "nesterov"
        assert ("regularization.l2" in values) == nesterov
        # Where it is not searched it is the config's own, 0, whatever the best configuration so far has.
        assert (config.regularization.l2 > 0) == nesterov
        assert ("optimizer.momentum" in values) == (nesterov and values["network.depth"] < 3)
        assert not nesterov or "optimizer.momentum" in values or config.optimizer.momentum == 0.9
        widths = [values[f"network.width_{i}"] for i in range(1, int(values["network.depth"]) + 1)]
        assert list(config.network.hidden_sizes) == widths
        assert f"network.width_{len(widths) + 1}" not in values
    assert len({trial.config.network.hidden_sizes for trial in trials}) > 5
    coarse = result.rounds[0]
    # One layer of 8 is trial 0; of another structure, the points come in cohorts of their own.
    assert coarse.trials[0].config.network.hidden_sizes == (8,)
    first = next(trial for trial in coarse.trials if trial.config.network.hidden_sizes == (7, 5))
    assert (first.config.optimizer.name, first.config.regularization.l2) == ("nesterov", 1e-5)
    assert any(set(trial.config.network.hidden_sizes) == {9} for trial in coarse.trials[:6])


def test_c1_what_mattered_and_the_pictures_take_leaves_that_some_trials_do_not_have(conditional):
    rounds = conditional.rounds
    assert set(importance(rounds[0]).shares) == set(rounds[0].plan.space)
    for draw in (search_map.draw, slices.draw, parallel.draw):
        assert draw(rounds).axes


@pytest.mark.parametrize("sampler", ["grid", "quasi_random"])
def test_c1_conditions_under_other_samplers_and_after_a_kill(sampler, tmp_path):
    search = CONDITIONAL["search"] | {"sampler": sampler, "max_cycles": 1}
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    _, study = run(CONDITIONAL | {"search": search}, tmp_path=whole)
    expected = study().rounds[0]
    shutil.copytree(whole, cut)
    # As a process left it that was killed after the first cohorts of the first round.
    (cut / "ended.json").unlink()
    (cut / "round-1" / "ended.json").unlink()
    for name, kept in (("asked", 6), ("told", 4)):
        path = cut / "round-1" / f"{name}.jsonl"
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:kept]))
    for merging in ("paused", "merged"):
        (cut / "round-1" / f"{merging}.jsonl").unlink(missing_ok=True)
    for later in ("round-2", "done/decision-1.json", "done/finalists.json"):
        shutil.rmtree(cut / later, ignore_errors=True) if (cut / later).is_dir() else (cut / later).unlink()
    _, study = run(CONDITIONAL | {"search": search}, tmp_path=cut)
    again = study().rounds[0]
    assert [trial.values for trial in again.trials] == [trial.values for trial in expected.trials]
