"""A study's events to many who follow it, at the cost of one who does.

One thread asks the store, twice a second, how far every study has come that anybody follows; whoever waits for one that
has moved is woken. Followers that stand at the same event get the same page of events, read once. The same look says
whose token was revoked: they are told nothing more.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager

from search_service.service.documents import StudyEvent
from search_service.service.states import ENDED, State
from search_service.service.store import Store

# Seconds between two looks: what a follower may be behind.
LOOK_EVERY_S = 0.5
# Seconds of silence after which a follower is told that there is nothing to tell: proxies drop what is silent longer.
SIGN_OF_LIFE_S = 15.0
# Events of one read.
PAGE = 500
# Pages kept for those who come to them a moment later.
KEPT_PAGES = 64

_log = logging.getLogger(__name__)


class Following:
    """Who follows what, and how far that has come."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._followers: Counter[str] = Counter()
        # By the name of their token, and those of them whose token is of no use any more.
        self._listeners: Counter[str] = Counter()
        self._revoked: set[str] = set()
        # Study -> events and state; a study that is gone has none.
        self._progress: dict[str, tuple[int, State]] = {}
        self._moved = asyncio.Condition()
        self._pages: dict[tuple[str, int, int], asyncio.Task[list[StudyEvent]]] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._look_on())

    async def close(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def followers(self) -> int:
        """How many follow a study."""
        return self._followers.total()

    def has_lost(self, token: str | None) -> bool:
        """Whether a follower's token was revoked."""
        return token in self._revoked

    async def events(self, study_id: str, after: int, token: str | None = None) -> AsyncIterator[Sequence[StudyEvent]]:
        """Events after one of them, as they come; none is a sign of life.

        Args:
            study_id: The study; the stream ends when it has ended or is gone.
            after: Number of an event; 0 for all.
            token: Name of the one that the follower has shown, with which it ends too; None if none was needed.
        """
        with self._counted(study_id, token):
            progress = await asyncio.to_thread(self._store.progress, [study_id])
            self._progress |= progress
            while study_id in self._progress and not self.has_lost(token):
                known, state = self._progress[study_id]
                if after < known:
                    found = await self._page(study_id, after, known)
                    if not found:
                        return
                    after = found[-1].id
                    yield found
                elif state in ENDED:
                    return
                elif not await self._has_moved(study_id, known, state, token):
                    yield []

    async def _has_moved(self, study_id: str, known: int, state: State, token: str | None) -> bool:
        """Wait until a study has come further than this, or its follower is to go, but not for ever."""

        async def moved() -> None:
            async with self._moved:
                await self._moved.wait_for(
                    lambda: self._progress.get(study_id) != (known, state) or self.has_lost(token)
                )

        try:
            await asyncio.wait_for(moved(), SIGN_OF_LIFE_S)
        except TimeoutError:
            return False
        return True

    async def _page(self, study_id: str, after: int, known: int) -> list[StudyEvent]:
        key = (study_id, after, known)
        if key not in self._pages:
            while len(self._pages) >= KEPT_PAGES:
                self._pages.pop(next(iter(self._pages)))
            self._pages[key] = asyncio.create_task(asyncio.to_thread(self._read, study_id, after))
            self._pages[key].add_done_callback(lambda task: self._forget_failed(key, task))
        return await asyncio.shield(self._pages[key])

    def _forget_failed(self, key: tuple[str, int, int], task: asyncio.Task[list[StudyEvent]]) -> None:
        if task.cancelled() or task.exception() is not None:
            self._pages.pop(key, None)

    def _read(self, study_id: str, after: int) -> list[StudyEvent]:
        rows = self._store.events(study_id, after=after, limit=PAGE)
        return [StudyEvent(id=row.number, type=row.type, content=row.content) for row in rows]

    @contextmanager
    def _counted(self, study_id: str, token: str | None) -> Iterator[None]:
        self._followers[study_id] += 1
        if token is not None:
            self._listeners[token] += 1
        try:
            yield
        finally:
            if token is not None:
                self._listeners[token] -= 1
                if not self._listeners[token]:
                    del self._listeners[token]
            self._followers[study_id] -= 1
            if not self._followers[study_id]:
                del self._followers[study_id]
                self._progress.pop(study_id, None)

    async def _look_on(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            followed = list(self._followers)
            if not followed:
                continue
            try:
                found = await asyncio.to_thread(self._store.progress, followed)
                self._revoked = await asyncio.to_thread(self._store.revoked, list(self._listeners))
            except Exception as error:
                # They wait until it is there again.
                _log.warning("the store cannot be asked how far studies have come: %s", error)
                continue
            async with self._moved:
                for study_id in followed:
                    if study_id in found and self._followers[study_id]:
                        self._progress[study_id] = found[study_id]
                    else:
                        self._progress.pop(study_id, None)
                self._moved.notify_all()
