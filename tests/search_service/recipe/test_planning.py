"""C5: what a study would do, against a calculation by hand and against what studies then do."""

from __future__ import annotations

import json
import re
import sys

import pytest

from search_service import wiring
from search_service.cli import commands as cli
from search_service.recipe import pace
from search_service.recipe.costs import Costs
from search_service.recipe.planned_rounds import expected_epochs
from search_service.recipe.planning import Around, duration, plan
from search_service.runners.inline import InlineRunner
from search_service.spec.study_spec import parse
from search_service.study import run_study
from tests.conftest import REPOSITORY

SPEC = {
    "name": "planned",
    "data": {"source": "wine"},
    "trial": {"network": {"hidden_sizes": [8]}, "optimizer": {"lr": 0.01}, "batch_size": 16},
    "search": {
        "coarse": {"max_trials": 9, "max_epochs": 9},
        "refined": {"max_trials": 6, "max_epochs": 27},
        "max_cycles": 2,
        "reduction_factor": 3,
        "rung_spacing": 3,
    },
    "finalists": {"top": 2, "seeds": 3, "folds": 2},
}


def test_c5_trials_epochs_and_trainings_by_hand():
    planned = plan(parse(SPEC), concurrency=1)
    coarse, refined = planned.rounds
    assert (coarse.rungs, refined.rungs) == ((3,), (3, 9))
    # 9 trials to epoch 3, a third of them to 9; 6 trials to 3, 2 to 9 and two thirds of one to 27.
    assert coarse.epochs_expected == pytest.approx(9 * 3 + 3 * 6)
    assert refined.epochs_expected == pytest.approx(6 * 3 + 2 * 6 + 2 / 3 * 18)
    assert (coarse.epochs_at_most, refined.epochs_at_most) == (81, 162)
    assert (planned.trials_at_most, planned.epochs_at_most) == (30, 486)
    # 2 configurations × 3 seeds, on the study's own division and on 2 folds.
    assert planned.finalists.trainings == 18
    assert planned.seconds_expected is None


def test_c5_without_early_stopping_nothing_is_saved():
    spec = parse(SPEC | {"search": SPEC["search"] | {"early_stopping": False}})
    planned = plan(spec, concurrency=1)
    assert planned.rounds[1].rungs == ()
    assert planned.epochs_expected == planned.epochs_at_most / 2 == 243


def test_c5_the_formula_is_the_mean_over_trials_that_survive_by_lot():
    """η = 2 and rungs at 2 and 4 of 8 epochs: half the trials train 2 epochs, a quarter 4, a quarter 8."""
    assert expected_epochs((2, 4), 8, 2.0) == 0.5 * 2 + 0.25 * 4 + 0.25 * 8


COSTS = Costs(epoch=0.5, network_epoch=0.2, single_epoch=0.3, baselines=8.0, slots=2)
AROUND = Around(start=10.0, checks=5.0, workers=6.0, end=4.0)


def test_c5_seconds_by_hand_part_by_part():
    spec = parse(SPEC | {"search": SPEC["search"] | {"noise_seeds": 2}, "model": {"average": "none"}})
    planned = plan(spec, concurrency=2, costs=COSTS, around=AROUND)
    # The epochs of the rounds by hand are above: 45 and 42.
    rounds, epochs = 6.0 + (45 + 42) * 0.5, 27
    noise = 2 * epochs * 0.2 / 2
    assert planned.parts == pytest.approx(
        {
            "start": 10.0,
            "checks": 5.0,
            "rounds": rounds,
            # Half of: checks, rounds whose workers are there, the noise.
            "second cycle": 0.5 * (5.0 + (45 + 42) * 0.5 + noise),
            # 2 × 3 networks on 3 divisions, of which a worker waits 15 % of the time.
            "finalists": 1.15 * 18 * epochs * 0.2 / 2,
            # Three networks for six tenths of the epochs on two workers, then one alone.
            "refit": 3 * 0.6 * epochs * 0.2 / 2 + epochs * 0.3,
            "baselines": 8.0 / 2,
            "report": 4.0,
        }
    )
    assert planned.seconds_expected == pytest.approx(sum(planned.parts.values()))
    at_most = sum(planned.parts.values()) - planned.parts["second cycle"] - (45 + 42) * 0.5 + (81 + 162) * 0.5
    assert planned.seconds_at_most == pytest.approx(at_most + 5.0 + 6.0 + (81 + 162) * 0.5 + noise)


def test_c5_what_is_not_asked_for_takes_no_time():
    changes = {"finalists": {"top": 1, "seeds": 2, "baselines": False}, "model": {"refit": False}}
    spec = parse(SPEC | changes | {"search": SPEC["search"] | {"max_cycles": 1}})
    parts = plan(spec, concurrency=2, costs=COSTS, around=AROUND).parts
    assert list(parts) == ["start", "checks", "rounds", "finalists", "report"]


def test_c5_under_a_time_budget_the_search_has_what_the_rest_leaves_of_it():
    free = plan(parse(SPEC), concurrency=2, costs=COSTS, around=AROUND)
    rest = {name: seconds for name, seconds in free.parts.items() if name not in ("rounds", "second cycle")}
    budget = sum(rest.values()) + 10
    spec = parse(SPEC | {"search": SPEC["search"] | {"time_budget_s": budget}})
    planned = plan(spec, concurrency=2, costs=COSTS, around=AROUND)
    assert planned.parts == rest | {"rounds": pytest.approx(10)}
    assert planned.seconds_expected == pytest.approx(budget)
    assert planned.seconds_at_most == pytest.approx(budget)


def test_21_a_plan_says_what_a_time_budget_has_no_time_for(called, tmp_path, monkeypatch):
    # Whatever machine this is.
    monkeypatch.setattr(pace, "before_rounds", lambda *measured: COSTS)
    config = {**SPEC, "search": SPEC["search"] | {"coarse": {"max_trials": 5000}, "refined": {"max_trials": 5000}}}
    (tmp_path / "large.yaml").write_text(json.dumps(config))
    shown = called("plan", "large.yaml", "--set", "search.time_budget_s=150", "--runner", "inline").stdout
    said = " ".join(shown.split())
    # On a machine that is busy while it starts, there is no time for as many epochs, either.
    left_out = r"The time budget of 150 s bounds all of it; for want of time: (\d+ instead of 27 epochs; )?about \d+ "
    assert re.search(left_out + "instead of 5000 coarse trials", said)
    as_json = called("plan", "large.yaml", "--set", "search.time_budget_s=150", "--runner", "inline", "--json").stdout
    assert 75 < json.loads(as_json)["seconds_expected"] <= 150.1


def test_c5_an_average_of_networks_is_trained_once_more_as_a_whole():
    averaged, alone = (
        plan(parse(SPEC | {"model": {"average": many}}), concurrency=2, costs=COSTS, around=AROUND)
        for many in ("auto", "none")
    )
    assert averaged.parts["refit"] - alone.parts["refit"] == pytest.approx(27 * (5 * 0.2 / 2 - 0.3))


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.2, "about a second"),
        (3.4, "about 3 seconds"),
        (47, "about 50 seconds"),
        (260, "about 4 minutes"),
        (3600, "about 60 minutes"),
        (9100, "about 2.5 hours"),
    ],
)
def test_c5_times_are_rounded_to_what_an_estimate_knows(seconds, said):
    assert duration(seconds) == said


def test_c5_a_study_never_does_more_than_planned(tmp_path):
    small = {"coarse": {"max_trials": 5, "max_epochs": 4}, "refined": {"max_trials": 4, "max_epochs": 6}}
    spec = parse(SPEC | {"search": small | {"max_cycles": 2}, "finalists": {"top": 2, "seeds": 2}})
    planned = plan(spec, concurrency=1)
    study = wiring.prepare(spec)
    result = run_study(
        spec, study.table, InlineRunner(), lambda event: None, study_id="s", folder=tmp_path, versions={}
    )
    trials = [trial for done in result.rounds for trial in done.trials]
    assert len(trials) <= planned.trials_at_most
    assert sum(trial.epochs for trial in trials) <= planned.epochs_at_most
    for done, round_ in zip(result.rounds, planned.rounds * 2, strict=False):
        assert len(done.trials) == round_.trials
        assert {trial.epochs for trial in done.trials} <= {*round_.rungs, round_.epochs}
    assert sum(len(finalist.curves) for finalist in result.finalists.finalists) == planned.finalists.trainings
    assert planned.finalists.refit
    assert result.finalists.refit.epochs <= planned.finalists.epochs
    assert {len(curve) for f in result.finalists.finalists for curve in f.curves} == {planned.finalists.epochs}


def shown(monkeypatch, capsys, *options) -> str:
    config = str(REPOSITORY / "configs" / "04_csv.yaml")
    monkeypatch.setattr(sys, "argv", ["search-service", "plan", config, *options])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert not stop.value.code
    return capsys.readouterr().out


def test_c5_a_person_sees_rounds_totals_and_a_time_and_nothing_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    out = shown(monkeypatch, capsys, "--set", "search.max_cycles=2", "--set", "search.sampler=random",
                "--set", "search.max_total_epochs=500", "--set", "search.rung_spacing=3",
                "--set", "search.reduction_factor=3")  # fmt: skip
    for words in (
        "coarse search, random",
        "3, 9",
        "finalists: 2 × 5 seeds",
        "model: about 5 networks",
        "At most 40 trials: 20 in each of 2 cycles.",
        "about 116 in one cycle, if one trial in 3 goes on at each rung",
        "network.hidden_sizes [16] | [32, 32] | [64, 64]",
        "at most 648 epochs",
        "No trial is started after 500 in total.",
        "From the command to its last line: about ",
        "By part: start ",
    ):
        assert words in " ".join(out.split()), words
    assert list(tmp_path.iterdir()) == []
    assert "since none is stopped early" in shown(monkeypatch, capsys, "--set", "search.early_stopping=false")


def test_c5_a_program_gets_one_document(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    document = json.loads(shown(monkeypatch, capsys, "--json", "--runner", "inline"))
    assert document["trials_at_most"] == 20
    assert (document["finalists"]["trainings"], document["finalists"]["refit"]) == (10, True)
    assert document["concurrency"] == 1
    assert 0 < document["seconds_expected"] <= document["seconds_at_most"]
    assert list(tmp_path.iterdir()) == []
