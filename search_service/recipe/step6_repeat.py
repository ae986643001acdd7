"""Step 6: is it good enough, or are steps 3 to 5 done again with what was learnt?

Why: every repetition costs as much as the one before and brings less; somebody has to say when it is enough, and why.
Stops when the target is reached, the time or the cycles are spent, or the last rounds improved the score by less than
the validation score's own noise. The reason is a sentence that is recorded; it ends with how the loss curves of the
best trial read (fit.py).
Source: the lecture's step 6 and 7, "look at the curves, go to 5".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from search_service.recipe import fit
from search_service.results import Cycle, Decision, RoundResult
from search_service.spec import StudySpec
from trainables.config import TrialConfig
from trainables.losses import ChanceScale
from trainables.metrics import METRICS, MetricName


def run(
    spec: StudySpec,
    cycles: Sequence[Cycle],
    n_validation: float,
    *,
    scale_of: Callable[[TrialConfig], ChanceScale],
    time_is_up: bool,
) -> Decision:
    """Decide.

    Args:
        spec: Target and limits.
        cycles: Done so far.
        n_validation: Validation rows, which decide the score's noise; of rows that do not count alike, as many as say
            the same.
        scale_of: What a configuration's losses are read by.
        time_is_up: Whether the time budget is spent.
    """
    decision = _decide(spec, cycles, n_validation, time_is_up=time_is_up)
    best = cycles[-1].refined.best or cycles[-1].coarse.best
    if best is None:
        return decision
    reading = fit.read([best.curve], scale_of(best.config), best.config)
    return replace(decision, reason=f"{decision.reason}; the best trial's curves read {reading.summary}")


def _decide(spec: StudySpec, cycles: Sequence[Cycle], n_validation: float, *, time_is_up: bool) -> Decision:
    done, better, metric, target = len(cycles), METRICS[spec.metric].better, spec.metric, spec.objective.target
    last = cycles[-1]
    found = last.refined.best or last.coarse.best
    if found is not None and target is not None and (found.score == target or better(found.score, target)):
        return Decision(done, True, f"the target is reached: validation {metric} {found.score:.4g} (target {target:g})")
    if last.refined.best is None:
        trials = len(last.refined.trials)
        why = f"none of its {trials} trials has a score" if trials else last.refined.stop_reason
        return Decision(done, True, f"the refined round brought nothing ({why}); the rounds before it stand")

    best, before = last.refined.best.score, _best_score(last.coarse if done == 1 else cycles[-2].refined)
    gain = best - before if METRICS[metric].mode == "max" else before - best
    noise = standard_error(metric, best, n_validation)
    compared = "the coarse round" if done == 1 else f"cycle {done - 1}"
    change = f"{abs(gain):.3g} {'better' if gain > 0 else 'worse'} than" if gain else "the same as"
    improvement = f"validation {metric} {best:.4g}, {change} {compared}"
    if time_is_up:
        return Decision(done, True, f"the time budget of {spec.search.time_budget_s:g} s is spent; {improvement}")
    if gain < noise:
        error = f"noise: ±{noise:.2g}, one standard error over {n_validation:.0f} validation rows"
        return Decision(done, True, f"no further improvement: {improvement} ({error})")
    if done >= spec.search.max_cycles:
        return Decision(
            done, True, f"{'the only cycle is' if done == 1 else f'all {done} cycles are'} done; {improvement}"
        )
    return Decision(done, False, f"{improvement}, more than the noise of ±{noise:.2g}")


def standard_error(metric: MetricName, score: float, rows: float) -> float:
    """How far a score over ``rows`` rows lies from its true value by chance, one standard error.

    accuracy: √(p (1 - p) / n), the binomial's; for balanced accuracy and F1 the same, too small where classes are rare.
    roc_auc: Hanley and McNeil 1982, for two classes of n/2 rows. log_loss: loss / √n, that of exponential losses.
    rmse: rmse / √(2n) for normal residuals, mae: √(π/2 - 1) mae / √n. r2: that of the residual's share 1 - r2, √(2/n)
    of it.
    """
    # One row more or less is the least that can be told apart, also at a score of exactly 0 or 1.
    match metric:
        case "accuracy" | "balanced_accuracy" | "macro_f1":
            return max(math.sqrt(score * (1 - score) / rows), 1 / rows)
        case "roc_auc":
            return max(_error_of_auc(score, rows / 2), 1 / rows)
        case "log_loss":
            return score / math.sqrt(rows)
        case "rmse":
            return score / math.sqrt(2 * rows)
        case "mae":
            return score * math.sqrt((math.pi / 2 - 1) / rows)
        case "r2":
            return (1 - score) * math.sqrt(2 / rows)


def _error_of_auc(area: float, rows: float) -> float:
    """Of an area over ``rows`` rows of each class, whose scores are exponential."""
    both_above, both_below = area / (2 - area), 2 * area**2 / (1 + area)
    # Below one row of a class there is nothing to compare; rounding may leave less than 0 at an area of 1.
    more = max(rows - 1, 0.0)
    variance = (area * (1 - area) + more * (both_above + both_below - 2 * area**2)) / rows**2
    return math.sqrt(max(variance, 0.0))


def _best_score(result: RoundResult) -> float:
    return result.best.score if result.best else math.nan
