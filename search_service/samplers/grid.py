"""Grid search: every combination of a few values of each range, in random order."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from search_service.samplers.base import NonAdaptive, SamplingTask
from search_service.space.ranges import Choices, Range, drawn_leaves, is_searched

# Combinations that are built, to be shuffled: a dictionary each, 50 MB together. And of more, how often one is drawn
# for each that is wanted.
MOST_BUILT, TRIES = 100_000, 10


class Grid(NonAdaptive):
    """Every combination of some values of each leaf, shuffled, so that a round that is cut short has seen all sides.

    A range with a step gives its own values, a choice its own; the other ranges get as many as fit into ``most``
    combinations, evenly spaced from end to end. Of more combinations than ``MOST_BUILT``, some are drawn.
    """

    may_run_out = True

    def __init__(self, task: SamplingTask) -> None:
        self._space, self._base = task.space, task.base
        random = np.random.default_rng(task.seed)
        if self._product(2) > MOST_BUILT:
            self._left = self._some(task.most, random)
            return
        points = self._combinations(2)
        for finer in range(3, task.most + 1):
            # What is larger is of no use, and would take three values of a range, to the power of the ranges.
            if len(points) > task.most or self._product(finer) > MOST_BUILT:
                break
            more = self._combinations(finer)
            if len(more) > task.most or len(more) == len(points):
                break
            points = more
        random.shuffle(points)
        self._left = points

    def draw(self, number: int, fixed: Mapping[str, Any]) -> dict[str, Any] | None:
        """See ``ConfigurationSampler``."""
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

    def _product(self, resolution: int) -> int:
        """Combinations, were there no conditions."""
        return math.prod(len(_spread(range_, resolution)) for range_ in self._space.values())

    def _some(self, most: int, random: np.random.Generator) -> list[dict[str, Any]]:
        """As many different combinations as a round asks for, drawn without building all of them."""
        spreads = {leaf: _spread(range_, 2) for leaf, range_ in self._space.items()}

        def any_of(leaf: str, range_: Range) -> Any:
            return spreads[leaf][random.integers(len(spreads[leaf]))]

        points: dict[str, dict[str, Any]] = {}
        # Of so many, hardly two are alike; where leaves depend on others there may be fewer.
        for _ in range(TRIES * most):
            point = drawn_leaves(self._space, self._base, any_of)
            points.setdefault(repr(point), point)
            if len(points) == most:
                break
        return list(points.values())

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
