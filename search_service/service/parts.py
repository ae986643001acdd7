"""What the routes work with, as one object; a route takes it as a parameter."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
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


class Readers:
    """Does what reads a table in a few threads of its own: all other routes go on meanwhile."""

    def __init__(self) -> None:
        self._limiter, self._asked = anyio.CapacityLimiter(READERS), 0
        self._measuring = anyio.Lock()

    async def do(self, what: Callable[[], T], *, measures: bool = False) -> T:
        """Do it, once a thread is free.

        Args:
            what: It.
            measures: Whether it times something, so that one of its kind at a time is done: others would be in its way,
                and one that waits takes no thread from those that only read.

        Raises:
            BusyError: Many wait for one already.
        """
        if self._asked >= READERS + MOST_WAITING:
            raise BusyError("many configs are being checked just now; try again in a moment")
        self._asked += 1
        try:
            async with self._measuring if measures else contextlib.nullcontext():
                return await anyio.to_thread.run_sync(what, limiter=self._limiter)
        finally:
            self._asked -= 1


@dataclass(frozen=True)
class Parts:
    """The service's parts."""

    settings: ServiceSettings
    store: Store
    reconciler: Reconciler
    submissions: Submissions
    following: Following
    readers: Readers


def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


Service = Annotated[Parts, Depends(_parts)]
