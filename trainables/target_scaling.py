"""How a target's numbers become what a network learns, and back: transformed if asked, then mean 0 and deviation 1.

Why transform: where a few rows have values many times those of the others (prices, counts, waiting times), the squared
error is theirs, and the network learns little of all others. The square root tempers that; the logarithm turns
factors into differences. Both keep the sign: ``sign(x) · √|x|`` and ``sign(x) · ln(1 + |x|)``.

Scores, predictions and intervals are always in the target's own units. What a network says of a transformed target
is near its mean there, so its prediction is nearer to a median than to a mean: absolute errors gain more than squared
ones (docs/data.md has figures).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    # Torch takes seconds to import, and who reads a table has no tensors.
    from torch import Tensor

Transform = Literal["none", "sqrt", "log"]

# Skewness from which on ``auto`` takes the square root. An exponential distribution has 2. Measured on 24 targets
# (docs/decisions/data.md): above it the squared error falls on 9 of 12, below it on 4 of 12.
SKEWED = 2.0
# Of ln(1 + |x|): what a network says beyond it stands for the largest number that a table may have.
_LARGEST_LOG = float(np.log1p(np.finfo(np.float32).max, dtype=np.float64))

Numbers = TypeVar("Numbers", "Tensor", NDArray[Any])


@dataclass(frozen=True)
class TargetScaling:
    """The map from a target's own units to what networks learn: ``(transform(value) - mean) / scale``.

    Attributes:
        mean: Of the training rows' transformed values.
        scale: Their standard deviation.
        transform: What is done to values before.
    """

    mean: float = 0.0
    scale: float = 1.0
    transform: Transform = "none"

    @classmethod
    def fit(
        cls, values: NDArray[np.float64], weights: NDArray[np.float32] | None = None, transform: Transform = "none"
    ) -> TargetScaling:
        """Fit on training rows' values ``[N]``, rows weighted by ``weights`` ``[N]`` if given."""
        from sklearn.preprocessing import StandardScaler

        scaler = StandardScaler().fit(_transformed(values, transform).reshape(-1, 1), sample_weight=weights)
        return cls(float(scaler.mean_[0]), float(scaler.scale_[0]), transform)

    def apply(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """From the target's own units: ``[N]`` -> ``[N]``."""
        return (_transformed(values, self.transform) - self.mean) / self.scale

    def restore(self, outputs: Numbers) -> Numbers:
        """Back to the target's own units, in float64: any shape."""
        wide: Numbers = outputs.astype(np.float64) if isinstance(outputs, np.ndarray) else outputs.double()
        plain: Numbers = wide * self.scale + self.mean
        if self.transform == "sqrt":
            plain *= abs(plain)
        elif self.transform == "log" and isinstance(plain, np.ndarray):
            plain = np.sign(plain) * np.expm1(np.minimum(np.abs(plain), _LARGEST_LOG))
        elif self.transform == "log":
            plain = plain.sign() * plain.abs().clamp(max=_LARGEST_LOG).expm1()
        return plain

    def comparable(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, float]:
        """Outputs and targets whose differences, times the number, are in the target's own units."""
        if self.transform == "none":
            # A linear map: the differences need no more than its factor.
            return outputs, targets, self.scale
        return self.restore(outputs), self.restore(targets), 1.0


# Of classes, which have no size.
UNSCALED = TargetScaling()


def choose(values: NDArray[np.float64]) -> Transform:
    """What ``auto`` does to a target ``[N]`` of the training rows."""
    return "sqrt" if values.min() >= 0 and skewness(values) > SKEWED else "none"


def skewness(values: NDArray[np.float64]) -> float:
    """Third moment over the standard deviation's cube: 0 for what is symmetric, large for a long tail above."""
    deviations = values - values.mean()
    variance = float((deviations**2).mean())
    return float((deviations**3).mean()) / variance**1.5 if variance > 0 else 0.0


def _transformed(values: NDArray[np.float64], transform: Transform) -> NDArray[np.float64]:
    if transform == "sqrt":
        return np.sign(values) * np.sqrt(np.abs(values))
    if transform == "log":
        return np.sign(values) * np.log1p(np.abs(values))
    return values
