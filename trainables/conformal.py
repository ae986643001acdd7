"""How far predicted numbers are from the truth, as an interval that holds a given share of new rows.

Split conformal prediction: of rows that neither trained a model nor chose anything of it, the errors are sorted, and
the one at place ``ceil((n + 1) · share)`` is half the width of every interval. Whatever the errors' distribution and
whatever the model, an interval then holds the value of a new row of the same kind with at least that probability, and
at most ``1 / (n + 1)`` more. Source: Lei et al. 2018, "Distribution-free predictive inference for regression", theorem
2.2.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from trainables.records import PredictionInterval

# Decides which half of the rows sets the width by which the other half is judged.
_HALVES = 0


def fewest_rows(share: float) -> int:
    """Rows of which an interval can hold a share: of fewer even the largest error is too small."""
    # A share such as 0.9 has no exact binary form, and 9.000000000000002 rows are nine.
    return math.ceil(round(share / (1 - share), 9))


def half_width(errors: NDArray[np.float64], share: float, weights: NDArray[np.float64] | None = None) -> float:
    """Half of an interval's width.

    Args:
        errors: ``[N]`` distances between what a model said and what was so, of rows that it has nothing from.
        share: Of new rows whose value is to lie within.
        weights: ``[N]`` rows that each counts as.

    Returns:
        In the unit of the errors; infinity where rows are too few for the share.
    """
    if not len(errors):
        return math.inf
    counted = np.ones(len(errors)) if weights is None else weights
    order = np.argsort(errors, kind="stable")
    whole = counted.sum()
    # One row more than there are: the new one, which may be the furthest of all.
    needed = (whole + whole / len(errors)) * share
    # Sums of weights are rounded, too.
    at = int(np.searchsorted(np.cumsum(counted[order]), needed * (1 - 1e-12)))
    return float(errors[order[at]]) if at < len(errors) else math.inf


def measure(
    errors: NDArray[np.float64], share: float, weights: NDArray[np.float64] | None = None
) -> PredictionInterval:
    """An interval by all of the rows, and how many of them intervals of the same kind hold.

    Rows that set a width say nothing of what it holds. So half of them, at random, sets a width by which the other half
    is judged, and the other way round.

    Args:
        errors: As ``half_width``.
        share: Likewise.
        weights: Likewise.
    """
    order = np.random.default_rng(_HALVES).permutation(len(errors))
    first, second = order[: len(order) // 2], order[len(order) // 2 :]
    inside = np.zeros(len(errors), dtype=bool)
    for setting, judged in ((first, second), (second, first)):
        width = half_width(errors[setting], share, None if weights is None else weights[setting])
        inside[judged] = errors[judged] <= width
    covered = float(np.average(inside, weights=weights))
    return PredictionInterval(share, half_width(errors, share, weights), covered, len(errors))
