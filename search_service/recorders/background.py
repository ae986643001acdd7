"""Recording off the path: another recorder, in a thread of its own.

While a round trains, nobody waits for the record: trials that ended while it was writing are handed on together, so
that the more there is to write, the less each costs. If it falls far behind, whoever tells it something waits: what was
not written is not to fill the memory.

Every other event returns once it and all before it are written. So whatever a study's folder says is over, a round or
the study itself, is in the record as well, even if the process is killed at the next moment.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from typing import Protocol

from search_service.events import Event, TrialFinished, TrialProgressed
from search_service.recorders.base import Recorder

# Events waiting at most: of trials with a hundred epochs, some 50 MB.
MOST_WAITING = 2_000


class BulkRecorder(Recorder, Protocol):
    """A recorder that takes trials by the dozen."""

    def record_trials(self, events: Sequence[TrialFinished]) -> None:
        """Take trials that ended, in the order in which they did.

        Raises:
            RecorderError: They cannot be written.
        """
        ...


class BackgroundRecorder:
    """Hands events to a recorder in a thread.

    Args:
        recorder: Used by that thread alone, until ``close``.
    """

    def __init__(self, recorder: BulkRecorder) -> None:
        self._recorder = recorder
        self._waiting: queue.Queue[Event | None] = queue.Queue(MOST_WAITING)
        self._broken: Exception | None = None
        self._closed = False
        # Not a daemon: what was said is written, however this process ends, short of being killed.
        self._thread = threading.Thread(target=self._write, name="recorder")
        self._thread.start()

    @property
    def page(self) -> str:
        """See ``Recorder.page``; what was said is written first."""
        self._waiting.join()
        return self._recorder.page

    @property
    def registered(self) -> str:
        """See ``Recorder.registered``; what was said is written first."""
        self._waiting.join()
        return self._recorder.registered

    def record(self, event: Event) -> None:
        """See ``Recorder.record``; of trials, raises what went wrong with an earlier one."""
        self._raise()
        self._waiting.put(event)
        if not isinstance(event, TrialFinished | TrialProgressed):
            self._waiting.join()
            self._raise()

    def close(self) -> None:
        """Write what is not yet written.

        Raises:
            RecorderError: It cannot be written.
        """
        if self._closed:
            return
        self._closed = True
        self._waiting.put(None)
        self._thread.join()
        self._recorder.close()
        self._raise()

    def _raise(self) -> None:
        if self._broken is not None:
            broken, self._broken = self._broken, None
            raise broken

    def _write(self) -> None:
        ended = False
        while not ended:
            events = [self._waiting.get()]
            while True:
                try:
                    events.append(self._waiting.get_nowait())
                except queue.Empty:
                    break
            ended = events[-1] is None
            self._hand_on([event for event in events if event is not None])
            for _ in events:
                self._waiting.task_done()

    def _hand_on(self, events: Sequence[Event]) -> None:
        trials: list[TrialFinished] = []
        try:
            for event in events:
                if isinstance(event, TrialFinished):
                    trials.append(event)
                    continue
                self._recorder.record_trials(trials)
                trials = []
                self._recorder.record(event)
            self._recorder.record_trials(trials)
        except Exception as error:  # A defect as well: it is to end the study, and not only this thread.
            self._broken = self._broken or error
