"""What a handful of seeds can tell: a confidence interval of a mean, and whether two configurations differ.

Seeds are the units: with cross-validation, a seed's score is its mean over the folds. What is said is therefore about
training again on these rows, not about other rows. Being the best of several, the winner's own interval is slightly too
good; its test score is not.

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


def confidence_interval(scores: Sequence[float]) -> tuple[float, float] | None:
    """Where the mean over all seeds lies, in 95 % of such samples: mean ± t · s / √n.

    s is the standard deviation (n - 1) and t the 97.5 % quantile of Student's distribution with n - 1 degrees of
    freedom (2.78 for 5 seeds).

    Args:
        scores: One per seed.

    Returns:
        Both ends; None with fewer than 2 seeds or a score that is not finite.
    """
    n = len(scores)
    if n < 2 or not all(math.isfinite(score) for score in scores):
        return None
    from scipy.stats import t

    mean = sum(scores) / n
    std = math.sqrt(sum((score - mean) ** 2 for score in scores) / (n - 1))
    reach = float(t.ppf((1 + CONFIDENCE) / 2, n - 1)) * std / math.sqrt(n)
    return mean - reach, mean + reach


def told_apart(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether two configurations differ, by a paired t-test over the seeds that they share, at 5 %.

    Paired: the seeds decide the initial weights of both, and the differences seed by seed are what is tested. Each
    comparison is one by itself, without a correction for how many there are. With fewer than 2 seeds nothing can be
    told apart.

    Args:
        one: Score of each seed; NaN where it diverged, which is a difference.
        other: Scores of the same seeds, in the same order.
    """
    differences = [a - b for a, b in zip(one, other, strict=True)]
    if not all(math.isfinite(difference) for difference in differences):
        return True
    if len(differences) < 2:
        return False
    if len(set(differences)) == 1:
        # No variance to divide by: the same everywhere, or better by as much with every seed.
        return differences[0] != 0
    from scipy.stats import ttest_rel

    return bool(ttest_rel(one, other).pvalue <= 1 - CONFIDENCE)
