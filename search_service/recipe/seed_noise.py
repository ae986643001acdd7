"""How much a score moves when the same configuration is trained again from other seeds.

Why: the best of a round is compared with the best of the round before, and each of them was trained once. What training
the same configuration twice can bring is no improvement. Step 6 asks for it where it might change its mind.
Source: Bouthillier et al. 2021, "Accounting for variance in machine learning benchmarks".
"""

from __future__ import annotations

import itertools
import math

from search_service.records.finalists import SeedNoise
from search_service.records.rounds import RoundResult
from search_service.spec.study_spec import StudySpec
from trainables.data.dataset import Dataset
from trainables.metrics import METRICS
from trainables.process import device_for
from trainables.seeds import derive_seed
from trainables.training import PopulationTraining


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
    training = PopulationTraining(
        [best.config.replace({"seed": seed}) for seed in seeds],
        dataset,
        order_seed=spec.seed,
        max_epochs=plan.limits.max_epochs,
        metric=spec.metric,
        device=device_for(spec.search.gpus_per_trial),
    )
    rank = METRICS[spec.metric].rank
    scores = [math.nan] * len(seeds)
    for record in itertools.islice(training.epochs(), best.epochs):
        for i, (loss, score) in enumerate(zip(record.validation_loss, record.validation_score, strict=True)):
            if math.isfinite(loss) and rank(score) < rank(scores[i]):
                scores[i] = score
    return SeedNoise(best.trial_id, tuple(scores))
