"""The last act: are the best configurations good, or were they lucky?

Why: the best of many trials is the best partly by chance. Trained again from several fresh seeds, the configuration
with the best mean wins; that one is evaluated on test rows which nothing has seen before, once. Those that a paired
t-test over the seeds cannot tell from it are named (significance.py); who prefers it gets the simplest of them instead.
A configuration's score of a seed is its best validation score over the epochs, with the weights of that epoch.
Which trials are trained again: qualifying.py; with a second objective, the best of the Pareto set
(second_objective.py).
With cross-validation, the mean is taken over folds × seeds, each trained afresh on its fold's training part; what is
tested are still the networks of the study's own division.
Then the winner is trained once more on training and validation rows together: that network is the model (refitting.py).
And for the report, choosing nothing: every other metric, what simpler models reach (trainables/baselines.py), and
what a temperature does to the model's probabilities (trainables/calibration.py).
Source: Bouthillier et al. 2021, "Accounting for variance in machine learning benchmarks".
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from search_service.errors import CheckFailedError
from search_service.folder import layout
from search_service.recipe import fit, gradient_health, populations, qualifying, refitting, second_objective
from search_service.records.curves import best_score
from search_service.records.finalists import Finalist, FinalistsResult, Refit
from search_service.records.rounds import RoundResult, TrialResult
from search_service.records.significance import told_apart
from search_service.spec.study_spec import StudySpec
from trainables import advantage, baselines, calibration, checkpoint
from trainables.advantage import Drawn
from trainables.config import TrialConfig
from trainables.data.dataset import Dataset, TestRows
from trainables.measurements import measure_health
from trainables.metrics import METRICS, MetricName, metrics_for
from trainables.records import Baseline, Calibration, EpochPoint, Health
from trainables.row_tensors import RowTensors, to_tensors
from trainables.seeds import derive_seed
from trainables.training import PopulationTraining, trivial_scores


def run(
    spec: StudySpec,
    rounds: Sequence[RoundResult],
    dataset: Dataset,
    test_rows: TestRows,
    folder: Path,
    folds: Iterable[Dataset] = (),
) -> FinalistsResult:
    """Train the finalists, choose the winner, evaluate it.

    Args:
        spec: How many finalists and seeds.
        rounds: The study's rounds.
        dataset: Training and validation rows.
        test_rows: Used here and nowhere else.
        folder: The winner's networks are written here, and the model's.
        folds: Divisions of the training and validation rows, each prepared by its own training part, whose validation
            rows are the fold; inputs may differ in number from one to the next.

    Raises:
        CheckFailedError: Every finalist diverged.
    """
    started = time.monotonic()
    pareto = second_objective.run(spec, rounds, dataset)
    candidates, rule = qualifying.qualify(spec, rounds, pareto)
    trained, alike = _ranked(spec, candidates, dataset, folds)
    winner, training, at = trained[0]
    training.keep(range(at, at + len(winner.seeds)))
    path = folder / layout.WINNER
    checkpoint.save(training, path)
    exported = min(range(len(winner.seeds)), key=lambda i: METRICS[spec.metric].rank(winner.scores[i]))

    metrics = _metrics(winner.config)
    tests = to_tensors(test_rows, training.device, training.dtype)
    test_scores = training.scores(tests, metrics)
    refit, model = _refit(spec, winner, exported, dataset, folder, tests)
    of_tests = training.outputs(tests.inputs)[exported] if model is None else model.outputs(tests.inputs)[0]
    drawn = Drawn(of_tests, tests, spec.metric, scale=dataset.target_scale)
    advantage.save(folder / layout.TEST_PREDICTIONS, of_tests, tests, dataset)
    return FinalistsResult(
        finalists=tuple(finalist for finalist, _, _ in trained),
        metric=spec.metric,
        test_scores=tuple(test_scores[spec.metric].tolist()),
        exported=exported,
        trivial_test_metrics=trivial_scores(dataset, test_rows, metrics_for(dataset.task, gives_probabilities=True)),
        checkpoint=path,
        test_metrics={name: scores.mean().item() for name, scores in test_scores.items()},
        baselines=_baselines(spec, winner, dataset, test_rows, drawn),
        calibration=_calibrate(spec, training, exported, of_tests, tests),
        pareto=pareto,
        contenders=tuple(finalist.trial_id for finalist in alike),
        refit=refit,
        over_trivial=drawn.over_trivial(dataset),
        rows_error=drawn.error,
        rule=rule,
        seconds=time.monotonic() - started,
    )


def _refit(
    spec: StudySpec, winner: Finalist, exported: int, dataset: Dataset, folder: Path, tests: RowTensors
) -> tuple[Refit | None, PopulationTraining | None]:
    """The winner once more on training and validation rows, if it is to be, and tested; see ``refitting.run``."""
    if not spec.model.refit or not math.isfinite(winner.scores[exported]):
        return None, None
    refit, model = refitting.run(spec, winner, exported, dataset, folder)
    if model is not None:
        scores = model.scores(tests, _metrics(winner.config))
        refit = replace(refit, test_metrics={name: of_model.item() for name, of_model in scores.items()})
    return refit, model


def _ranked(
    spec: StudySpec, candidates: Sequence[TrialResult], dataset: Dataset, folds: Iterable[Dataset]
) -> tuple[list[tuple[Finalist, PopulationTraining, int]], list[Finalist]]:
    """Train the candidates; the winner first, and those that cannot be told from the best mean.

    Raises:
        CheckFailedError: Every one diverged.
    """
    trainings = _Trainings(spec, candidates)
    trained = _train_all(trainings, dataset)
    fold_scores = [_scores_on(trainings, fold) for fold in folds]
    trained = [
        (replace(finalist, fold_scores=tuple(scores[finalist.trial_id] for scores in fold_scores)), training, first)
        for finalist, training, first in trained
    ]
    trained.sort(key=lambda item: METRICS[spec.metric].rank(item[0].mean))
    if math.isnan(trained[0][0].mean):
        raise CheckFailedError("finalists: every configuration diverged from fresh seeds; lower the learning rates")
    alike = contenders([finalist for finalist, _, _ in trained])
    if spec.finalists.prefer == "simplest":
        chosen = simplest(alike, spec.metric)
        trained.sort(key=lambda item: item[0] is not chosen)  # Stable: the others stay in their order.
    return trained, alike


def contenders(ranked: Sequence[Finalist]) -> list[Finalist]:
    """The first of ``ranked`` and those that cannot be told from it, in their order.

    Args:
        ranked: Best mean first, all from the same seeds.
    """
    best, *others = ranked
    return [best, *(other for other in others if not told_apart(best.by_seed, other.by_seed))]


def simplest(alike: Sequence[Finalist], metric: MetricName) -> Finalist:
    """The one with the fewest parameters; of those, the one that is trained for the fewest epochs, then the first.

    A network is kept at its best epoch, so that is how long it has to be trained, in the mean over the seeds.
    """
    return min(alike, key=lambda finalist: (finalist.parameters, refitting.mean_best_epoch(finalist.curves, metric)))


def _metrics(config: TrialConfig) -> tuple[MetricName, ...]:
    return metrics_for(config.task, gives_probabilities=config.gives_probabilities)


def _baselines(
    spec: StudySpec, winner: Finalist, dataset: Dataset, test_rows: TestRows, drawn: Drawn
) -> tuple[Baseline, ...]:
    """What simpler models reach; nothing if nobody asked."""
    if not spec.finalists.baselines:
        return ()
    seed = derive_seed(spec.seed, "baselines")
    return baselines.fit_all(winner.config, dataset, test_rows, seed=seed, network=drawn)


def _calibrate(
    spec: StudySpec, training: PopulationTraining, member: int, of_tests: Tensor, tests: RowTensors
) -> Calibration | None:
    """The temperature of one network, by validation rows, and what it does to the model on test rows; if asked for.

    A model that has learnt from the validation rows is too sure of them to say how sure it may be: it takes the
    temperature of the network that has not, its twin in configuration and seed.
    """
    if spec.finalists.calibration != "temperature":
        return None
    rows = training.validation_rows
    temperature = calibration.fit_temperature(training.outputs(rows.inputs)[member], rows.targets, rows.weights)
    return calibration.judge(temperature, of_tests, tests.targets, tests.weights)


def _by_structure(trials: Sequence[TrialResult]) -> list[list[TrialResult]]:
    ordered = sorted(trials, key=lambda trial: repr(trial.config.structure))
    return [list(group) for _, group in itertools.groupby(ordered, key=lambda trial: trial.config.structure)]


class _Trainings:
    """The finalists as populations: configurations of one structure are one, all their seeds together.

    Args:
        spec: How many seeds.
        candidates: The configurations.
    """

    def __init__(self, spec: StudySpec, candidates: Sequence[TrialResult]) -> None:
        self.seeds = tuple(derive_seed(spec.seed, "finalist", i) for i in range(spec.finalists.seeds))
        self.max_epochs = max(trial.epochs for trial in candidates)
        self._spec, self._groups = spec, _by_structure(candidates)

    def on(self, dataset: Dataset) -> Iterator[tuple[PopulationTraining, list[tuple[TrialResult, int]]]]:
        """Each population, untrained, on the rows of ``dataset``, and the first member of each of its trials."""
        n = len(self.seeds)
        for group in self._groups:
            configs = [trial.config.replace({"seed": seed}) for trial in group for seed in self.seeds]
            training = populations.untrained(self._spec, configs, dataset, self.max_epochs)
            yield training, [(trial, i * n) for i, trial in enumerate(group)]


def _train_all(trainings: _Trainings, dataset: Dataset) -> list[tuple[Finalist, PopulationTraining, int]]:
    """Every finalist on the study's own division, with its population and its first member in it."""
    trained = []
    for training, members in trainings.on(dataset):
        watched = _train_to_best(training, trainings.max_epochs)
        scores = training.scores(training.validation_rows, _metrics(training.configs[0]))
        for trial, first in members:
            finalist = _as_finalist(trial, trainings.seeds, training, watched, first)
            own = slice(first, first + len(trainings.seeds))
            means = {name: of_members[own].mean().item() for name, of_members in scores.items()}
            trained.append((replace(finalist, validation_metrics=means), training, first))
    return trained


def _scores_on(trainings: _Trainings, fold: Dataset) -> dict[str, tuple[float, ...]]:
    """Score of each seed on a fold of the cross-validation, by trial."""
    scores: dict[str, tuple[float, ...]] = {}
    for training, members in trainings.on(fold):
        records = list(itertools.islice(training.epochs(), trainings.max_epochs))
        best = [best_score(curve, training.metric) for curve in populations.curves_of(records)]
        scores |= {trial.trial_id: tuple(best[first : first + len(trainings.seeds)]) for trial, first in members}
    return scores


@dataclass(frozen=True)
class _Watched:
    """What was seen of a population while it trained.

    Attributes:
        curves: Epochs of each member.
        health: Looks at each member.
        learning_rates: Rates of each member, by epoch.
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
    return _Watched(populations.curves_of(records), [list(looks) for looks in zip(*health, strict=True)], rates)


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
        scores=tuple(best_score(curve, training.metric) for curve in curves),
        curves=curves,
        health=gradient_health.training(watched.health[first], scale, trial.config),
        fit=fit.read(curves, scale, trial.config),
        learning_rates=tuple(rates[first] for rates in watched.learning_rates),
        parameters=training.network.parameters.shape[1],
    )
