"""Who asks the sampler: ahead, while the present cohort is trained, or in waves, for deterministic rounds.

``AskingAhead`` lets no worker wait for the sampler.

One thread does everything the sampler is asked and told, in the order in which it was said. The next ask is said when
a cohort is handed out, before anything is told of it: which configurations come does not depend on how long anything
takes. The price: a suggestion knows nothing of what was told after the one before it was handed out.

``AskingInWaves`` asks when all that was asked for has ended, and the sampler hears of it in the order of the numbers,
whoever was quicker.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol

from search_service.records.rounds import TrialResult, TrialStatus
from search_service.samplers.sampler import Fate, Sampler, Suggestion


class Asking(Protocol):
    """What the book of a round needs of either."""

    def ask(self, left: int) -> list[Suggestion]:
        """The next cohort; none where a grid has no more.

        Args:
            left: Configurations that may still be asked for, those of this cohort among them; at least 1.
        """
        ...

    def observe(self, number: int, score: float) -> None:
        """See ``Sampler.observe``."""
        ...

    def tell(self, number: int, fate: Fate, score: float) -> None:
        """See ``Sampler.tell``."""
        ...

    def close(self) -> None:
        """Nothing is asked for any more."""
        ...


class AskingAhead:
    """A sampler, asked ahead.

    Args:
        sampler: Not used by anybody else from now on.
        most: Members of a cohort at most.
        size_of: Members of a cohort, by the values of its first one; see ``Sampler.ask``.
    """

    def __init__(self, sampler: Sampler, most: int, size_of: Callable[[Mapping[str, Any]], int]) -> None:
        self._sampler, self._most, self._size_of = sampler, most, size_of
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sampler")
        self._next: Future[list[Suggestion]] | None = None
        self._broken: BaseException | None = None

    def ask(self, left: int) -> list[Suggestion]:
        """See ``Asking``; the cohort after it is asked for now."""
        suggestions = (self._next or self._submit(left)).result()
        if self._broken is not None:
            raise self._broken
        self._next = self._submit(left - len(suggestions)) if left > len(suggestions) else None
        return suggestions

    def _submit(self, left: int) -> Future[list[Suggestion]]:
        return self._thread.submit(self._sampler.ask, min(self._most, left), self._size_of)

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


class AskingInWaves:
    """A sampler, asked when everything that it was asked for before has ended.

    Args:
        sampler: Not used by anybody else from now on.
        most: Members of a cohort at most.
        size_of: See ``AskingAhead``.
    """

    def __init__(self, sampler: Sampler, most: int, size_of: Callable[[Mapping[str, Any]], int]) -> None:
        self._sampler, self._most, self._size_of = sampler, most, size_of
        # What is to be said of each, by its number.
        self._heard: dict[int, list[partial[None]]] = {}

    def ask(self, left: int) -> list[Suggestion]:
        """See ``Asking``."""
        for number in sorted(self._heard):
            for say in self._heard.pop(number):
                say()
        return self._sampler.ask(min(self._most, left), self._size_of)

    def observe(self, number: int, score: float) -> None:
        """See ``Asking``."""
        self._heard.setdefault(number, []).append(partial(self._sampler.observe, number, score))

    def tell(self, number: int, fate: Fate, score: float) -> None:
        """See ``Asking``."""
        self._heard.setdefault(number, []).append(partial(self._sampler.tell, number, fate, score))

    def close(self) -> None:
        """See ``Asking``."""


def fate_of(trial: TrialResult) -> Fate:
    """What the sampler hears of a trial: one that diverged is of no use, whatever it scored before."""
    if not math.isfinite(trial.score):
        return "failed"
    match trial.status:
        case TrialStatus.COMPLETED:
            return "completed"
        case TrialStatus.PRUNED:
            return "pruned"
        case _:
            return "failed"
