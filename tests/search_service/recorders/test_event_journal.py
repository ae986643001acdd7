"""D4, D6: what happened in a study, a line each, once, whichever process it was."""

from __future__ import annotations

import itertools
import json

from search_service import wiring
from search_service.folder import layout
from search_service.recorders.event_journal import EventJournal, as_entry
from search_service.records.events import ComparisonStarted, StepStarted, TrialProgressed
from search_service.runners.inline import InlineRunner
from search_service.spec.study_spec import parse
from search_service.study import run_study
from tests.search_service.test_study import SMALL


def run(folder, page=str) -> list[dict]:
    study = wiring.prepare(parse(SMALL))
    journal = EventJournal(folder, page)
    run_study(study.spec, study.table, InlineRunner(), journal.record, study_id="small-1", folder=folder, versions={})
    return lines(folder)


def lines(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / layout.EVENTS).read_text().splitlines()]


def test_a_study_is_written_down_as_it_happens(tmp_path):
    # As of a record that has the study's own run a moment after the study has begun.
    known = itertools.chain(["/#/experiments/1/runs"], itertools.repeat("/#/experiments/1/runs/2"))
    entries = run(tmp_path, page=lambda: next(known))
    kinds = [entry["type"] for entry in entries]
    assert kinds[0] == "study_started"
    assert entries[0]["page"] == "/#/experiments/1/runs"
    assert [entry["page"] for entry in entries[1:] if "page" in entry] == ["/#/experiments/1/runs/2"]
    assert "page" in entries[1]
    assert kinds[-1] == "study_finished"
    assert kinds.count("check_finished") == 3
    assert kinds.count("trial_finished") == 10
    assert kinds.index("finalists_finished") > kinds.index("cycle_decided")
    trial = next(entry for entry in entries if entry["type"] == "trial_finished")
    assert set(trial["values"]) == {"optimizer.lr", "optimizer.weight_decay"}
    assert entries == sorted(entries, key=lambda entry: entry["at"])
    assert "small: completed" in (tmp_path / layout.REPORT).read_text(encoding="utf-8")


def test_d6_a_study_that_goes_on_writes_nothing_twice(tmp_path):
    before = run(tmp_path)
    # It was killed before it was over, and while it wrote a line.
    (tmp_path / "ended.json").unlink()
    with (tmp_path / layout.EVENTS).open("a") as file:
        file.write('{"type": "trial_fin')
    after = run(tmp_path)
    assert after[: len(before)] == before
    assert [entry["type"] for entry in after[len(before) :]] == ["study_started", "study_finished"]
    assert after[len(before)]["resumed"]


def test_events_that_differ_in_anything_that_matters_are_all_written(tmp_path):
    journal = EventJournal(tmp_path)
    told = [StepStarted(4, "coarse", cycle=1), StepStarted(4, "coarse", cycle=2), TrialProgressed("r1-000", 3, 0.5)]
    told += [TrialProgressed("r1-000", 9, 0.6), TrialProgressed("r1-001", 3, float("nan"))]
    for event in told + told:
        journal.record(event)
    assert len(lines(tmp_path)) == 5
    # Strict readers know no NaN.
    assert lines(tmp_path)[-1]["score"] is None
    assert "NaN" not in (tmp_path / layout.EVENTS).read_text()


def test_what_is_of_no_study_is_not_written():
    assert as_entry(ComparisonStarted("c-1", parse(SMALL), None, {})) is None
