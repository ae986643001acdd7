"""E3: a study sizes itself by its minutes while it runs, ends in time, and decides nothing twice."""

from __future__ import annotations

import dataclasses
import json
import shutil
import time

import pytest

from search_service import wiring
from search_service.errors import CheckFailedError
from search_service.folder.study_folder import StudyFolder
from search_service.recipe import pace
from search_service.recipe.clock import Clock, Minutes, MinutesClock, Sized
from search_service.recipe.costs import Costs
from search_service.recipe.more_clock import clock_for
from search_service.recipe.rounds import Place
from search_service.records.results import StudyStatus
from search_service.records.rounds import RoundResult, TrialResult, TrialStatus
from search_service.runners.inline import InlineRunner
from search_service.settings import Settings
from search_service.spec.study_spec import parse
from search_service.study import run_study
from tests.plans import make_plan, plain
from trainables.records import EpochPoint

MINUTES = 0.15
SPEC = {
    "name": "short",
    "data": {"source": "wine"},
    "trial": {"network": {"hidden_sizes": [8]}, "optimizer": {"lr": 0.01}, "batch_size": 16},
    "search_space": {"optimizer.weight_decay": {"low": 1e-3, "high": 1.0, "log": True}},
    "search": {"minutes": MINUTES},
    "finalists": {"baselines": False},
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def study():
    return wiring.prepare(parse(SPEC))


@pytest.fixture(scope="module")
def finished(study, home):
    started = time.monotonic()
    done = wiring.run(study, settings=Settings(home=home), runner="inline", record=False)
    return done, time.monotonic() - started


def decisions(folder) -> dict[str, object]:
    return {path.name: json.loads(path.read_text()) for path in (folder / "done").glob("minutes-*")}


def test_e3_a_study_with_minutes_uses_them_and_ends_with_a_model(finished):
    done, seconds = finished
    assert done.result.status is StudyStatus.COMPLETED, done.result.reason
    assert "model" in done.places
    # How busy the machine is meanwhile is another matter: against hanging only.
    assert seconds < 60 * MINUTES + 120
    assert len(done.result.rounds) >= 2
    final = done.result.finalists
    assert len(final.winner.seeds) >= 2
    assert final.refit is None or final.refit.epochs <= len(final.winner.curves[0])


def test_e3_what_was_decided_by_the_clock_stands_in_the_folder_and_is_said(finished, home):
    done, _ = finished
    folder = home / "studies" / done.result.study_id
    written = decisions(folder)
    assert {"minutes-1.json", "minutes-2.json", "minutes-last-act.json", "minutes-seeds-1.json"} <= written.keys()
    for number, result in enumerate(done.result.rounds, start=1):
        sized = StudyFolder(folder).read(f"minutes-{number}", Sized)
        round_ = sized.sizing.coarse if number % 2 else sized.sizing.refined
        assert result.plan.limits.max_trials == round_.most_trials
        assert result.plan.limits.max_epochs == round_.epochs
    events = [json.loads(line) for line in (folder / "events.jsonl").open()]
    said = [event["decided"] for event in events if event["type"] == "round_started"]
    assert all(any("minutes" in sentence for sentence in sentences) for sentences in said)


def test_d6_a_study_that_goes_on_decides_nothing_anew_however_quick_the_machine_is_now(study, finished, home, tmp_path):
    """Everything after the search is lost, and no second is left: finalists, seeds and refit are those of before."""
    before = finished[0].result
    folder = tmp_path / "studies" / before.study_id
    shutil.copytree(home / "studies" / before.study_id, folder)
    for name in ("ended.json", "result.json", "winner.pt", "refit.pt", "done/finalists.json", "done/model.json"):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / "model")
    (folder / "elapsed.json").write_text('{"seconds": 100000}')
    written = decisions(folder)
    again = wiring.prepare_again(before.study_id, settings=Settings(home=tmp_path))
    after = wiring.run(again, settings=Settings(home=tmp_path), runner="inline", record=False).result
    assert decisions(folder) == written
    assert [len(done.trials) for done in after.rounds] == [len(done.trials) for done in before.rounds]
    assert after.finalists.winner.seeds == before.finalists.winner.seeds
    assert after.finalists.winner.scores == before.finalists.winner.scores
    assert (after.finalists.refit is None) == (before.finalists.refit is None)
    assert after.decisions == before.decisions


def test_d3_the_record_of_a_study_with_minutes_is_completed_afterwards(finished, home, tmp_path):
    """Its rounds were planned by the clock, and sync planned them by the config: it was told to start a new study."""
    before = finished[0].result
    shutil.copytree(home / "studies" / before.study_id, tmp_path / "studies" / before.study_id)
    done = wiring.sync(before.study_id, settings=Settings(home=tmp_path))
    assert done.backlog.is_complete
    assert [each.trials for each in done.result.rounds] == [each.trials for each in before.rounds]
    assert done.result.decisions == before.decisions


def test_d3_of_a_study_that_is_over_nothing_is_decided_any_more(study, tmp_path):
    """It had failed, with minutes too few; told again on a quicker machine it was searched after all."""
    files = StudyFolder(tmp_path)
    files.end(StudyStatus.FAILED, "search.minutes: 1 are too few")
    clock = MinutesClock(study.spec, Minutes(seconds=600.0, began_at=time.monotonic()), files)
    with pytest.raises(CheckFailedError, match="^search.minutes: 1 are too few$"):
        clock.coarse(place_for(study, tmp_path), study.spec.space())


def place_for(study, folder) -> Place:
    return Place(study.spec, study.dataset, InlineRunner(), lambda event: None, folder, None)


def test_d6_a_round_that_was_sized_keeps_its_size_in_another_process(study, tmp_path):
    files, space = StudyFolder(tmp_path), study.spec.space()
    minutes = Minutes(seconds=60.0, began_at=time.monotonic())
    first = MinutesClock(study.spec, minutes, files).coarse(place_for(study, tmp_path), space)
    # An hour later, with an hour behind it.
    late = dataclasses.replace(minutes, began_at=time.monotonic() - 3600)
    again = MinutesClock(study.spec, late, files).coarse(place_for(study, tmp_path), space)
    assert again.spec == first.spec
    assert again.sentences == first.sentences
    # What is left for it is another matter.
    assert again.deadline < time.monotonic() < first.deadline


@pytest.mark.parametrize(("left_s", "top", "epochs"), [(1e6, 3, 40), (0.0, 1, 4)])
def test_e3_the_last_act_costs_what_those_cost_who_will_be_trained_again(
    study, tmp_path, monkeypatch, left_s, top, epochs
):
    """The best of all is small and was trained for 4 epochs: alone, it is a finalist for little."""

    def trial(number, config, score, epochs):
        curve = tuple(EpochPoint(epoch, 0.1, 0.1, score) for epoch in range(1, epochs + 1))
        return TrialResult(f"r1-{number:03d}", number, config, {}, TrialStatus.COMPLETED, "", curve, "accuracy")

    small, large = plain(), plain().replace({"network.hidden_sizes": (256, 256)})
    best = trial(0, small, 0.99, 4)
    trials = (best, *(trial(n, large.replace({"optimizer.lr": n / 100}), 0.9, 40) for n in (1, 2, 3)))
    done = RoundResult(make_plan(tmp_path), trials, "", 10.0)
    place = dataclasses.replace(place_for(study, tmp_path), rounds=[done])
    minutes = Minutes(seconds=600.0, began_at=time.monotonic())
    clock = MinutesClock(study.spec, minutes, StudyFolder(tmp_path))
    monkeypatch.setattr(clock, "_left", lambda place: left_s)
    after, _ = clock.last_act(place)
    sized = StudyFolder(tmp_path).read("minutes-last-act", Sized)
    assert (after.spec.finalists.top, sized.sizing.last.top, sized.sizing.last.epochs) == (top, top, epochs)
    of_best = pace.after_round(study.spec, study.dataset, done, [best], 1)
    if top == 1:
        assert sized.costs.network_epoch == of_best.network_epoch
    else:
        assert sized.costs.network_epoch > 2 * of_best.network_epoch


def test_e3_without_minutes_everything_is_as_the_config_says(study, tmp_path):
    spec = parse({**SPEC, "search": {}})
    clock = clock_for(spec, None, StudyFolder(tmp_path))
    assert type(clock) is Clock
    place = dataclasses.replace(place_for(study, tmp_path), spec=spec)
    assert clock.coarse(place, spec.space()) is place
    assert clock.another_fits(place) is None
    assert clock.last_act(place)[0] is place


def test_e3_minutes_that_the_least_study_takes_many_times_are_refused_with_the_least(study, tmp_path, monkeypatch):
    slow = Costs(epoch=100.0, network_epoch=100.0, single_epoch=100.0, baselines=0.0, slots=1)
    clock = MinutesClock(study.spec, Minutes(120.0, time.monotonic()), StudyFolder(tmp_path))
    monkeypatch.setattr(clock, "_first_costs", lambda place, space: slow)
    with pytest.raises(
        CheckFailedError, match=r"search.minutes: 2 are too few for this table: .* take about \d+"
    ) as said:
        clock.coarse(place_for(study, tmp_path), study.spec.space())
    # What it says is enough, if it is given.
    least = float(str(said.value).split("take about ")[1].split(";")[0])
    enough = MinutesClock(study.spec, Minutes(60 * least, time.monotonic()), StudyFolder(tmp_path))
    monkeypatch.setattr(enough, "_first_costs", lambda place, space: slow)
    assert enough.coarse(place_for(study, tmp_path), study.spec.space()).deadline is not None


def test_e3_a_study_whose_minutes_are_over_after_the_coarse_round_goes_to_its_finalists(study, tmp_path):
    minutes = Minutes(seconds=1e-3, began_at=time.monotonic())
    result = run_study(
        study.spec, study.table, InlineRunner(), lambda event: None, study_id="late", folder=tmp_path, versions={},
        minutes=minutes,
    )  # fmt: skip
    assert result.status is StudyStatus.COMPLETED
    assert [len(done.trials) > 0 for done in result.rounds] == [True, False]
    assert len(result.finalists.finalists) == 1
    assert result.finalists.refit is None
    assert "the winner was not trained once more" in result.finalists.rule
