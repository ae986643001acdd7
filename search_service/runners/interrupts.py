"""Ctrl-C and SIGTERM: the first ends a study in order, the second at once, the third ends the process.

Both raise KeyboardInterrupt. Python raises that wherever the program happens to be, and drops it when that is a
destructor or a weak reference's callback ("Exception ignored in ..."): a study would then go on as if nothing had been
pressed. So the handler also remembers, and the study looks at every event.

Ray takes SIGTERM for itself twice: its ``init`` sets a handler of Python's, and its C++ part one that prints a stack
trace, has the signal delivered to the handler before it, and aborts the process by SIGALRM three seconds later. So the
handlers are set again after Ray was imported or started (``rearm``), and whatever alarm was set is called off.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from search_service.errors import EXIT_INTERRUPTED

SIGNALS = (signal.SIGINT, signal.SIGTERM)
# This many ask for an end in order and then at once; one more is not argued with.
POLITE = 2


class Interrupts:
    """Whether somebody asked to stop, and how often (``count``)."""

    def __init__(self) -> None:
        self._requested = False
        self.count = 0

    def handle(self, signum: int, frame: FrameType | None) -> None:
        """Remember, and stop here if Python lets us."""
        # Ray's alarm would abort the process in the middle of its orderly end.
        signal.alarm(0)
        self.count += 1
        if self.count > POLITE:
            # Nothing is lost that the journals hold; whoever asks three times does not want to wait for the rest.
            os._exit(EXIT_INTERRUPTED)
        self._requested = True
        raise KeyboardInterrupt

    def rearm(self) -> None:
        """Take the signals back from whoever has taken them meanwhile; only the main thread can."""
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                signal.signal(number, self.handle)

    def check(self) -> None:
        """Stop now if it was asked for; once.

        Raises:
            KeyboardInterrupt: It was.
        """
        if self._requested:
            self._requested = False
            raise KeyboardInterrupt


@contextmanager
def catch_interrupts() -> Iterator[Interrupts]:
    """Handle SIGINT and SIGTERM while the body runs; only the main thread may, elsewhere nothing changes."""
    interrupts = Interrupts()
    if threading.current_thread() is not threading.main_thread():
        yield interrupts
        return
    hook = sys.unraisablehook

    def quiet(unraisable: sys.UnraisableHookArgs) -> None:
        # An interrupt that Python dropped is remembered: its traceback would only frighten.
        if not isinstance(unraisable.exc_value, KeyboardInterrupt):
            hook(unraisable)

    sys.unraisablehook = quiet
    before = {number: signal.signal(number, interrupts.handle) for number in SIGNALS}
    try:
        yield interrupts
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)
