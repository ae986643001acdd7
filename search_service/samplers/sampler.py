"""Which configuration to try next.

A cohort's configurations share their structure (trainables.choices.STRUCTURAL): the first one draws it, the others
are drawn with it fixed. Leaves that depend on a choice (momentum on the momentum optimiser, or what a range's ``when``
says) are drawn only where it holds.

How a configuration is drawn is the sampler's own business: base.py says what one is, registry.py which there are.

A round has a Sampler of its own: changing a range inside one would make its model of the past wrong.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from search_service.samplers.base import SamplingTask
from search_service.samplers.registry import SAMPLERS
from search_service.space.layers import is_structural
from search_service.space.ranges import Range, Space, conditions_of, in_order, is_one_of, is_searched
from trainables.config import TrialConfig
from trainables.seeds import derive_seed

Fate = Literal["completed", "pruned", "failed"]


@dataclass(frozen=True)
class Suggestion:
    """A sampled point: its number in the round, from 0, and its leaves."""

    number: int
    values: Mapping[str, Any]


class Sampler:
    """Samples one round.

    Args:
        space: Ranges by leaf.
        base: Says which choices hold where ``space`` does not sample them.
        method: How configurations are drawn: a name of ``registry.SAMPLERS``.
        mode: Whether larger or smaller scores are better.
        seed: Decides the sequence of suggestions.
        first: Points suggested first; leaves outside the space, or values outside their range, are drawn instead.
        most: Configurations that will be asked for at most: a grid is made to have no more if it can.
        cost: A second objective by a configuration's leaves, for the samplers that know of two.
    """

    def __init__(
        self,
        space: Space,
        base: TrialConfig,
        *,
        method: str,
        mode: Literal["max", "min"],
        seed: int,
        first: Sequence[Mapping[str, Any]] = (),
        most: int = 100,
        cost: Callable[[Mapping[str, Any]], float] | None = None,
    ) -> None:
        # Choices that others depend on are drawn before what depends on them.
        self._space, self._base = in_order(space), base
        self._shared = _shared_by_a_cohort(self._space)
        self._first = [self._inside(point) for point in first]
        self._next = 0
        own = derive_seed(seed, "sampler")
        self._source = SAMPLERS[method](SamplingTask(self._space, base, mode, own, most, cost))

    def ask(self, members: int, size_of: Callable[[Mapping[str, Any]], int] | None = None) -> list[Suggestion]:
        """Suggest the configurations of a cohort, all of one structure.

        Args:
            members: How many, at most.
            size_of: How many, by the values of the first; without it as many as may be.

        Returns:
            As many, or fewer where a grid has no more; none when it is used up.
        """
        leader = self._suggest(self._first.pop(0) if self._first else {})
        if leader is None:
            return []
        if size_of is not None:
            members = min(members, size_of(leader.values))
        structure = {leaf: leader.values[leaf] for leaf in self._shared if leaf in leader.values}
        others = (self._suggest_beside(structure) for _ in range(members - 1))
        return [leader, *itertools.takewhile(lambda suggestion: suggestion is not None, others)]  # type: ignore[list-item]

    def learn(self, values: Mapping[str, Any], fate: Fate, score: float) -> None:
        """Take a trial of an earlier study for one's own; before anything is asked for.

        Args:
            values: Values of every leaf that applies.
            fate: What became of it, as in ``tell``.
            score: Its score, as in ``tell``.
        """
        if self._source.learns:
            # A number that no suggestion of this round has.
            number = -1 - self._next
            self._source.draw(number, values)
            self._source.end(number, score if fate != "failed" and math.isfinite(score) else None)

    def recall(self, values: Mapping[str, Any]) -> Suggestion:
        """Take up the next suggestion as an earlier process made it; it can then be told like any other.

        Args:
            values: Its leaves, as they were drawn.
        """
        for index, point in enumerate(self._first):
            if _agree(point, values):
                del self._first[index]
                break
        return self._made(values)

    def observe(self, number: int, score: float) -> None:
        """Say what a suggestion's score is at a rung, if it goes on.

        Args:
            number: The suggestion's number.
            score: Validation score.
        """
        if math.isfinite(score):
            self._source.observe(number, score)

    def tell(self, number: int, fate: Fate, score: float) -> None:
        """Say what became of a suggestion.

        Args:
            number: The suggestion's number.
            fate: Trained to the end, stopped at a rung, or of no use (diverged, crashed).
            score: Validation score, if there is one.
        """
        self._source.end(number, score if fate != "failed" and math.isfinite(score) else None)

    def _suggest(self, fixed: Mapping[str, Any]) -> Suggestion | None:
        values = self._source.draw(self._next, fixed)
        return None if values is None else self._numbered(values)

    def _made(self, values: Mapping[str, Any]) -> Suggestion:
        self._source.draw(self._next, values)
        return self._numbered(values)

    def _numbered(self, values: Mapping[str, Any]) -> Suggestion:
        self._next += 1
        return Suggestion(self._next - 1, values)

    def _suggest_beside(self, structure: Mapping[str, Any]) -> Suggestion | None:
        """Another member of a cohort: a waiting first point that can have its structure, or the structure alone."""
        for index, point in enumerate(self._first):
            if _agree(point, structure):
                return self._suggest({**structure, **self._first.pop(index)})
        if self._source.may_run_out and not self._source.has(structure):
            return None
        return self._suggest(structure)

    def _inside(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """What of a first point can stand: leaves of the space, in their ranges, unless they mean nothing beside it."""
        kept: dict[str, Any] = {}
        for leaf, range_ in self._space.items():
            if leaf in point and range_.contains(point[leaf]) and self._may_apply(leaf, range_, kept):
                kept[leaf] = point[leaf]
        return kept

    def _may_apply(self, leaf: str, range_: Range, known: Mapping[str, Any]) -> bool:
        """Whether a leaf can be searched, as far as is known; what is not known is drawn."""
        if conditions_of(leaf, self._space) <= known.keys():
            return is_searched(leaf, range_, known, self._base)
        return all(is_one_of(known[choice], allowed) for choice, allowed in range_.when if choice in known)


def _shared_by_a_cohort(space: Space) -> list[str]:
    """Structure, and whatever decides which of it is searched, in the order of ``space``."""
    shared: set[str] = set()
    found = {leaf for leaf in space if is_structural(leaf)}
    while found:
        shared |= found
        found = {choice for leaf in found for choice in conditions_of(leaf, space)} - shared
    return [leaf for leaf in space if leaf in shared]


def _agree(point: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Whether a first point says nothing else than ``values`` do: leaves that do not apply there are in one of them."""
    return all(values.get(leaf, value) == value for leaf, value in point.items())
