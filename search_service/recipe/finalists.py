"""The last act: are the best configurations good, or were they lucky?

Why: the best of many trials is the best partly by chance. Trained again from several fresh seeds, the configuration
with the best mean wins; that one is evaluated on test rows which nothing has seen before, once.
A configuration's score of a seed is its best validation score over the epochs, with the weights of that epoch.
Source: Bouthillier et al. 2021, "Accounting for variance in machine learning benchmarks".
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from search_service.errors import CheckFailedError
from search_service.recipe import fit, gradient_health
from search_service.results import EpochPoint, Finalist, FinalistsResult, RoundResult, TrialResult
from search_service.spec import StudySpec
from trainables import checkpoint
from trainables.data.dataset import Dataset, TestRows
from trainables.measurements import Health, measure_health
from trainables.metrics import METRICS, MetricName
from trainables.seeds import derive_seed
from trainables.training import PopulationTraining, trivial_score

NAME = "finalists"


def run(
    spec: StudySpec, rounds: Sequence[RoundResult], dataset: Dataset, test_rows: TestRows, folder: Path
) -> FinalistsResult:
    """Train the finalists, choose the winner, evaluate it.

    Args:
        spec: How many finalists and seeds.
        rounds: Of the study.
        dataset: Training and validation rows.
        test_rows: Used here and nowhere else.
        folder: The winner's networks are written here.

    Raises:
        CheckFailedError: Every finalist diverged.
    """
    started = time.monotonic()
    seeds = tuple(derive_seed(spec.seed, "finalist", i) for i in range(spec.finalists.seeds))
    trained: list[tuple[Finalist, PopulationTraining, int]] = []
    candidates = _candidates(spec, rounds)
    max_epochs = max(trial.epochs for trial in candidates)
    # Configurations of one structure are one population, all their seeds together.
    for group in _by_structure(candidates):
        training = PopulationTraining(
            [trial.config.replace({"seed": seed}) for trial in group for seed in seeds],
            dataset,
            order_seed=spec.seed,
            max_epochs=max_epochs,
            metric=spec.metric,
        )
        watched = _train_to_best(training, max_epochs)
        firsts = range(0, training.size, len(seeds))
        for trial, first in zip(group, firsts, strict=True):
            trained.append((_as_finalist(trial, seeds, training, watched, first), training, first))

    rank = METRICS[spec.metric].rank
    trained.sort(key=lambda item: rank(item[0].mean))
    winner, training, at = trained[0]
    if math.isnan(winner.mean):
        raise CheckFailedError("finalists: every configuration diverged from fresh seeds; lower the learning rates")
    training.keep(range(at, at + len(seeds)))
    test_scores = training.evaluate(test_rows.to_tensors(training.device, training.dtype))[1].tolist()
    path = folder / "winner.pt"
    checkpoint.save(training, path)
    return FinalistsResult(
        finalists=tuple(finalist for finalist, _, _ in trained),
        metric=spec.metric,
        test_scores=tuple(test_scores),
        exported=min(range(len(seeds)), key=lambda i: rank(winner.scores[i])),
        trivial_test_score=trivial_score(dataset, test_rows, spec.metric),
        checkpoint=path,
        seconds=time.monotonic() - started,
    )


def _candidates(spec: StudySpec, rounds: Sequence[RoundResult]) -> list[TrialResult]:
    """The best of the trials that went furthest, in any round, no configuration twice."""
    rank = METRICS[spec.metric].rank
    able = sorted(
        (trial for result in rounds for trial in result.ranked), key=lambda trial: (-trial.epochs, rank(trial.score))
    )
    different = {trial.config.replace({"seed": 0}): trial for trial in reversed(able)}
    chosen = sorted(different.values(), key=able.index)
    return chosen[: spec.finalists.top]


def _by_structure(trials: Sequence[TrialResult]) -> list[list[TrialResult]]:
    ordered = sorted(trials, key=lambda trial: repr(trial.config.structure))
    return [list(group) for _, group in itertools.groupby(ordered, key=lambda trial: trial.config.structure)]


@dataclass(frozen=True)
class _Watched:
    """What was seen of a population while it trained.

    Attributes:
        curves: Epochs of each member.
        health: Looks at each member.
        learning_rates: Of each member, by epoch.
    """

    curves: list[tuple[EpochPoint, ...]]
    health: list[list[Health]]
    learning_rates: list[list[float]]


def _train_to_best(training: PopulationTraining, max_epochs: int) -> _Watched:
    """Train, and leave every member at the weights of its best epoch."""
    mode = METRICS[training.metric].mode
    worst = -math.inf if mode == "max" else math.inf
    best_scores = torch.full((training.size, 1), worst, dtype=torch.float64)
    best = training.network.snapshot()
    rows = training.train_rows.spread(gradient_health.MAX_ROWS)
    look_at = gradient_health.looks(max_epochs)
    health = [measure_health(training, rows)]
    records, rates = [], []
    for record in itertools.islice(training.epochs(), max_epochs):
        records.append(record)
        scores = torch.tensor(record.validation_score, dtype=torch.float64).unsqueeze(1)  # (K, 1)
        improved = scores > best_scores if mode == "max" else scores < best_scores
        best_scores = torch.where(improved, scores, best_scores)
        now = training.network.snapshot()
        best = [torch.where(improved.to(training.device), new, old) for new, old in zip(now, best, strict=True)]
        rates.append(training.optimizer.lr.squeeze(1).tolist())
        if record.epoch in look_at:
            health.append(measure_health(training, rows))
    training.network.restore(best)
    curves = [
        tuple(EpochPoint(r.epoch, r.train_loss[k], r.validation_loss[k], r.validation_score[k]) for r in records)
        for k in range(training.size)
    ]
    return _Watched(curves, [list(looks) for looks in zip(*health, strict=True)], rates)


def _as_finalist(
    trial: TrialResult, seeds: tuple[int, ...], training: PopulationTraining, watched: _Watched, first: int
) -> Finalist:
    """What was seen of a configuration whose seeds are the members from ``first`` on."""
    scale = training.loss.scales(training.train_rows.targets, training.train_rows.weights)[first]
    curves = tuple(watched.curves[first : first + len(seeds)])
    return Finalist(
        trial.trial_id,
        trial.config,
        seeds,
        scores=tuple(_best(curve, training.metric) for curve in curves),
        curves=curves,
        health=gradient_health.training(watched.health[first], scale, trial.config),
        fit=fit.read(curves, scale, trial.config),
        learning_rates=tuple(rates[first] for rates in watched.learning_rates),
    )


def _best(curve: Sequence[EpochPoint], metric: MetricName) -> float:
    scores = (point.validation_score for point in curve if math.isfinite(point.validation_loss))
    return min(scores, key=METRICS[metric].rank, default=math.nan)
