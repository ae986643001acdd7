"""Scores as people read them: some significant digits, no powers of ten where there need be none."""

from __future__ import annotations

import math

# Sizes between which a number is written out; outside, a power of ten is shorter than its zeros.
_SMALLEST, _LARGEST = 1e-4, 1e12
# From here on thousands are set apart: 1234 is a year as well as a score, and 12,345 is easier than 12345.
_LONG = 1e4
# Share of a mean below which a deviation is nothing but rounding, of sums in double precision.
_ROUNDING = 1e-12


def score_text(value: float | None, digits: int = 4) -> str:
    """A score: 0.8463, 12.35, 116,300, 1.2e-05.

    Args:
        value: Any number; None where there is none.
        digits: Significant ones that are kept.
    """
    if value is None:
        return "none"
    if not math.isfinite(value) or value == 0 or not _SMALLEST <= abs(value) < _LARGEST:
        return f"{value:.{digits}g}"
    # Rounded first: 99.996 has three digits before the point in the end.
    rounded = float(f"{value:.{digits}g}")
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
    written = f"{rounded:,.{decimals}f}" if abs(rounded) >= _LONG else f"{rounded:.{decimals}f}"
    # As the general format has it: zeros that say nothing are left out.
    return written.rstrip("0").rstrip(".") if "." in written else written


def spread_text(value: float | None) -> str:
    """How far a score may be off, of which two digits are known at most: 0.0021, 61,000."""
    return score_text(value, digits=2)


def mean_text(mean: float, deviation: float, count: int) -> str:
    """A mean of so many scores and their standard deviation, of which a single one has none: 0.98 ± 0.01, 0.98.

    Args:
        mean: Of the scores.
        deviation: Theirs.
        count: How many there are.
    """
    if count < 2:
        return score_text(mean)
    # Equal scores differ by what their sum was rounded to.
    return f"{score_text(mean)} ± {spread_text(0.0 if deviation < _ROUNDING * abs(mean) else deviation)}"
