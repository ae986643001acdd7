"""Draws pictures in a process of its own, beside the one that trains or waits for those that do.

Drawing is Python from its first line to its last: in a thread it takes turns with everything else that its process
does, which in a small study was a fifth of the time. The process begins with the first picture; it ends with the
recorder, or with whoever asked, since it reads to the end of its input.

It is no process of ``multiprocessing``, which would run the user's script once more from its top. What it is sent, and
answers, are pickles: a function with a file's name, and what went wrong or None.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

from matplotlib.figure import Figure

# Times that a process may end before its answer; then pictures are drawn here. Once may be the system's want of memory.
MOST_LOST = 2


class _LostError(Exception):
    """The process has ended before its answer, or cannot be started."""


class Painter:
    """The process beside this one, begun when it is first needed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._lost = 0
        self._lock = threading.Lock()

    def draw(self, draw: Callable[[], Figure], file: Path) -> None:
        """Draw a figure and write it as a PNG.

        Args:
            draw: Draws it; there if it can be pickled, else here.
            file: To write.

        Raises:
            Exception: What ``draw`` or the writing raised, wherever it was done.
        """
        try:
            asked = pickle.dumps((draw, str(file.absolute())))
        except (pickle.PicklingError, AttributeError, TypeError):
            paint(draw, file)
            return
        try:
            with self._lock:
                error = self._ask(asked)
        except _LostError:
            paint(draw, file)
            return
        if error is not None:
            raise error

    def close(self) -> None:
        """End the process, if there is one; a picture that it is at is drawn here."""
        if (process := self._process) is not None and self._owner == os.getpid():
            process.kill()
            with self._lock:
                self._end()

    def _ask(self, asked: bytes) -> Exception | None:
        """What was raised there."""
        # A process that was forked has its parent's pipes, and must not speak into them.
        if self._process is None or self._owner != os.getpid():
            if self._lost >= MOST_LOST:
                raise _LostError
            self._process, self._owner = _start(), os.getpid()
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(asked)
            self._process.stdin.flush()
            answer: Exception | None = pickle.load(self._process.stdout)
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            self._lost += 1
            self._end()
            raise _LostError from error
        return answer

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None and process.stdout is not None
        process.kill()
        process.wait()
        process.stdout.close()
        # What could not be sent cannot be sent now.
        with contextlib.suppress(OSError):
            process.stdin.close()


def _start() -> subprocess.Popen[bytes]:
    # It finds what this process would find, and nothing in the folder that happens to be the current one.
    code = f"import sys; sys.path[:] = {sys.path!r}; import {__name__} as painter; painter.serve()"
    try:
        # A session of its own: Ctrl-C is for those who can say what was interrupted.
        return subprocess.Popen(
            [sys.executable, "-P", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, TypeError) as error:
        # A program that brings its own Python may have no executable of it.
        raise _LostError from error


def paint(draw: Callable[[], Figure], file: Path) -> None:
    """Draw a figure in this process and write it as a PNG."""
    draw().savefig(file)


def serve() -> None:
    """Draw what is asked for until nobody is there to ask: what the process does."""
    # What a library prints is not to be read as an answer.
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        while (answer := _answer_to(sys.stdin.buffer)) is not None:
            answers.write(answer)
            answers.flush()


def _answer_to(asked: IO[bytes]) -> bytes | None:
    """Draw the next picture: what is to be answered; None if nobody asks any more."""
    error: Exception | None = None
    try:
        draw, file = pickle.load(asked)
        paint(draw, Path(file))
    except EOFError:
        return None
    except Exception as raised:
        error = raised
    try:
        return pickle.dumps(error)
    except Exception:  # Of any kind: an error of somebody's own says itself how it is pickled.
        return pickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))
