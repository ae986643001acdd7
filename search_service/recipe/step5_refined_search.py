"""Step 5: in narrower ranges, with more epochs: which configuration is best?

Why: after the coarse round the good regions are known, and what separates good from best shows only later in training.
Ranges follow the winners of the coarse round by the rule in space/ranges.py; its best configurations are tried first.
Passes as step 4 does.
Source: the lecture's step 5, "refine grid, train longer".
"""

from __future__ import annotations

from search_service.recipe.rounds import Place, by_place, scored, search
from search_service.records.rounds import RoundResult
from search_service.records.steps import Step
from search_service.space.ranges import Space, narrow
from trainables.config import TrialConfig

# The coarse round's best configurations that are trained longer before anything new is sampled.
CARRIED_OVER = 3


def run(place: Place, coarse: RoundResult, *, number: int, limits: Space, base: TrialConfig) -> RoundResult:
    """Search in narrower ranges.

    Args:
        place: What every round of the study needs.
        coarse: Step 4 of this cycle.
        number: Number of the round in the study, from 1.
        limits: The user's own ranges, which are never left.
        base: Every leaf that is not searched.
    """
    narrowing = narrow(coarse.plan.space, scored(coarse), limits)
    return search(
        place,
        number=number,
        step=Step.REFINED_SEARCH,
        cycle=coarse.plan.cycle,
        space=narrowing.space,
        base=base,
        budget=place.spec.search.refined,
        first=[trial.values for trial in by_place(coarse)[:CARRIED_OVER]],
        sentences=narrowing.sentences,
        best_before=coarse.best.score if coarse.best else None,
    )
