"""Where a process trains, and how one that trains on a CPU is set up, once, before its first step.

Measured with ``bench/step_throughput.py``: see docs/performance/steps.md.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

# Parameters of glibc's mallopt(3), from malloc.h.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
# The largest value that glibc accepts on 64 bits: blocks below it come from the heap, not from a map of their own.
MMAP_THRESHOLD_BYTES = 32 * 2**20
# Freed memory kept for the next step instead of being given back, and how much the heap grows at a time.
TRIM_THRESHOLD_BYTES, TOP_PAD_BYTES = 2**30, 64 * 2**20


def device_for(gpus: float) -> str:
    """The torch device of what may use so many GPUs, fractions included: ``cuda`` where this process sees one."""
    return "cuda" if gpus > 0 and torch.cuda.is_available() else "cpu"


def prepare_process() -> None:
    """One thread per process, and memory that stays from step to step.

    Two intra-op threads on a machine that is busy with other trials make the same loop 10 to 85 times slower. And
    glibc gives blocks of the size of a population's activations back to the system when they are freed, so that every
    step pays for fresh pages: keeping them makes a population's steps 1.2 to 1.4 times as many.
    """
    torch.set_num_threads(1)
    if sys.platform == "linux":
        # musl, the other C library on Linux, has no mallopt and does not need it.
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES)
            mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD_BYTES)
            mallopt(M_TOP_PAD, TOP_PAD_BYTES)


@contextmanager
def prepared_process() -> Iterator[None]:
    """The same while something is trained here, also as a decorator; whoever asked for it has its threads again."""
    threads = torch.get_num_threads()
    prepare_process()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
