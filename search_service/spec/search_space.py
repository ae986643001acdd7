"""search_space: what a user may say of ranges, and how the search uses them.

    optimizer.momentum: {low: 0.5, high: 0.99, when: {optimizer.name: [momentum, nesterov]}}
    network.init: {choices: [auto, gaussian]}
    network.depth: {low: 1, high: 4}        # layers.py: the number of hidden layers,
    network.width: {low: 32, high: 256}     # and the units of each

What can be wrong with them is in ``range_problems.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator, Field, Tag

from search_service.space.layers import DEPTH, SIZES, WIDTH, as_numbers, is_of_layers, value_in, width_of
from search_service.space.ranges import Choices, NumericRange, Range, is_one_of
from trainables.config import FrozenModel, TrialConfig, accepts_fractions, leaf_paths

Scalar = bool | int | float | str
# Searched in every study.
LEARNING_RATE = "optimizer.lr"


def _as_values(allowed: Any) -> tuple[Any, ...]:
    """What a condition allows, as values: a value alone is one of them, a list in a list one value."""
    if not isinstance(allowed, (list, tuple)):
        return (allowed,)
    return tuple(tuple(value) if isinstance(value, list) else value for value in allowed)


_Value = Scalar | tuple[Scalar, ...] | None
# What a range's condition allows: some values, or one of them alone.
Allowed = Annotated[
    tuple[_Value, ...],
    Field(min_length=1),
    BeforeValidator(_as_values, json_schema_input_type=Scalar | tuple[_Value, ...] | None),
]


class RangeSpec(FrozenModel):
    """A numeric range of the search space."""

    low: float = Field(description="Smallest value, a real number (not an exponent).")
    high: float = Field(description="Largest value.")
    log: bool = Field(default=False, description="Sample uniformly in the logarithm; low must be above 0.")
    step: float | None = Field(default=None, gt=0, description="Distance between values, counted from low.")
    when: dict[str, Allowed] = Field(
        default={},
        description="Search it only where these leaves have these values, such as {optimizer.name: [sgd, adam]}; "
        "elsewhere it is as in trial.",
    )


# A search learns nothing of thousands of values side by side; a range has as many as one likes.
MOST_CHOICES = 1_000


class ChoicesSpec(FrozenModel):
    """A set of values of the search space."""

    choices: Annotated[tuple[Scalar | tuple[Scalar, ...] | None, ...], Field(min_length=1, max_length=MOST_CHOICES)] = (
        Field(description="The values to choose from; a list is one value (hidden_sizes), null is off (clipping).")
    )
    when: dict[str, Allowed] = Field(
        default={}, description="Search it only where these leaves have these values; elsewhere it is as in trial."
    )


def _kind_of_range(value: Any) -> str:
    return "choices" if isinstance(value, ChoicesSpec) or (isinstance(value, dict) and "choices" in value) else "range"


SearchRange = Annotated[
    Annotated[RangeSpec, Tag("range")] | Annotated[ChoicesSpec, Tag("choices")], Discriminator(_kind_of_range)
]

# Values of some of the leaves that are searched.
Point = Annotated[dict[str, Scalar | tuple[Scalar, ...] | None], Field(min_length=1)]


@dataclass(frozen=True)
class AskedRanges:
    """The ranges of a study, beside the trial that says what is not searched.

    Attributes:
        search_space: The user's ranges, by leaf.
        trial: The user's configuration.
    """

    search_space: Mapping[str, RangeSpec | ChoicesSpec]
    trial: TrialConfig

    def ranges(self) -> dict[str, Range]:
        """The user's ranges, by the user's names."""
        return {leaf: to_range(leaf, given) for leaf, given in self.search_space.items()}

    def space(self) -> dict[str, Range]:
        """The same as the search uses them: with one width for each layer."""
        return _one_width_per_layer(self.ranges(), self.trial)

    def in_search(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """A point of the user's, by the leaves of ``space``."""
        layered = any(is_of_layers(leaf) for leaf in self.search_space)
        return _in_search(point, layered, self.space())

    def possible(self, leaf: str) -> set[Any]:
        """Values that ``leaf`` can take in a trial: searched or fixed; of a range, its bounds."""
        searched = self.search_space.get(leaf)
        if searched is None:
            return {value_in(self.trial, leaf)}
        drawn = set(searched.choices) if isinstance(searched, ChoicesSpec) else {searched.low, searched.high}
        return drawn | {value_in(self.trial, leaf)} if searched.when else drawn

    def keeps_apart(self, one: tuple[str, Any], other: tuple[str, Any]) -> bool:
        """Whether the first leaf's condition never lets it have its value where the other has its own."""
        (leaf, value), (choice, chosen) = one, other
        searched = self.search_space.get(leaf)
        if searched is None or choice not in searched.when or self.trial[leaf] == value:
            return False
        return not is_one_of(chosen, searched.when[choice])


def searchable() -> list[str]:
    """Leaves that a search space may have."""
    return [leaf for leaf in leaf_paths() if leaf not in ("seed", "loss")] + [DEPTH, WIDTH]


def is_whole(leaf: str) -> bool:
    """Whether a leaf takes whole numbers only."""
    return is_of_layers(leaf) or not accepts_fractions(leaf)


def to_range(leaf: str, given: RangeSpec | ChoicesSpec) -> Range:
    """A range as the search uses it."""
    when = tuple(given.when.items())
    if isinstance(given, ChoicesSpec):
        return Choices(given.choices, when)
    whole = NumericRange(given.low, given.high, given.log, given.step, integer=is_whole(leaf), when=when)
    # Ends at the last value that the steps reach: Optuna would warn and do the same.
    return whole.clipped(given.low, given.high)


def _one_width_per_layer(ranges: Mapping[str, Range], trial: TrialConfig) -> dict[str, Range]:
    """The range of ``network.width`` for each layer that a network may have, searched where it has so many."""
    space = dict(ranges)
    width = space.pop(WIDTH, None)
    if width is None:
        return space
    own, depth = len(trial.network.hidden_sizes), space.get(DEPTH)
    if depth is None:
        return space | {width_of(layer): width for layer in range(1, own + 1)}
    most = int(max(depth.choices) if isinstance(depth, Choices) else depth.high)
    # Where the depth has a condition that does not hold, it is the trial's.
    most = max(most, own) if depth.when else most
    for layer in range(1, most + 1):
        so_deep = (DEPTH, tuple(range(layer, most + 1)))
        space[width_of(layer)] = replace(width, when=(*width.when, so_deep))
    return space


def _in_search(point: Mapping[str, Any], layered: bool, space: Mapping[str, Range]) -> dict[str, Any]:
    """A point of the user's by the leaves of a space."""
    values = dict(point)
    if layered and SIZES in values:
        values |= as_numbers(values.pop(SIZES))
    if WIDTH in values:
        width = values.pop(WIDTH)
        values |= {leaf: width for leaf in space if is_of_layers(leaf) and leaf != DEPTH}
    return {leaf: value for leaf, value in values.items() if leaf in space or leaf == LEARNING_RATE}
