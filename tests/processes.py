"""Processes of tests: begun with what they need imported already, and killed though they may just be ending.

Importing takes longer than what they do. A process has one fork server, and whoever starts a process first decides
what it imports: so each file of tests that has a wish begins its own, and ends it.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import forkserver

import psutil


@contextmanager
def imported(module: str) -> Iterator[None]:
    """Have a module imported in the server of all processes that are started meanwhile by ``forkserver``'s context."""
    forkserver._forkserver._stop()
    multiprocessing.get_context("forkserver").set_forkserver_preload([module])
    try:
        yield
    finally:
        forkserver._forkserver._stop()


def lives(process: psutil.Process | int) -> bool:
    """Whether a process (or the one with an id) has not ended. One that nobody has waited for yet has ended, too."""
    try:
        process = psutil.Process(process) if isinstance(process, int) else process
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def kill(*processes: psutil.Process) -> None:
    """With SIGKILL, whichever of them are still there."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def kill_all(pid: int) -> None:
    """A process and what it started. Parts of it may end by themselves meanwhile, as when one of Ray's is lost."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        kill(*process.children(recursive=True), process)
