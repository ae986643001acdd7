"""After the winner is known: its configuration once more, on training and validation rows together.

Why: the validation rows have chosen; what is left of them to learn would be thrown away. No row is left to say when to
stop, so the network is trained for as many epochs as the winner's seeds took to their best, in the mean. A schedule
that spans the training spans this one: stopped halfway down the longer one, at a rate that is still large, a network is
as good as its last steps happen to make it. (The seeds' best epochs were chosen among many such; nothing can choose
here.) What is fitted to data beside the network, the preparation and the scale of a target, stays that of the training
rows: it is part of what was chosen.
Nothing could tell a training that went wrong but the rows that it has learnt from. So it is judged by these, and a
network that knows them no better than halfway between the winner's worst seed and a guess is not used.
Source: Goodfellow, Bengio and Courville 2016, "Deep Learning", algorithm 7.2; scikit-learn's ``refit``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path

from search_service.results import EpochPoint, Finalist, Refit
from search_service.spec import StudySpec
from trainables import checkpoint
from trainables.config import TrialConfig
from trainables.data.dataset import Dataset
from trainables.metrics import METRICS, MetricName
from trainables.training import PopulationTraining, trivial_score

FILE = "model.pt"


def run(
    spec: StudySpec, winner: Finalist, member: int, dataset: Dataset, folder: Path
) -> tuple[Refit, PopulationTraining | None]:
    """Train the winner again.

    Args:
        spec: Of the study.
        winner: What to train; one of its networks has a score, at least.
        member: Which of its seeds to begin from.
        dataset: Rows that it was trained on and chosen by.
        folder: The network is written here.

    Returns:
        What was done, without scores on test rows, and the network; None where it is not to be used.
    """
    rows = dataset.with_validation_rows_trained()
    epochs = max(1, round(mean_best_epoch(winner.curves, spec.metric)))
    config: TrialConfig = winner.config.replace({"seed": winner.seeds[member]})
    training = PopulationTraining([config], rows, order_seed=spec.seed, max_epochs=epochs, metric=spec.metric)
    *_, last = itertools.islice(training.epochs(), epochs)
    metric = METRICS[spec.metric]
    worst = max((score for score in winner.scores if math.isfinite(score)), key=metric.rank)
    halfway = (worst + trivial_score(dataset, dataset.validation, spec.metric)) / 2
    went_well = math.isfinite(last.train_loss[0]) and metric.better(last.validation_score[0], halfway)
    found = Refit(epochs, len(rows.train), config.seed, folder / FILE if went_well else None)
    if found.checkpoint is None:
        return found, None
    checkpoint.save(training, found.checkpoint)
    return found, training


def mean_best_epoch(curves: Sequence[Sequence[EpochPoint]], metric: MetricName) -> float:
    """Epochs after which networks were at their best, in the mean over those that ever had a score."""
    rank = METRICS[metric].rank
    best = [min(curve, key=lambda point: rank(point.validation_score)) for curve in curves]
    able = [point.epoch for point in best if math.isfinite(point.validation_score)]
    return sum(able) / len(able) if able else math.nan
