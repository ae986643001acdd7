"""From the body of a request to a study that can be run: the same checks as ``search-service validate``."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search_service.errors import InvalidSpecError, Problem
from search_service.folder import private_addresses
from search_service.service import reading
from search_service.service.settings import ServiceSettings
from search_service.service.store import NotFoundError, Store
from search_service.spec import config_file
from trainables.data.locations import BUNDLED, OPENML, is_url
from trainables.metrics import MetricName

# How a config names an uploaded table.
DATASET = "dataset:"


@dataclass(frozen=True)
class Checked:
    """What is known of a config once its table was read.

    Attributes:
        name: The study's name.
        metric: That is optimised.
        rows: Rows by part: train, validation, test.
        inputs: Numbers that a network takes.
        outputs: And gives.
        task: Classification or regression.
        warnings: Suspicious things in the table.
    """

    name: str
    metric: MetricName
    rows: Mapping[str, int]
    inputs: int
    outputs: int
    task: str
    warnings: Sequence[str]


class Submissions:
    """Checks configs.

    Args:
        store: Knows the uploaded tables.
        settings: Where tables may be read from.
    """

    def __init__(self, store: Store, settings: ServiceSettings) -> None:
        self._store = store
        self._settings = settings.model_copy(update={"data_folders": ",".join(settings.sources)})

    @staticmethod
    def parse(body: bytes) -> Any:
        """The plain data of a config.

        Args:
            body: YAML or JSON.

        Raises:
            InvalidSpecError: It is neither.
        """
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InvalidSpecError([Problem("(body)", str(error), "text in UTF-8", "send YAML or JSON")]) from error
        return config_file.read_text(text, "(body)")

    def check(self, raw: Any) -> tuple[dict[str, Any], Checked]:
        """A config, checked against its table in a process of its own.

        Args:
            raw: What ``parse`` gave.

        Returns:
            The config with the places of uploaded tables, and what follows from it.

        Raises:
            InvalidSpecError: Every mistake found.
            OutsideError: MLflow, which has the study of a warm start, cannot be reached.
        """
        placed, document = self._read("check", raw)
        return placed, Checked(**document)

    def plan(self, raw: Any) -> dict[str, Any]:
        """What a study would do, with a time measured on this machine.

        Raises:
            InvalidSpecError: Every mistake found.
            OutsideError: As ``check``.
        """
        return self._read("plan", raw)[1]

    def _read(self, what: reading.Work, raw: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        placed = self._with_places(raw)
        try:
            return placed, reading.read(what, placed, self._settings)
        except InvalidSpecError as error:
            raise InvalidSpecError([self._as_sent(problem) for problem in error.problems]) from None

    def _as_sent(self, problem: Problem) -> Problem:
        """A mistake in the words of whoever sent the config: an upload's place is the service's own business."""
        folder = f"{self._settings.datasets}"

        def sent(text: Any) -> Any:
            if not isinstance(text, str):
                return text
            return text.replace(f"{folder}/", DATASET).replace(folder, "uploads")

        return Problem(problem.path, sent(problem.value), sent(problem.rule), sent(problem.fix))

    def _with_places(self, raw: Any) -> Any:
        """A config's uploaded tables as paths; what is no path is left as it is."""
        if not isinstance(raw, dict) or not isinstance(raw.get("data"), dict):
            return raw
        data, problems = dict(raw["data"]), []
        for place in config_file.PLACES:
            value = data.get(place)
            if not isinstance(value, str):
                continue
            if value.startswith(DATASET):
                try:
                    data[place] = str(self.path_of(value.removeprefix(DATASET)))
                except NotFoundError:
                    fix = "upload it first: search-service upload FILE, or POST /api/v1/datasets"
                    problems.append(Problem(f"data.{place}", value, "an uploaded table", fix))
            elif _is_relative_path(value):
                # It would be looked for where the service happens to have been started.
                rule = "a bundled set, dataset:ID, a URL, or a full path on the cluster"
                fix = "upload the file first: search-service upload FILE (submit does it by itself)"
                problems.append(Problem(f"data.{place}", value, rule, fix))
        if problems:
            raise InvalidSpecError(problems)
        return raw | {"data": data}

    def keep(self, study_id: str, addresses: Mapping[str, str]) -> None:
        """Keep what is secret of the addresses of a study's tables where its job finds it, and nobody else."""
        if addresses:
            folder = self._settings.study_folder(study_id)
            folder.mkdir(parents=True)
            private_addresses.keep(folder, addresses)

    def path_of(self, dataset_id: str) -> Path:
        """Where an uploaded table lies.

        Raises:
            NotFoundError: There is none.
        """
        row = self._store.dataset(dataset_id)
        return self._settings.datasets / row.id


def _is_relative_path(source: str) -> bool:
    if source in BUNDLED or source.startswith(OPENML) or is_url(source) or Path(source).is_absolute():
        return False
    return bool(Path(source).suffix) or "/" in source


def without_secrets(config: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """A config as others may see it, and the whole addresses of its tables by config key."""
    data, addresses = private_addresses.public(config["data"])
    return config | {"data": data}, addresses


def shown_config(config: dict[str, Any]) -> dict[str, Any]:
    """A config as others may see it: one that was stored by an earlier version may hold what is secret."""
    return without_secrets(config)[0]


def digest_of_submission(raw: Any, priority: int) -> str:
    """What is compared when an Idempotency-Key comes again."""
    return hashlib.sha256(json.dumps([raw, priority], sort_keys=True, default=str).encode()).hexdigest()


def new_id(name: str) -> str:
    """The id of a new study."""
    return f"{name}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(4)}"
