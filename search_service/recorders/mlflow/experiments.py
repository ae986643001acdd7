"""Experiments of MLflow: found, made, and refused where one was deleted."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Experiment, LifecycleStage
from mlflow.exceptions import MlflowException

from search_service.errors import InvalidSpecError, Problem


class Experiments:
    """Experiments by name, found or made.

    Args:
        client: The client of the MLflow store.
        artifacts: Folder for files, where no server keeps them.
    """

    def __init__(self, client: MlflowClient, artifacts: Path | None) -> None:
        self._client, self._artifacts = client, artifacts
        self._ids: dict[str, str] = {}

    def open(self, name: str) -> str:
        """The id of an experiment.

        Raises:
            InvalidSpecError: It was deleted: its name stays taken, and nothing can be written to it.
        """
        if name not in self._ids:
            self._ids[name] = self._find_or_create(name)
        return self._ids[name]

    def _find_or_create(self, name: str) -> str:
        if (existing := self._client.get_experiment_by_name(name)) is not None:
            _require_active(existing)
            return str(existing.experiment_id)
        location = (self._artifacts / _folder_of(name)).as_uri() if self._artifacts else None
        # Without this tag the UI opens its view for generative AI.
        tags = {"mlflow.experimentKind": "custom_model_development"}
        try:
            return str(self._client.create_experiment(name, artifact_location=location, tags=tags))
        except MlflowException:
            # Another study may have made it at the same time, or the answer to this request was lost.
            if (existing := self._client.get_experiment_by_name(name)) is None:
                raise
            return str(existing.experiment_id)


def _require_active(experiment: Experiment) -> None:
    if experiment.lifecycle_stage == LifecycleStage.DELETED:
        restore = f"mlflow experiments restore --experiment-id {experiment.experiment_id}"
        fix = f"restore it ({restore}), or choose another name with experiment"
        rule = "an experiment of MLflow that is not deleted, or a new name"
        raise InvalidSpecError([Problem("experiment", experiment.name, rule, fix)])


def _folder_of(experiment: str) -> str:
    """The folder of an experiment's files: its name, or what is left of it where it is more than a plain word.

    >>> _folder_of("digits"), _folder_of("../up")
    ('digits', '___up-8c722b8a')
    """
    if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", experiment):
        return experiment
    # Two names may leave the same letters; their digests differ.
    digest = hashlib.sha256(experiment.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9_-]', '_', experiment)[:60]}-{digest}"
