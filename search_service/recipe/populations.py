"""Populations that a step trains in the driver's process as the rounds train theirs: rows in the same order."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from search_service.spec.study_spec import StudySpec
from trainables.config import TrialConfig
from trainables.data.dataset import Dataset
from trainables.process import device_for
from trainables.records import EpochPoint
from trainables.training import EpochRecord, PopulationTraining


def untrained(spec: StudySpec, configs: Sequence[TrialConfig], dataset: Dataset, epochs: int) -> PopulationTraining:
    """A population with its initial weights.

    Args:
        spec: What was asked.
        configs: One per member, of one structure.
        dataset: Training and validation rows.
        epochs: Length of its training, which schedules span.
    """
    return PopulationTraining(
        configs,
        dataset,
        order_seed=spec.seed,
        max_epochs=epochs,
        metric=spec.metric,
        device=device_for(spec.search.gpus_per_trial),
    )


def trained(
    spec: StudySpec, configs: Sequence[TrialConfig], dataset: Dataset, epochs: int
) -> tuple[PopulationTraining, list[EpochRecord]]:
    """A population at the end of its training, and a record for each epoch.

    Args:
        spec: What was asked.
        configs: One per member, of one structure.
        dataset: Training and validation rows.
        epochs: Length of its training.
    """
    training = untrained(spec, configs, dataset, epochs)
    return training, list(itertools.islice(training.epochs(), epochs))


def curves_of(records: Sequence[EpochRecord]) -> list[tuple[EpochPoint, ...]]:
    """The curve of each member, of the records of all."""
    return [tuple(record.of(member) for record in records) for member in range(len(records[0].train_loss))]
