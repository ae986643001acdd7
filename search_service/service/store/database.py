"""The database of a service: SQLite beside the studies, or PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, create_engine, event, make_url, select
from sqlalchemy.orm import Session, sessionmaker, undefer

from search_service.service.store.errors import NotFoundError
from search_service.service.tables import StudyRow

# Connections kept, and opened beyond them when many call at once.
POOL_SIZE, MAX_OVERFLOW = 10, 20
# Seconds that a writer to SQLite waits for another.
BUSY_TIMEOUT_S = 30


class Database:
    """Connections to the database, for reading and for writing.

    Args:
        url: SQLAlchemy URL. Its tables exist: see ``migrations.upgrade``.
    """

    def __init__(self, url: str) -> None:
        self.engine = make_engine(url)
        self._reading = sessionmaker(self.engine, expire_on_commit=False)
        self._writing = sessionmaker(self.engine.execution_options(writes=True), expire_on_commit=False)

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


def make_engine(url: str) -> Engine:
    """Connections to a database: for SQLite in WAL mode, with foreign keys, writers one at a time."""
    if make_url(url).get_backend_name() != "sqlite":
        return create_engine(url, pool_size=POOL_SIZE, max_overflow=MAX_OVERFLOW, pool_pre_ping=True)
    engine = create_engine(
        url, connect_args={"timeout": BUSY_TIMEOUT_S}, pool_size=POOL_SIZE, max_overflow=MAX_OVERFLOW
    )

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, _: Any) -> None:
        # Transactions begin below, not when sqlite3 thinks fit.
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "foreign_keys=ON", "synchronous=NORMAL"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        # IMMEDIATE: a transaction that reads and then writes would fail, not wait, if another wrote between the two.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")

    return engine


def now() -> datetime:
    """The time, with its zone."""
    return datetime.now(UTC)


def study_row(session: Session, study_id: str, *, lock: bool = False, whole: bool = False) -> StudyRow:
    """A study, for the rest of a transaction alone if ``lock``, with its spec, result and report if ``whole``.

    Raises:
        NotFoundError: There is none.
    """
    query = select(StudyRow).where(StudyRow.id == study_id)
    if lock:
        query = query.with_for_update()
    if whole:
        query = query.options(undefer(StudyRow.spec), undefer(StudyRow.result), undefer(StudyRow.report))
    row = session.scalar(query)
    if row is None:
        raise NotFoundError(f"there is no study {study_id}")
    return row


def storable(value: Any) -> Any:
    """A value as every database takes it."""
    # PostgreSQL has no NUL in text; a log that was torn by a crash may.
    return value.replace("\0", "") if isinstance(value, str) else value
