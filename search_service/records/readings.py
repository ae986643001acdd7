"""What a network's layers and curves say, in a word each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from trainables.records import Health

HealthName = Literal["healthy", "vanishing", "exploding", "saturated", "dead"]
# Bounds of the verdicts while training; recipe/gradient_health.py has the rule and where they come from.
VANISHED = 0.01
EXPLODED_IN_TRAINING = 1_000.0
DEAD_IN_TRAINING = 0.8
SATURATED_IN_TRAINING = 0.9


def exploding_beyond(first: Health) -> float:
    """The norm of the whole gradient beyond which it explodes, by the look before training."""
    return EXPLODED_IN_TRAINING * max(first.gradient_norm, 1.0)


@dataclass(frozen=True)
class HealthVerdict:
    """What is wrong with the gradients of a network, if anything.

    Attributes:
        name: What it is; the rule is in recipe/gradient_health.py.
        layers: Those concerned, numbered from 1.
        summary: One sentence with layers and numbers.
        remedy: What to change; empty if healthy.
    """

    name: HealthName
    layers: tuple[int, ...]
    summary: str
    remedy: str

    @property
    def is_healthy(self) -> bool:
        """Whether there is nothing to say."""
        return self.name == "healthy"


@dataclass(frozen=True)
class HealthReading:
    """A verdict and the looks at the network that it rests on, in the order of their steps."""

    verdict: HealthVerdict
    history: tuple[Health, ...]


@dataclass(frozen=True)
class FitReading:
    """How a network's loss curves read.

    Attributes:
        name: underfitting, good fit or overfitting.
        summary: One sentence with the numbers behind it.
        remedy: What to change; empty for a good fit.
    """

    name: Literal["underfitting", "good fit", "overfitting"]
    summary: str
    remedy: str
