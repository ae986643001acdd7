"""What a network's layers and curves say, in a word each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from trainables.records import Health

HealthName = Literal["healthy", "vanishing", "exploding", "saturated", "dead"]


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
