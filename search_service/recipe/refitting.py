"""After the winner is known: its configuration once more, on training and validation rows together.

Why: the validation rows have chosen; what is left of them to learn would be thrown away. What no row is left for is to
say when to stop, so that is settled before, on the training rows alone: as long as the winner's seeds were trained, or
only as long as they took to their best, in the mean. A network cannot be taken from the middle of a training here, as
the seeds' were: where a schedule still has a large rate it is as good as its last steps happen to make it, and nothing
can choose. So both lengths are compared by the validation score at their end, each on a schedule that spans it.
What is fitted to data beside the network, the preparation and the scale of a target, stays that of the training rows:
it is part of what was chosen.
Nothing could tell a training that went wrong but the rows that it has learnt from. So it is judged by these, and a
network that knows them no better than halfway between the winner's worst seed and a guess is not used.
Source: Goodfellow, Bengio and Courville 2016, "Deep Learning", algorithm 7.2; scikit-learn's ``refit``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from search_service.folder import layout
from search_service.recipe import populations, tasks
from search_service.recipe.tasks import RunTasks, Trained
from search_service.records.curves import best
from search_service.records.finalists import Finalist, Refit
from search_service.runners.base import Task, run_here
from search_service.spec.study_spec import StudySpec
from trainables import checkpoint
from trainables.config import TrialConfig
from trainables.data.dataset import Dataset
from trainables.metrics import METRICS, MetricName
from trainables.process import device_for
from trainables.records import EpochPoint
from trainables.training import PopulationTraining, trivial_score


def run(
    spec: StudySpec, winner: Finalist, member: int, dataset: Dataset, folder: Path, run_tasks: RunTasks = run_here
) -> tuple[Refit, PopulationTraining | None]:
    """Train the winner again.

    Args:
        spec: What was asked.
        winner: What to train; one of its networks has a score, at least.
        member: Index of the seed to begin from.
        dataset: Rows that it was trained on and chosen by.
        folder: The network is written here.
        run_tasks: Where it is trained.

    Returns:
        What was done, without scores on test rows, and the network; None where it is not to be used.
    """
    metric = METRICS[spec.metric]
    whole = len(winner.curves[0])
    shorter = max(1, round(mean_best_epoch(winner.curves, spec.metric)))
    lengths = {whole: _mean([curve[-1].validation_score for curve in winner.curves])}
    config: TrialConfig = winner.config.replace({"seed": winner.seeds[member]})
    if shorter < whole:
        lengths[shorter] = _mean(_last_scores(spec, winner, dataset, shorter, run_tasks))
    epochs = min(lengths, key=lambda length: metric.rank(lengths[length]))
    ((record, network),) = tasks.run_once([_refit_task(spec, config, dataset, epochs)], RefitRecord, folder, run_tasks)
    last = record.last
    worst = max((score for score in winner.scores if math.isfinite(score)), key=metric.rank)
    halfway = (worst + trivial_score(dataset, dataset.validation, spec.metric)) / 2
    went_well = math.isfinite(last.train_loss) and metric.better(last.validation_score, halfway)
    found = Refit(
        epochs=epochs,
        lengths=tuple(sorted(lengths.items())),
        rows=record.rows,
        seed=config.seed,
        epochs_spent=epochs + len(winner.seeds) * (shorter if shorter < whole else 0),
        checkpoint=folder / layout.REFIT if went_well else None,
    )
    if found.checkpoint is None or network is None:
        return found, None
    training = checkpoint.load(network, dataset, device=device_for(spec.search.gpus_per_trial))
    checkpoint.save(training, found.checkpoint)
    return found, training


def _refit_task(spec: StudySpec, config: TrialConfig, dataset: Dataset, epochs: int) -> Task:
    arguments = {"spec": spec, "config": config, "epochs": epochs}
    seconds = tasks.effort([config], dataset, epochs)
    return Task(f"refit-{epochs}-{config.seed}", train, (dataset,), arguments, effort=seconds)


def _last_scores(spec: StudySpec, winner: Finalist, dataset: Dataset, epochs: int, run_tasks: RunTasks) -> list[float]:
    """Validation scores of the winner's seeds at the end of a training of so many epochs."""
    configs = [winner.config.replace({"seed": seed}) for seed in winner.seeds]
    to_do = [
        Task(
            f"length-{epochs}-{number}",
            last_scores,
            (dataset,),
            {"spec": spec, "configs": piece, "epochs": epochs},
            effort=tasks.effort(piece, dataset, epochs),
        )
        for number, piece in enumerate(tasks.pieces_of(configs, dataset))
    ]
    return list(itertools.chain.from_iterable(run_tasks(to_do, tasks.nobody)))


# ---- in a worker -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RefitRecord:
    """What was seen of the refit: its last epoch, and how many rows it learnt from."""

    last: EpochPoint
    rows: int


def last_scores(dataset: Dataset, *, spec: StudySpec, configs: Sequence[TrialConfig], epochs: int) -> list[float]:
    """Train, and score at the end."""
    _, records = populations.trained(spec, configs, dataset, epochs)
    return list(records[-1].validation_score)


def train(dataset: Dataset, *, spec: StudySpec, config: TrialConfig, epochs: int) -> Trained:
    """Train on all training and validation rows."""
    rows = dataset.with_validation_rows_trained()
    training, records = populations.trained(spec, [config], rows, epochs)
    return Trained(RefitRecord(records[-1].of(0), len(rows.train)), checkpoint.packed(training))


def mean_best_epoch(curves: Sequence[Sequence[EpochPoint]], metric: MetricName) -> float:
    """Epochs after which networks were at their best, in the mean over those that ever had a score."""
    found = (best(curve, metric) for curve in curves)
    return _mean([point.epoch for point in found if point is not None])


def _mean(values: Sequence[float]) -> float:
    """Mean of those that are numbers; NaN if none is."""
    able = [value for value in values if math.isfinite(value)]
    return sum(able) / len(able) if able else math.nan
