"""Random search: uniform in each range, in its logarithm where the range is log.

A configuration depends on the seed and its number alone, whatever happened before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from search_service.samplers.base import NonAdaptive, SamplingTask
from search_service.space.ranges import drawn_leaves
from trainables.seeds import derive_seed


class Uniform(NonAdaptive):
    """Points of the unit cube, a coordinate per leaf, whether or not it applies."""

    def __init__(self, task: SamplingTask) -> None:
        self._space, self._base, self._seed = task.space, task.base, task.seed

    def draw(self, number: int, fixed: Mapping[str, Any]) -> dict[str, Any]:
        """See ``ConfigurationSampler``."""
        unit = dict(zip(self._space, self._point(number), strict=True))
        return drawn_leaves(
            self._space, self._base, lambda leaf, range_: fixed.get(leaf, range_.from_unit(float(unit[leaf])))
        )

    def _point(self, number: int) -> np.ndarray[Any, Any]:
        """Coordinates from 0 to 1, ``[leaves]``."""
        return np.random.default_rng(derive_seed(self._seed, number)).random(len(self._space))
