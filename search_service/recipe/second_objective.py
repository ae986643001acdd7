"""After the search: which configurations are good for their size, or for the time they take?

Why: the best score often costs a network many times as large as one that is nearly as good. With the samplers of
``registry.OF_TWO_OBJECTIVES`` the search is for both, with the others for the score alone; here its trials are looked
at by both. One is in the Pareto set if no other is at least as good in both and better in one. Only trials that were
trained to the end, and as long as any, are compared: the score of a shorter training says nothing about theirs. So a
small network that early stopping stopped is not in it; with ``search.early_stopping: false`` none is stopped.
Source: Deb 2001, "Multi-objective optimization using evolutionary algorithms", section 2.4.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

from search_service.records.pareto import ParetoPoint, ParetoSet
from search_service.records.rounds import RoundResult, TrialResult, TrialStatus
from search_service.samplers.registry import OF_TWO_OBJECTIVES
from search_service.spec.study_spec import StudySpec
from trainables.config import NetworkConfig
from trainables.data.dataset import Dataset
from trainables.losses import count_outputs
from trainables.metrics import METRICS
from trainables.network import count_parameters
from trainables.prediction_time import prediction_ms


def ends(spec: StudySpec, dataset: Dataset) -> tuple[int, int] | None:
    """Inputs and outputs of a network, where the search has two objectives; None where it has one.

    What is searched beside the score is the number of parameters, which is known before anything is trained; the time
    that a network takes follows it.
    """
    if spec.objective.second is None or spec.search.sampler not in OF_TWO_OBJECTIVES:
        return None
    return dataset.n_inputs, count_outputs(spec.trial.loss, dataset.n_outputs)


def run(spec: StudySpec, rounds: Sequence[RoundResult], dataset: Dataset) -> ParetoSet | None:
    """Look at the trials of a study by both objectives.

    Args:
        spec: Names the second one.
        rounds: The study's rounds.
        dataset: Says how many inputs and outputs a network has.

    Returns:
        None where there is no second objective.
    """
    second = spec.objective.second
    if second is None:
        return None
    measure: Callable[[NetworkConfig, int, int], float] = count_parameters if second == "parameters" else prediction_ms
    trials = _trained_to_the_end(rounds)
    # Each shape once: what is measured of the same network twice would differ by noise alone.
    shapes = {_shape(trial): trial for trial in trials}
    costs = {
        shape: measure(t.config.network, dataset.n_inputs, count_outputs(t.config.loss, dataset.n_outputs))
        for shape, t in shapes.items()
    }
    rank = METRICS[spec.metric].rank
    trials.sort(key=lambda trial: (rank(trial.score), costs[_shape(trial)]))
    optimal = non_dominated([(rank(trial.score), costs[_shape(trial)]) for trial in trials])
    points = (
        ParetoPoint(trial.trial_id, trial.score, costs[_shape(trial)], is_optimal)
        for trial, is_optimal in zip(trials, optimal, strict=True)
    )
    return ParetoSet(second, tuple(points))


def non_dominated(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Which points no other dominates; smaller is better in both coordinates.

    A point dominates another if it is at most as large in both and smaller in one. Equal points do not dominate each
    other: either both are in the set or neither.

    >>> non_dominated([(1.0, 5.0), (2.0, 3.0), (2.0, 4.0), (2.0, 3.0), (3.0, 3.0)])
    [True, True, False, True, False]
    """
    optimal = set()
    least = math.inf
    # In ascending order of the first, a point is optimal if its second is below all before it.
    for _, group in itertools.groupby(sorted(set(points)), key=lambda point: point[0]):
        best = next(group)  # The smallest second of those with the same first.
        if best[1] < least:
            optimal.add(best)
            least = best[1]
    return [point in optimal for point in points]


def _trained_to_the_end(rounds: Sequence[RoundResult]) -> list[TrialResult]:
    able = [
        trial
        for done in rounds
        for trial in done.trials
        if trial.status is TrialStatus.COMPLETED and math.isfinite(trial.score)
    ]
    longest = max((trial.epochs for trial in able), default=0)
    return [trial for trial in able if trial.epochs == longest]


def _shape(trial: TrialResult) -> tuple[object, ...]:
    """What a network's parameters and its time depend on."""
    network = trial.config.network
    return network.hidden_sizes, network.activation, network.normalization, trial.config.loss
