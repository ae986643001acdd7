"""E1: no kill at any moment leaves a home whose record cannot be opened, and one that is so is mended or named."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import shutil
import signal
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy
from mlflow.exceptions import MlflowException
from mlflow.store.tracking import DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from sqlalchemy.exc import SQLAlchemyError

from search_service.errors import RecorderError
from search_service.recorders.mlflow.store import once, open_client
from tests.processes import imported

PROCESSES = multiprocessing.get_context("forkserver")


@pytest.fixture(scope="module", autouse=True)
def processes_have_their_imports():
    with imported("search_service.recorders.mlflow.store"):
        yield


def uri_of(path: Path) -> str:
    return f"sqlite:///{path}"


def tables(path: Path) -> int:
    try:
        database = sqlite3.connect(path)
        return len(database.execute("select 1 from sqlite_master where type = 'table'").fetchall())
    except sqlite3.Error:
        return 0


def in_place(uri: str) -> None:
    """As MLflow makes its tables."""
    SqlAlchemyStore(uri, DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH)


def make_and_die(work, uri: str, at: int) -> None:
    """Make tables, and die as the one with this number is there, and its migration is not over."""
    due = itertools.count()

    def die(connection, cursor, statement, *_) -> None:
        if statement.lstrip().startswith("CREATE TABLE") and next(due) == at:
            os.kill(os.getpid(), signal.SIGKILL)

    sqlalchemy.event.listen(sqlalchemy.Engine, "after_cursor_execute", die)
    work(uri)


def killed_at(at: int, work, path: Path) -> None:
    process = PROCESSES.Process(target=make_and_die, args=(work, uri_of(path), at))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("at", [0, 1, 8, 20, 40, 60])
def test_e1_a_first_start_that_is_killed_anywhere_leaves_a_home_that_opens(tmp_path, at):
    path = tmp_path / "mlflow.db"
    killed_at(at, open_client, path)
    assert [e.name for e in open_client(uri_of(path)).search_experiments()] == ["Default"]
    assert {file.name for file in tmp_path.iterdir()} == {"mlflow.db", "mlflow.db.lock"}


@pytest.fixture(scope="module")
def killed_over(tmp_path_factory) -> Path:
    """A file that MLflow itself was killed over, and does not open any more."""
    path = tmp_path_factory.mktemp("killed-over") / "mlflow.db"
    killed_at(40, in_place, path)
    with pytest.raises((MlflowException, SQLAlchemyError)):
        in_place(uri_of(path))
    SqlAlchemyStore._engine_map.pop(uri_of(path)).dispose()
    return path


@pytest.fixture
def bricked(killed_over, tmp_path) -> Path:
    """A copy of it, with whatever SQLite has beside it."""
    for file in killed_over.parent.iterdir():
        shutil.copy(file, tmp_path)
    return tmp_path / killed_over.name


def test_e1_a_record_that_was_left_half_made_is_set_aside_and_made_anew(bricked):
    client = open_client(uri_of(bricked))
    assert client.create_experiment("goes on")
    (aside,) = bricked.parent.glob("mlflow.db.broken-*")
    assert tables(aside) >= 20


def test_e1_a_half_made_record_that_holds_runs_is_named_with_what_to_do_and_left_as_it_is(bricked):
    database = sqlite3.connect(bricked)
    database.execute("insert into runs (run_uuid, experiment_id) values ('a', 0)")
    database.commit()
    before = bricked.read_bytes()
    with pytest.raises(RecorderError, match=r"mlflow\.db holds 1 runs, but not all of MLflow's tables.*Bring the file"):
        open_client(uri_of(bricked))
    assert bricked.read_bytes() == before


def test_e1_a_file_that_is_no_database_is_named_with_what_to_do(tmp_path):
    (tmp_path / "mlflow.db").write_text("something else, and longer than a header of SQLite's files is" * 4)
    with pytest.raises(RecorderError, match=r"mlflow\.db is no SQLite database.*backup"):
        open_client(uri_of(tmp_path / "mlflow.db"))


def write_and_die(path: Path) -> None:
    """Be killed in the middle of a transaction of which the file has a part already."""
    database = sqlite3.connect(path)
    database.execute("pragma cache_size = 1")
    database.execute("update experiments set name = 'never' where name = 'before'")
    database.executemany(
        "insert into experiment_tags (key, value, experiment_id) values (?, ?, 0)",
        ((str(number), "x" * 1_000) for number in range(200)),
    )
    os.kill(os.getpid(), signal.SIGKILL)


def test_e1_a_record_whose_writer_was_killed_in_a_transaction_opens_as_it_was_before(tmp_path):
    path = tmp_path / "mlflow.db"
    open_client(uri_of(path)).create_experiment("before")
    process = PROCESSES.Process(target=write_and_die, args=(path,))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert path.with_name("mlflow.db-journal").stat().st_size
    assert {e.name for e in open_client(uri_of(path)).search_experiments()} == {"Default", "before"}
    assert not path.with_name("mlflow.db-journal").exists()


def test_e1_an_empty_file_is_as_none(tmp_path):
    (tmp_path / "mlflow.db").touch()
    assert open_client(uri_of(tmp_path / "mlflow.db")).search_experiments()


def test_e1_requests_that_must_not_be_repeated_are_not_and_others_are_again(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "6")
    with pytest.raises(ZeroDivisionError), once():
        assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "0"
        raise ZeroDivisionError
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "6"
