"""Step 6: is it good enough, or are steps 3 to 5 done again with what was learnt?

Why: every repetition costs as much as the one before and brings less; somebody has to say when it is enough, and why.
Stops when the target is reached, the time or the cycles are spent, or the last rounds improved the score by less than
the validation score's own noise. The reason is a sentence that is recorded.
Source: the lecture's step 6 and 7, "look at the curves, go to 5".
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from search_service.results import Cycle, Decision, RoundResult
from search_service.spec import StudySpec
from trainables.metrics import METRICS, MetricName


def run(spec: StudySpec, cycles: Sequence[Cycle], n_validation: int, *, time_is_up: bool) -> Decision:
    """Decide.

    Args:
        spec: Target and limits.
        cycles: Done so far.
        n_validation: Validation rows, which decide the score's noise.
        time_is_up: Whether the time budget is spent.
    """
    refined = cycles[-1].refined
    best, before = _best_score(refined), _best_score(cycles[-1].coarse if len(cycles) == 1 else cycles[-2].refined)
    better, metric, target = METRICS[spec.metric].better, spec.metric, spec.objective.target
    noise = standard_error(metric, best, n_validation)
    gain = best - before if METRICS[metric].mode == "max" else before - best
    compared = "the coarse round" if len(cycles) == 1 else f"cycle {len(cycles) - 1}"
    if refined.best is None:
        why = refined.stop_reason if not refined.trials else f"none of its {len(refined.trials)} trials has a score"
        return Decision(len(cycles), True, f"the refined round brought nothing ({why}); the rounds before it stand")
    change = f"{abs(gain):.3g} {'better' if gain > 0 else 'worse'} than" if gain else "the same as"
    improvement = f"validation {metric} {best:.4g}, {change} {compared}"

    if target is not None and (best == target or better(best, target)):
        return Decision(len(cycles), True, f"the target is reached: validation {metric} {best:.4g} (target {target:g})")
    if time_is_up:
        return Decision(
            len(cycles), True, f"the time budget of {spec.search.time_budget_s:g} s is spent; {improvement}"
        )
    if gain < noise:
        return Decision(
            len(cycles),
            True,
            f"no further improvement: {improvement}, within the noise of ±{noise:.2g} "
            f"(one standard error over {n_validation} validation rows)",
        )
    if len(cycles) >= spec.search.max_cycles:
        return Decision(len(cycles), True, f"all {spec.search.max_cycles} cycles are done; {improvement}")
    return Decision(len(cycles), False, f"repeat: {improvement}, more than the noise of ±{noise:.2g}")


def standard_error(metric: MetricName, score: float, rows: int) -> float:
    """How far a score over ``rows`` rows lies from its true value by chance, one standard error.

    accuracy: √(p (1 - p) / n), the binomial's. rmse: rmse / √(2n) for normal residuals. r2: that of the residual's
    share 1 - r2, √(2/n) of it.
    """
    if metric == "accuracy":
        # One row more or less is the least that can be told apart, also at a score of exactly 0 or 1.
        return max(math.sqrt(score * (1 - score) / rows), 1 / rows)
    if metric == "rmse":
        return score / math.sqrt(2 * rows)
    return (1 - score) * math.sqrt(2 / rows)


def _best_score(result: RoundResult) -> float:
    return result.best.score if result.best else math.nan
