"""What the benchmarks of rounds hear of one: when reports came, and of how many epochs."""

from __future__ import annotations

import time

from search_service.records.events import TrialFinished, TrialProgressed

# Reports that come this soon after the first are of the same time: those of the cohorts that began together.
TOGETHER_S = 0.3


class Reports:
    """A listener of a round."""

    def __init__(self) -> None:
        self._reached: dict[str, int] = {}
        self._heard: list[tuple[float, int]] = []

    def listen(self, event: object) -> None:
        """Note how much further a trial has come."""
        if not isinstance(event, TrialProgressed | TrialFinished):
            return
        progressed = isinstance(event, TrialProgressed)
        trial = event.trial_id if progressed else event.trial.trial_id
        epochs = event.epoch if progressed else event.trial.epochs
        self._heard.append((time.time(), epochs - self._reached.get(trial, 0)))
        self._reached[trial] = epochs

    @property
    def first(self) -> float:
        """When the first came."""
        return self._heard[0][0]

    @property
    def last(self) -> float:
        """When the last came."""
        return self._heard[-1][0]

    @property
    def epochs(self) -> int:
        """Of all trials together."""
        return sum(self._reached.values())

    @property
    def rate(self) -> float:
        """Networks × epochs per second in the steady state: what was reported after the first."""
        later = sum(epochs for when, epochs in self._heard if when > self.first + TOGETHER_S)
        return later / (self.last - self.first)
