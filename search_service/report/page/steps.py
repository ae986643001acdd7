"""The six steps as the page shows them: what was measured, what was needed, and by what margin.

The checks' curves come with them: step 2's loss while it memorises, step 3's smoothed losses rate by rate.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from search_service.records.checks import (
    SMOOTHING,
    CheckResult,
    LearningRatesResult,
    OverfitResult,
    RateOutcome,
    smoothed,
)
from search_service.records.finalists import Decision
from search_service.records.numbers import score_text
from search_service.records.results import StudyResult
from search_service.records.rounds import RoundResult, TrialStatus
from search_service.records.steps import Step
from search_service.report.documents import Document, Number
from search_service.report.page.figures_in_short import evenly, short
from search_service.report.page.search import ToldRound
from search_service.report.study_report import counted
from search_service.spec.study_spec import StudySpec

QUESTIONS = {
    Step.INITIAL_LOSS: "Is the untrained loss what chance predicts?",
    Step.SMALL_SAMPLE: "Can the network memorise a handful of rows?",
    Step.LEARNING_RATES: "Which learning rates make the loss fall?",
    Step.COARSE_SEARCH: "Which regions are good?",
    Step.REFINED_SEARCH: "Which configuration is best?",
    Step.REPEAT: "Good enough, or again?",
}
# Of a curve of step 2.
MOST_POINTS = 120


class MeasurePart(Document):
    """A number that a step was judged by."""

    name: str
    measured: Number
    needed: Number = Field(description="The limit; null where nothing was asked of it.")
    relation: Literal["at most", "at least", "more than", ""]
    unit: Literal["", "share"] = Field(description="share: shown in percent.")
    margin: str = Field(description="How far it is from the limit, in words; empty without one.")


class LossCurvePart(Document):
    """A loss against steps."""

    name: str
    steps: list[int]
    losses: list[Number]


class StepPart(Document):
    """A step of the recipe and what it found."""

    step: int
    cycle: int
    title: str
    question: str
    verdict: Literal["passed", "failed", "done", "cut off", "left out", "not reached"]
    summary: str
    advice: str
    measures: list[MeasurePart]
    curves: list[LossCurvePart]
    limit: Number = Field(description="Of the curves' loss, to pass.")


class RatePart(Document):
    """A learning rate that step 3 tried."""

    rate: float
    label: str
    falls_to: Number = Field(description="What is left of the untrained loss, median over starts; null: not finite.")
    diverged_at: int | None = Field(description="First step at which the loss of a start was not finite.")
    steps: list[int]
    shares: list[Number] = Field(description="Smoothed loss at these steps, as a share of the untrained loss.")


class RatesPart(Document):
    """Step 3 of a cycle."""

    cycle: int
    passed: bool
    needed: float = Field(description="Share of the untrained loss that a rate has to come down to.")
    smoothing: int
    works: tuple[Number, Number] | None = Field(description="Smallest and largest rate that works.")
    searched: tuple[Number, Number] | None = Field(description="Range that is searched around them.")
    best: Number
    rates: list[RatePart]

    @classmethod
    def of(cls, check: LearningRatesResult, needed: float) -> RatesPart:
        """Make it of step 3's result.

        Args:
            check: The result.
            needed: ``checks.learning_rates.falls_to``.
        """
        working = [outcome.rate for outcome in check.outcomes if outcome.label == "works"]
        untrained = _untrained(check.outcomes)
        searched = (check.low, check.high)
        return cls(
            cycle=check.cycle,
            passed=check.passed,
            needed=needed,
            smoothing=SMOOTHING,
            works=(min(working), max(working)) if working else None,
            searched=(short(searched[0]), short(searched[1])) if all(map(math.isfinite, searched)) else None,
            best=short(check.best),
            rates=[_rate(outcome, untrained) for outcome in check.outcomes],
        )


def _untrained(outcomes: Sequence[RateOutcome]) -> float:
    """The untrained loss that the shares were taken of, which is the same for every rate.

    Of the median start's last loss and its share; where every rate diverged, the first step's loss.
    """
    told = [
        statistics.median(smoothed(curve)[-1] for curve in outcome.curves) / outcome.falls_to
        for outcome in outcomes
        if math.isfinite(outcome.falls_to) and outcome.falls_to > 0 and outcome.curves and outcome.curves[0]
    ]
    first = [curve[0] for outcome in outcomes for curve in outcome.curves if curve and math.isfinite(curve[0])]
    return statistics.median(told or first or [math.nan])


def _rate(outcome: RateOutcome, untrained: float) -> RatePart:
    curves = [smoothed(curve) for curve in outcome.curves]
    broken = [next((i for i, loss in enumerate(curve) if not math.isfinite(loss)), None) for curve in outcome.curves]
    middle = [
        statistics.median(losses) if all(map(math.isfinite, losses)) else math.nan
        for losses in zip(*curves, strict=False)
    ]
    # The median of the last losses is the one that was judged; where the starts differ, rounding is all that is left.
    scale = untrained
    if middle and math.isfinite(middle[-1]) and math.isfinite(outcome.falls_to) and outcome.falls_to > 0:
        scale = middle[-1] / outcome.falls_to
    steps = len(outcome.curves[0]) if outcome.curves else 0
    return RatePart(
        rate=outcome.rate,
        label=outcome.label,
        falls_to=short(outcome.falls_to),
        diverged_at=min((step + 1 for step in broken if step is not None), default=None),
        steps=[min((i + 1) * SMOOTHING, steps) for i in range(len(middle))],
        shares=[short(loss / scale) if scale else None for loss in middle],
    )


def steps_of(spec: StudySpec, result: StudyResult, rounds: Sequence[ToldRound]) -> list[StepPart]:
    """Every step in the order done, and after them those that the study did not come to.

    Args:
        spec: What was asked.
        result: How the study ended.
        rounds: Every round that began.
    """
    parts = [_check(spec, check) for check in result.checks]
    parts += [_round(done) for done in result.rounds]
    parts += [_cut_off(told) for told in rounds if told.result is None]
    parts += [_decision(decision) for decision in result.decisions]
    # Steps 1 and 2 are done once; 3 to 6 once in each cycle.
    parts.sort(key=lambda part: (part.cycle, part.step))
    reached = {part.step for part in parts}
    missing = [step for step in QUESTIONS if step not in reached]
    return parts + [_part(step, 1, "not reached", "The study ended before this step.") for step in missing]


def _part(
    step: int,
    cycle: int,
    verdict: Literal["passed", "failed", "done", "cut off", "left out", "not reached"],
    summary: str,
    *,
    advice: str = "",
    measures: Sequence[MeasurePart] = (),
    curves: Sequence[LossCurvePart] = (),
    limit: Number = None,
) -> StepPart:
    return StepPart(
        step=step,
        cycle=cycle,
        title=Step(step).title,
        question=QUESTIONS[Step(step)],
        verdict=verdict,
        summary=summary,
        advice=advice,
        measures=list(measures),
        curves=list(curves),
        limit=limit,
    )


def _check(spec: StudySpec, check: CheckResult) -> StepPart:
    curves: list[LossCurvePart] = []
    limit: Number = None
    if isinstance(check, OverfitResult):
        limit = short(check.threshold)
        curves = [_curve(check, rate, losses) for rate, losses in check.curves]
    measures = {
        Step.INITIAL_LOSS: _initial_loss,
        Step.SMALL_SAMPLE: _small_sample,
        Step.LEARNING_RATES: _rates,
    }[Step(check.step)](spec, check)
    verdict: Literal["passed", "failed"] = "passed" if check.passed else "failed"
    return _part(
        check.step,
        check.cycle,
        verdict,
        check.summary,
        advice=check.advice,
        measures=measures,
        curves=curves,
        limit=limit,
    )


def _curve(check: OverfitResult, rate: float, losses: Sequence[float]) -> LossCurvePart:
    shown = evenly(min(len(check.steps), len(losses)), MOST_POINTS)
    return LossCurvePart(
        name=f"rate {rate:.3g}", steps=[check.steps[i] for i in shown], losses=[short(losses[i]) for i in shown]
    )


def _initial_loss(spec: StudySpec, check: CheckResult) -> list[MeasurePart]:
    chance = check.expected.get("loss_small_last_layer", math.nan)
    tight = check.measured.get("loss_small_last_layer", math.nan)
    configured = check.measured.get("loss_as_configured", math.nan)
    asked = spec.checks.initial_loss
    off = abs(tight - chance) / chance if chance else math.nan
    return [
        _at_most("distance from chance, weights of the last layer nearly zero", off, asked.tolerance, unit="share"),
        _at_most("loss with the weights as configured", configured, asked.band * chance),
    ]


def _small_sample(spec: StudySpec, check: CheckResult) -> list[MeasurePart]:
    measured = check.measured
    return [
        _at_most("loss on the sample", measured.get("loss", math.nan), check.expected.get("loss", math.nan)),
        _at_most("parameter updates", measured.get("steps", math.nan), spec.checks.overfit_small_sample.max_steps),
    ]


def _rates(spec: StudySpec, check: CheckResult) -> list[MeasurePart]:
    left = min((share for share in check.measured.values() if math.isfinite(share)), default=math.nan)
    return [_at_most("loss left by the best rate", left, spec.checks.learning_rates.falls_to, unit="share")]


def _at_most(name: str, measured: float, limit: float, unit: Literal["", "share"] = "") -> MeasurePart:
    margin = ""
    if math.isfinite(measured) and math.isfinite(limit) and limit > 0:
        ratio = measured / limit
        if ratio <= 1:
            far = f"{1 / ratio:,.0f} times below the limit" if ratio else "as low as can be"
            margin = f"{100 * (1 - ratio):.2g} % below the limit" if ratio > 0.1 else far
        else:
            margin = f"{100 * (ratio - 1):.3g} % above the limit" if ratio < 2 else f"{ratio:.3g} times the limit"
    elif not math.isfinite(measured):
        margin = "not a finite number"
    return MeasurePart(
        name=name, measured=short(measured), needed=short(limit), relation="at most", unit=unit, margin=margin
    )


def _plain(name: str, measured: float) -> MeasurePart:
    return MeasurePart(name=name, measured=short(measured), needed=None, relation="", unit="", margin="")


def _round(done: RoundResult) -> StepPart:
    if not done.trials:
        return _part(int(done.plan.step), done.plan.cycle, "left out", done.stop_reason)
    counts = {status: done.count(status) for status in TrialStatus}
    broken = counts[TrialStatus.DIVERGED] + counts[TrialStatus.FAILED]
    trials = (
        f"{len(done.trials)} trials of up to {done.plan.limits.max_epochs} epochs: {counts[TrialStatus.COMPLETED]} "
        f"trained to the end, {counts[TrialStatus.PRUNED]} stopped early"
    )
    trials += f", {broken} broke" if broken else ""
    best = done.best
    found = f"; best {score_text(best.score)} ({best.trial_id})" if best else "; none has a score"
    measures = [_plain(f"best validation {done.plan.metric}", best.score)] if best else []
    verdict: Literal["done", "failed"] = "done" if best else "failed"
    return _part(int(done.plan.step), done.plan.cycle, verdict, trials + found, measures=measures)


def _cut_off(told: ToldRound) -> StepPart:
    """A round in which the study ended."""
    ended = f"the study ended within this round, of which {counted(len(told.trials), 'trial')} had ended"
    return _part(int(told.plan.step), told.plan.cycle, "cut off", ended)


def _decision(decision: Decision) -> StepPart:
    measures = []
    if decision.gain is not None and decision.noise is not None:
        above = "above" if decision.gain > decision.noise else "not above"
        measures.append(
            MeasurePart(
                name="gain over the round before",
                measured=short(decision.gain),
                needed=short(decision.noise),
                relation="more than",
                unit="",
                margin=f"{above} the noise",
            )
        )
    reason = decision.reason
    return _part(
        Step.REPEAT, decision.cycle, "done", f"{'stop' if decision.stop else 'again'}: {reason}", measures=measures
    )
