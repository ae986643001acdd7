"""Step 6: is it good enough, or are steps 3 to 5 done again with what was learnt?

Why: every repetition costs as much as the one before and brings less; somebody has to say when it is enough, and why.
Stops when the target is reached, the time, the epochs or the cycles are spent, or another cycle is not expected to
improve the score by more than noise. The reason is a sentence that is recorded; it ends with how the loss curves of the
best trial read (fit.py).

- **Noise** is the larger of two: the validation score's standard error, by the number of rows; and, once it was
  measured (seed_noise.py), the standard deviation of the difference between two trainings of one configuration.
- **Expected gain**: gains shrink from one cycle to the next by the ratio in which the last one shrank, and at most not
  at all. A single gain has no trend; the next one is taken to be half of it.

Source: the lecture's step 6 and 7, "look at the curves, go to 5".
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from search_service.recipe import fit
from search_service.records.finalists import Cycle, Decision, SeedNoise
from search_service.records.numbers import score_text, spread_text
from search_service.records.rounds import RoundResult
from search_service.spec.study_spec import StudySpec
from trainables.config import TrialConfig
from trainables.losses import ChanceScale
from trainables.metrics import METRICS, MetricName

# What the gain after a single one is expected to be, as a share of it: rounds of equal cost bring less and less.
SHRINKS_TO = 0.5


def run(
    spec: StudySpec,
    cycles: Sequence[Cycle],
    n_validation: float,
    *,
    scale_of: Callable[[TrialConfig], ChanceScale],
    time_is_up: bool,
    stop_requested: bool = False,
    measured: SeedNoise | None = None,
    shares: Sequence[float] = (),
    another_fits: bool | None = None,
) -> Decision:
    """Decide.

    Args:
        spec: Target and limits.
        cycles: Done so far.
        n_validation: Validation rows, which decide the score's noise; of rows that do not count alike, as many as say
            the same.
        scale_of: What a configuration's losses are read by.
        time_is_up: Whether the time budget is spent.
        stop_requested: Whether somebody asked for an end.
        measured: The best configuration of the last cycle from other seeds, if that was tried.
        shares: Of each class among the validation rows; none for numbers.
        another_fits: Whether the study's minutes have room for another cycle, which then is begun whatever the last one
            has brought; None without minutes.
    """
    by_rows = partial(METRICS[spec.metric].standard_error, rows=n_validation, shares=shares)
    decision = _decide(
        spec,
        cycles,
        n_validation,
        by_rows,
        time_is_up=time_is_up,
        stop_requested=stop_requested,
        measured=measured,
        another_fits=another_fits,
    )
    decision, best = replace(decision, measured=measured), cycles[-1].last.best
    if best is None:
        return decision
    reading = fit.read([best.curve], scale_of(best.config), best.config)
    return replace(decision, reason=f"{decision.reason}; the best trial's curves read {reading.summary}")


def _decide(
    spec: StudySpec,
    cycles: Sequence[Cycle],
    n_validation: float,
    by_rows: Callable[[float], float],
    *,
    time_is_up: bool,
    stop_requested: bool,
    measured: SeedNoise | None,
    another_fits: bool | None,
) -> Decision:
    done, better, metric, target = len(cycles), METRICS[spec.metric].better, spec.metric, spec.objective.target
    last = cycles[-1]
    found = last.refined.best or last.coarse.best
    if found is not None and target is not None and (found.score == target or better(found.score, target)):
        return Decision(
            done, True, f"the target is reached: validation {metric} {score_text(found.score)} (target {target:g})"
        )
    if last.refined.best is None:
        trials = len(last.refined.trials)
        why = f"none of its {trials} trials has a score" if trials else f"it began none: {last.refined.stop_reason}"
        return Decision(done, True, f"the refined round brought nothing ({why}); the rounds before it stand")

    gains, search = _gains(cycles, metric), spec.search
    gain, expected = gains[-1], expected_gain(gains)
    noise, of_what = _noise(by_rows(last.refined.best.score), n_validation, measured)
    compared = "the coarse round" if done == 1 else f"cycle {done - 1}"
    change = f"{score_text(abs(gain), 3)} {'better' if gain > 0 else 'worse'} than" if gain else "the same as"
    improvement = f"validation {metric} {score_text(last.refined.best.score)}, {change} {compared}"
    epochs, most = sum(cycle.coarse.epochs + cycle.refined.epochs for cycle in cycles), search.max_total_epochs
    another = f"another cycle is expected to bring {spread_text(expected)}"
    within = f"(noise: ±{spread_text(noise)}, {of_what})"
    # The first that holds is the reason.
    rules = [
        (stop_requested, f"a stop was requested; {improvement}"),
        (time_is_up, f"the time budget of {search.time_budget_s or 0:g} s is spent; {improvement}"),
        (
            most is not None and epochs >= most,
            f"the budget of {most} epochs is spent ({epochs} were trained); {improvement}",
        ),
    ]
    by_gain = [
        (gain < noise, f"no further improvement: {improvement} {within}"),
        (expected < noise, f"no further improvement to expect: {improvement}; {another} {within}"),
        (
            done >= search.max_cycles,
            f"{'the only cycle is' if done == 1 else f'all {done} cycles are'} done; {improvement}",
        ),
    ]
    go_on = f"{improvement}, more than the noise of ±{spread_text(noise)} ({of_what}); {another}"
    if another_fits is None or search.minutes is None:
        rules += by_gain
    if another_fits is not None:
        budget = f"the time budget of {search.time_budget_s or 0:g} s leaves"
        leaves = budget if search.minutes is None else "the minutes leave"
        rules.append((not another_fits, f"{leaves} no time for another cycle: {improvement} {within}"))
        go_on = f"{improvement} {within}; {leaves} time for another cycle"
    stop = any(holds for holds, _ in rules)
    reason = next((reason for holds, reason in rules if holds), go_on)
    return Decision(done, stop, reason, gain=gain, expected_gain=expected, noise=noise)


def _gains(cycles: Sequence[Cycle], metric: MetricName) -> list[float]:
    """What each cycle improved, the first one upon its coarse round; in the metric's unit, larger is better."""
    # Of a cycle whose refined round brought nothing, for want of time, the coarse round's.
    scores = [_best_score(cycles[0].coarse), *(_best_score(cycle.last) for cycle in cycles)]
    sign = 1 if METRICS[metric].mode == "max" else -1
    return [sign * (new - old) for old, new in itertools.pairwise(scores)]


def expected_gain(gains: Sequence[float]) -> float:
    """What the next cycle is expected to improve, from what those before it did; never less than 0.

    >>> expected_gain([0.1]), expected_gain([0.1, 0.02]), expected_gain([0.02, 0.1])
    (0.05, 0.004, 0.1)
    """
    *before, last = gains
    ratio = min(last / before[-1], 1.0) if before and before[-1] > 0 else SHRINKS_TO
    return last * ratio if last > 0 or math.isnan(last) else 0.0


def _noise(by_rows: float, rows: float, measured: SeedNoise | None) -> tuple[float, str]:
    """What is not above it is no improvement, and what it is."""
    if measured is not None and measured.of_difference > by_rows:
        n = len(measured.scores)
        return measured.of_difference, f"of the difference between two of {measured.trial_id}'s trainings, {n} seeds"
    return by_rows, f"one standard error over {rows:.0f} validation rows"


def _best_score(result: RoundResult) -> float:
    return result.best.score if result.best else math.nan
