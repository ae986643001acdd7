"""Leases: which replica of a service does what only one may do."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from sqlalchemy import delete, update
from sqlalchemy.exc import IntegrityError

from search_service.service.store.database import Database, now
from search_service.service.tables import LeaseRow


class Leases(Database):
    """Leases: what only one of several replicas may do."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        # Leases of others as they were last seen, and since when, by this process's clock.
        self._seen_leases: dict[str, tuple[tuple[str, datetime], float]] = {}

    def lease(self, name: str, holder: str, seconds: float) -> bool:
        """Take or renew a lease.

        Clocks of machines differ, and may be set back or ahead while nobody looks. So a lease has run out when whoever
        wants it has seen it unchanged for its length, by a clock of its own that only goes forward.

        Args:
            name: Names what only one may do.
            holder: Who wants to.
            seconds: How long it lasts if it is not renewed.

        Returns:
            Whether ``holder`` has it now.
        """
        renewed = now() + timedelta(seconds=seconds)
        with self._reading() as session:
            row = session.get(LeaseRow, name)
        if row is None:
            try:
                with self._writing.begin() as session:
                    session.add(LeaseRow(name=name, holder=holder, until=renewed))
            except IntegrityError:
                return False
            return True
        if row.holder != holder:
            seen = self._seen_leases.get(name)
            if seen is None or seen[0] != (row.holder, row.until):
                self._seen_leases[name] = seen = ((row.holder, row.until), time.monotonic())
            if time.monotonic() - seen[1] < seconds:
                return False
        # Whoever was quicker has changed it.
        same = (LeaseRow.name == name, LeaseRow.holder == row.holder, LeaseRow.until == row.until)
        with self._writing.begin() as session:
            taken = session.execute(update(LeaseRow).where(*same).values(holder=holder, until=renewed))
        return bool(taken.rowcount)  # type: ignore[attr-defined]

    def give_up_lease(self, name: str, holder: str) -> None:
        """Let another replica take over at once."""
        with self._writing.begin() as session:
            session.execute(delete(LeaseRow).where(LeaseRow.name == name, LeaseRow.holder == holder))
