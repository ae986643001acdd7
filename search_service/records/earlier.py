"""A study that has ended and may teach another, as its record has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from search_service.records.rounds import TrialStatus


@dataclass(frozen=True)
class EarlierTrial:
    """A trial of an earlier study, as its record has it.

    Attributes:
        trial_id: The trial's id.
        parameters: Every leaf of its configuration that applied.
        status: How it ended.
        score: Its best validation score; NaN if it has none.
        epochs: Trained.
        max_epochs: The most epochs of a trial of its round.
    """

    trial_id: str
    parameters: Mapping[str, Any]
    status: TrialStatus
    score: float
    epochs: int
    max_epochs: int


@dataclass(frozen=True)
class EarlierStudy:
    """A study that may teach another.

    Attributes:
        study_id: The study's id.
        metric: The metric of the scores; empty if it has no trial.
        task: The task of its table.
        fingerprint: The fingerprint of its table.
        trials: Its trials, in no order.
    """

    study_id: str
    metric: str
    task: str
    fingerprint: str
    trials: tuple[EarlierTrial, ...]
