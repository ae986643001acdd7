"""The steps of the recipe: their numbers and what they are called, for events, records, displays and the service."""

from __future__ import annotations

from enum import IntEnum


class Step(IntEnum):
    """A step of the recipe; the finalists come after the sixth. Written down and told as its number."""

    INITIAL_LOSS = 1
    SMALL_SAMPLE = 2
    LEARNING_RATES = 3
    COARSE_SEARCH = 4
    REFINED_SEARCH = 5
    REPEAT = 6
    FINALISTS = 7

    @property
    def title(self) -> str:
        """What people call it."""
        return _TITLES[self]


_TITLES = {
    Step.INITIAL_LOSS: "initial loss",
    Step.SMALL_SAMPLE: "overfit a small sample",
    Step.LEARNING_RATES: "learning rates",
    Step.COARSE_SEARCH: "coarse search",
    Step.REFINED_SEARCH: "refined search",
    Step.REPEAT: "repeat",
    Step.FINALISTS: "finalists",
}
