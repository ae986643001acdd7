"""What every recorder is."""

from __future__ import annotations

from typing import Protocol

from search_service.records.events import Event


class Recorder(Protocol):
    """Writes events down. One contract suite (tests/contracts/test_recorders.py) holds for all of them."""

    @property
    def page(self) -> str:
        """Path of the study's page below the address of the recorder's UI; empty if there is none."""
        ...

    @property
    def registered(self) -> str:
        """What became of the study's model in the recorder's registry, in words; empty if it was not entered."""
        ...

    def record(self, event: Event) -> None:
        """Take one event, in the order in which events happen.

        Raises:
            RecorderError: It cannot be written.
        """
        ...

    def close(self) -> None:
        """Write what is not yet written and let go of everything."""
        ...
