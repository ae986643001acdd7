"""D6: plan.json guards a round, in today's form and in that of earlier versions."""

from __future__ import annotations

import dataclasses
import json

import pytest

from search_service.errors import RunnerError
from search_service.runners import plan_file
from search_service.runners.inline import InlineRunner
from search_service.space.ranges import Choices, NumericRange
from tests.plans import make_plan, plain

SPACE = {"optimizer.lr": NumericRange(1e-3, 1e-1, log=True), "network.hidden_sizes": Choices(((16,), (8, 8)))}
# As it was written before plan.json had a version.
VERSION_1 = {
    "number": 1,
    "step": 4,
    "cycle": 1,
    "space": {
        "optimizer.lr": {"low": 0.001, "high": 0.1, "log": True, "step": None, "integer": False, "when": []},
        "network.hidden_sizes": {"choices": [[16], [8, 8]], "when": []},
    },
    "base": plain().to_plain(),
    "first": [{"optimizer.lr": 0.01, "network.hidden_sizes": [16]}],
    "metric": "accuracy",
    "max_trials": 6,
    "max_epochs": 4,
    "early_stopping": True,
    "grace_period": 1,
    "reduction_factor": 2.4,
    "rung_spacing": 2.0,
    "standing": 0.5,
    "sampler": "random",
    "population_size": 2,
    "seed": 0,
    "past": [],
    "target": None,
    "best_before": None,
    "epochs_left": None,
    "patience_trials": None,
    "patience_minutes": None,
    "brackets": 1,
}


def todays(folder, **changes):
    """The plan that ``VERSION_1`` is."""
    settings = {
        "space": SPACE,
        "base": plain(),
        "first": ({"optimizer.lr": 0.01, "network.hidden_sizes": (16,)},),
        "max_trials": 6,
        "max_epochs": 4,
        "grace_period": 1,
        "reduction_factor": 2.4,
        "rung_spacing": 2.0,
        "standing": 0.5,
        "population_size": 2,
    }
    return make_plan(folder, **(settings | changes))


def write(folder, **changes):
    (folder / "plan.json").write_text(json.dumps(VERSION_1 | changes))


def test_d6_what_is_written_is_read_and_the_same(tmp_path):
    plan = todays(tmp_path)
    plan_file.require_same(plan)
    assert plan_file.read(tmp_path / "plan.json") == plan_file.describe(plan)
    plan_file.require_same(plan)


def test_d6_a_plan_of_version_1_is_that_of_today(tmp_path):
    write(tmp_path)
    plan_file.require_same(todays(tmp_path))
    assert plan_file.read(tmp_path / "plan.json") == plan_file.describe(todays(tmp_path))
    write(tmp_path, early_stopping=False)
    plan_file.require_same(todays(tmp_path, early_stopping=False))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"max_epochs": 8}, "limits.max_epochs"),
        ({"standing": None}, "asha.standing"),
        ({"sampler": "tpe"}, "sampling.sampler"),
        ({"seed": 1}, "seed"),
        ({"space": {}}, "space"),
        ({"early_stopping": False}, "asha.brackets, asha.grace_period"),
    ],
)
@pytest.mark.parametrize("version", [1, 2])
def test_d6_a_round_that_would_do_something_else_does_not_go_on(version, changes, named, tmp_path):
    if version == 1:
        write(tmp_path)
    else:
        plan_file.require_same(todays(tmp_path))
    with pytest.raises(RunnerError, match=f"its {named}"):
        plan_file.require_same(todays(tmp_path, **changes))


def test_d6_where_and_how_a_round_is_run_may_change(tmp_path):
    plan_file.require_same(todays(tmp_path))
    before = (tmp_path / "plan.json").read_text()
    plan_file.require_same(todays(tmp_path, deadline=1.0, max_concurrent_trials=3, stop_file=tmp_path / "stop"))
    assert (tmp_path / "plan.json").read_text() == before


def test_d6_a_plan_of_a_later_version_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "plan.json").write_text('{"version": 99}')
    with pytest.raises(RunnerError, match="written by a later version"):
        plan_file.require_same(todays(tmp_path))


def test_d6_a_round_of_version_1_goes_on_to_the_same_end(digits, tmp_path):
    whole = InlineRunner().run_round(todays(tmp_path / "whole"), digits[0], lambda event: None)

    def interrupt(event):
        if getattr(event, "trial", None) is not None:
            raise KeyboardInterrupt

    cut = todays(tmp_path / "cut")
    with pytest.raises(KeyboardInterrupt):
        InlineRunner().run_round(cut, digits[0], interrupt)
    write(cut.folder)
    again = InlineRunner().run_round(cut, digits[0], lambda event: None)
    assert again.trials == whole.trials
    assert dataclasses.asdict(again.plan) | {"folder": ""} == dataclasses.asdict(whole.plan) | {"folder": ""}
