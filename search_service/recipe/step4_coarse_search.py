"""Step 4: around the rates that work, in log space, with few epochs: which regions are good?

Why: most of the space is bad and shows it within a few epochs; cheap trials find the regions worth more.
The learning rate's range comes from step 3; the others are the user's, or follow from the cycle before.
Passes when the round's budget is spent or its stopping rule holds, and a trial beats the trivial predictor.
Source: the lecture's step 4, "coarse grid, train for a few epochs", with random or TPE samples instead of a grid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from search_service.recipe.rounds import Place, search
from search_service.records.checks import LearningRatesResult
from search_service.records.rounds import RoundResult
from search_service.records.steps import Step
from search_service.space.layers import values_in
from search_service.space.ranges import Choices, NumericRange, Range, Space
from search_service.spec.search_space import LEARNING_RATE
from trainables.config import TrialConfig


def run(
    place: Place, rates: LearningRatesResult, *, number: int, space: Space, base: TrialConfig, best: TrialConfig
) -> RoundResult:
    """Search coarsely.

    Args:
        place: What every round of the study needs.
        rates: Step 3 of this cycle.
        number: Number of the round in the study, from 1.
        space: Ranges so far; that of the learning rate, if any, is cut to what works.
        base: The trial: every leaf that is not searched.
        best: The best configuration so far, in the first cycle the trial. It is tried first, as it is; in the first
            cycle the user's points are next, and then the trial at the best rate of step 3.
    """
    searched, why = _learning_rates(rates, space.get(LEARNING_RATE))
    ranges = {**space, LEARNING_RATE: searched}
    as_it_is = values_in(best, list(ranges))
    first, sentences = [as_it_is], []
    if rates.passed:
        sentences.append(f"{LEARNING_RATE}: {searched}, {why}")
    if rates.cycle == 1:
        points = place.spec.points()
        first += [*points, {**as_it_is, LEARNING_RATE: rates.best}]
        sentences += _other_rates(points, searched)
    return search(
        place,
        number=number,
        step=Step.COARSE_SEARCH,
        cycle=rates.cycle,
        space=ranges,
        base=base,
        budget=place.spec.search.coarse,
        first=first,
        sentences=sentences,
    )


def _other_rates(points: Sequence[Mapping[str, Any]], range_: Range) -> list[str]:
    """What becomes of the user's points whose learning rate does not work, as step 3 found out."""
    rates = [point[LEARNING_RATE] for point in points if LEARNING_RATE in point]
    return [
        f"search.points_to_evaluate: {LEARNING_RATE} {rate:g} lies outside {range_}, another is drawn"
        for rate in rates
        if not range_.contains(rate)
    ]


def _learning_rates(rates: LearningRatesResult, given: Range | None) -> tuple[Range, str]:
    """What works, within what was given; and why that is searched, in words."""
    if not rates.passed:
        # The study goes on in spite of step 3: all candidates, since none is better than another.
        tried = [outcome.rate for outcome in rates.outcomes]
        return given or NumericRange(min(tried), max(tried), log=True), "although step 3 saw the loss fall nowhere"
    works = NumericRange(rates.low, rates.high, log=True)
    if given is None:
        return works, "where step 3 saw the loss fall"
    within = "where step 3 saw the loss fall within the range so far"
    if isinstance(given, Choices):
        if kept := tuple(choice for choice in given.choices if works.contains(choice)):
            return replace(given, choices=kept), within
    elif max(works.low, given.low) < min(works.high, given.high):
        cut = given.clipped(works.low, works.high)
        # Of a coarse step maybe a single value lies within: no range.
        if cut.low < cut.high:
            return cut, within
    return given, f"as it was: step 3 saw the loss fall elsewhere, at {works}"
