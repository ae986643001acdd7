"""Asks for the next cohort while the present one is trained, so that no worker waits for the sampler.

One thread does everything the sampler is asked and told, in the order in which it was said. The next ask is said when
a cohort is handed out, before anything is told of it: which configurations come does not depend on how long anything
takes. The price: a suggestion knows nothing of what was told after the one before it was handed out.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from search_service.sampling import Fate, Sampler, Suggestion


class AskingAhead:
    """A sampler, asked ahead.

    Args:
        sampler: Not used by anybody else from now on.
    """

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sampler")
        self._next: Future[list[Suggestion]] | None = None
        self._broken: BaseException | None = None

    def ask(self, members: int, *, then: int) -> list[Suggestion]:
        """The next cohort.

        Args:
            members: Of this one. What was asked for ahead is given out whatever its size: it is what ``then`` said.
            then: Members of the one after it, which is asked for now; 0 if there is none.
        """
        ahead = self._next or self._thread.submit(self._sampler.ask, members)
        suggestions = ahead.result()
        if self._broken is not None:
            raise self._broken
        self._next = self._thread.submit(self._sampler.ask, then) if then else None
        return suggestions

    def observe(self, number: int, score: float) -> None:
        """See ``Sampler.observe``."""
        self._say(partial(self._sampler.observe, number, score))

    def tell(self, number: int, fate: Fate, score: float) -> None:
        """See ``Sampler.tell``."""
        self._say(partial(self._sampler.tell, number, fate, score))

    def close(self) -> None:
        """End the thread once the sampler has heard everything; what was asked for ahead is forgotten."""
        if self._next is not None:
            self._next.cancel()
        self._thread.shutdown(wait=True)

    def _say(self, what: partial[None]) -> None:
        self._thread.submit(what).add_done_callback(self._note)

    def _note(self, done: Future[Any]) -> None:
        if not done.cancelled() and done.exception() is not None:
            # Raised at the next ask: a sampler that has not heard everything gives bad advice.
            self._broken = self._broken or done.exception()
