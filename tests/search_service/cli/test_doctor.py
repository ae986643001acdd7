"""E1: what keeps a study from running is found before it is begun, with what to do; looking changes nothing."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import sqlite3
import time
from contextlib import closing
from email.utils import formatdate
from pathlib import Path

import mlflow
import pytest
import ray
import sqlalchemy
from mlflow.store.tracking import DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from typer.testing import CliRunner

from search_service import __version__
from search_service.cli import doctor
from search_service.cli.commands import app
from search_service.cli.doctor import home, machine, others
from search_service.folder import journals
from search_service.folder.study_folder import StudyFolder
from search_service.recorders.mlflow import condition as mlflow_condition
from search_service.records.findings import Finding, State, clock_of
from search_service.settings import Settings
from tests.answering import answering

PASSWORD = "hunter2-is-secret"
HOUR = 3600.0


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in ("SEARCH_SERVICE_URL", "SEARCH_SERVICE_TOKEN", "SEARCH_SERVICE_HOME", "SEARCH_SERVICE_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    for name in [name for name in os.environ if name.startswith("MLFLOW_TRACKING_")]:
        monkeypatch.delenv(name)


def state_of(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Everything below a folder, with sizes and times; of folders the times, too."""
    return {
        str(path.relative_to(folder)): (path.lstat().st_mode, path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in folder.rglob("*")
    }


def named(findings: list[Finding], name: str) -> list[Finding]:
    return [finding for finding in findings if finding.name == name]


def record(settings: Settings) -> list[Finding]:
    return list(others.look_at_record(settings))


def file_of(settings: Settings) -> Path:
    return settings.home / "mlflow.db"


# ---- the whole -------------------------------------------------------------------------------------------------------


def test_e1_a_fresh_home_is_fit_and_nothing_is_made_by_looking(tmp_path):
    settings = Settings(home=tmp_path / "home")
    found = list(doctor.look(settings))
    assert [(finding.name, finding.state) for finding in found if finding.name != "shared memory"] == [
        ("versions", State.OK),
        ("processors", State.OK),
        ("home", State.OK),
        ("studies", State.OK),
        ("record", State.OK),
        ("Ray", State.OK),
        ("service", State.OK),
        ("clock", State.OK),
    ]
    assert doctor.is_fit(found)
    assert list(tmp_path.iterdir()) == []
    said = found[0].text
    assert all(
        name in said
        for name in ("Python 3.", f"search-service {__version__}", "torch ", f"mlflow {mlflow.__version__}")
    )


def test_e1_a_home_with_studies_and_a_record_is_left_as_it_is(tmp_path, whole_record):
    settings = Settings(home=tmp_path)
    shutil.copy(whole_record, file_of(settings))
    study(tmp_path, "cut-short")
    study(tmp_path, "done", ended=True)
    (tmp_path / "studies" / "cut-short" / "study.lock").touch()
    before = state_of(tmp_path)
    found = list(doctor.look(settings))
    assert doctor.is_fit(found)
    assert state_of(tmp_path) == before


def test_e1_json_is_one_list_and_the_exit_code_says_whether_a_study_would_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["doctor", "--home", str(tmp_path / "home"), "--json"])
    found = json.loads(done.stdout)
    assert done.exit_code == 0
    assert {"name", "state", "text", "remedy"} == set().union(*found)
    (tmp_path / "file").touch()
    done = CliRunner().invoke(app, ["doctor", "--home", str(tmp_path / "file" / "home"), "--json"])
    (of_home,) = [one for one in json.loads(done.stdout) if one["name"] == "home"]
    assert (done.exit_code, of_home["state"]) == (4, "failed")
    assert "--home" in of_home["remedy"]


def test_e1_each_finding_is_a_line_with_a_sign_and_what_to_do_below_it(tmp_path):
    (tmp_path / "mlflow.db").write_text("no database, and longer than a header of SQLite's files is")
    done = CliRunner().invoke(app, ["doctor", "--home", str(tmp_path)])
    assert done.exit_code == 4
    lines = done.stdout.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("✗ record"))
    assert "no SQLite database" in lines[at]
    assert lines[at + 1].strip().startswith("to do: ")
    assert any(line.startswith("✓ versions") for line in lines)


def test_e1_a_look_that_breaks_is_named_and_the_others_are_made(tmp_path):
    (study(tmp_path, "a") / "study.lock").mkdir()
    found = list(doctor.look(Settings(home=tmp_path)))
    (broken,) = named(found, "studies")
    assert broken.state is State.FAILED
    assert "IsADirectoryError" in broken.text
    assert named(found, "clock")


# ---- home and studies ------------------------------------------------------------------------------------------------


def study(root: Path, name: str, *, ended: bool = False, recorded: bool = False) -> Path:
    folder = root / "studies" / name
    folder.mkdir(parents=True)
    journals.write_whole(folder / "spec.json", {"name": name})
    if ended:
        journals.write_whole(folder / "ended.json", {"status": "completed", "reason": "stop"})
    if recorded:
        journals.write_whole(folder / "recorded.json", {"record": "here"})
    return folder


def test_e1_a_home_that_cannot_be_a_folder_is_named(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below" / "home"):
        (found,) = home.look_at_home(Settings(home=path))
        assert found.state is State.FAILED
        assert f"{tmp_path / 'file'} is a file" in found.text
        assert "--home" in found.remedy


def test_e1_a_home_that_cannot_be_written_is_named():
    # Of the system's own, where not even root makes a file.
    (found,) = home.look_at_home(Settings(home=Path("/proc/search-service")))
    assert found.state is State.FAILED
    assert "let this user write into /proc" in found.remedy


def test_e1_studies_that_are_not_over_or_not_recorded_are_named_with_the_command(tmp_path):
    study(tmp_path, "cut-short")
    study(tmp_path, "done", ended=True, recorded=True)
    study(tmp_path, "untold", ended=True)
    (study(tmp_path, "of-service") / "of-service-1.log").touch()
    overview, own, served, unrecorded = home.look_at_studies(Settings(home=tmp_path))
    assert (overview.state, "4 studies" in overview.text) == (State.OK, True)
    assert (own.state, own.text) == (State.WARNING, "not over: cut-short")
    assert own.remedy == f"search-service run --study cut-short --home {tmp_path}"
    assert "search-service resume of-service" in served.remedy
    assert (unrecorded.state, "untold" in unrecorded.text) == (State.WARNING, True)
    assert unrecorded.remedy == f"search-service sync untold --home {tmp_path}"


def test_e1_the_home_of_the_environment_needs_no_option_and_many_studies_are_counted(tmp_path, monkeypatch):
    monkeypatch.setenv("SEARCH_SERVICE_HOME", str(tmp_path))
    for number in range(home.MOST_NAMED + 2):
        study(tmp_path, f"s{number}")
    _, own = home.look_at_studies(Settings())
    assert own.text.endswith("s4 and 2 more")
    assert own.remedy.startswith("search-service run --study s0; search-service run --study s1; ")


def test_e1_a_study_that_a_process_works_on_is_no_finding(tmp_path):
    folder, recording = study(tmp_path, "busy"), study(tmp_path, "recording", ended=True)
    with StudyFolder(folder).lock(), StudyFolder(recording).lock():
        (overview,) = home.look_at_studies(Settings(home=tmp_path))
    assert "busy is being run" in overview.text


def test_e1_a_clock_that_was_set_back_is_seen_by_the_files_of_the_studies(tmp_path):
    folder, settings = study(tmp_path, "a"), Settings(home=tmp_path)
    (found,) = home.look_at_clock(settings)
    assert found.state is State.OK
    later = time.time() + HOUR
    os.utime(folder / "spec.json", (later, later))
    (found,) = home.look_at_clock(settings)
    assert found.state is State.WARNING
    assert "set back" in found.text
    assert "set-ntp" in found.remedy


# ---- a record that is a file -----------------------------------------------------------------------------------------


# Of MLflow's tables, at which it is as if its process had been killed.
KILLED_AT = 40


@pytest.fixture(scope="module")
def records(tmp_path_factory) -> Path:
    """A folder with a whole record, and what would be left of it if MLflow had been killed between two tables."""
    folder = tmp_path_factory.mktemp("records")
    path, due = folder / "whole.db", itertools.count()

    def look(connection, cursor, statement, *_) -> None:
        if statement.lstrip().startswith("CREATE TABLE") and next(due) == KILLED_AT:
            # What a killed process leaves is what the system has of its file at that moment.
            shutil.copy(path, folder / "half.db")
            assert not (folder / "whole.db-journal").exists()

    sqlalchemy.event.listen(sqlalchemy.Engine, "after_cursor_execute", look)
    try:
        SqlAlchemyStore(f"sqlite:///{path}", DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH)
    finally:
        sqlalchemy.event.remove(sqlalchemy.Engine, "after_cursor_execute", look)
        SqlAlchemyStore._engine_map.pop(f"sqlite:///{path}").dispose()
    return folder


@pytest.fixture
def whole_record(records) -> Path:
    return records / "whole.db"


@pytest.fixture
def half_made(records) -> Path:
    return records / "half.db"


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(home=tmp_path)


def changed(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


def test_e1_a_whole_record_is_well_also_with_a_wal(settings, whole_record):
    shutil.copy(whole_record, file_of(settings))
    (found,) = record(settings)
    assert found.state is State.OK
    assert f"has 0 runs, of this MLflow ({mlflow.__version__})" in found.text
    changed(file_of(settings), "pragma journal_mode=wal")
    before = state_of(settings.home)
    assert record(settings) == [found]
    assert state_of(settings.home) == before


def test_e1_a_half_made_record_with_runs_is_bricked_and_without_the_next_run_makes_it_anew(settings, half_made):
    shutil.copy(half_made, file_of(settings))
    before = state_of(settings.home)
    (found,) = record(settings)
    assert found.state is State.WARNING
    assert "holds no runs: the next run sets it aside" in found.text
    assert state_of(settings.home) == before
    changed(file_of(settings), "insert into runs (run_uuid, experiment_id) values ('a', 0)")
    (found,) = record(settings)
    assert found.state is State.FAILED
    assert "holds 1 run, but not all of MLflow's tables" in found.text
    path = file_of(settings)
    assert f"mv {path} {path}.broken-2" in found.remedy
    assert "; a new one is made then, and search-service sync STUDY" in found.remedy


def test_e1_an_older_record_is_to_be_upgraded_and_a_newer_one_needs_its_version(settings, whole_record):
    path = file_of(settings)
    shutil.copy(whole_record, path)
    changed(path, "update alembic_version set version_num = '451aebb31d03'")
    (found,) = record(settings)
    assert found.state is State.FAILED
    assert "of an older MLflow" in found.text
    assert f"cp {path} {path}.before-upgrade-2" in found.remedy
    assert f"mlflow db upgrade sqlite:///{path}" in found.remedy
    changed(path, "update alembic_version set version_num = 'fromthefuture'")
    (found,) = record(settings)
    assert found.state is State.FAILED
    assert "of a newer MLflow" in found.text
    assert "upgrade" not in found.remedy


def test_e1_a_file_that_is_not_mlflows_is_named_and_an_empty_one_is_none(settings):
    path = file_of(settings)
    path.touch()
    assert record(settings)[0].state is State.OK
    changed(path, "create table recipes (name text)")
    (found,) = record(settings)
    assert (found.state, "somebody else's database" in found.text) == (State.FAILED, True)
    assert "--home" in found.remedy
    path.write_text("something else, and longer than a header of SQLite's files is" * 4)
    (found,) = record(settings)
    assert (found.state, "no SQLite database" in found.text) == (State.FAILED, True)


def test_e1_a_damaged_record_is_named(settings, whole_record):
    path = file_of(settings)
    content = bytearray(whole_record.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    path.write_bytes(content)
    (found,) = record(settings)
    assert found.state is State.FAILED
    assert "damaged" in found.text
    assert "backup" in found.remedy


def test_e1_another_database_that_does_not_answer_is_named_without_its_password():
    (found,) = mlflow_condition.look(f"postgresql+psycopg://ann:{PASSWORD}@127.0.0.1:1/record")
    assert found.state is State.FAILED
    assert "postgresql+psycopg://127.0.0.1:1/record cannot be read: " in found.text
    assert "onnection" in found.text
    assert PASSWORD not in repr(found)


def test_e1_what_is_no_address_of_a_database_is_named_without_quoting_a_password():
    (found,) = mlflow_condition.look(f"postgresql+psycopg://ann:{PASSWORD}@127.0.0.1:port/record")
    assert found.state is State.FAILED
    assert "%2F" in found.remedy
    assert PASSWORD not in repr(found)
    (found,) = mlflow_condition.look("mysql://127.0.0.1:1/record")
    assert "-m pip install mysqlclient" in found.remedy


# ---- servers ---------------------------------------------------------------------------------------------------------


MLFLOW = {
    "/health": (200, "OK"),
    "/version": (200, mlflow.__version__),
    "/api/2.0/mlflow/experiments/search": (200, "{}"),
}
# user:right-password
LOGIN = "Basic dXNlcjpyaWdodC1wYXNzd29yZA=="


def server(tmp_path: Path, address: str) -> list[Finding]:
    return record(Settings(home=tmp_path, tracking_uri=address))


def test_e1_a_server_that_answers_is_well_and_a_login_in_its_address_is_used(tmp_path):
    with answering(MLFLOW, login=LOGIN) as place:
        (found,) = server(tmp_path, f"http://user:right-password@{place}")
    assert found.state is State.OK
    assert found.text == f"http://{place} answers and lets this user in; it is MLflow {mlflow.__version__}"
    assert "MLFLOW_TRACKING_PASSWORD" not in os.environ


def test_e1_a_wrong_password_is_named_by_its_variables_and_shown_nowhere(tmp_path, monkeypatch):
    with answering(MLFLOW, login=LOGIN) as place:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://user:{PASSWORD}@{place}")
        done = CliRunner().invoke(app, ["doctor", "--home", str(tmp_path / "home"), "--json"])
        (found,) = [one for one in json.loads(done.stdout) if one["name"] == "record"]
        (without,) = server(tmp_path, f"http://{place}")
    assert done.exit_code == 4
    assert PASSWORD not in done.output
    assert f"http://{place} answers 401 (Unauthorized) to /version" in found["text"]
    assert "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" in found["remedy"]
    assert "is refused" in found["remedy"]
    assert "none of them is set" in without.remedy


def test_e1_a_server_with_another_clock_or_version_is_a_warning(tmp_path):
    with answering(MLFLOW | {"/version": (200, "2.9.2")}, ahead=-HOUR) as place:
        version, clock = server(tmp_path, f"http://{place}")
    assert version.state is clock.state is State.WARNING
    assert f"it is MLflow 2.9.2, and the one here is {mlflow.__version__}" in version.text
    assert "s behind this machine's" in clock.text
    assert "set-ntp" in clock.remedy


def test_e1_what_is_no_mlflow_server_or_answers_nothing_is_named(tmp_path):
    with answering({"/health": (200, "hello")}) as place:
        (found,) = server(tmp_path, f"http://{place}")
    assert (found.state, "as no MLflow server does" in found.text) == (State.FAILED, True)
    (found,) = server(tmp_path, f"http://user:{PASSWORD}@{place}")
    assert (found.state, "does not answer" in found.text) == (State.FAILED, True)
    assert PASSWORD not in repr(found)


def test_e1_a_token_that_cannot_be_sent_is_named_and_not_quoted(tmp_path, monkeypatch):
    with answering(MLFLOW) as place:
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", f"{PASSWORD}\n")
        monkeypatch.setenv("SEARCH_SERVICE_TOKEN", f"{PASSWORD}\n")
        found = server(tmp_path, f"http://{place}") + list(others.look_at_service(f"http://{place}"))
    assert [finding.state for finding in found] == [State.FAILED, State.FAILED]
    assert "header value" in found[0].text
    assert "line breaks" in found[1].text
    assert PASSWORD not in repr(found)


def test_e1_a_server_that_does_not_know_its_name_is_named_with_the_option(tmp_path):
    refused = (403, "Invalid Host header - possible DNS rebinding attack detected")
    with answering(MLFLOW | {"/version": refused}) as place:
        (found,) = server(tmp_path, f"http://{place}")
    assert found.remedy == "start it with --allowed-hosts=127.0.0.1,127.0.0.1:*"


def test_e1_clocks_that_agree_within_what_a_date_can_say_are_no_finding():
    date = formatdate(1_000_000, usegmt=True)
    assert clock_of("x", date, 1_000_000.9, 1_000_001.0) is None
    assert clock_of("x", date, 1_000_005.9, 1_000_006.0) is None
    assert clock_of("x", date, 1_000_006.1, 1_000_006.2) is not None
    assert clock_of("x", date, 999_994.0, 999_994.9) is not None
    assert clock_of("x", date, 999_980.0, 1_000_010.0) is None
    assert clock_of("x", None, 0, 0) is clock_of("x", "yesterday", 0, 0) is None


def ready(**changes: object) -> dict[str, tuple[int, str]]:
    return {"/readyz": (200, json.dumps({"status": "ok", "version": __version__, "trouble": ""} | changes))}


def test_e1_a_service_says_its_version_and_the_role_of_the_token(monkeypatch):
    detail = json.dumps({"detail": "this needs the role admin; ann has submit"})
    monkeypatch.setenv("SEARCH_SERVICE_TOKEN", "a-token")
    with answering(ready() | {"/api/v1/tokens": (403, detail)}, login="Bearer a-token") as place:
        monkeypatch.setenv("SEARCH_SERVICE_URL", f"http://{place}/")
        readiness, access = others.look_at_service(None)
    assert (readiness.state, access.state) == (State.OK, State.OK)
    assert readiness.text == f"http://{place} is ready, version {__version__}"
    assert "has the role submit" in access.text


def test_e1_a_service_that_refuses_the_token_is_not_ready_or_has_another_clock_is_named(monkeypatch):
    with answering(ready(version="9.9"), login="Bearer right", ahead=HOUR) as place:
        readiness, clock, access = others.look_at_service(f"http://{place}")
        assert "(SEARCH_SERVICE_TOKEN is not set)" in access.text
        monkeypatch.setenv("SEARCH_SERVICE_TOKEN", PASSWORD)
        found = list(others.look_at_service(f"http://{place}"))
    assert (readiness.state, "9.9" in readiness.text) == (State.WARNING, True)
    assert (clock.state, "ahead of" in clock.text) == (State.WARNING, True)
    assert (found[2].state, "this token is not known" in found[2].text) == (State.FAILED, True)
    assert "search-service token create" in found[2].remedy
    assert PASSWORD not in repr(found)
    with answering({"/readyz": (503, ready(database=False)["/readyz"][1]), "/api/v1/tokens": (200, "[]")}) as place:
        readiness, access = others.look_at_service(f"http://{place}")
    assert (readiness.state, "not ready (database)" in readiness.text) == (State.FAILED, True)
    assert "admin" in access.text
    (found,) = others.look_at_service(f"http://{place}")
    assert (found.state, "does not answer" in found.text) == (State.FAILED, True)
    with answering({}) as place:
        (found,) = others.look_at_service(f"http://{place}")
    assert "as no search-service does" in found.text


def test_e1_a_ray_address_is_asked_and_nothing_started():
    # Other tests of this process may have a Ray.
    before = ray.is_initialized()
    with answering({}) as place:
        (found,) = others.look_at_ray(place)
        assert found.state is State.OK
    (found,) = others.look_at_ray(place)
    assert found.state is State.FAILED
    assert "ray start --head" in found.remedy
    (found,) = others.look_at_ray("ray://10.0.0.5:10001")
    assert found.state is State.FAILED and "submit to a service" in found.remedy
    assert ray.is_initialized() == before


# ---- the machine -----------------------------------------------------------------------------------------------------


def test_e1_versions_that_are_not_as_required_are_named_with_the_command(tmp_path, monkeypatch):
    """A distribution that is found first, as one of an older installation is."""
    for name, version in (("optuna", "4.9"), ("cmaes", "0.1")):
        info = tmp_path / f"{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    monkeypatch.syspath_prepend(tmp_path)
    (found,) = machine.look_at_versions()
    assert found.state is State.FAILED
    assert "optuna 4.9 (required: <6,>=5.0)" in found.text
    assert "-m pip install" in found.remedy
    assert "'optuna<6,>=5.0'" in found.remedy
    assert "'cmaes>=0.12'" in found.remedy
