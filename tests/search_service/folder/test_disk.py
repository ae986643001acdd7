"""E1: a full disk pauses a study: no trial has failed, and with room again it ends as if nothing had been."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from search_service import wiring
from search_service.errors import NoRoomError
from search_service.folder import disk
from search_service.records.results import StudyStatus
from search_service.records.rounds import TrialStatus
from search_service.runners.inline import InlineRunner
from search_service.settings import Settings
from search_service.spec.study_spec import parse
from tests.plans import make_plan

# Linux's own device on which no byte finds room.
FULL = Path("/dev/full")
SPEC = {
    "name": "full",
    "data": {"source": "wine"},
    "trial": {"network": {"hidden_sizes": [8]}, "optimizer": {"lr": 0.01}, "batch_size": 16},
    "search_space": {"optimizer.weight_decay": {"low": 1e-3, "high": 1.0, "log": True}},
    "search": {
        "sampler": "random",
        "coarse": {"max_trials": 6, "max_epochs": 4},
        "refined": {"max_trials": 4, "max_epochs": 6},
        "max_cycles": 1,
    },
    "finalists": {"top": 1, "seeds": 2, "baselines": False},
    "model": {"register": False},
}


def test_e1_a_study_on_a_full_disk_is_paused_and_goes_on_with_room_again(tmp_path):
    settings = Settings(home=tmp_path / "home")
    told: list[Path] = []

    def fill(event):
        # No room for the end of a trial, from the third on.
        for path in settings.home.glob("studies/*/round-1/told.jsonl"):
            if not told and len(path.read_bytes().splitlines()) == 2:
                told.append(path.rename(path.with_name("so far")))
                path.symlink_to(FULL)

    with pytest.raises(NoRoomError, match=r"no space is left .* go on with: search-service run --study full-"):
        wiring.run(wiring.prepare(parse(SPEC)), settings=settings, runner="inline", listeners=[fill])
    path = told[0].with_name("told.jsonl")
    path.unlink()
    told[0].rename(path)
    study = wiring.prepare_again(path.parent.parent.name, settings=settings)
    finished = wiring.run(study, settings=settings, runner="inline")
    result = finished.result
    assert result.status is StudyStatus.COMPLETED
    # Also of a study that is started from Python.
    assert json.loads((path.parent.parent / "result.json").read_text())["places"] == finished.places
    assert [len(done.trials) for done in result.rounds] == [6, 4]
    assert all(done.count(TrialStatus.FAILED) == 0 for done in result.rounds)


def test_e1_a_cohort_that_cannot_be_saved_has_not_failed(digits, tmp_path, monkeypatch):
    changes = {"population_size": 4, "max_trials": 32, "max_epochs": 9, "grace_period": 1}
    plan = make_plan(tmp_path / "full", **changes)
    with monkeypatch.context() as patch:
        # Each file of a checkpoint goes to the device that is always full.
        patch.setattr(Path, "write_bytes", lambda path, content: FULL.open("wb", buffering=0).write(content))
        with pytest.raises(OSError, match="No space left") as full:
            InlineRunner().run_round(plan, digits[0], lambda event: None)
    assert disk.is_full(full.value)
    assert not list((plan.folder / "paused").iterdir())
    again = InlineRunner().run_round(plan, digits[0], lambda event: None)
    calm = InlineRunner().run_round(make_plan(tmp_path / "calm", **changes), digits[0], lambda event: None)
    assert [(t.status, t.curve) for t in again.trials] == [(t.status, t.curve) for t in calm.trials]


def test_e1_too_little_room_is_said_before_anything_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "LEAST_FREE", 2**62)
    with pytest.raises(NoRoomError, match=r"MB of free space, and a study needs at least \d+ MB: free some"):
        wiring.run(wiring.prepare(parse(SPEC)), settings=Settings(home=tmp_path), runner="inline")
    assert list(tmp_path.iterdir()) == []


def test_e1_only_a_full_disk_is_called_one(tmp_path):
    assert disk.has_room(tmp_path)
    assert disk.is_full(OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)))
    assert not disk.is_full(OSError(errno.EACCES, os.strerror(errno.EACCES)))
    assert not disk.is_full(RuntimeError("No space left on device"))
