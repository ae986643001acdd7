"""What steps 1 to 3 found."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from search_service.records.readings import HealthReading
from trainables.records import LayerActivations, LayerGradients


@dataclass(frozen=True)
class CheckResult:
    """Verdict of a check.

    Attributes:
        step: 1, 2 or 3.
        name: What the recipe calls it.
        passed: The verdict.
        summary: One sentence with the numbers behind it.
        advice: What to do; empty if nothing.
        measured: What was measured, by name.
        expected: What was expected, by the same names.
        cycle: Number of the repetition of steps 3 to 5, from 1.
        health: How gradients fare in the network; None if the check does not look at them.
    """

    step: int
    name: str
    passed: bool
    summary: str
    advice: str
    measured: Mapping[str, float]
    expected: Mapping[str, float]
    cycle: int = 1
    health: HealthReading | None = None


@dataclass(frozen=True)
class InitialLossResult(CheckResult):
    """Step 1, with what its figure shows.

    Attributes:
        activations: Of the untrained network, per hidden layer.
        gradients: The same of its gradients.
        tolerance: Share of chance by which the loss with a small last layer may be off; NaN in studies of earlier
            versions, and so is ``band``.
        band: Multiple of chance up to which the loss may be with the weights as configured.
    """

    activations: tuple[LayerActivations, ...] = ()
    gradients: tuple[LayerGradients, ...] = ()
    tolerance: float = math.nan
    band: float = math.nan


@dataclass(frozen=True)
class OverfitResult(CheckResult):
    """Step 2, with the loss curve of each learning rate tried: (rate, losses at ``steps``).

    Attributes:
        steps: Steps at which the loss was looked at.
        curves: The configured rate first, then the others.
        threshold: The loss that counts as memorised.
        max_steps: Steps after which it is given up; 0 in studies of earlier versions.
    """

    steps: tuple[int, ...] = ()
    curves: tuple[tuple[float, tuple[float, ...]], ...] = ()
    threshold: float = math.nan
    max_steps: int = 0


# Too high is a rate beyond those that work at which the loss stays up without diverging.
RateLabel = Literal["diverged", "too slow", "works", "too high"]
# Step 3 averages the losses of that many batches, and calls a mean beyond that multiple of the untrained loss diverged.
SMOOTHING, DIVERGED = 10, 2.0


def smoothed(curve: Sequence[float]) -> list[float]:
    """Means of ``SMOOTHING`` losses after the other, the last of which may be of fewer: what step 3 judges."""
    parts = [curve[at : at + SMOOTHING] for at in range(0, len(curve), SMOOTHING)]
    return [sum(part) / len(part) for part in parts]


@dataclass(frozen=True)
class RateOutcome:
    """One candidate learning rate of step 3.

    Attributes:
        rate: The learning rate.
        label: Verdict over its starts.
        falls_to: Median over starts of the final smoothed loss as a share of the first; inf if not finite.
        curves: Loss per step of each start.
        untrained: The loss of each start before training, which shares are of; empty in studies of earlier versions.
    """

    rate: float
    label: RateLabel
    falls_to: float
    curves: tuple[tuple[float, ...], ...]
    untrained: tuple[float, ...] = ()


@dataclass(frozen=True)
class LearningRatesResult(CheckResult):
    """Step 3; ``low`` and ``high`` bound the region that works, padded, or are NaN if there is none."""

    outcomes: tuple[RateOutcome, ...] = ()
    low: float = math.nan
    high: float = math.nan
    best: float = math.nan
