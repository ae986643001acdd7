"""What becomes of the winner: the model, and simpler models beside it.

The model is the winner's network, or the mean of several (averaging.py), once more trained on training and validation
rows together (refitting.py) where that is asked for and there is time. Its outputs are read as validation rows say
(reading_outputs.py); simpler models learn beside it, on the same workers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from search_service.recipe import averaging, refitting, tasks
from search_service.recipe.averaging import Choice
from search_service.recipe.finalist_training import metrics_of
from search_service.recipe.last_act import BASELINE_TASK, Extras, LastAct
from search_service.recipe.reading_outputs import Reading
from search_service.recipe.tasks import RunTasks
from search_service.records.finalists import Average, Finalist, Refit
from search_service.runners.base import Task
from search_service.spec.study_spec import StudySpec
from trainables import baselines, checkpoint, threshold
from trainables.baselines import Fitted
from trainables.config import TrialConfig
from trainables.data.dataset import Dataset, TestRows
from trainables.metrics import MetricName
from trainables.records import BaselineName
from trainables.row_tensors import RowTensors
from trainables.seeds import derive_seed


@dataclass(frozen=True)
class Winner:
    """The winner, and what is known of it before it is the model.

    Attributes:
        finalist: The winner.
        exported: Index of its network with the best validation score.
        chosen: The networks that are to be averaged, if any are.
        reading: How outputs are read.
        tests: Test rows, on the device to compute on.
    """

    finalist: Finalist
    exported: int
    chosen: Choice | None
    reading: Reading
    tests: RowTensors


@dataclass(frozen=True)
class HandedOver:
    """What is the model beside the winner's own networks, and what that says of the test rows, ``[N, C]``."""

    refit: Refit | None = None
    average: Average | None = None
    of_tests: Tensor | None = None


def run(
    act: LastAct,
    spec: StudySpec,
    winner: Winner,
    dataset: Dataset,
    test_rows: TestRows,
    folder: Path,
    run_tasks: RunTasks,
) -> tuple[HandedOver, list[Fitted]]:
    """Make the model, and fit simpler models beside it, as far as there is time for it.

    Args:
        act: Says how much there is time for.
        spec: What was asked.
        winner: The winner.
        dataset: Training and validation rows.
        test_rows: What simpler models are scored on.
        folder: The study's.
        run_tasks: Where is trained and fitted.
    """
    simpler = _baseline_tasks(spec, winner, dataset, test_rows, again=spec.model.refit)
    extras = act.extras(winner.finalist, winner.chosen, simpler)
    if not extras.refit:
        # From as many rows as the model has learnt from.
        simpler = _baseline_tasks(spec, winner, dataset, test_rows, again=False)
    beside = tasks.Beside(run_tasks, simpler if extras.baselines else [])
    handed = _hand_over(spec, winner, dataset, folder, beside.run, extras)
    fitted = beside.results()
    if fitted and extras.refit and spec.model.refit and (handed.refit is None or handed.refit.checkpoint is None):
        # The refit went wrong: the model has learnt from training rows alone, and so do those that it is compared with.
        simpler = _baseline_tasks(spec, winner, dataset, test_rows, again=False)
        fitted = tasks.Beside(run_tasks, simpler).results()
    return handed, fitted


def _hand_over(
    spec: StudySpec, winner: Winner, dataset: Dataset, folder: Path, run_tasks: RunTasks, extras: Extras
) -> HandedOver:
    """The winner, and what is averaged with it, once more on training and validation rows, if that is asked for."""
    finalist, chosen, tests = winner.finalist, winner.chosen, winner.tests
    members = () if chosen is None else chosen.members
    refit, of_tests = None, None
    if spec.model.refit and extras.refit and math.isfinite(finalist.scores[winner.exported]):
        others = [(member.finalist, member.seed) for member in members]
        refit, refitted = refitting.run(
            spec, finalist, winner.exported, dataset, folder, run_tasks, others, extras.lengths
        )
        if refit.checkpoint is not None:
            device = str(tests.inputs.device)
            of_tests = checkpoint.load(refit.checkpoint, dataset, device=device).outputs(tests.inputs)[0]
            members = averaging.trained_again(members, refitted)
            is_averaged = chosen is not None and len(members) > 1
            # The temperature is the model's: of an average, and not of this network.
            refit = replace(refit, test_metrics=_scores(of_tests, winner, dataset, is_model=not is_averaged))
    if chosen is None or len(members) < 2:
        return HandedOver(refit, None, of_tests)
    average, of_tests = averaging.keep(chosen, members, finalist, dataset, folder, tests)
    return HandedOver(refit, replace(average, test_metrics=_scores(of_tests, winner, dataset)), of_tests)


def _scores(of_tests: Tensor, winner: Winner, dataset: Dataset, *, is_model: bool = True) -> dict[MetricName, float]:
    """Every metric of what says ``of_tests`` of the test rows, ``[N, C]``: of the model by its temperature, too."""
    names = metrics_of(winner.finalist.config)
    said, shift = winner.reading.read(of_tests) if is_model else (of_tests, winner.reading.shift)
    scores = threshold.scores_at(said.unsqueeze(0), winner.tests, names, scaling=dataset.scaling, shift=shift)
    return {name: score.item() for name, score in scores.items()}


def _baseline_tasks(
    spec: StudySpec, winner: Winner, dataset: Dataset, test_rows: TestRows, *, again: bool
) -> list[Task]:
    """What simpler models reach, if anybody asked; each returns ``Fitted``."""
    if not spec.finalists.baselines:
        return []
    arguments = {
        "config": winner.finalist.config,
        "seed": derive_seed(spec.seed, "baselines"),
        "threshold": winner.reading.of_baselines,
        "again": again,
    }
    efforts = {name: baselines.seconds(name, dataset, again=again) for name in baselines.NAMES}
    return [
        Task(f"{BASELINE_TASK}{name}", _fit, (dataset, test_rows), {"name": name} | arguments, effort)
        for name, effort in efforts.items()
    ]


def _fit(
    dataset: Dataset,
    test_rows: TestRows,
    *,
    name: BaselineName,
    config: TrialConfig,
    seed: int,
    threshold: float | MetricName | None,
    again: bool,
) -> Fitted:
    """In a worker: fit a baseline."""
    return baselines.fit(name, config, dataset, test_rows, seed=seed, threshold=threshold, again=again)
