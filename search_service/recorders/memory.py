"""A recorder that keeps the events themselves."""

from __future__ import annotations

from typing import TypeVar

from search_service.records.events import Event

E = TypeVar("E")


class MemoryRecorder:
    """Keeps every event, in order, in ``events``."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    @property
    def page(self) -> str:
        """None."""
        return ""

    @property
    def registered(self) -> str:
        """Nothing."""
        return ""

    def record(self, event: Event) -> None:
        """See ``Recorder.record``."""
        self.events.append(event)

    def close(self) -> None:
        """Nothing to let go of."""

    def of(self, kind: type[E]) -> list[E]:
        """The events of one kind, in order."""
        return [event for event in self.events if isinstance(event, kind)]
