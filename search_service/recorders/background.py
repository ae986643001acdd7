"""Recording off the path: another recorder, in a thread of its own, which may be slow, away or refuse for a while.

Nobody waits for the record. What is told to it waits here; trials that ended while it was writing are handed on
together, so that the more there is to write, the less each costs. Where the record cannot be reached, the same event is
tried again until it can: after each failure the recorder first looks for what of it has arrived (``recover``), so that
an answer that was lost makes nothing double. Only what the record refuses for good, or what is a defect of our own, is
passed over after a few tries; it is said at the end.

Nothing is lost with the process: everything that is told stands in the study's folder before, and a study that goes
on, or ``search-service sync``, tells it again. What waits holds no memory of its own: the study keeps its results, too.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from search_service.errors import RecorderError
from search_service.recorders.base import Recorder
from search_service.records.events import Event, TrialFinished, TrialProgressed
from trainables.redaction import redact

# Trials handed on together at most: a bounded piece to write again after a failure.
MOST_TOGETHER = 500
# Seconds between two tries, doubled from the first to the last: soon enough for a server that only starts again, seldom
# enough for one that is gone for hours.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 15.0
# Tries of an event that is refused or fails by a defect, before it is passed over: the first may have come in the
# middle of a server's start.
MOST_REFUSALS = 3
# Seconds for the thread to end once it is told to: it may be waiting for an answer. It is a daemon.
END_S = 1.0


class BulkRecorder(Recorder, Protocol):
    """A recorder that takes trials by the dozen, each event with its time, and finds its way after a failure."""

    def record_at(self, event: Event, at_ms: int) -> None:
        """Take one event.

        Args:
            event: What has happened.
            at_ms: When it happened, in milliseconds since 1970.

        Raises:
            RecorderError: It cannot be written.
        """
        ...

    def record_trials(self, events: Sequence[tuple[TrialFinished, int]]) -> None:
        """Take trials that ended, in the order in which they did, each with its time in milliseconds since 1970.

        Raises:
            RecorderError: They cannot be written.
        """
        ...

    def recover(self) -> None:
        """Look for what has arrived of an event that could not be recorded; the same event comes again next.

        Raises:
            RecorderError: The record cannot be read either.
        """
        ...


@dataclass(frozen=True)
class Backlog:
    """What of a study is not in its record.

    Attributes:
        waiting: Events that are still to be written; 0 if none.
        trouble: Why the last of them could not be written; empty if nothing is wrong.
        refused: What was passed over, and why, an entry each.
    """

    waiting: int = 0
    trouble: str = ""
    refused: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether the record has everything."""
        return not self.waiting and not self.refused


class BackgroundRecorder:
    """Hands events to a recorder in a thread.

    Args:
        recorder: Used by that thread alone; its ``close`` is called from another one.
    """

    def __init__(self, recorder: BulkRecorder) -> None:
        self._recorder = recorder
        self._waiting: deque[tuple[Event, int]] = deque()
        self._refused: list[str] = []
        self._trouble = ""
        # When something was last written, or there was nothing to write.
        self._moved_at = time.monotonic()
        self._closing = False
        self._changed = threading.Condition()
        # A daemon: a record that does not answer keeps no process alive.
        self._thread = threading.Thread(target=self._write, name="recorder", daemon=True)
        self._thread.start()

    @property
    def page(self) -> str:
        """See ``Recorder.page``."""
        return self._recorder.page

    @property
    def registered(self) -> str:
        """See ``Recorder.registered``; known once the model is in the record."""
        return self._recorder.registered

    @property
    def backlog(self) -> Backlog:
        """What is not written at this moment."""
        with self._changed:
            return Backlog(len(self._waiting), self._trouble, tuple(self._refused))

    def record(self, event: Event) -> None:
        """Take an event; returns at once, and never fails."""
        # No recorder writes down progress: a trial's curve comes with its end.
        if isinstance(event, TrialProgressed):
            return
        with self._changed:
            if not self._waiting:
                self._moved_at = time.monotonic()
            self._waiting.append((event, int(time.time() * 1000)))
            self._changed.notify_all()

    def wait(self, patience_s: float, *, most_s: float = math.inf) -> Backlog:
        """Wait until everything is written, for as long as it gets on.

        Args:
            patience_s: Seconds in which nothing could be written, after which nobody waits any longer.
            most_s: Seconds to wait at most.

        Returns:
            What is left.
        """
        began = time.monotonic()
        with self._changed:
            while self._waiting:
                left_s = min(began + most_s, max(began, self._moved_at) + patience_s) - time.monotonic()
                if left_s <= 0:
                    break
                self._changed.wait(left_s)
        return self.backlog

    def close(self) -> None:
        """Let go of the record; what waits is not written. Whoever wants it written waits first."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(END_S)
        # Even if it waits for an answer: whoever goes on with the record must be alone with it.
        self._recorder.close()

    def _write(self) -> None:
        failures = refusals = 0
        while (some := self._next(failures)) is not None:
            try:
                if failures:
                    self._recorder.recover()
                self._hand_on(some)
            except Exception as error:
                failures += 1
                is_final = not isinstance(error, RecorderError) or not error.retryable
                refusals += is_final
                if refusals >= MOST_REFUSALS:
                    self._refused.append(f"{_name(some)}: {_text(error)}")
                    self._done(len(some))
                    refusals = 0
                self._trouble = _text(error)
            else:
                failures = refusals = 0
                self._trouble = ""
                self._done(len(some))

    def _next(self, failures: int) -> list[tuple[Event, int]] | None:
        """What is to be written next: one event or, together, the trials that wait; None once it is over."""
        # Doubled ten times at most: that is beyond the longest, and numbers stay small over hours of absence.
        pause_s = min(FIRST_PAUSE_S * 2 ** min(failures - 1, 10), LONGEST_PAUSE_S) if failures else 0.0
        with self._changed:
            # Nobody waits for what was refused: pauses are for a record that is away.
            self._changed.wait_for(lambda: self._closing, pause_s)
            self._changed.wait_for(lambda: self._closing or self._waiting)
            if self._closing:
                return None
            some = [self._waiting[0]]
            # After a failure one by one: what is refused may be a single one of them.
            if isinstance(some[0][0], TrialFinished) and not failures:
                for other in list(self._waiting)[1:MOST_TOGETHER]:
                    if not isinstance(other[0], TrialFinished):
                        break
                    some.append(other)
            return some

    def _hand_on(self, some: Sequence[tuple[Event, int]]) -> None:
        trials = [(event, at_ms) for event, at_ms in some if isinstance(event, TrialFinished)]
        if trials:
            self._recorder.record_trials(trials)
        else:
            self._recorder.record_at(*some[0])

    def _done(self, count: int) -> None:
        with self._changed:
            for _ in range(count):
                self._waiting.popleft()
            self._moved_at = time.monotonic()
            self._changed.notify_all()


def _name(some: Sequence[tuple[Event, int]]) -> str:
    name = type(some[0][0]).__name__
    return name if len(some) == 1 else f"{name} × {len(some)}"


def _text(error: Exception) -> str:
    text = redact(str(error).split("\n", maxsplit=1)[0])
    return text if isinstance(error, RecorderError) else f"{type(error).__name__}: {text}"
