"""The store's tables, made and changed step by step (Alembic): ``upgrade`` brings any database to the present.

A change: edit tables.py, then ``alembic -c search_service/service/migrations/alembic.ini revision --autogenerate -m
"what it does"``, and read what it wrote. tests/contracts/test_stores.py holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from filelock import FileLock
from sqlalchemy import Connection, Engine, text

# Any number that no other program uses on the same database: PostgreSQL's advisory locks have no names.
_LOCK_NUMBER = 7_303_014_122


def upgrade(engine: Engine) -> None:
    """Make or change the tables; replicas that start together wait for each other."""
    with _one_at_a_time(engine), engine.execution_options(writes=True).begin() as connection:
        command.upgrade(_config(connection), "head")


def is_current(engine: Engine) -> bool:
    """Whether the tables are those that this version knows."""
    with engine.connect() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    return found == _head()


@cache
def _head() -> str | None:
    return ScriptDirectory(str(Path(__file__).parent)).get_current_head()


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


@contextmanager
def _one_at_a_time(engine: Engine) -> Iterator[None]:
    if engine.dialect.name == "sqlite":
        Path(str(engine.url.database)).parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{engine.url.database}.upgrade"):
            yield
        return
    with engine.connect() as connection:
        connection.execute(text(f"SELECT pg_advisory_lock({_LOCK_NUMBER})"))
        try:
            yield
        finally:
            connection.execute(text(f"SELECT pg_advisory_unlock({_LOCK_NUMBER})"))
