"""Step 5: in narrower ranges, with more epochs: which configuration is best?

Why: after the coarse round the good regions are known, and what separates good from best shows only later in training.
Ranges follow the winners of the coarse round by the rule in space/ranges.py; its best configurations are tried first.
Where the size of networks is an objective, too, ranges of layers stay what they were, and those tried first are of the
coarse round's Pareto set. Passes as step 4 does.
Source: the lecture's step 5, "refine grid, train longer".
"""

from __future__ import annotations

from search_service.recipe.rounds import Place, by_place, scored, search
from search_service.recipe.second_objective import non_dominated
from search_service.records.round_plan import RoundPlan
from search_service.records.rounds import RoundResult
from search_service.records.steps import Step
from search_service.runners.network_size import size_objective
from search_service.space.layers import SIZES, is_of_layers
from search_service.space.narrowing import narrow
from search_service.space.ranges import Space
from trainables.config import TrialConfig
from trainables.metrics import METRICS

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
    first = by_place(coarse)
    if (cost := size_objective(coarse.plan)) is not None:
        rank = METRICS[coarse.plan.metric].rank
        optimal = non_dominated([(rank(trial.score), cost(trial.values)) for trial in first])
        first = [trial for trial, is_optimal in zip(first, optimal, strict=True) if is_optimal]
    narrowing = narrow(coarse.plan.space, scored(coarse), limits, kept_whole(coarse.plan))
    return search(
        place,
        number=number,
        step=Step.REFINED_SEARCH,
        cycle=coarse.plan.cycle,
        space=narrowing.space,
        base=base,
        budget=place.spec.search.refined,
        first=[trial.values for trial in first[:CARRIED_OVER]],
        sentences=narrowing.sentences,
        best_before=coarse.best.score if coarse.best else None,
    )


def kept_whole(plan: RoundPlan) -> frozenset[str]:
    """Leaves of a round that are not narrowed after it: with the size as a second objective, those of the layers.

    Small networks are looked for beside good ones, and not only sizes like the best one's.
    """
    if size_objective(plan) is None:
        return frozenset()
    return frozenset(leaf for leaf in plan.space if is_of_layers(leaf) or leaf == SIZES)
