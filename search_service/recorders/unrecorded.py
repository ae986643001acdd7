"""A recorder that writes nothing: of a study whose folder is enough, such as one of dozens in a cross-validation."""

from __future__ import annotations

from collections.abc import Sequence

from search_service.records.events import Event, TrialFinished


class Unrecorded:
    """Takes every event and keeps none; ``search-service sync`` can tell a record everything later, from the folder."""

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

    def record_at(self, event: Event, at_ms: int) -> None:
        """See ``BulkRecorder.record_at``."""

    def record_trials(self, events: Sequence[tuple[TrialFinished, int]]) -> None:
        """See ``BulkRecorder.record_trials``."""

    def recover(self) -> None:
        """Nothing can have arrived."""

    def close(self) -> None:
        """Nothing to let go of."""
