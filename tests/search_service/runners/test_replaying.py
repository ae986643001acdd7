"""C7: a study trained again from its record gives the same bits, and what does not is said."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import pytest

from search_service import wiring
from search_service.cli import commands as cli
from search_service.errors import DataError
from search_service.folder import journals
from search_service.folder.study_folder import StudyFolder
from search_service.records.events import TrialFinished
from search_service.records.rounds import TrialStatus
from search_service.runners import replaying
from search_service.runners.inline import InlineRunner
from search_service.settings import Settings
from search_service.space.ranges import NumericRange
from search_service.spec.study_spec import parse
from tests.plans import make_plan

SPEC = {
    "name": "again",
    "data": {"source": "wine"},
    "trial": {"network": {"hidden_sizes": [8], "dropout": 0.2}, "optimizer": {"name": "sgd", "lr": 0.1}},
    "search_space": {
        "optimizer.lr": {"choices": [0.03, 0.1, 0.3]},
        "network.dropout": {"low": 0.1, "high": 0.4},
        # The last diverges.
        "regularization.l2": {"choices": [0.0, 1e-4, 1e-3, 1e25]},
    },
    "search": {
        "sampler": "random",
        "coarse": {"max_trials": 15, "max_epochs": 4},
        "refined": {"max_trials": 4, "max_epochs": 6},
        "grace_period": 2,
        "population_size": 3,
        "max_cycles": 1,
    },
    "finalists": {"top": 1, "seeds": 1, "baselines": False},
    "model": {"register": False},
}


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def study(home):
    return wiring.run(wiring.prepare(parse(SPEC)), settings=Settings(home=home), runner="inline").result


def replay(home, study, **options):
    return wiring.replay(study.study_id, settings=Settings(home=home), **options)


def test_c7_every_trial_has_the_same_bits_whatever_ended_it(home, study):
    trials = [trial for done in study.rounds for trial in done.trials]
    # Members left their cohorts at different epochs for different reasons, under dropout.
    assert {t.status for t in trials} == {TrialStatus.COMPLETED, TrialStatus.PRUNED, TrialStatus.DIVERGED}
    heard = []
    found = replay(home, study, tolerance=0.0, listen=heard.append)
    assert found.agrees
    assert found.largest == 0.0
    assert sorted((t.trial_id, t.epochs) for t in found.trials) == [(t.trial_id, t.epochs) for t in trials]
    # Some went on with what was left of other cohorts.
    merged = home.joinpath("studies", study.study_id, "round-1", "merged.jsonl").read_text()
    assert any(len(json.loads(line)["of"]) > 1 for line in merged.splitlines())
    assert heard == list(found.trials)
    assert found.versions == {}


def test_c7_some_trials_alone_are_trained_in_their_cohorts(home, study):
    found = replay(home, study, trials=["r1-004", "r2-000"], tolerance=0.0)
    assert [trial.trial_id for trial in found.trials] == ["r1-004", "r2-000"]
    assert found.agrees


@pytest.mark.parametrize("dies_at", [1, 2, 3])
def test_c7_d6_a_round_that_was_cut_short_goes_on_bit_for_bit_with_whoever_was_merged(digits, tmp_path, dies_at):
    """The process dies as the first of a merged cohort ends, or as a cohort has just been paused, or merged."""
    space = {"optimizer.lr": NumericRange(1e-4, 1e-1, log=True), "network.dropout": NumericRange(0.1, 0.4)}
    changes = {"space": space, "population_size": 4, "max_trials": 32, "max_epochs": 9, "grace_period": 1}
    plan = make_plan(tmp_path / "round-1", **changes)
    written = Counter()

    def die(event):
        merged = plan.folder / "merged.jsonl"
        if isinstance(event, TrialFinished) and event.trial.epochs > 1 and merged.exists():
            written["told"] += 1
            if written["told"] == dies_at:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        InlineRunner().run_round(plan, digits[0], die)
    before = journals.read(plan.folder / "told.jsonl")
    result = InlineRunner().run_round(plan, digits[0], lambda event: None)
    assert len(before) < len(result.trials) == 32
    calm = InlineRunner().run_round(make_plan(tmp_path / "calm", **changes), digits[0], lambda event: None)
    assert [(t.trial_id, t.status, t.curve) for t in result.trials] == [
        (t.trial_id, t.status, t.curve) for t in calm.trials
    ]
    for name in ("asked", "rungs", "paused", "merged"):
        one, other = (journals.read(folder / f"{name}.jsonl") for folder in (plan.folder, tmp_path / "calm"))
        for entry in (*one, *other):
            entry.pop("times", None)
        assert one == other, name
    assert not (plan.folder / "paused").exists()
    found = list(replaying.replay(StudyFolder(tmp_path), digits[0]))
    assert sorted(trial.trial_id for trial in found) == [trial.trial_id for trial in result.trials]
    assert {trial.difference for trial in found} == {0.0}


@pytest.fixture
def told(home, study):
    """The journal of round 1, put back after a test that changes it."""
    path = home / "studies" / study.study_id / "round-1" / "told.jsonl"
    before = path.read_text()
    yield path
    path.write_text(before)


def forge(path: Path, trial: str, epoch: int, name: str, factor: float) -> None:
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    for entry in entries:
        if entry["trial"] == trial:
            entry["curve"][epoch - 1][name] *= factor
            # Whoever forges a journal forges its checksum.
            del entry["crc"]
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))


def test_c7_a_number_that_is_not_what_was_trained_is_found(home, study, told):
    trial = next(t for t in study.rounds[0].trials if t.status is TrialStatus.COMPLETED)
    forge(told, trial.trial_id, 3, "validation_score", 0.5)
    score = trial.curve[2].validation_score
    found = replay(home, study)
    assert not found.agrees
    (differing,) = [t for t in found.trials if t.difference]
    assert (differing.trial_id, differing.where) == (trial.trial_id, "validation_score in epoch 3")
    assert differing.difference == found.largest == pytest.approx(score / 2)
    assert replay(home, study, tolerance=1.0).agrees


def test_c7_versions_that_differ_are_named(home, study):
    path = home / "studies" / study.study_id / "study.json"
    before = path.read_text()
    content = json.loads(before)
    now = content["versions"]["torch"]
    path.write_text(json.dumps(content | {"versions": content["versions"] | {"torch": "1.0"}}))
    assert replay(home, study, trials=["r1-000"]).versions == {"torch": ("1.0", now)}
    path.write_text(before)


def test_c7_other_data_and_unknown_names_are_refused(home, study):
    with pytest.raises(DataError, match="a trial of this study that has ended"):
        replay(home, study, trials=["r9-000"])
    with pytest.raises(DataError, match="a study under"):
        wiring.replay("nothing", settings=Settings(home=home))
    path = home / "studies" / study.study_id / "spec.json"
    before = path.read_text()
    path.write_text(json.dumps(json.loads(before) | {"data": {"source": "wine", "split_seed": 1}}))
    with pytest.raises(DataError, match="the table that study again-.* began with"):
        replay(home, study)
    path.write_text(before)


def shown(monkeypatch, capsys, *arguments) -> tuple[int | None, str]:
    monkeypatch.setattr(sys, "argv", ["search-service", "replay", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code, capsys.readouterr().out


def test_c7_the_command_says_it_for_people_and_programs(home, study, told, monkeypatch, capsys):
    code, out = shown(monkeypatch, capsys, study.study_id, "--home", home)
    assert not code
    assert "r1-000  ✓" in out
    assert "19 of 19 trials gave the same numbers, bit for bit." in out
    trial = next(t for t in study.rounds[0].trials if t.status is TrialStatus.COMPLETED)
    forge(told, trial.trial_id, 1, "train_loss", 1.5)
    code, out = shown(monkeypatch, capsys, study.study_id, "--home", home, "--trials", trial.trial_id)
    assert code == 3
    assert "(train_loss in epoch 1)" in out
    assert "do NOT all agree within a tolerance of 1e-06" in out
    code, out = shown(monkeypatch, capsys, study.study_id, "--home", home, "--json", "--trials", trial.trial_id)
    document = json.loads(out)
    assert code == 3
    assert not document["agrees"]
    assert document["trials"][0]["where"] == "train_loss in epoch 1"
