"""Ranges of hyperparameters and how they narrow around winners. Arithmetic only.

A ``Space`` maps dotted leaves of TrialConfig to ranges. After a round, ``narrow`` proposes the next round's:

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

import json
import math
from collections.abc import Callable, Collection, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from search_service.space.layers import is_structural, value_in
from trainables.choices import APPLIES_TO
from trainables.config import TrialConfig, applies

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


# Leaves and the values of theirs with which a range is searched.
When = tuple[tuple[str, tuple[Any, ...]], ...]


@dataclass(frozen=True)
class NumericRange:
    """Numbers from ``low`` to ``high``, both included.

    Attributes:
        low: Smallest value.
        high: Largest value.
        log: Sampled uniformly in the logarithm.
        step: Distance between values, from ``low``; None for all.
        integer: Whole numbers only.
        when: Where it is searched; empty for everywhere.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None
    integer: bool = False
    when: When = ()

    def to_scale(self, value: float) -> float:
        """Coordinate in which the range is uniform: log10 or the value itself."""
        return math.log10(value) if self.log else value

    def from_scale(self, coordinate: float) -> float:
        """Inverse of ``to_scale``."""
        value: float = 10.0**coordinate if self.log else coordinate
        return round(value) if self.integer else value

    @property
    def unit(self) -> float:
        """Distance between neighbouring values; none where all are possible."""
        return self.step or (1 if self.integer else 0)

    @property
    def n_steps(self) -> int:
        """Steps from ``low`` to ``high``; none without a step."""
        # A billionth of a step is rounding: (0.3 - 0) / 0.1 is 2.9999999999999996.
        return math.floor((self.high - self.low) / self.step + 1e-9) if self.step else 0

    def at_step(self, index: int) -> float:
        """The value ``index`` steps above ``low``, as one would write it: 3 steps of 0.1 are 0.3.

        In decimals, since sums of floats drift: 3 * 0.1 lies above 0.3, outside of a range that ends there.
        """
        value = float(Decimal(repr(float(self.low))) + index * Decimal(repr(float(self.step or 0))))
        return round(value) if self.integer else value

    def index_of(self, value: float) -> int:
        """How many steps above ``low`` the value of this range lies that is nearest to ``value``."""
        assert self.step is not None
        return min(max(round((value - self.low) / self.step), 0), self.n_steps)

    def between(self, share: float) -> float:
        """The value at a share of the way from ``low`` to ``high``, both ends included."""
        start, end = self.to_scale(self.low), self.to_scale(self.high)
        # The ends themselves: 10 ** log10(x) is not always x.
        return {0.0: self.low, 1.0: self.high}.get(share) or self.from_scale(start + share * (end - start))

    def from_unit(self, coordinate: float) -> float:
        """A value by its quantile from 0 to 1 under the range's own uniform distribution."""
        if self.step is not None:
            return self.at_step(min(math.floor(coordinate * (self.n_steps + 1)), self.n_steps))
        start, end = self._span
        return min(max(self.from_scale(start + coordinate * (end - start)), self.low), self.high)

    def to_unit(self, value: float) -> float:
        """The quantile of a value; of one that stands for several, the middle of theirs."""
        if self.step is not None:
            return (self.index_of(value) + 0.5) / (self.n_steps + 1)
        start, end = self._span
        return min(max((self.to_scale(value) - start) / (end - start), 0.0), 1.0) if start < end else 0.5

    @property
    def _span(self) -> tuple[float, float]:
        """Ends in the range's scale; a whole number takes half of one on either side, or the ends would be rare."""
        half = 0.5 if self.integer else 0.0
        return self.to_scale(self.low - half), self.to_scale(self.high + half)

    def contains(self, value: Any) -> bool:
        """Whether ``value`` lies inside."""
        return isinstance(value, (int, float)) and self.low <= value <= self.high

    def clipped(self, low: float, high: float) -> NumericRange:
        """The part of this range between ``low`` and ``high``; on the grid if there is a step."""
        low, high = max(low, self.low), min(high, self.high)
        if self.step is not None:
            first = math.ceil((low - self.low) / self.step - 1e-9)
            last = math.floor((high - self.low) / self.step + 1e-9)
            low, high = self.at_step(first), self.at_step(last)
        return replace(self, low=low, high=max(low, high))

    def __str__(self) -> str:
        return f"{self.low:.3g} – {self.high:.3g}"


def in_words(choice: object) -> str:
    """A choice as a config writes it: [64, 64] and not (64, 64)."""
    return str(list(choice) if isinstance(choice, tuple) else choice)


@dataclass(frozen=True)
class Choices:
    """One of ``choices``, searched where ``when`` holds."""

    choices: tuple[Any, ...]
    when: When = ()

    def from_unit(self, coordinate: float) -> Any:
        """A choice by a number in [0, 1)."""
        return self.choices[math.floor(coordinate * len(self.choices))]

    def contains(self, value: Any) -> bool:
        """Whether ``value`` is one of them."""
        return value in self.choices

    @staticmethod
    def encode(choice: Any) -> str:
        """A choice as JSON text: for whoever takes scalars only, since hidden_sizes are tuples."""
        return json.dumps(choice)

    def decode(self, text: str) -> Any:
        """The choice that ``encode`` made a text of.

        Raises:
            ValueError: It is none of the choices.
        """
        for choice in self.choices:
            if self.encode(choice) == text:
                return choice
        raise ValueError(f"{text} is none of {self}")

    def restore(self, value: Any) -> Any:
        """A choice that was written as JSON and read again, where a tuple has become a list.

        What is none of the choices is left as it is.
        """
        text = self.encode(value)
        return self.decode(text) if text in map(self.encode, self.choices) else value

    def __str__(self) -> str:
        return " | ".join(map(in_words, self.choices))


Range = NumericRange | Choices
Space = Mapping[str, Range]


def conditions(range_: Range) -> str:
    """Where a range is searched, in words: ``where optimizer.name is sgd or adam``; empty for everywhere."""
    said = (f"{leaf} is {' or '.join(map(str, allowed))}" for leaf, allowed in range_.when)
    return f"where {' and '.join(said)}" if range_.when else ""


def is_one_of(value: Any, allowed: Collection[Any]) -> bool:
    """Whether a value is one of ``allowed``; of numbers, up to rounding, since 3 steps of 0.1 are not quite 0.3."""
    return value in allowed or any(
        isinstance(other, (int, float)) and isinstance(value, (int, float)) and math.isclose(value, other)
        for other in allowed
    )


def can_draw(range_: Range, value: Any) -> bool:
    """Whether ``value`` could have been drawn from the range: also a whole number, or on a step."""
    if isinstance(range_, Choices) or not range_.contains(value):
        return range_.contains(value)
    if range_.integer and not float(value).is_integer():
        return False
    steps = 0.0 if range_.step is None else (value - range_.low) / range_.step
    return math.isclose(steps, round(steps), abs_tol=1e-9)


def conditions_of(leaf: str, space: Space) -> set[str]:
    """Leaves of ``space`` that decide whether ``leaf`` means anything: those of its ``when``, and its own choice."""
    named = {choice for choice, _ in space[leaf].when} | {APPLIES_TO.get(leaf, (leaf,))[0]}
    return {choice for choice in named if choice in space and choice != leaf}


def in_order(space: Space) -> dict[str, Range]:
    """The ranges, each after those that decide whether it is searched; structure first."""
    return {leaf: space[leaf] for leaf in sorted(space, key=lambda leaf: (_depth(leaf, space), leaf))}


def _depth(leaf: str, space: Space) -> int:
    """How many choices stand before a leaf."""
    own = 0 if is_structural(leaf) else 1
    return max([own, *(_depth(choice, space) + 1 for choice in conditions_of(leaf, space))])


def is_searched(leaf: str, range_: Range, values: Mapping[str, Any], base: TrialConfig) -> bool:
    """Whether a leaf is drawn in a trial.

    Args:
        leaf: The leaf.
        range_: Its range.
        values: Drawn before it; every leaf that its conditions name, where that is searched.
        base: What is not searched.
    """
    holds = all(is_one_of(values.get(choice, value_in(base, choice)), allowed) for choice, allowed in range_.when)
    return holds and applies(leaf, values, base)


def drawn_leaves(space: Space, base: TrialConfig, draw: Callable[[str, Any], Any]) -> dict[str, Any]:
    """Draw the leaves that mean something, each after the choices that it depends on.

    Args:
        space: Ranges by leaf, in the order of drawing.
        base: The choices that are not searched.
        draw: Gives a leaf's value from its range.
    """
    values: dict[str, Any] = {}
    for leaf, range_ in space.items():
        if is_searched(leaf, range_, values, base):
            values[leaf] = draw(leaf, range_)
    return values


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
    return replace(old, choices=kept), f"{', '.join(map(in_words, dropped))} never reached the better half"
