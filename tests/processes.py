"""Processes from a fork server that has imported what they need, which takes longer than what they do.

A process has one such server, and whoever starts a process first decides what it imports. So each file of tests that
has a wish begins its own, and ends it.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver


@contextmanager
def imported(module: str) -> Iterator[None]:
    """Have a module imported in the server of all processes that are started meanwhile by ``forkserver``'s context."""
    forkserver._forkserver._stop()
    multiprocessing.get_context("forkserver").set_forkserver_preload([module])
    try:
        yield
    finally:
        forkserver._forkserver._stop()
