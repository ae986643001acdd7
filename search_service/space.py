"""Ranges of hyperparameters and how they narrow around winners. Arithmetic only.

A ``Space`` maps dotted leaves of TrialConfig to ranges. After a round, ``narrow`` proposes the next round's:

- a numeric range becomes the span of the best quarter of the trials (log10 where the range is log), padded;
- never narrower than a quarter of what it was, so that one lucky round cannot shut out the optimum;
- if the best trial lies within a tenth of an edge, that edge moves outward by half the range instead: the optimum
  may be beyond it;
- never beyond the limits that the user gave;
- a choice that never reached the better half is dropped once it was tried often enough.

Each decision is also a sentence, for the record.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

# Trials that a range follows: fewer are chance, more is where the round began.
BEST_SHARE = 0.25
FEWEST_BEST = 3
# Share of the new span added on each side, since the best quarter's span underestimates the good region.
PADDING = 0.15
# Share of the old range that the new one keeps at least.
LEAST_WIDTH = 0.25
# The best trial within this share of the range from an edge: the optimum may lie beyond.
EDGE = 0.1
# How far such an edge moves, as a share of the range.
WIDENING = 0.5
# A choice is dropped after this many trials without one in the better half: by chance, 1 in 16.
TRIES_BEFORE_DROPPING = 4


@dataclass(frozen=True)
class NumericRange:
    """Numbers from ``low`` to ``high``, both included.

    Attributes:
        low: Smallest value.
        high: Largest value.
        log: Sampled uniformly in the logarithm.
        step: Distance between values, from ``low``; None for all.
        integer: Whole numbers only.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None
    integer: bool = False

    def to_scale(self, value: float) -> float:
        """Coordinate in which the range is uniform: log10 or the value itself."""
        return math.log10(value) if self.log else value

    def from_scale(self, coordinate: float) -> float:
        """Inverse of ``to_scale``."""
        value: float = 10.0**coordinate if self.log else coordinate
        return round(value) if self.integer else value

    def contains(self, value: Any) -> bool:
        """Whether ``value`` lies inside."""
        return isinstance(value, (int, float)) and self.low <= value <= self.high

    def clipped(self, low: float, high: float) -> NumericRange:
        """The part of this range between ``low`` and ``high``; on the grid if there is a step."""
        low, high = max(low, self.low), min(high, self.high)
        if self.step is not None:
            low = self.low + math.ceil((low - self.low) / self.step - 1e-9) * self.step
            high = self.low + math.floor((high - self.low) / self.step + 1e-9) * self.step
        return replace(self, low=low, high=max(low, high))

    def __str__(self) -> str:
        return f"{self.low:.3g} – {self.high:.3g}"


@dataclass(frozen=True)
class Choices:
    """One of ``choices``."""

    choices: tuple[Any, ...]

    def contains(self, value: Any) -> bool:
        """Whether ``value`` is one of them."""
        return value in self.choices

    def __str__(self) -> str:
        return " | ".join(str(choice) for choice in self.choices)


Range = NumericRange | Choices
Space = Mapping[str, Range]


@dataclass(frozen=True)
class Scored:
    """A sampled point and how good it was; ``rank`` is smaller for better."""

    values: Mapping[str, Any]
    rank: float


@dataclass(frozen=True)
class Narrowing:
    """The next space, and a sentence for each range that changed."""

    space: Space
    sentences: tuple[str, ...]


def narrow(space: Space, points: Sequence[Scored], limits: Space) -> Narrowing:
    """Follow the winners of a round.

    Args:
        space: The round's ranges.
        points: Its trials that have a score.
        limits: Ranges that must not be left: the user's own. A leaf without limits is bounded by nothing.

    Returns:
        Ranges for the next round; the same space if there are no points.
    """
    ranked = sorted(points, key=lambda point: point.rank)
    narrowed: dict[str, Range] = dict(space)
    sentences = []
    for leaf, old in space.items():
        # A conditional leaf was not sampled in every trial.
        having = [point for point in ranked if leaf in point.values]
        if not having:
            continue
        if isinstance(old, NumericRange):
            limit = limits.get(leaf)
            bounds = limit if isinstance(limit, NumericRange) else replace(old, low=-math.inf, high=math.inf)
            narrowed[leaf], why = _narrow_numbers(old, [point.values[leaf] for point in having], bounds)
        else:
            narrowed[leaf], why = _narrow_choices(old, [point.values[leaf] for point in having])
        if narrowed[leaf] != old:
            sentences.append(f"{leaf}: {old} → {narrowed[leaf]}, {why}")
    return Narrowing(narrowed, tuple(sentences))


def _narrow_numbers(old: NumericRange, ranked: Sequence[float], bounds: NumericRange) -> tuple[NumericRange, str]:
    """The next range from the values of the trials, best first."""
    start, end = old.to_scale(old.low), old.to_scale(old.high)
    width = end - start
    n_best = max(FEWEST_BEST, math.ceil(BEST_SHARE * len(ranked)))
    best = [old.to_scale(value) for value in ranked[:n_best]]
    pad = PADDING * (max(best) - min(best))
    low, high = min(best) - pad, max(best) + pad
    lacking = LEAST_WIDTH * width - (high - low)
    if lacking > 0:
        low, high = low - lacking / 2, high + lacking / 2
    low, high = max(low, start), min(high, end)
    why = f"around the best {min(n_best, len(ranked))} of {len(ranked)} trials"
    if best[0] - start < EDGE * width and old.low > bounds.low:
        low, why = start - WIDENING * width, "widened: the best trial lies at the lower edge"
    if end - best[0] < EDGE * width and old.high < bounds.high:
        high, why = end + WIDENING * width, "widened: the best trial lies at the upper edge"
    # An edge that did not move keeps its exact value: 10 ** log10(x) is not always x.
    new_low = old.low if low == start else old.from_scale(low)
    new_high = old.high if high == end else old.from_scale(high)
    if old.step is not None:
        bounds = replace(bounds, low=max(bounds.low, old.low), high=min(bounds.high, old.high), step=old.step)
    new_low, new_high = max(new_low, bounds.low), min(new_high, bounds.high)
    return replace(old, low=new_low, high=new_high) if old.step is None else bounds.clipped(new_low, new_high), why


def _narrow_choices(old: Choices, ranked: Sequence[Any]) -> tuple[Choices, str]:
    """The choices that stay, from the values of the trials, best first."""
    better_half = ranked[: math.ceil(len(ranked) / 2)]
    kept = tuple(
        choice
        for choice in old.choices
        if choice in better_half or sum(value == choice for value in ranked) < TRIES_BEFORE_DROPPING
    )
    dropped = [choice for choice in old.choices if choice not in kept]
    return Choices(kept), f"{', '.join(map(str, dropped))} never reached the better half"
