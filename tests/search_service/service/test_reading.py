"""E1: what a process that reads a submitted table says, and what its end says."""

from __future__ import annotations

import signal

import pytest

from search_service.errors import InvalidSpecError
from search_service.service import reading
from search_service.service.reading import ReaderLostError
from trainables.data.limits import Limits

BOUNDS = reading.Bounds(memory_mb=1, seconds=1, table=Limits(cells=1, columns=1, unpacked_mb=1))


@pytest.mark.parametrize(
    ("exit_code", "error", "words"),
    [
        (-signal.SIGKILL, InvalidSpecError, "1 MB of memory"),
        (-signal.SIGABRT, InvalidSpecError, "1 MB of memory"),
        (-signal.SIGTERM, ReaderLostError, "ended with SIGTERM; try again"),
        (3, ReaderLostError, "ended with exit code 3; try again"),
        (0, ReaderLostError, "ended with exit code 0; try again"),
    ],
)
def test_e1_a_reader_that_ends_without_a_word_is_said_to_want_memory_only_where_it_may(exit_code, error, words):
    with pytest.raises(error, match=words):
        reading._taken({}, exit_code, BOUNDS, {})
