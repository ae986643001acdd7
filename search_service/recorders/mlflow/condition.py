"""In what condition a record is, found out without changing it: a file, another database or a server.

Nothing here goes through MLflow's client or its store, which make and change tables when they open one.
"""

from __future__ import annotations

import os
import shlex
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import mlflow
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from mlflow.exceptions import MlflowException
from mlflow.store.db.base_sql_model import Base
from mlflow.store.db.utils import _get_alembic_config, _initialize_tables
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import MlflowHostCreds, http_request
from sqlalchemy import Connection, NullPool, create_engine, func, inspect, make_url, select, text
from sqlalchemy.exc import SQLAlchemyError

from search_service.records.findings import Finding, State, clock_of
from trainables.redaction import HIDDEN, login_of, redact, shown

NAME = "record"
_SQLITE = "sqlite:///"
# Seconds for an answer; whoever looks is waiting.
TIMEOUT_S = 5.0
# The table that MLflow makes first. One of this name is taken for MLflow's.
_FIRST_TABLE = "experiments"
# Bytes up to which every page of a file is looked at; that takes a second or two for so many.
_MOST_CHECKED = 256 * 2**20
_HEADER = b"SQLite format 3\0"
# Offset in the header of the number that is 2 in WAL mode.
_WRITE_VERSION = 18
# What is installed for a module that SQLAlchemy asks for, where the two have different names.
_PACKAGES = {"MySQLdb": "mysqlclient", "psycopg2": "psycopg2-binary"}
# How MLflow's server begins its answer to whoever calls it by a name that it does not know.
_REFUSED_HOST = "Invalid Host header"
# Letters of an error that are shown.
_MOST_SHOWN = 300

_ELSEWHERE = "choose another folder with --home, or another record with MLFLOW_TRACKING_URI"
_PERMIT = f"let this user read and write it, or {_ELSEWHERE}"


def look(uri: str) -> Iterator[Finding]:
    """How a record is.

    Args:
        uri: ``sqlite:///…``, another database, or a server.
    """
    scheme = uri.partition(":")[0].lower()
    if uri.startswith(_SQLITE):
        yield _look_at_file(Path(uri.removeprefix(_SQLITE)))
    elif scheme in ("http", "https"):
        yield from _look_at_server(uri)
    elif scheme.partition("+")[0] in ("postgresql", "mysql", "mssql"):
        yield _look_at_database(uri)
    else:
        found = f"{shown(uri)} is neither a SQLite file nor another database nor a server, and is not looked at"
        yield Finding(NAME, State.WARNING, found, "set MLFLOW_TRACKING_URI to one of these, or unset it")


# ---- a file ----------------------------------------------------------------------------------------------------------


def _look_at_file(path: Path) -> Finding:
    if not path.exists():
        return Finding(NAME, State.OK, f"{path} is made at the first run")
    try:
        with path.open("rb") as file:
            header = file.read(len(_HEADER))
    except OSError as error:
        return Finding(NAME, State.FAILED, f"{path} cannot be read ({error.strerror})", _PERMIT)
    if not os.access(path, os.W_OK):
        return Finding(NAME, State.FAILED, f"{path} cannot be written by this user", _PERMIT)
    if not header:
        return Finding(NAME, State.OK, f"{path} is empty; its tables are made at the first run")
    return _look_at_database_file(path) if header == _HEADER else _foreign(path, "is no SQLite database")


def _look_at_database_file(path: Path) -> Finding:
    try:
        with _reading(path) as database:
            return _look_at_tables(path, database)
    except sqlite3.DatabaseError as error:
        return _unreadable(path, error)


def _look_at_tables(path: Path, database: sqlite3.Connection) -> Finding:
    found = database.execute("select name from sqlite_master where type = 'table'")
    tables = {name for (name,) in found if not name.startswith("sqlite_")}
    has_version = "alembic_version" in tables
    tables = {name for name in tables if not name.startswith("alembic_")}
    if not tables:
        return Finding(NAME, State.OK, f"{path} has no tables; they are made at the first run")
    if _FIRST_TABLE not in tables:
        return _foreign(path, "is somebody else's database, and not MLflow's")
    if path.stat().st_size <= _MOST_CHECKED:
        ((verdict, *_), *_) = database.execute("pragma quick_check(1)")
        if verdict != "ok":
            return _damaged(path, verdict)
    version = database.execute("select version_num from alembic_version").fetchone() if has_version else None
    runs = database.execute("select count(*) from runs").fetchone()[0] if "runs" in tables else 0
    if set(Base.metadata.tables) <= tables:
        return _by_version(f"{path} has {_counted(runs)}", version and version[0], f"{_SQLITE}{path}", _copied(path))
    return _incomplete(path, database, runs)


def _incomplete(path: Path, database: sqlite3.Connection, runs: int) -> Finding:
    """What is said of a file in which some of MLflow's tables are missing: see ``store.py``."""
    if _can_be_completed(database):
        if not runs:
            found = f"{path} lacks some of MLflow's tables and holds no runs; the next run makes them"
            return Finding(NAME, State.WARNING, found)
        found = f"{path}, which holds {_counted(runs)}, is of an older MLflow; the next run changes its tables"
        return Finding(NAME, State.WARNING, found, f"{_copied(path)} && {_upgrade(f'{_SQLITE}{path}')}")
    if runs:
        found = (
            f"{path} holds {_counted(runs)}, but not all of MLflow's tables, and MLflow cannot make them: an upgrade "
            "of it was cut short"
        )
        return Finding(NAME, State.FAILED, found, f"bring it back from a backup of before that, or {_moved_away(path)}")
    found = (
        f"{path} was left half made and MLflow cannot open it; it holds no runs: the next run sets it aside and makes "
        "a new one"
    )
    return Finding(NAME, State.WARNING, found, _moved(path))


def _can_be_completed(database: sqlite3.Connection) -> bool:
    """Whether MLflow can make the tables that are missing, tried on the same tables without their rows."""
    # Indexes after their tables.
    ours = "sql is not null and name not like 'sqlite_%'"
    found = database.execute(f"select sql from sqlite_master where {ours} order by type = 'index', rowid")
    statements = [statement for (statement,) in found]
    versions = []
    if any(database.execute("select 1 from sqlite_master where name = 'alembic_version'")):
        versions = database.execute("select version_num from alembic_version").fetchall()
    with tempfile.TemporaryDirectory(prefix="search-service-") as folder:
        copy = Path(folder) / "copy.db"
        with closing(sqlite3.connect(copy)) as made:
            for statement in statements:
                made.execute(statement)
            made.executemany("insert into alembic_version values (?)", versions)
            made.commit()
        engine = create_engine(f"sqlite:///{copy}", poolclass=NullPool)
        try:
            _initialize_tables(engine)
            return set(Base.metadata.tables) <= set(inspect(engine).get_table_names())
        except (MlflowException, SQLAlchemyError, sqlite3.Error):
            return False
        finally:
            engine.dispose()


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that writes neither into the file nor another one beside it."""
    with path.open("rb") as file:
        in_wal_mode = file.read(_WRITE_VERSION + 1)[_WRITE_VERSION] == 2
    # In WAL mode a reader makes files beside it, unless it is told that nobody writes: nobody does without such a file.
    alone = in_wal_mode and not path.with_name(path.name + "-wal").exists()
    options = "mode=ro&immutable=1" if alone else "mode=ro"
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{options}", uri=True, timeout=TIMEOUT_S)) as database:
        yield database


def _unreadable(path: Path, error: sqlite3.DatabaseError) -> Finding:
    if "locked" in str(error):
        found = f"{path} is locked: another process has been writing for {TIMEOUT_S:.0f} s"
        return Finding(NAME, State.WARNING, found, "look again in a minute; a process that hangs has to be ended")
    if "readonly" in str(error) and path.with_name(path.name + "-journal").exists():
        found = f"{path} was being written as its process was killed; whoever opens it next takes that back"
        return Finding(NAME, State.WARNING, found)
    return _damaged(path, str(error))


def _foreign(path: Path, what: str) -> Finding:
    return Finding(NAME, State.FAILED, f"{path} {what}", f"{_ELSEWHERE}; or {_moved_away(path)}")


def _damaged(path: Path, why: str) -> Finding:
    remedy = f"bring it back from a backup, or {_moved_away(path)}"
    return Finding(NAME, State.FAILED, f"{path} is damaged ({why})", remedy)


def _moved(path: Path) -> str:
    return f"mv {shlex.quote(str(path))} {shlex.quote(_beside(path, 'broken'))}"


def _moved_away(path: Path) -> str:
    return f"{_moved(path)}; a new one is made then, and search-service sync STUDY writes a study's record into it"


def _copied(path: Path) -> str:
    return f"cp {shlex.quote(str(path))} {shlex.quote(_beside(path, 'before-upgrade'))}"


def _beside(path: Path, suffix: str) -> str:
    """A name that nothing has: what was moved or copied once is not written over."""
    return f"{path}.{suffix}-{time.strftime('%Y%m%d-%H%M%S')}"


# ---- another database ------------------------------------------------------------------------------------------------


def _look_at_database(uri: str) -> Finding:
    try:
        url = make_url(uri)
        waiting: dict[str, Any] = {
            "timeout" if url.get_backend_name() == "mssql" else "connect_timeout": int(TIMEOUT_S)
        }
        engine = create_engine(url, poolclass=NullPool, connect_args=waiting)
    except ModuleNotFoundError as error:
        package = _PACKAGES.get(str(error.name), error.name)
        remedy = f"{shlex.quote(sys.executable)} -m pip install {package}"
        return Finding(NAME, State.FAILED, f"{shown(uri)} needs the package {error.name}", remedy)
    except (SQLAlchemyError, ValueError):
        # What they say may quote a part of a password that was taken for a port.
        remedy = "correct MLFLOW_TRACKING_URI; a user's name or password has / @ : as %2F %40 %3A in it"
        return Finding(NAME, State.FAILED, f"{shown(uri)} cannot be understood as a database's address", remedy)
    try:
        with engine.connect() as connection:
            # For the driver of PostgreSQL; others do not know it and only read all the same.
            return _by_tables(connection.execution_options(postgresql_readonly=True), uri)
    except SQLAlchemyError as error:
        remedy = "start the database, or correct MLFLOW_TRACKING_URI, which has its user and password"
        # The driver's own words, without SQLAlchemy's around them.
        said = _short(getattr(error, "orig", None) or error, uri)
        return Finding(NAME, State.FAILED, f"{shown(uri)} cannot be read: {said}", remedy)
    finally:
        engine.dispose()


def _by_tables(connection: Connection, uri: str) -> Finding:
    tables = set(inspect(connection).get_table_names())
    if _FIRST_TABLE not in tables:
        return Finding(NAME, State.OK, f"{shown(uri)} answers; MLflow's tables are made there at the first run")
    runs = connection.execute(select(func.count()).select_from(text("runs"))).scalar_one() if "runs" in tables else 0
    version = MigrationContext.configure(connection).get_current_revision()
    backup = "back the database up, then"
    if set(Base.metadata.tables) <= tables:
        return _by_version(f"{shown(uri)} answers and has {_counted(runs)}", version, uri, backup)
    found = f"{shown(uri)} lacks some of MLflow's tables: an older MLflow made it, or was killed as it did"
    return Finding(NAME, State.WARNING, found, f"{backup} {_upgrade(uri)}")


# ---- versions of tables ----------------------------------------------------------------------------------------------


def _by_version(found: str, version: str | None, uri: str, backup: str) -> Finding:
    """What is said of a database with all tables, by the revision that it is at."""
    script = ScriptDirectory.from_config(_get_alembic_config(""))
    if version == script.get_current_head():
        return Finding(NAME, State.OK, f"{found}, of this MLflow ({mlflow.__version__})")
    if version is not None and version not in {revision.revision for revision in script.walk_revisions()}:
        found += f", and its tables are of a newer MLflow (revision {version}) than the one here ({mlflow.__version__})"
        remedy = f"use the version of search-service that made it, or {_ELSEWHERE}"
        return Finding(NAME, State.FAILED, found, remedy)
    found += f", and its tables are of an older MLflow (revision {version}) than the one here ({mlflow.__version__})"
    joint = "" if backup.endswith("then") else " &&"
    return Finding(NAME, State.FAILED, found, f"{backup}{joint} {_upgrade(uri)}")


def _upgrade(uri: str) -> str:
    login = "" if uri == shown(uri) else " (with the user and password in that address)"
    return f"{shlex.quote(str(Path(sys.executable).with_name('mlflow')))} db upgrade {shlex.quote(shown(uri))}{login}"


# ---- a server --------------------------------------------------------------------------------------------------------


def _look_at_server(uri: str) -> Iterator[Finding]:
    place, user, password = login_of(uri)
    creds = get_default_host_creds(place)
    if user or password:
        creds = MlflowHostCreds(
            place, user, password,
            ignore_tls_verification=creds.ignore_tls_verification,
            client_cert_path=creds.client_cert_path,
            server_cert_path=creds.server_cert_path,
        )  # fmt: skip
    sent = time.time()
    try:
        answers = {}
        # /health may be open to everybody, so that a list that every client needs says who is let in.
        for path in ("/health", "/version", "/api/2.0/mlflow/experiments/search?max_results=1"):
            sent = time.time()
            answers[path] = _ask(creds, path)
            received = time.time()
            if answers[path].status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
                break
    except MlflowException as error:
        reason = error.__cause__ or error.__context__ or error
        # A library may quote a header that it cannot send.
        said = _short(reason, uri, creds.token, creds.password)
        remedy = "start the server, or correct MLFLOW_TRACKING_URI"
        yield Finding(NAME, State.FAILED, f"{shown(uri)} does not answer: {said}", remedy)
        return
    yield _by_answers(uri, answers, has_login=bool(creds.username or creds.password or creds.token))
    if (clock := clock_of(NAME, answers[path].headers.get("Date"), sent, received)) is not None:
        yield clock


def _by_answers(uri: str, answers: dict[str, Any], *, has_login: bool) -> Finding:
    path, last = list(answers.items())[-1]
    if _REFUSED_HOST in last.text:
        host = urlsplit(uri).hostname
        found = f"{shown(uri)} refuses to be called {host}"
        return Finding(NAME, State.FAILED, found, f"start it with --allowed-hosts={host},{host}:*")
    if last.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        known = "what they are set to is refused" if has_login else "none of them is set"
        found = (
            f"{shown(uri)} answers {last.status_code} ({HTTPStatus(last.status_code).phrase}) to {path.split('?')[0]}"
        )
        remedy = f"set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN ({known})"
        return Finding(NAME, State.FAILED, found, remedy)
    for path, answer in answers.items():
        if answer.status_code != HTTPStatus.OK:
            found = f"{shown(uri)} answers {answer.status_code} to {path.split('?')[0]}, as no MLflow server does"
            remedy = "look at the server's log, or correct MLFLOW_TRACKING_URI"
            return Finding(NAME, State.FAILED, found, remedy)
    version = answers["/version"].text.strip()[:40]
    found = f"{shown(uri)} answers and lets this user in; it is MLflow {version}"
    if version.split(".")[:2] == mlflow.__version__.split(".")[:2]:
        return Finding(NAME, State.OK, found)
    found += f", and the one here is {mlflow.__version__}"
    return Finding(NAME, State.WARNING, found, f"run MLflow {mlflow.__version__} on the server, after a backup")


def _ask(creds: MlflowHostCreds, path: str) -> Any:
    return http_request(creds, path, "GET", max_retries=0, timeout=TIMEOUT_S, raise_on_status=False)


def _counted(runs: int) -> str:
    return "1 run" if runs == 1 else f"{runs} runs"


def _short(error: BaseException, uri: str, *secrets: str | None) -> str:
    """The beginning of a library's words, which may be pages, without anything secret."""
    words = redact(str(error), uri)
    for secret in secrets:
        if secret and secret.strip():
            words = words.replace(secret.strip(), HIDDEN)
    words = " ".join(words.split())
    return words if len(words) <= _MOST_SHOWN else words[:_MOST_SHOWN] + "…"
