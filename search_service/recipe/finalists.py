"""The last act: are the best configurations good, or were they lucky?

Why: the best of many trials is the best partly by chance. Trained again from several fresh seeds, the configuration
with the best mean wins; that one is evaluated on test rows which nothing has seen before, once. Those that a paired
t-test over the seeds cannot tell from it are named (significance.py); who prefers it gets the simplest of them instead.
A configuration's score of a seed is its best validation score over the epochs, with the weights of that epoch.
Which trials are trained again: qualifying.py; with a second objective, the best of the Pareto set
(second_objective.py).
With cross-validation, the mean is taken over folds × seeds, each trained afresh on its fold's training part; what is
tested are still the networks of the study's own division.
Several of the networks that were trained so are better together than any of them alone: the model is their mean, where
validation rows say so (averaging.py). The networks that it needs, or the winner's where it is one, are trained again
on training and validation rows together (refitting.py).
And for the report, choosing nothing: every other metric, what simpler models reach (trainables/baselines.py), and
what a temperature does to the model's probabilities (trainables/calibration.py).
Source: Bouthillier et al. 2021, "Accounting for variance in machine learning benchmarks".
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from search_service.errors import CheckFailedError
from search_service.folder import layout
from search_service.recipe import averaging, qualifying, refitting, second_objective, tasks
from search_service.recipe.averaging import Choice
from search_service.recipe.finalist_training import (
    FinalistTraining,
    FoldRecord,
    PieceRecord,
    TrainedFinalist,
    metrics_of,
    networks_of,
)
from search_service.recipe.last_act import Extras, LastAct
from search_service.recipe.tasks import RunTasks
from search_service.records.finalists import Average, Finalist, FinalistsResult, Refit
from search_service.records.rounds import RoundResult, TrialResult
from search_service.records.significance import told_apart
from search_service.runners.base import Task, run_here
from search_service.spec.study_spec import StudySpec
from trainables import advantage, baselines, calibration, checkpoint
from trainables.advantage import Drawn
from trainables.baselines import Fitted
from trainables.config import TrialConfig
from trainables.data.dataset import Dataset, TestRows
from trainables.metrics import METRICS, MetricName, metrics_for
from trainables.process import device_for
from trainables.records import BaselineName, Calibration
from trainables.row_tensors import RowTensors, to_tensors
from trainables.scores import scores_of
from trainables.seeds import derive_seed
from trainables.training import PopulationTraining, trivial_scores

# Numbers of the folds that are prepared at once: 1 GB in float32.
FOLD_NUMBERS = 250_000_000


def run(
    spec: StudySpec,
    rounds: Sequence[RoundResult],
    dataset: Dataset,
    test_rows: TestRows,
    folder: Path,
    folds: Iterable[Dataset] = (),
    run_tasks: RunTasks = run_here,
    act: LastAct | None = None,
) -> FinalistsResult:
    """Train the finalists, choose the winner, evaluate it.

    Args:
        spec: How many finalists and seeds.
        rounds: The study's rounds.
        dataset: Training and validation rows.
        test_rows: Used here and nowhere else.
        folder: The winner's networks are written here, and the model's.
        folds: Divisions of training and validation rows, each prepared by its own training part; inputs may differ.
        run_tasks: Where finalists, baselines and the refit are trained, as much of it at once as there is room for.
        act: Says how much of it there is time for; by default all.

    Raises:
        CheckFailedError: Every finalist diverged.
    """
    started, act = time.monotonic(), act or LastAct()
    run_tasks = act.timed(run_tasks)
    pareto = second_objective.run(spec, rounds, dataset)
    candidates, rule = qualifying.qualify(spec, rounds, pareto)
    trained, alike = _trained(spec, candidates, dataset, folds, folder, run_tasks, act)
    winner, path = trained[0].finalist, folder / layout.WINNER
    training = networks_of(trained[0], dataset, device_for(spec.search.gpus_per_trial))
    checkpoint.save(training, path)
    exported = min(range(len(winner.seeds)), key=lambda i: METRICS[spec.metric].rank(winner.scores[i]))
    tests = to_tensors(test_rows, training.device, training.dtype)
    test_scores = training.scores(tests, metrics_of(winner.config))
    chosen = averaging.choose(spec, trained, dataset, training.device)
    handed, fitted = _follow(act, spec, winner, exported, chosen, dataset, test_rows, folder, tests, run_tasks)
    of_tests = training.outputs(tests.inputs)[exported] if handed.of_tests is None else handed.of_tests
    drawn = Drawn(of_tests, tests, spec.metric, scale=dataset.target_scale)
    advantage.save(folder / layout.TEST_PREDICTIONS, of_tests, tests, dataset)
    return FinalistsResult(
        finalists=tuple(each.finalist for each in trained),
        metric=spec.metric,
        test_scores=tuple(test_scores[spec.metric].tolist()),
        exported=exported,
        trivial_test_metrics=trivial_scores(dataset, test_rows, metrics_for(dataset.task, gives_probabilities=True)),
        checkpoint=path,
        test_metrics={name: scores.mean().item() for name, scores in test_scores.items()},
        baselines=tuple(each.compared(drawn, winner.config) for each in fitted),
        calibration=_calibrate(spec, training, exported, chosen, of_tests, tests),
        pareto=pareto,
        contenders=tuple(finalist.trial_id for finalist in alike),
        refit=handed.refit,
        average=handed.average,
        over_trivial=drawn.over_trivial(dataset),
        rows_error=drawn.error,
        rule=f"{rule} {act.said}".rstrip(),
        seconds=time.monotonic() - started,
    )


def _follow(
    act: LastAct,
    spec: StudySpec,
    winner: Finalist,
    exported: int,
    chosen: Choice | None,
    dataset: Dataset,
    test_rows: TestRows,
    folder: Path,
    tests: RowTensors,
    run_tasks: RunTasks,
) -> tuple[_HandedOver, list[Fitted]]:
    """What follows on the winner, as far as there is time for it: the model, and simpler models beside it."""
    simpler = _baseline_tasks(spec, winner, dataset, test_rows)
    extras = act.extras(winner, chosen, simpler)
    beside = tasks.Beside(run_tasks, simpler if extras.baselines else [])
    handed = _hand_over(spec, winner, exported, chosen, dataset, folder, tests, beside.run, extras)
    return handed, beside.results()


@dataclass(frozen=True)
class _HandedOver:
    """What is the model beside the winner's own networks, and what that says of the test rows, ``[N, C]``."""

    refit: Refit | None = None
    average: Average | None = None
    of_tests: Tensor | None = None


def _hand_over(
    spec: StudySpec,
    winner: Finalist,
    exported: int,
    chosen: Choice | None,
    dataset: Dataset,
    folder: Path,
    tests: RowTensors,
    run_tasks: RunTasks,
    extras: Extras,
) -> _HandedOver:
    """The winner, and what is averaged with it, once more on training and validation rows, if that is asked for."""
    device, names = str(tests.inputs.device), metrics_of(winner.config)
    members = () if chosen is None else chosen.members
    refit, of_tests = None, None
    if spec.model.refit and extras.refit and math.isfinite(winner.scores[exported]):
        others = [(member.finalist, member.seed) for member in members]
        refit, refitted = refitting.run(
            spec, winner, exported, dataset, folder, run_tasks, others, tries_length=extras.length
        )
        if refit.checkpoint is not None:
            of_tests = checkpoint.load(refit.checkpoint, dataset, device=device).outputs(tests.inputs)[0]
            refit = replace(
                refit, test_metrics=scores_of(of_tests, tests.targets, tests.weights, names, dataset.target_scale)
            )
            members = averaging.trained_again(members, refitted)
    if chosen is None or len(members) < 2:
        return _HandedOver(refit, None, of_tests)
    average, of_tests = averaging.keep(chosen, members, winner, dataset, folder, tests)
    metrics = scores_of(of_tests, tests.targets, tests.weights, names, dataset.target_scale)
    return _HandedOver(refit, replace(average, test_metrics=metrics), of_tests)


def _trained(
    spec: StudySpec,
    candidates: Sequence[TrialResult],
    dataset: Dataset,
    folds: Iterable[Dataset],
    folder: Path,
    run_tasks: RunTasks,
    act: LastAct,
) -> tuple[list[TrainedFinalist], list[Finalist]]:
    """The candidates, trained, in the order of ``_ranked``."""
    plan = FinalistTraining(spec, candidates, dataset)
    done = tasks.run_once(plan.tasks(), PieceRecord, folder, run_tasks)
    while more := act.more_seeds(plan):
        plan = plan.with_wave(more)
        done = tasks.run_once(plan.tasks(), PieceRecord, folder, run_tasks)
    on_folds = _on_folds(plan, dataset, folds, folder, run_tasks)
    return _ranked(spec, plan.finalists(done, on_folds))


def _on_folds(
    plan: FinalistTraining, dataset: Dataset, folds: Iterable[Dataset], folder: Path, run_tasks: RunTasks
) -> list[list[FoldRecord]]:
    """The finalists' scores on each fold of a cross-validation: all folds at once, where memory allows it."""
    numbered = enumerate(folds, start=1)
    at_once = max(1, FOLD_NUMBERS // (dataset.n_inputs * (len(dataset.train) + len(dataset.validation))))
    records: list[list[FoldRecord]] = []
    while some := list(itertools.islice(numbered, at_once)):
        by_fold = [plan.fold_tasks(fold, number) for number, fold in some]
        done = iter(tasks.run_once(list(itertools.chain(*by_fold)), FoldRecord, folder, run_tasks))
        records += [[next(done)[0] for _ in of_fold] for of_fold in by_fold]
    return records


def _ranked(spec: StudySpec, trained: list[TrainedFinalist]) -> tuple[list[TrainedFinalist], list[Finalist]]:
    """The finalists, the winner first, and those that cannot be told from the best mean.

    Raises:
        CheckFailedError: Every one diverged.
    """
    trained = sorted(trained, key=lambda each: METRICS[spec.metric].rank(each.finalist.mean))
    if math.isnan(trained[0].finalist.mean):
        raise CheckFailedError("finalists: every configuration diverged from fresh seeds; lower the learning rates")
    alike = contenders([each.finalist for each in trained])
    if spec.finalists.prefer == "simplest":
        chosen = simplest(alike, spec.metric)
        trained.sort(key=lambda each: each.finalist is not chosen)  # Stable: the others stay in their order.
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


def _baseline_tasks(spec: StudySpec, winner: Finalist, dataset: Dataset, test_rows: TestRows) -> list[Task]:
    """What simpler models reach, if anybody asked; each returns ``Fitted``."""
    if not spec.finalists.baselines:
        return []
    arguments = {"config": winner.config, "seed": derive_seed(spec.seed, "baselines")}
    efforts = {name: baselines.seconds(name, dataset) for name in baselines.NAMES}
    return [
        Task(f"baseline-{name}", _fit, (dataset, test_rows), {"name": name} | arguments, effort)
        for name, effort in efforts.items()
    ]


def _fit(dataset: Dataset, test_rows: TestRows, *, name: BaselineName, config: TrialConfig, seed: int) -> Fitted:
    """In a worker: fit a baseline."""
    return baselines.fit(name, config, dataset, test_rows, seed=seed)


def _calibrate(
    spec: StudySpec,
    training: PopulationTraining,
    member: int,
    chosen: Choice | None,
    of_tests: Tensor,
    tests: RowTensors,
) -> Calibration | None:
    """The temperature of the model, by validation rows, and what it does to the model on test rows; if asked for.

    A model that has learnt from the validation rows is too sure of them to say how sure it may be: it takes the
    temperature of the networks that have not, its twins in configuration and seed.
    """
    if spec.finalists.calibration != "temperature":
        return None
    rows = training.validation_rows
    said = training.outputs(rows.inputs)[member] if chosen is None else chosen.outputs
    if chosen is not None:
        rows = rows.spread(averaging.MOST_ROWS)
    temperature = calibration.fit_temperature(said, rows.targets, rows.weights)
    return calibration.judge(temperature, of_tests, tests.targets, tests.weights)
