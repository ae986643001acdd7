"""How ranges narrow around winners. Arithmetic only.

After a round, ``narrow`` proposes the ranges of the next:

- a numeric range becomes the span of the best quarter of the trials (log10 where the range is log), padded;
- never narrower than a quarter of what it was, so that one lucky round cannot shut out the optimum; nor, however many
  rounds there are, than a factor of 2 in a log range, a twentieth of the user's own range in a linear one, or two
  values of a whole number or a step;
- if the best trial lies within a tenth of an edge, that edge moves outward by half the range instead: the optimum
  may be beyond it;
- never beyond the limits that the user gave;
- a choice that never reached the better half is dropped once it was tried often enough; trials that diverged were
  tries.

Each decision is also a sentence, for the record.
"""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from search_service.space.ranges import Choices, NumericRange, Range, Space, as_written

# Trials that a range follows: fewer are chance, more is where the round began.
BEST_SHARE = 0.25
FEWEST_BEST = 3
# Share of the new span added on each side, since the best quarter's span underestimates the good region.
PADDING = 0.15
# Share of the old range that the new one keeps at least.
LEAST_WIDTH = 0.25
# What no number of rounds goes below: a factor of 2, within which learning rates train alike, in decades; and where
# there are no factors, a share of the user's own range.
LEAST_DECADES = math.log10(2.0)
LEAST_OF_LIMITS = 0.05
# The best trial within this share of the range from an edge: the optimum may lie beyond.
EDGE = 0.1
# How far such an edge moves, as a share of the range.
WIDENING = 0.5
# A choice is dropped after this many trials without one in the better half: by chance, 1 in 16.
TRIES_BEFORE_DROPPING = 4


@dataclass(frozen=True)
class Scored:
    """A sampled point and how good it was; ``rank`` is smaller for better, infinite for one that diverged."""

    values: Mapping[str, Any]
    rank: float


@dataclass(frozen=True)
class Narrowing:
    """The next space, and a sentence for each range that changed."""

    space: Space
    sentences: tuple[str, ...]


def narrow(space: Space, points: Sequence[Scored], limits: Space, keep: Container[str] = ()) -> Narrowing:
    """Follow the winners of a round.

    Args:
        space: The round's ranges.
        points: Its trials that have a score, and those that diverged.
        limits: Ranges that must not be left: the user's own. A leaf without limits is bounded by nothing.
        keep: Leaves whose ranges stay as they are.

    Returns:
        Ranges for the next round; the same space if no point has a score.
    """
    ranked = sorted(points, key=lambda point: point.rank)
    narrowed: dict[str, Range] = dict(space)
    sentences = []
    for leaf, old in space.items():
        if leaf in keep:
            continue
        # A conditional leaf was not sampled in every trial.
        having = [point for point in ranked if leaf in point.values]
        able = [point.values[leaf] for point in having if point.rank < math.inf]
        if not able:
            continue
        if isinstance(old, NumericRange):
            limit = limits.get(leaf)
            bounds = limit if isinstance(limit, NumericRange) else replace(old, low=-math.inf, high=math.inf)
            narrowed[leaf], why = _narrow_numbers(old, able, bounds)
        else:
            narrowed[leaf], why = _narrow_choices(old, [point.values[leaf] for point in having], len(able))
        if narrowed[leaf] != old:
            sentences.append(f"{leaf}: {old} → {narrowed[leaf]}, {why}")
    return Narrowing(narrowed, tuple(sentences))


def _narrow_numbers(old: NumericRange, ranked: Sequence[float], bounds: NumericRange) -> tuple[NumericRange, str]:
    """The next range from the values of the trials, best first."""
    start, end = old.to_scale(old.low), old.to_scale(old.high)
    width = end - start
    n_best = max(FEWEST_BEST, math.ceil(BEST_SHARE * len(ranked)))
    best = [old.to_scale(value) for value in ranked[:n_best]]
    low, high = _around(best, start, end, _least_width(old, bounds))
    why = [f"around the best {min(n_best, len(ranked))} of {len(ranked)} trials"]
    if best[0] - start < EDGE * width:
        if old.low > bounds.low:
            low, why = start - WIDENING * width, ["widened: the best trial lies at the lower edge"]
        else:
            why.append("of which the best lies at the lower limit given")
    if end - best[0] < EDGE * width:
        if old.high < bounds.high:
            high, why = end + WIDENING * width, ["widened: the best trial lies at the upper edge"]
        else:
            why.append("of which the best lies at the upper limit given")
    # An edge that did not move keeps its exact value: 10 ** log10(x) is not always x.
    new_low = old.low if low == start else old.from_scale(low)
    new_high = old.high if high == end else old.from_scale(high)
    # One that moves outward takes in the next value at least.
    new_low = min(new_low, old.low - old.unit) if low < start else new_low
    new_high = max(new_high, old.high + old.unit) if high > end else new_high
    return _within(old, max(new_low, bounds.low), min(new_high, bounds.high), bounds), ", ".join(why)


def _least_width(old: NumericRange, bounds: NumericRange) -> float:
    """What the next range spans at least, in the range's scale; a range that spans less already is left as it is."""
    width = old.to_scale(old.high) - old.to_scale(old.low)
    if old.log:
        least = LEAST_DECADES
    else:
        given = bounds.high - bounds.low
        least = LEAST_OF_LIMITS * given if math.isfinite(given) else 0.0
    return min(width, max(LEAST_WIDTH * width, least))


def _around(best: Sequence[float], start: float, end: float, least: float) -> tuple[float, float]:
    """The padded span of ``best`` within ``start`` and ``end``, at least so wide: moved at an edge, and not cut."""
    pad = PADDING * (max(best) - min(best))
    low, high = min(best) - pad, max(best) + pad
    lacking = max(least - (high - low), 0.0)
    low, high = low - lacking / 2, high + lacking / 2
    if low < start:
        low, high = start, max(high, start + least)
    if high > end:
        low, high = max(min(low, end - least), start), end
    return low, high


def _within(old: NumericRange, low: float, high: float, bounds: NumericRange) -> NumericRange:
    """``old`` from ``low`` to ``high``, on its grid, with more than one value if it had more than one."""
    if old.step is not None:
        # The grid of the user's own range, on which a narrowed one lies too.
        on_grid = (bounds if bounds.step == old.step and math.isfinite(bounds.low) else old).clipped(low, high)
        low, high = on_grid.low, on_grid.high
    if high - low < 0.5 * old.unit:
        # One neighbour each side, where there is one; half a step allows for rounding.
        wider_low = low - old.unit if low - old.unit > old.low - 0.5 * old.unit else low
        wider_high = high + old.unit if high + old.unit < old.high + 0.5 * old.unit else high
        low, high = _on_steps(old, wider_low), _on_steps(old, wider_high)
    return replace(old, low=low, high=high)


def _on_steps(grid: NumericRange, value: float) -> float:
    """The value of a range with a step that is meant by ``value``, which arithmetic with floats has moved."""
    return value if grid.step is None else grid.at_step(grid.index_of(value))


def _narrow_choices(old: Choices, ranked: Sequence[Any], able: int) -> tuple[Choices, str]:
    """The choices that stay, from the values of the trials, best first, of which the first ``able`` have a score."""
    better_half = ranked[: min(math.ceil(len(ranked) / 2), able)]
    kept = tuple(
        choice
        for choice in old.choices
        if choice in better_half or sum(value == choice for value in ranked) < TRIES_BEFORE_DROPPING
    )
    dropped = [choice for choice in old.choices if choice not in kept]
    return replace(old, choices=kept), f"{', '.join(map(as_written, dropped))} never reached the better half"
