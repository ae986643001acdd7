"""Quasi-random search: the points of a scrambled Sobol sequence, which fill the space more evenly than random ones.

Source: Bergstra and Bengio 2012, "Random search for hyper-parameter optimization", section 5.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from scipy.stats import qmc

from search_service.samplers.uniform import Uniform


class Sobol(Uniform):
    """Points of the unit cube, of a sequence of low discrepancy."""

    def _point(self, number: int) -> np.ndarray[Any, Any]:
        # Scrambled by the seed; the same generator at every number, so that a round can be taken up anywhere.
        sobol = qmc.Sobol(len(self._space), seed=np.random.default_rng(self._seed))
        if number > 0:
            # scipy cannot skip none.
            sobol.fast_forward(number)
        with warnings.catch_warnings():
            # That 2^n points are best balanced is no news to a search that may end anywhere.
            warnings.simplefilter("ignore", UserWarning)
            return np.asarray(sobol.random(1)[0])
