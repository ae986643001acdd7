"""D4: list, show, stop and cancel for the studies of a home, without a service."""

from __future__ import annotations

import json
import shutil

import pytest
from typer.testing import CliRunner

from search_service import wiring
from search_service.cli.commands import app
from search_service.client import URL
from search_service.folder import layout
from search_service.records.events import TrialFinished
from search_service.records.results import StudyStatus
from search_service.report.worth import not_compared
from search_service.settings import Settings
from search_service.spec.study_spec import parse

# What the shell sees of bad input.
BAD_INPUT = 2
SPEC = {
    "name": "small",
    "data": {"source": "wine"},
    "search": {
        "coarse": {"max_trials": 4, "max_epochs": 3},
        "refined": {"max_trials": 3, "max_epochs": 4},
        "max_cycles": 1,
        "population_size": 1,
    },
    "finalists": {"top": 1, "seeds": 2, "baselines": False},
    "checks": {"on_fail": "warn"},
}


def run(home, *listeners, **changes):
    settings = Settings(home=home)
    study = wiring.prepare(parse(SPEC | changes), settings=settings)
    return wiring.run(study, settings=settings, runner="inline", listeners=listeners, record=False).result


@pytest.fixture(autouse=True)
def no_service(monkeypatch):
    monkeypatch.delenv(URL, raising=False)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def finished(home):
    return run(home)


@pytest.fixture(scope="module")
def cancelled(home, finished):
    """The id of a study that ``cancel`` has ended after its second trial, the newer of the two."""
    ended = []

    def cancel(event):
        if isinstance(event, TrialFinished):
            ended.append(event.trial)
        if len(ended) == 2:
            study = max((home / "studies").iterdir(), key=lambda path: (path / layout.SPEC).stat().st_mtime)
            asked.append(CliRunner().invoke(app, ["cancel", study.name, "--home", str(home)]))
            shown.append(CliRunner().invoke(app, ["show", study.name, "--home", str(home)]).stdout)

    asked, shown = [], []
    with pytest.raises(KeyboardInterrupt):
        run(home, cancel, name="cut")
    assert asked[0].exit_code == 0, asked[0].output
    assert "running, asked to cancel" in shown[0]
    (study,) = (path.name for path in (home / "studies").iterdir() if path.name != finished.study_id)
    return study


def test_d4_studies_are_listed_with_where_they_stand_the_newest_first(called, home, finished, cancelled, monkeypatch):
    found = json.loads(called("list", "--home", home, "--json").stdout)
    assert [(study["id"], study["state"]) for study in found["items"]] == [
        (cancelled, "interrupted"),
        (finished.study_id, "completed"),
    ]
    final = finished.finalists
    done = found["items"][1]
    assert (done["metric"], done["trials"], done["planned"]) == ("accuracy", 7, 7)
    assert (done["best_trial"], done["best_score"]) == (final.winner.trial_id, final.winner.mean)
    assert done["test_score"] == final.model_test_score
    assert done["seconds"] > 0
    monkeypatch.setenv("COLUMNS", "80")
    shown = called("list", "--home", home).stdout
    # Ids are whole on any terminal.
    assert shown.index(cancelled) < shown.index(finished.study_id)
    assert "interrupted, step 4" in " ".join(shown.split())
    assert "Traceback" not in shown
    only = json.loads(called("list", "--home", home, "--state", "completed", "--json").stdout)
    assert [study["id"] for study in only["items"]] == [finished.study_id]
    named = json.loads(called("list", "--home", home, "--name", "cut", "--sort", "name", "--json").stdout)
    assert [study["id"] for study in named["items"]] == [cancelled]


def test_d4_a_list_without_a_match_says_so_and_knows_its_states(called, home, finished):
    nothing = called("list", "--name", "nothing", "--home", home).stdout
    assert "no such studies" in nothing
    assert "begins one" not in nothing
    assert called("list", "--name", finished.study_id[:5].upper(), "--home", home).stdout.count(finished.study_id) == 1
    refused = called("list", "--state", "done", "--home", home)
    assert (refused.returncode, "one of running, completed, failed, interrupted" in refused.stderr) == (2, True)


def test_d4_what_is_to_be_done_is_printed_for_the_home_that_was_given(called, home, finished, cancelled):
    over = called("run", "--study", finished.study_id, "--home", home).stderr
    assert f"search-service extend {finished.study_id} --home {home} --trials 20" in over
    not_over = called("extend", cancelled, "--trials", "4", f"--home={home}").stderr
    assert f"search-service run --study {cancelled} --home {home}" in not_over


def test_d4_a_study_is_shown_with_its_checks_its_best_trials_and_what_can_be_done(called, home, finished, cancelled):
    shown = called("show", finished.study_id, "--home", home).stdout
    winner = finished.finalists.winner
    assert f"the model: test accuracy {finished.finalists.model_test_score:.4g}\n" in shown
    assert f"worth it?  {not_compared(finished.finalists)}" in " ".join(shown.split("\n"))
    assert f"winner {winner.trial_id}: validation accuracy {winner.mean:.4g}\n" in shown
    assert all(f"step {check.step}" in shown and check.summary in shown for check in finished.checks)
    assert "the best 5 of 7 trials, those first that were trained furthest" in shown
    assert "finalists, 7 trials, " in shown
    assert str(home / "studies" / finished.study_id / layout.PAGE) in shown
    cut = called("show", cancelled, "--home", home).stdout
    assert f"search-service run --study {cancelled} --home {home}" in cut
    document = json.loads(called("show", cancelled, "--home", home, "--json").stdout)
    assert (document["state"], document["trials"], document["step"]) == ("interrupted", 2, 4)
    assert document["reason"] == "somebody cancelled it"
    assert document["worth_it"] == ""
    assert "2 of at most 4 trials so far" in cut


def test_d4_stop_has_a_study_end_with_finalists(called, tmp_path):
    seen = []

    def stop(event):
        if isinstance(event, TrialFinished) and not seen:
            (study,) = (tmp_path / "studies").iterdir()
            seen.append(called("show", study.name, "--home", tmp_path, "--json"))
            seen.append(called("stop", study.name, "--home", tmp_path))

    result = run(tmp_path, stop)
    assert json.loads(seen[0].stdout)["state"] == "running"
    assert seen[1].returncode == 0, seen[1].stderr
    assert result.status is StudyStatus.COMPLETED
    assert result.finalists is not None
    assert sum(len(round_.trials) for round_ in result.rounds) < 7
    # Nobody is left who could hear.
    again = called("stop", result.study_id, "--home", tmp_path)
    assert again.returncode == BAD_INPUT
    assert "a study that a process is running" in again.stderr


def test_d4_damaged_files_and_other_folders_keep_nothing_from_being_listed(called, home, finished, cancelled, tmp_path):
    shutil.copytree(home, tmp_path / "home")
    studies = tmp_path / "home" / "studies"
    (studies / "notes").mkdir()
    (studies / finished.study_id / layout.EVENTS).write_text("no journal\n{}\n")
    (studies / cancelled / layout.SPEC).write_text("{")
    found = json.loads(called("list", "--home", tmp_path / "home", "--json").stdout)["items"]
    assert {study["id"]: (study["state"], study["trials"]) for study in found} == {
        finished.study_id: ("completed", 0),
        cancelled: ("interrupted", 2),
    }


def test_d4_a_home_without_studies_and_an_unknown_one_are_said(called, tmp_path):
    assert "search-service run begins one" in called("list", "--home", tmp_path).stdout
    unknown = called("show", "nope", "--home", tmp_path)
    assert (unknown.returncode, unknown.stdout) == (BAD_INPUT, "")
    assert "nope" in unknown.stderr
    sort = called("list", "--home", tmp_path, "--sort", "size")
    assert (sort.returncode, sort.stdout) == (BAD_INPUT, "")
    assert "one of submitted_at, name, state, trials" in sort.stderr


def test_d4_a_study_of_a_service_is_not_ended_behind_its_back(called, home, finished, tmp_path):
    shutil.copytree(home / "studies" / finished.study_id, tmp_path / "studies" / "served")
    (tmp_path / "studies" / "served" / "served-1.log").touch()
    refused = called("cancel", "served", "--home", tmp_path)
    assert refused.returncode == BAD_INPUT
    assert "set SEARCH_SERVICE_URL" in refused.stderr
    assert not (tmp_path / "studies" / "served" / layout.CANCEL).exists()


def test_d4_without_a_home_and_a_service_the_usual_home_is_meant(called, home, finished, monkeypatch):
    monkeypatch.setenv("SEARCH_SERVICE_HOME", str(home))
    assert finished.study_id in called("list").stdout
    assert finished.study_id in called("show", finished.study_id).stdout


def test_d4_resume_of_a_study_of_ones_own_says_what_goes_on_with_it(called, home, cancelled, monkeypatch):
    monkeypatch.setenv("SEARCH_SERVICE_HOME", str(home))
    done = called("resume", cancelled)
    assert done.returncode == BAD_INPUT
    assert f"search-service run --study {cancelled}" in done.stderr
    assert str(home) in done.stderr


def test_d2_what_has_no_study_is_said_of_what_was_typed(called, home):
    done = called("show", "nosuch", "--home", home)
    assert done.returncode == BAD_INPUT
    assert "STUDY: 'nosuch'" in done.stderr


def test_d2_a_fix_that_is_a_key_of_the_config_is_shown_for_the_command_line_too(called, tmp_path):
    rows = "\n".join(f"{i},{'ab'[i % 2] if i % 9 else ''}" for i in range(60))
    (tmp_path / "t.csv").write_text(f"x,y\n{rows}\n")
    done = called("inspect", tmp_path / "t.csv", "--target", "y")
    assert done.returncode == BAD_INPUT
    assert "--set 'data.missing_target: drop'" in done.stderr
    assert called("inspect", tmp_path / "t.csv", "--target", "y", "--set", "data.missing_target: drop").returncode == 0
