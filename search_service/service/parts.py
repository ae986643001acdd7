"""What the routes work with, as one object; a route takes it as a parameter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import anyio
from fastapi import Depends, Request

from search_service.errors import SearchServiceError
from search_service.service.following import Following
from search_service.service.reconciler import Reconciler
from search_service.service.settings import ServiceSettings
from search_service.service.store import Store
from search_service.service.submissions import Submissions

T = TypeVar("T")

# Tables read at the same time, for checking: each may fill memory. And requests that may wait for it.
READERS, MOST_WAITING = 2, 20


class BusyError(SearchServiceError):
    """Too much is asked at once."""

    http_status = 503
    retryable = True


@dataclass(frozen=True)
class Parts:
    """The service's parts."""

    settings: ServiceSettings
    store: Store
    reconciler: Reconciler
    submissions: Submissions
    following: Following
    readers: anyio.CapacityLimiter

    async def read(self, do: Callable[[], T]) -> T:
        """Do what reads a table, in a thread of the few there are for that: all other routes go on meanwhile.

        Raises:
            BusyError: Many wait for one already.
        """
        if self.readers.statistics().tasks_waiting >= MOST_WAITING:
            raise BusyError("many configs are being checked just now; try again in a moment")
        return await anyio.to_thread.run_sync(do, limiter=self.readers)

    def folder(self, study_id: str) -> Path:
        """Of a study."""
        return self.settings.home.absolute() / "studies" / study_id


def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


Service = Annotated[Parts, Depends(_parts)]
