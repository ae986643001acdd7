"""What a handful of seeds or folds can tell: a confidence interval of a mean, and whether two configurations differ.

Without cross-validation seeds are the units. What is said is then about training again on these rows, not about other
rows. With it the folds are, each with its mean over the seeds: other rows would change more than other seeds would, and
a linear network comes out the same from all seeds. Folds train on rows that they share, so their scores vary
less than those of fresh rows would: the variance of their mean is taken to be (1/k + 1/(k - 1)) s² and not s²/k, where
1/(k - 1) is the number of rows that a fold is judged on for each that it is trained on; by time, where early folds have
few rows to train on, it is more.
Being the best of several, the winner's own interval is slightly too good; its test score is not.
Source: Nadeau and Bengio 2003, "Inference for the generalization error", section 4, the corrected resampled t-test.

>>> confidence_interval((0.96, 0.97, 0.98))
(0.9451586..., 0.9948413...)
>>> told_apart((0.96, 0.97, 0.98), (0.95, 0.962, 0.969)), told_apart((0.96, 0.97, 0.98), (0.98, 0.97, 0.965))
(True, False)
"""

from __future__ import annotations

import math
from collections.abc import Sequence

# Of the interval; two configurations differ where this or less would happen by chance in (1 - CONFIDENCE) of cases.
CONFIDENCE = 0.95
# Units that say something by being equal: two scores of 100 rows, or their differences, are in one case of eight.
FEWEST_EQUAL = 3


def confidence_interval(scores: Sequence[float], overlap: float = 0.0) -> tuple[float, float] | None:
    """Where the mean of all seeds or folds lies, in 95 % of such samples: mean ± t · standard error.

    t is the 97.5 % quantile of Student's distribution with n - 1 degrees of freedom (2.78 for 5).

    Args:
        scores: One per unit.
        overlap: Of folds, rows judged on for each trained on; 0 for seeds.

    Returns:
        Both ends; None with fewer than 2 units, 2 that are equal, or a score that is not finite.
    """
    n = len(scores)
    if n < 2 or (len(set(scores)) == 1 and n < FEWEST_EQUAL) or not all(math.isfinite(score) for score in scores):
        return None
    mean, reach = sum(scores) / n, _quantile(n - 1) * standard_error(scores, overlap)
    return mean - reach, mean + reach


def told_apart(one: Sequence[float], other: Sequence[float], overlap: float = 0.0) -> bool:
    """Whether two configurations differ, by a paired t-test over the seeds or folds that they share, at 5 %.

    Paired: a seed decides the initial weights of both, a fold the rows, and the differences unit by unit are what is
    tested. Each comparison is one by itself, without a correction for how many there are. With fewer than 2 units
    nothing can be told apart.

    Args:
        one: Score of each unit; NaN where it diverged, which is a difference.
        other: Scores of the same units, in the same order.
        overlap: Of folds, rows judged on for each trained on; 0 for seeds.
    """
    differences = [a - b for a, b in zip(one, other, strict=True)]
    if not all(math.isfinite(difference) for difference in differences):
        return True
    n = len(differences)
    if n < 2:
        return False
    if len(set(differences)) == 1:
        # No variance to divide by: the same everywhere, or better by as much in every unit.
        return differences[0] != 0 and n >= FEWEST_EQUAL
    return abs(sum(differences) / n) >= _quantile(n - 1) * standard_error(differences, overlap)


def standard_error(scores: Sequence[float], overlap: float = 0.0) -> float:
    """Of the mean of two units or more: s · √(1/n + overlap), where s is their standard deviation (n - 1)."""
    n = len(scores)
    mean = sum(scores) / n
    variance = sum((score - mean) ** 2 for score in scores) / (n - 1)
    return math.sqrt(variance * (1 / n + overlap))


def _quantile(freedom: int) -> float:
    # Not scipy.stats, whose ``t.ppf`` this is: that takes a second to import, in whatever process draws a picture.
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + CONFIDENCE) / 2))
