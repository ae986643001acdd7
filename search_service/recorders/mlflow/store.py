"""Opens MLflow's store, so that no kill at any moment leaves one behind that cannot be opened.

MLflow makes the tables of a SQLite file by 68 migrations in place, which are not one transaction: a process that is
killed in between leaves a file that MLflow refuses for ever ("table … already exists"). So the tables of a new file are
made in another one beside it, which is renamed when it is whole. A file that was left half made by such a kill (or by
MLflow itself) is recognised by its missing tables: one without runs is set aside and made anew, one with runs is
finished in a copy or, if that is not possible, named with the remedy.

The client repeats requests that got no answer. That is harmless where the same request twice is one request; where
it would make a second run, ``once`` forbids it, and whoever asked looks for what is there.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.store.db.base_sql_model import Base
from mlflow.store.tracking import DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from sqlalchemy.exc import SQLAlchemyError

from search_service.errors import RecorderError
from trainables.redaction import login_of, redact

_SQLITE = "sqlite:///"
_RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
# The client's own numbers are for one call that must succeed: 7 repetitions, up to four minutes. Here whoever writes
# tries again by itself, for as long as it takes: 0 + 2 + 4 s, and half a minute for an answer.
_CLIENT = {
    _RETRIES: "3",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}


def open_client(uri: str) -> MlflowClient:
    """A client of a store; the tables of a SQLite file are there afterwards.

    Args:
        uri: ``sqlite:///…``, another database, or a server.

    Raises:
        RecorderError: The file can be no store; the message says what to do.
        MlflowException: It cannot be opened.
    """
    for name, value in _CLIENT.items():
        os.environ.setdefault(name, value)
    if uri.startswith(_SQLITE):
        path = Path(uri.removeprefix(_SQLITE))
        path.parent.mkdir(parents=True, exist_ok=True)
        with alone(uri):
            _complete(path)
    uri = without_login(uri)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def without_login(uri: str) -> str:
    """A server's address without a user's name and password, which MLflow is told by its own variables instead.

    In an address they would stand in every error of its client and in every link that is made of it.
    """
    plain, user, password = login_of(uri)
    if plain != uri:
        os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"] = user, password
    return plain


def reason_of(error: Exception, uri: str) -> str:
    """What went wrong with a store, in a line; of a server that is not there, what to do, and not its client's words.

    Args:
        error: Of MLflow, its database or the system.
        uri: The store's address.
    """
    first = redact((str(error).splitlines() or [type(error).__name__])[0], uri)
    if "Max retries exceeded" not in first:
        return first
    why = re.search(r"\[Errno -?\d+\] ([^\"')]+)|timed out", first)
    cause = "" if why is None else f" ({why[1] or why[0]})"
    return f"nothing answers there{cause}; is it running, and is MLFLOW_TRACKING_URI right?"


@contextmanager
def alone(uri: str) -> Iterator[None]:
    """Keep other processes away from a SQLite file while its tables are looked at, or a champion is chosen."""
    if not uri.startswith(_SQLITE):
        yield
        return
    with FileLock(uri.removeprefix(_SQLITE) + ".lock"):
        yield


def find_study(client: MlflowClient, study_id: str) -> Run | None:
    """The run of a study, by the study's id; None if the store has none."""
    # Text of a query to the store: nothing else is an id.
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", study_id):
        return None
    found = _studies(client, f"tags.study_id = '{study_id}' and tags.kind = 'study'")
    return found[0] if found else None


def newest_study(client: MlflowClient) -> Run | None:
    """The run of the study that was begun last; None if the store has none."""
    found = _studies(client, "tags.kind = 'study'")
    return found[0] if found else None


def _studies(client: MlflowClient, where: str) -> list[Run]:
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    found: list[Run] = client.search_runs(experiments, where, max_results=1, order_by=["attributes.start_time DESC"])
    return found


# ---- the tables of a file --------------------------------------------------------------------------------------------


def _complete(path: Path) -> None:
    """See to it that a file has all tables; nobody else looks at it meanwhile."""
    unfinished = path.with_name(path.name + ".unfinished")
    _remove(unfinished)
    tables = _tables(path)
    if set(Base.metadata.tables) <= tables:
        return
    if not tables:
        _make_tables(unfinished)
    else:
        shutil.copyfile(path, unfinished)
        try:
            _make_tables(unfinished)
        except (MlflowException, SQLAlchemyError) as error:
            _remove(unfinished)
            if _is_room_missing(error):
                raise
            _set_aside(path)
            _make_tables(unfinished)
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    unfinished.replace(path)


def _make_tables(path: Path) -> None:
    """Make the tables that are missing in a file, which may be missing itself."""
    uri = f"{_SQLITE}{path}"
    try:
        # Not through the client, which keeps the stores that it has opened.
        SqlAlchemyStore(uri, DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH)
    finally:
        # MLflow keeps engines by name for as long as the process lives.
        if (engine := SqlAlchemyStore._engine_map.pop(uri, None)) is not None:
            engine.dispose()
    if missing := set(Base.metadata.tables) - _tables(path):
        raise MlflowException(f"MLflow does not make the tables {', '.join(sorted(missing))} in {path}")


def _is_room_missing(error: Exception) -> bool:
    return "disk is full" in str(error) or "disk I/O" in str(error)


def _tables(path: Path) -> set[str]:
    """Names of a file's tables; none if there is no file, or an empty one."""
    if not path.exists():
        return set()
    try:
        with _open(path) as database:
            found = database.execute("select name from sqlite_master where type = 'table'")
            return {name for (name,) in found if not name.startswith(("alembic_", "sqlite_"))}
    except sqlite3.DatabaseError as error:
        raise RecorderError(
            f"{path} is no SQLite database, or is damaged ({error}): bring it back from a backup, or move it away; a "
            "new one is made then, and `search-service sync STUDY` writes a study's record into it"
        ) from error


def _set_aside(path: Path) -> None:
    """Rename a file whose tables MLflow cannot complete, unless it holds runs.

    Raises:
        RecorderError: It does.
    """
    with _open(path) as database:
        try:
            (runs,) = database.execute("select count(*) from runs").fetchone()
        except sqlite3.OperationalError:  # There is not even that table.
            runs = 0
    if runs:
        raise RecorderError(
            f"{path} holds {runs} runs, but not all of MLflow's tables, and MLflow cannot make them: an upgrade of it "
            "was cut short. Bring the file back from before that, or move it away; a new one is made then, and "
            "`search-service sync STUDY` writes a study's record into it"
        )
    path.replace(path.with_name(f"{path.name}.broken-{time.strftime('%Y%m%d-%H%M%S')}"))


@contextmanager
def _open(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection to a file that is there.

    For writing: what a killed process was about to write is taken back by whoever opens the file next, and whoever may
    only read is refused.
    """
    database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)
    try:
        yield database
    finally:
        database.close()


def _remove(path: Path) -> None:
    """Remove a file that a killed process left, with what SQLite keeps beside it."""
    for suffix in ("", "-journal", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


# ---- requests that must not be repeated ------------------------------------------------------------------------------

_once = threading.Lock()


@contextmanager
def once() -> Iterator[None]:
    """Turn the client's repetitions off: a setting of the whole process, so that one thread at a time can do so."""
    with _once:
        before = os.environ.get(_RETRIES, _CLIENT[_RETRIES])
        os.environ[_RETRIES] = "0"
        try:
            yield
        finally:
            os.environ[_RETRIES] = before
