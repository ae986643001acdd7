"""How much a score moves when the same configuration is trained again from other seeds.

Why: the best of a round is compared with the best of the round before, and each of them was trained once. What training
the same configuration twice can bring is no improvement. Step 6 asks for it where it might change its mind.
Source: Bouthillier et al. 2021, "Accounting for variance in machine learning benchmarks".
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from search_service.recipe import populations, tasks
from search_service.recipe.tasks import RunTasks
from search_service.records.curves import best_score
from search_service.records.finalists import SeedNoise
from search_service.records.rounds import RoundResult
from search_service.runners.base import Task, run_here
from search_service.spec.study_spec import StudySpec
from trainables.config import TrialConfig
from trainables.data.dataset import Dataset
from trainables.seeds import derive_seed


def measure(spec: StudySpec, result: RoundResult, dataset: Dataset, run_tasks: RunTasks = run_here) -> SeedNoise:
    """Train the best configuration of a round again, as long as it was trained.

    Args:
        spec: How many seeds.
        result: Has a trial with a score.
        dataset: Training and validation rows.
        run_tasks: Where it is trained.

    Raises:
        ValueError: There is no such trial.
    """
    best, plan = result.best, result.plan
    if best is None:
        raise ValueError(f"round {plan.number} has no trial with a score")
    # Not the finalists' seeds: what decides who becomes one is not asked again.
    seeds = [derive_seed(spec.seed, "noise", plan.number, i) for i in range(spec.search.noise_seeds)]
    configs = [best.config.replace({"seed": seed}) for seed in seeds]
    arguments = {"spec": spec, "epochs": best.epochs, "max_epochs": plan.limits.max_epochs}
    to_do = [
        Task(f"noise-{plan.cycle}-{number}", scores, (dataset,), {"configs": piece} | arguments, effort=len(piece))
        for number, piece in enumerate(tasks.pieces_of(configs, dataset))
    ]
    return SeedNoise(best.trial_id, tuple(itertools.chain.from_iterable(run_tasks(to_do, tasks.nobody))))


def scores(
    dataset: Dataset, *, spec: StudySpec, configs: Sequence[TrialConfig], epochs: int, max_epochs: int
) -> list[float]:
    """Best validation score of each configuration after some of the epochs that its schedule spans."""
    training = populations.untrained(spec, configs, dataset, max_epochs)
    curves = populations.curves_of(list(itertools.islice(training.epochs(), epochs)))
    return [best_score(curve, spec.metric) for curve in curves]
