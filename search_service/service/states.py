"""The states of a study in the service, and what may be asked of it in each.

    pending → checking → searching → finishing → completed | failed
       │          └──────────┴────────────┴──→ stopping → completed          somebody asked for an end: finalists now
       │                     └──→ cancelled | interrupted ──resume──→ pending
       └──→ cancelled

A job that dies is started again by itself; ``interrupted`` is what it did too often.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where a study stands."""

    PENDING = "pending"
    CHECKING = "checking"
    SEARCHING = "searching"
    FINISHING = "finishing"
    STOPPING = "stopping"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


class Wanted(StrEnum):
    """What whoever submitted a study wants of it."""

    RUN = "run"
    STOP = "stop"
    CANCEL = "cancel"


# A job works on it.
ACTIVE = (State.CHECKING, State.SEARCHING, State.FINISHING, State.STOPPING)
# Nothing happens any more unless somebody asks.
ENDED = (State.COMPLETED, State.FAILED, State.CANCELLED, State.INTERRUPTED)
RESUMABLE = (State.CANCELLED, State.INTERRUPTED)
