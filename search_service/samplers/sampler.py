"""Which configuration to try next.

A cohort's configurations share their structure (trainables.choices.STRUCTURAL): the first one draws it, the others
are drawn with it fixed. Leaves that depend on a choice (momentum on the momentum optimiser, or what a range's ``when``
says) are drawn only where it holds.

- ``random``: uniform in each range (in its logarithm where the range is log). A configuration depends on the seed and
  its number alone, whatever happened before.
- ``quasi_random``: the points of a scrambled Sobol sequence, which fill the space more evenly.
- ``grid``: every combination of a few values of each range, in random order.
- ``tpe``, ``gp``, ``cma_es``: learn from what they are told (tpe.py, optuna_models.py).

A round has a Sampler of its own: changing a range inside one would make its model of the past wrong.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from search_service.samplers.optuna_models import OptunaModel
from search_service.samplers.tpe import TreeParzen
from search_service.space.layers import is_structural
from search_service.space.ranges import (
    Choices,
    Range,
    Space,
    conditions_of,
    drawn_leaves,
    in_order,
    is_one_of,
    is_searched,
)
from search_service.spec.study_spec import SamplerName
from trainables.config import TrialConfig
from trainables.seeds import derive_seed

Method = SamplerName
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
        method: How configurations are drawn.
        mode: Whether larger or smaller scores are better.
        seed: Decides the sequence of suggestions.
        first: Points suggested first; leaves outside the space, or values outside their range, are drawn instead.
        most: Configurations that will be asked for at most: a grid is made to have no more if it can.
    """

    def __init__(
        self,
        space: Space,
        base: TrialConfig,
        *,
        method: Method,
        mode: Literal["max", "min"],
        seed: int,
        first: Sequence[Mapping[str, Any]] = (),
        most: int = 100,
    ) -> None:
        # Choices that others depend on are drawn before what depends on them.
        self._space, self._base = in_order(space), base
        self._shared = _shared_by_a_cohort(self._space)
        self._first = [self._inside(point) for point in first]
        self._next = 0
        own = derive_seed(seed, "sampler")
        self._source: _Source
        if method == "random":
            self._source = _Uniform(self._space, base, own)
        elif method == "quasi_random":
            self._source = _Sobol(self._space, base, own)
        elif method == "grid":
            self._source = _Grid(self._space, base, own, most)
        elif method == "tpe":
            self._source = TreeParzen(self._space, base, mode=mode, seed=own)
        else:
            self._source = OptunaModel(self._space, base, method=method, mode=mode, seed=own)

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
            values: Of every leaf that applies.
            fate: As in ``tell``.
            score: As in ``tell``.
        """
        if not isinstance(self._source, _Deaf):
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
            number: Of the suggestion.
            score: Validation score.
        """
        if math.isfinite(score):
            self._source.observe(number, score)

    def tell(self, number: int, fate: Fate, score: float) -> None:
        """Say what became of a suggestion.

        Args:
            number: Of the suggestion.
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
        if isinstance(self._source, _Grid) and not self._source.has(structure):
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


class _Source(Protocol):
    """Where configurations come from."""

    def draw(self, number: int, fixed: Mapping[str, Any]) -> dict[str, Any] | None:
        """The leaves of a configuration, of which ``fixed`` are given; None if there are no more."""
        ...

    def observe(self, number: int, score: float) -> None:
        """A configuration has a score at a rung, and goes on."""
        ...

    def end(self, number: int, score: float | None) -> None:
        """A configuration has ended, at its last score, or without one that counts."""
        ...


class _Deaf:
    """What does not learn."""

    def observe(self, number: int, score: float) -> None:
        """Nothing."""

    def end(self, number: int, score: float | None) -> None:
        """Nothing."""


class _Uniform(_Deaf):
    """Points of the unit cube, a coordinate per leaf, whether or not it applies."""

    def __init__(self, space: Space, base: TrialConfig, seed: int) -> None:
        self._space, self._base, self._seed = space, base, seed

    def draw(self, number: int, fixed: Mapping[str, Any]) -> dict[str, Any] | None:
        """See ``_Source``."""
        unit = dict(zip(self._space, self._point(number), strict=True))
        return drawn_leaves(
            self._space, self._base, lambda leaf, range_: fixed.get(leaf, range_.from_unit(float(unit[leaf])))
        )

    def _point(self, number: int) -> np.ndarray[Any, Any]:
        return np.random.default_rng(derive_seed(self._seed, number)).random(len(self._space))


class _Sobol(_Uniform):
    """The same of a low-discrepancy sequence. Source: Bergstra and Bengio 2012, section 5."""

    def _point(self, number: int) -> np.ndarray[Any, Any]:
        # Nearly a second to import, in every worker as well.
        from scipy.stats import qmc

        # Scrambled by the seed; the same generator at every number, so that a round can be taken up anywhere.
        sobol = qmc.Sobol(len(self._space), seed=np.random.default_rng(self._seed))
        if number > 0:
            # scipy cannot skip none.
            sobol.fast_forward(number)
        with warnings.catch_warnings():
            # That 2^n points are best balanced is no news to a search that may end anywhere.
            warnings.simplefilter("ignore", UserWarning)
            return np.asarray(sobol.random(1)[0])


class _Grid(_Deaf):
    """Every combination of some values of each leaf, shuffled, so that a round that is cut short has seen all sides.

    A range with a step gives its own values, a choice its own; the other ranges get as many as fit into ``most``
    combinations, evenly spaced from end to end.
    """

    def __init__(self, space: Space, base: TrialConfig, seed: int, most: int) -> None:
        self._space, self._base = space, base
        points = self._combinations(2)
        for finer in range(3, most + 1):
            more = self._combinations(finer)
            if len(more) > most or len(more) == len(points):
                break
            points = more
        np.random.default_rng(seed).shuffle(points)
        self._left = points

    def draw(self, number: int, fixed: Mapping[str, Any]) -> dict[str, Any] | None:
        """See ``_Source``."""
        for index, point in enumerate(self._left):
            if all(point.get(leaf) == value for leaf, value in fixed.items()):
                return self._left.pop(index)
        if not fixed:
            return None
        # A first point that is no point of the grid; what it leaves open is as in the next one.
        following = self._left[0] if self._left else {}
        return drawn_leaves(
            self._space,
            self._base,
            lambda leaf, range_: fixed[leaf] if leaf in fixed else following.get(leaf, range_.from_unit(0.5)),
        )

    def has(self, structure: Mapping[str, Any]) -> bool:
        """Whether a combination of this structure is left."""
        return any(all(point.get(leaf) == value for leaf, value in structure.items()) for point in self._left)

    def _combinations(self, resolution: int) -> list[dict[str, Any]]:
        """All of them, each once: a leaf that does not apply is in none."""
        points: list[dict[str, Any]] = [{}]
        for leaf, range_ in self._space.items():
            values = _spread(range_, resolution)
            points = [
                wider
                for point in points
                for wider in (
                    [{**point, leaf: value} for value in values]
                    if is_searched(leaf, range_, point, self._base)
                    else [point]
                )
            ]
        return points


def _spread(range_: Range, resolution: int) -> list[Any]:
    """Values of a range from end to end, each once."""
    if isinstance(range_, Choices):
        return list(range_.choices)
    if range_.step is not None:
        return [range_.at_step(i) for i in range(range_.n_steps + 1)]
    spread = [range_.between(i / (resolution - 1)) for i in range(resolution)]
    return list(dict.fromkeys(spread))
