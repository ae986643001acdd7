"""The training of finalists, in pieces: what a worker does with one, and what the pieces are together.

Configurations of one structure, with all their seeds, are one population that is cut into pieces (tasks.py). A piece is
trained to the end, and every network of it kept at the weights of its best epoch.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

from search_service.recipe import fit, gradient_health, populations, tasks
from search_service.recipe.tasks import Trained
from search_service.records.curves import best_score
from search_service.records.finalists import Finalist
from search_service.records.rounds import TrialResult
from search_service.runners.base import Task
from search_service.spec.study_spec import StudySpec
from trainables import checkpoint
from trainables.config import TrialConfig
from trainables.data.dataset import Dataset
from trainables.losses import ChanceScale
from trainables.measurements import measure_health
from trainables.metrics import METRICS, MetricName, metrics_for
from trainables.records import EpochPoint, Health
from trainables.seeds import derive_seed
from trainables.training import PopulationTraining


@dataclass(frozen=True)
class MemberRecord:
    """What was seen of one network while it trained.

    Attributes:
        trial_id: Where its configuration was found.
        seed: Its own.
        curve: Its epochs.
        health: Looks at it, the first before it was trained.
        learning_rates: Its rate at the end of each epoch.
        metrics: Every metric on the validation rows, with the weights that are kept.
        scale: What its losses are read by.
        parameters: Numbers that are trained in it.
    """

    trial_id: str
    seed: int
    curve: tuple[EpochPoint, ...]
    health: tuple[Health, ...]
    learning_rates: tuple[float, ...]
    metrics: dict[MetricName, float]
    scale: ChanceScale
    parameters: int


@dataclass(frozen=True)
class PieceRecord:
    """What was seen of the networks of a piece, in their order."""

    members: tuple[MemberRecord, ...]


@dataclass(frozen=True)
class FoldRecord:
    """How the networks of a piece did on a fold.

    Attributes:
        scores: Best validation score of each.
        curves: Validation score of each at each of its epochs; NaN where it has no loss. Studies of earlier versions
            have none.
        overlap: Rows judged on for each trained on; 0 in studies of earlier versions.
    """

    scores: tuple[float, ...]
    curves: tuple[tuple[float, ...], ...] = ()
    overlap: float = 0.0


# A network to be trained: its trial and its seed.
FinalistMember = tuple[TrialResult, int]


@dataclass(frozen=True)
class Piece:
    """Networks of one structure that one worker trains.

    Attributes:
        name: Unique in the study.
        members: Their trials and seeds.
    """

    name: str
    members: tuple[FinalistMember, ...]

    @property
    def configs(self) -> list[TrialConfig]:
        """One per network."""
        return [trial.config.replace({"seed": seed}) for trial, seed in self.members]


@dataclass(frozen=True)
class TrainedFinalist:
    """A finalist, and where its networks are: a packed population and the place in it, for each seed."""

    finalist: Finalist
    networks: tuple[tuple[bytes, int], ...]


class FinalistTraining:
    """The finalists of a study, to be trained.

    Args:
        spec: How many seeds.
        candidates: The configurations.
        dataset: Training and validation rows.
        waves: Seeds that are trained one after the other, where it depends on the first how many there are; their sum
            is the number of seeds, which otherwise is the spec's. What a wave trains does not depend on those after it.

    Attributes:
        seeds: Of each configuration.
        max_epochs: Of each training.
        folds: Of a cross-validation; 0 without one.
    """

    def __init__(
        self, spec: StudySpec, candidates: Sequence[TrialResult], dataset: Dataset, waves: Sequence[int] = ()
    ) -> None:
        self.spec, self.candidates, self.waves = spec, candidates, tuple(waves or (spec.finalists.seeds,))
        self.seeds = tuple(derive_seed(spec.seed, "finalist", i) for i in range(sum(self.waves)))
        self._dataset, self.folds = dataset, spec.finalists.folds or 0
        self.max_epochs = max(trial.epochs for trial in candidates)
        ends = list(itertools.accumulate(self.waves))
        members = itertools.chain.from_iterable(
            _cut(_by_structure(candidates), self.seeds[end - seeds : end], dataset)
            for seeds, end in zip(self.waves, ends, strict=True)
        )
        self._pieces = [Piece(f"finalists-{number}", tuple(own)) for number, own in enumerate(members, start=1)]

    def with_wave(self, seeds: int) -> FinalistTraining:
        """The same with further seeds, which are trained after those before."""
        return FinalistTraining(self.spec, self.candidates, self._dataset, (*self.waves, seeds))

    def tasks(self) -> list[Task]:
        """Their training on the study's own division; each returns a ``PieceRecord`` and the networks."""
        return [self._task(piece, piece.name, train, self._dataset) for piece in self._pieces]

    def fold_tasks(self, fold: Dataset, number: int) -> list[Task]:
        """Their training on a fold of a cross-validation; each returns a ``FoldRecord``."""
        return [self._task(piece, f"fold-{number}-{piece.name}", score, fold) for piece in self._pieces]

    def _task(self, piece: Piece, name: str, function: object, rows: Dataset) -> Task:
        assert callable(function)
        arguments = {"spec": self.spec, "members": piece.members, "max_epochs": self.max_epochs}
        return Task(name, function, (rows,), arguments, effort=tasks.effort(piece.configs, rows, self.max_epochs))

    def finalists(
        self, done: Sequence[tuple[PieceRecord, bytes | None]], folds: Sequence[Sequence[FoldRecord]]
    ) -> list[TrainedFinalist]:
        """The finalists, in the order of the candidates.

        Args:
            done: What the tasks returned.
            folds: What those of each fold returned.
        """
        seen: dict[tuple[str, int], tuple[MemberRecord, bytes, int]] = {}
        on_folds: dict[tuple[str, int], list[tuple[float, ...]]] = {}
        # Where an earlier version has begun, the best scores are all that there is of some.
        have_curves = all(record.curves for fold in folds for record in fold)
        for number, (piece, (record, networks)) in enumerate(zip(self._pieces, done, strict=True)):
            for place, (trial, seed) in enumerate(piece.members):
                seen[trial.trial_id, seed] = record.members[place], networks or b"", place
                on_folds[trial.trial_id, seed] = [
                    fold[number].curves[place] if have_curves else (fold[number].scores[place],) for fold in folds
                ]
        trained = []
        for trial in self.candidates:
            own = [seen[trial.trial_id, seed] for seed in self.seeds]
            by_fold = at_common_epoch([on_folds[trial.trial_id, seed] for seed in self.seeds], self.spec.metric)
            finalist = self._finalist(trial, [record for record, _, _ in own], by_fold, _overlap(folds))
            trained.append(TrainedFinalist(finalist, tuple((networks, place) for _, networks, place in own)))
        return trained

    def _finalist(
        self,
        trial: TrialResult,
        members: Sequence[MemberRecord],
        by_fold: tuple[tuple[float, ...], ...],
        overlap: float,
    ) -> Finalist:
        first, curves = members[0], tuple(member.curve for member in members)
        return Finalist(
            trial.trial_id,
            trial.config,
            self.seeds,
            scores=tuple(best_score(curve, self.spec.metric) for curve in curves),
            curves=curves,
            health=gradient_health.training(first.health, first.scale, trial.config),
            fit=fit.read(curves, first.scale, trial.config),
            learning_rates=first.learning_rates,
            validation_metrics={
                name: sum(member.metrics[name] for member in members) / len(members) for name in first.metrics
            },
            fold_scores=by_fold,
            fold_overlap=overlap,
            parameters=first.parameters,
        )


def _overlap(folds: Sequence[Sequence[FoldRecord]]) -> float:
    """Rows judged on for each trained on, mean over the folds; 0 without any, or where that was not written down."""
    of_folds = [records[0].overlap for records in folds]
    return sum(of_folds) / len(of_folds) if all(of_folds) and of_folds else 0.0


def at_common_epoch(curves: Sequence[Sequence[Sequence[float]]], metric: MetricName) -> tuple[tuple[float, ...], ...]:
    """Scores of each fold and seed at the one epoch at which their mean is best.

    Were each taken at an epoch of its own, the best of a restless curve would count for more than of a calm one, and on
    few rows that is luck: a model has one length of training, too.

    Args:
        curves: Validation scores of each seed, by fold, then by epoch.
        metric: What they are.

    Returns:
        By fold, then by seed; NaN throughout where no epoch has a score of all.
    """
    if not curves[0]:
        return ()
    epochs = range(len(curves[0][0]))
    every = [curve for of_seed in curves for curve in of_seed]
    means = [sum(curve[epoch] for curve in every) / len(every) for epoch in epochs]
    epoch = min(epochs, key=lambda e: METRICS[metric].rank(means[e]))
    by_seed = [[curve[epoch] if math.isfinite(means[epoch]) else math.nan for curve in of_seed] for of_seed in curves]
    return tuple(zip(*by_seed, strict=True))


def networks_of(trained: TrainedFinalist, dataset: Dataset, device: str) -> PopulationTraining:
    """The networks of a finalist as one population, a member per seed.

    Args:
        trained: The finalist.
        dataset: Rows that it was trained on.
        device: torch device.
    """
    parts = []
    for networks, of_piece in itertools.groupby(trained.networks, key=lambda item: item[0]):
        training = checkpoint.load(networks, dataset, device=device)
        training.keep([place for _, place in of_piece])
        parts.append(training)
    if len(parts) == 1:
        return parts[0]
    return checkpoint.merge([checkpoint.packed(part) for part in parts], dataset, device=device)


def _by_structure(trials: Sequence[TrialResult]) -> list[list[TrialResult]]:
    ordered = sorted(trials, key=lambda trial: repr(trial.config.structure))
    return [list(group) for _, group in itertools.groupby(ordered, key=lambda trial: trial.config.structure)]


def _cut(
    structures: Sequence[Sequence[TrialResult]], seeds: Sequence[int], dataset: Dataset
) -> Iterable[Sequence[FinalistMember]]:
    """The members of each structure, as many at a time as one worker should have."""
    for trials in structures:
        members = [(trial, seed) for trial in trials for seed in seeds]
        size = tasks.members_per_task(trials[0].config, dataset)
        # In pieces of about one size: the largest is waited for.
        pieces = math.ceil(len(members) / size)
        yield from (members[len(members) * n // pieces : len(members) * (n + 1) // pieces] for n in range(pieces))


# ---- in a worker -----------------------------------------------------------------------------------------------


def train(dataset: Dataset, *, spec: StudySpec, members: Sequence[FinalistMember], max_epochs: int) -> Trained:
    """Train a piece to the end, and leave every network at the weights of its best epoch."""
    training = populations.untrained(spec, Piece("", tuple(members)).configs, dataset, max_epochs)
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
        # As in curves.best: without a loss there is no score, and NaN is better than nothing.
        able = torch.tensor(record.validation_loss, dtype=torch.float64).isfinite()
        scores = torch.tensor(record.validation_score, dtype=torch.float64).where(able, math.nan).unsqueeze(1)  # (K, 1)
        improved = scores > best_scores if mode == "max" else scores < best_scores
        best_scores = torch.where(improved, scores, best_scores)
        now = training.network.snapshot()
        best = [torch.where(improved.to(training.device), new, old) for new, old in zip(now, best, strict=True)]
        rates.append(training.optimizer.lr.squeeze(1).tolist())
        if record.epoch in look_at:
            health.append(measure_health(training, rows))
    training.network.restore(best)
    metrics = training.scores(training.validation_rows, metrics_of(training.configs[0]))
    scales = training.loss.scales(training.train_rows.targets, training.train_rows.weights)
    curves = populations.curves_of(records)
    return Trained(
        PieceRecord(
            tuple(
                MemberRecord(
                    trial.trial_id,
                    seed,
                    curves[k],
                    tuple(looks[k] for looks in health),
                    tuple(of_members[k] for of_members in rates),
                    {name: of_members[k].item() for name, of_members in metrics.items()},
                    scales[k],
                    training.network.parameters.shape[1],
                )
                for k, (trial, seed) in enumerate(members)
            )
        ),
        checkpoint.packed(training),
    )


def score(dataset: Dataset, *, spec: StudySpec, members: Sequence[FinalistMember], max_epochs: int) -> Trained:
    """Train a piece on a fold; nobody needs its networks."""
    configs = Piece("", tuple(members)).configs
    _, records = populations.trained(spec, configs, dataset, max_epochs)
    curves = populations.curves_of(records)
    scores = tuple(tuple(_score_of(point) for point in curve) for curve in curves)
    overlap = len(dataset.validation) / len(dataset.train)
    return Trained(FoldRecord(tuple(best_score(curve, spec.metric) for curve in curves), scores, overlap))


def _score_of(point: EpochPoint) -> float:
    """As ``curves.best`` has it: without a loss there is no score."""
    return point.validation_score if math.isfinite(point.validation_loss) else math.nan


def metrics_of(config: TrialConfig) -> tuple[MetricName, ...]:
    """The metrics that a network of this configuration has."""
    return metrics_for(config.task, gives_probabilities=config.gives_probabilities)
