"""Trials of earlier studies, read back from an MLflow store: what a warm start learns from."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from search_service.errors import RecorderError
from search_service.recorders.mlflow.store import find_study, open_client
from search_service.records.earlier import EarlierStudy, EarlierTrial
from search_service.records.rounds import TrialStatus
from trainables.redaction import redact

# How a trial's run calls its score, before the metric's name; its validation loss begins so too.
_SCORE, _LOSS = "validation_", "validation_loss"


def read_study(uri: str, study_id: str) -> EarlierStudy | None:
    """A study with its trials, or None if the store has no such study.

    Args:
        uri: The store's address; a SQLite file that is not there is not made.
        study_id: The study's id.

    Raises:
        RecorderError: The store cannot be read.
    """
    if uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).exists():
        return None
    try:
        return _read(open_client(uri), study_id)
    except (MlflowException, SQLAlchemyError, OSError) as error:
        reason = redact((str(error).splitlines() or [type(error).__name__])[0], uri)
        raise RecorderError(f"MLflow at {uri} cannot be read: {reason}") from error


def _read(client: MlflowClient, study_id: str) -> EarlierStudy | None:
    study = find_study(client, study_id)
    if study is None:
        return None
    rounds = list(_children(client, study, "round"))
    # A round that was cut off before its first writing has neither parameters nor trials.
    begun = [parent for parent in rounds if "max_epochs" in parent.data.params]
    trials = [(run, int(parent.data.params["max_epochs"])) for parent in begun for run in _trials(client, parent)]
    return EarlierStudy(
        study_id=study_id,
        # One that failed before its first epoch has no score.
        metric=next(filter(None, (_metric_of(run) for run, _ in trials)), ""),
        task=study.data.params.get("data.is", ""),
        fingerprint=study.data.tags.get("data.fingerprint", ""),
        trials=tuple(_trial(run, max_epochs) for run, max_epochs in trials),
    )


def _trials(client: MlflowClient, parent: Run) -> Iterator[Run]:
    """The trials of a round; one that was never finished has no status."""
    return (run for run in _children(client, parent, "trial") if "status" in run.data.tags)


def _children(client: MlflowClient, parent: Run, kind: str) -> Iterator[Run]:
    where, token = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}' and tags.kind = '{kind}'", None
    while True:
        page = client.search_runs([parent.info.experiment_id], where, max_results=1_000, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _metric_of(trial: Run) -> str:
    names = (name for name in trial.data.metrics if name.startswith(_SCORE) and name != _LOSS)
    return next(names, "").removeprefix(_SCORE)


def _trial(run: Run, max_epochs: int) -> EarlierTrial:
    return EarlierTrial(
        trial_id=run.info.run_name,
        parameters={leaf: _parse(text) for leaf, text in run.data.params.items()},
        status=TrialStatus(run.data.tags["status"]),
        score=run.data.metrics.get("score", math.nan),
        epochs=int(run.data.metrics.get("epochs", 0)),
        max_epochs=max_epochs,
    )


def _parse(text: str) -> Any:
    """A parameter's value: the recorder writes texts as they are and everything else as JSON."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
