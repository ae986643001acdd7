"""Ctrl-C and SIGTERM as a KeyboardInterrupt that cannot get lost.

Python raises KeyboardInterrupt wherever the program happens to be, and drops it when that is a destructor or a weak
reference's callback ("Exception ignored in ..."): a study would then go on as if nothing had been pressed. So the
handler also remembers, and the study looks at every event.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupts:
    """Whether somebody asked to stop."""

    def __init__(self) -> None:
        self._requested = False

    def handle(self, signum: int, frame: FrameType | None) -> None:
        """Remember, and stop here if Python lets us."""
        self._requested = True
        raise KeyboardInterrupt

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
    before = {number: signal.signal(number, interrupts.handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupts
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)
