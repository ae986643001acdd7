"""The last act: are the best configurations good, or were they lucky?

Why: the best of many trials is the best partly by chance. Trained again from several fresh seeds, the configuration
with the best mean wins; that one is evaluated on test rows which nothing has seen before, once. Those that a paired
t-test cannot tell from it are named (significance.py); who prefers it gets the simplest of them instead.
A configuration's score of a seed is its best validation score over the epochs, with the weights of that epoch.
Which trials are trained again: qualifying.py; with a second objective, the best of the Pareto set
(second_objective.py).
With cross-validation, the mean is taken over folds × seeds, each trained afresh on its fold's training part; what is
tested are still the networks of the study's own division.
Several of the networks that were trained so are better together than any of them alone: the model is their mean, where
validation rows say so (averaging.py). What becomes of it, and what simpler models reach beside it: handing_over.py.
And for the report, choosing nothing: every other metric, and which columns of the table the winner's networks go by
(trainables/column_importance.py), and what they say at these columns' values (trainables/partial_dependence.py).
Source: Bouthillier et al. 2021, "Accounting for variance in machine learning benchmarks".
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from search_service.errors import CheckFailedError
from search_service.folder import layout
from search_service.recipe import (
    averaging,
    handing_over,
    qualifying,
    reading_outputs,
    refitting,
    second_objective,
    tasks,
)
from search_service.recipe.finalist_training import (
    FinalistTraining,
    FoldRecord,
    PieceRecord,
    TrainedFinalist,
    metrics_of,
    networks_of,
)
from search_service.recipe.handing_over import HandedOver, Winner
from search_service.recipe.last_act import LastAct
from search_service.recipe.tasks import RunTasks
from search_service.records.finalists import Finalist, FinalistsResult
from search_service.records.rounds import RoundResult, TrialResult
from search_service.runners.base import run_here
from search_service.spec.study_spec import StudySpec
from trainables import advantage, checkpoint, column_importance, partial_dependence
from trainables.advantage import Drawn
from trainables.baselines import Fitted
from trainables.data.dataset import Dataset, TestRows
from trainables.data.grids import Grid
from trainables.metrics import METRICS, MetricName, metrics_for
from trainables.process import device_for
from trainables.records import ColumnImportances, PartialDependence
from trainables.row_tensors import to_tensors
from trainables.threshold import scores_at
from trainables.training import PopulationTraining
from trainables.trivial import TrivialPredictor

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
    grids: Mapping[str, Grid] | None = None,
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
        grids: Of columns, the values at which the winner's networks are asked.

    Raises:
        CheckFailedError: Every finalist diverged.
    """
    started, act = time.monotonic(), act or LastAct()
    run_tasks = act.timed(run_tasks)
    pareto = second_objective.run(spec, rounds, dataset)
    candidates, rule = qualifying.choose(spec, rounds, dataset, pareto)
    trained, alike = _trained(spec, candidates, dataset, folds, folder, run_tasks, act)
    winner = trained[0].finalist
    training = networks_of(trained[0], dataset, device_for(spec.search.gpus_per_trial))
    checkpoint.save(training, folder / layout.WINNER)
    exported = min(range(len(winner.seeds)), key=lambda i: METRICS[spec.metric].rank(winner.scores[i]))
    tests = to_tensors(test_rows, training.device, training.dtype)
    chosen = averaging.choose(spec, _may_be_averaged(trained), dataset, training.device)
    reading = reading_outputs.settle(spec, training, exported, chosen, dataset)
    model = Winner(winner, exported, chosen, reading, tests)
    handed, fitted = handing_over.run(act, spec, model, dataset, test_rows, folder, run_tasks)
    final = _evaluated(spec, trained, model, handed, fitted, training, dataset, test_rows, folder)
    return replace(
        final,
        partial_dependences=_partial_dependences(training, dataset, grids or {}, final.columns),
        pareto=pareto,
        contenders=tuple(finalist.trial_id for finalist in alike),
        rule=f"{rule} {act.said}".rstrip(),
        baselines_left_out=spec.finalists.baselines and not fitted,
        seconds=time.monotonic() - started,
    )


def _may_be_averaged(trained: Sequence[TrainedFinalist]) -> Sequence[TrainedFinalist]:
    """All finalists; where folds have compared them, the winner.

    An average is chosen on the study's own validation rows. Where they are too few to choose the winner, they are too
    few to put another configuration in its place.
    """
    return trained[:1] if trained[0].finalist.fold_scores else trained


def _evaluated(
    spec: StudySpec,
    trained: Sequence[TrainedFinalist],
    model: Winner,
    handed: HandedOver,
    fitted: Sequence[Fitted],
    training: PopulationTraining,
    dataset: Dataset,
    test_rows: TestRows,
    folder: Path,
) -> FinalistsResult:
    """The one look at the test rows."""
    winner, tests, exported = model.finalist, model.tests, model.exported
    of_seeds = training.outputs(tests.inputs)
    of_tests = of_seeds[exported] if handed.of_tests is None else handed.of_tests
    scaling, shift = dataset.scaling, model.reading.shift
    test_scores = scores_at(of_seeds, tests, metrics_of(winner.config), scaling=scaling, shift=shift)
    said, said_shift = model.reading.read(of_tests)
    drawn = Drawn(said, tests, spec.metric, scaling=scaling, shift=said_shift)
    advantage.save(folder / layout.TEST_PREDICTIONS, said, tests, dataset, said_shift)
    calibrated, threshold = model.reading.judged(of_tests, tests)
    every = metrics_for(dataset.task, gives_probabilities=True)
    return FinalistsResult(
        finalists=tuple(each.finalist for each in trained),
        metric=spec.metric,
        test_scores=tuple(test_scores[spec.metric].tolist()),
        exported=exported,
        trivial_test_metrics=TrivialPredictor.of(dataset).scores(every, to_tensors(test_rows, "cpu", training.dtype)),
        checkpoint=folder / layout.WINNER,
        seconds=0.0,
        test_metrics={name: scores.mean().item() for name, scores in test_scores.items()},
        baselines=tuple(each.compared(drawn, winner.config) for each in fitted),
        calibration=calibrated,
        threshold=threshold,
        prediction_interval=reading_outputs.prediction_interval(
            spec.model.prediction_interval, of_tests, tests, scaling
        ),
        columns=_columns(training, dataset, spec.metric, shift),
        refit=handed.refit,
        average=handed.average,
        over_trivial=drawn.over_trivial(dataset),
        rows_error=drawn.error,
    )


def _columns(
    training: PopulationTraining, dataset: Dataset, metric: MetricName, shift: float
) -> ColumnImportances | None:
    """Which columns the winner's networks go by, on validation rows, which they have not learnt from."""
    if not dataset.sources:
        return None
    return column_importance.importances(
        training, training.validation_rows, dataset.sources, metric, scaling=dataset.scaling, shift=shift
    )


def _partial_dependences(
    training: PopulationTraining, dataset: Dataset, grids: Mapping[str, Grid], columns: ColumnImportances | None
) -> tuple[PartialDependence, ...]:
    """What the winner's networks say at the values of the columns that they go by, on validation rows."""
    names = [] if columns is None else [column.name for column in columns.columns if column.is_missed]
    return partial_dependence.partial_dependences(training, training.validation_rows, dataset, grids, names)


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
    while more := act.more_seeds(plan, [each.finalist for each in plan.finalists(done, ())]):
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
    return [best, *(other for other in others if not best.told_from(other))]


def simplest(alike: Sequence[Finalist], metric: MetricName) -> Finalist:
    """The one with the fewest parameters; of those, the one that is trained for the fewest epochs, then the first.

    A network is kept at its best epoch, so that is how long it has to be trained, in the mean over the seeds.
    """
    return min(alike, key=lambda finalist: (finalist.parameters, refitting.mean_best_epoch(finalist.curves, metric)))
