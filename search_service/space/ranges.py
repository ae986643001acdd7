"""Ranges of hyperparameters: what they hold, how they are drawn from and written. How they narrow is in narrowing.py.

A ``Space`` maps dotted leaves of TrialConfig to ranges.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from search_service.space.layers import is_structural, value_in
from trainables.choices import APPLIES_TO
from trainables.config import TrialConfig, applies

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


def as_written(choice: object) -> str:
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
        return " | ".join(map(as_written, self.choices))


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
