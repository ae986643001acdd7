"""How much a score moves when the same configuration is trained again from other seeds.

Why: the best of a round is compared with the best of the round before, and each of them was trained once. What training
the same configuration twice can bring is no improvement. Step 6 asks for it where it might change its mind.
Source: Bouthillier et al. 2021, "Accounting for variance in machine learning benchmarks".
"""

from __future__ import annotations

import itertools

from search_service.recipe import populations
from search_service.records.curves import best_score
from search_service.records.finalists import SeedNoise
from search_service.records.rounds import RoundResult
from search_service.spec.study_spec import StudySpec
from trainables.data.dataset import Dataset
from trainables.seeds import derive_seed


def measure(spec: StudySpec, result: RoundResult, dataset: Dataset) -> SeedNoise:
    """Train the best configuration of a round again, as long as it was trained, all seeds as one population.

    Args:
        spec: How many seeds.
        result: Has a trial with a score.
        dataset: Training and validation rows.

    Raises:
        ValueError: There is no such trial.
    """
    best, plan = result.best, result.plan
    if best is None:
        raise ValueError(f"round {plan.number} has no trial with a score")
    # Not the finalists' seeds: what decides who becomes one is not asked again.
    seeds = [derive_seed(spec.seed, "noise", plan.number, i) for i in range(spec.search.noise_seeds)]
    configs = [best.config.replace({"seed": seed}) for seed in seeds]
    training = populations.untrained(spec, configs, dataset, plan.limits.max_epochs)
    curves = populations.curves_of(list(itertools.islice(training.epochs(), best.epochs)))
    return SeedNoise(best.trial_id, tuple(best_score(curve, spec.metric) for curve in curves))
