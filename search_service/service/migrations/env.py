"""What Alembic runs for every command."""

from __future__ import annotations

from alembic import context

from search_service.service.store import make_engine
from search_service.service.tables import Base


def _migrate() -> None:
    connection = context.config.attributes.get("connection")
    if connection is not None:
        context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
        context.run_migrations()
        return
    with make_engine(context.config.get_main_option("sqlalchemy.url") or "").begin() as opened:
        context.configure(connection=opened, target_metadata=Base.metadata, render_as_batch=True)
        context.run_migrations()


_migrate()
