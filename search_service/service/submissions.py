"""From the body of a request to a study that can be run: the same checks as ``search-service validate``."""

from __future__ import annotations

import secrets
import threading
import time
from pathlib import Path
from typing import Any

from search_service import config_file
from search_service import spec as spec_module
from search_service.errors import InvalidSpecError, Problem
from search_service.service.settings import ServiceSettings
from search_service.service.store import NotFoundError, Store
from search_service.wiring import PreparedStudy, prepare
from trainables.data.locations import is_url
from trainables.data.named_sets import BUNDLED, OPENML

# How a config names an uploaded table.
DATASET = "dataset:"
_PLACES = ("source", "train", "validation", "test")
# Tables read at the same time, for checking: each may fill memory.
READERS = 2

_reading = threading.BoundedSemaphore(READERS)


class Submissions:
    """Checks configs.

    Args:
        store: Knows the uploaded tables.
        settings: Where tables may be read from.
    """

    def __init__(self, store: Store, settings: ServiceSettings) -> None:
        self._store = store
        self._settings = settings.model_copy(update={"data_folders": ",".join(settings.sources)})

    def check(self, body: bytes) -> tuple[dict[str, Any], PreparedStudy]:
        """A config, checked against its table.

        Args:
            body: YAML or JSON.

        Returns:
            The config as plain data, with the places of uploaded tables, and what follows from it.

        Raises:
            InvalidSpecError: Every mistake found.
            OutsideError: MLflow, which has the study of a warm start, cannot be reached.
        """
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InvalidSpecError([Problem("(body)", str(error), "text in UTF-8", "send YAML or JSON")]) from error
        raw = self._with_places(config_file.read_text(text, "(body)"))
        spec = spec_module.parse(raw)
        with _reading:
            return raw, prepare(spec, settings=self._settings)

    def _with_places(self, raw: Any) -> Any:
        """A config's uploaded tables as paths; what is no path is left as it is."""
        if not isinstance(raw, dict) or not isinstance(raw.get("data"), dict):
            return raw
        data, problems = dict(raw["data"]), []
        for place in _PLACES:
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

    def path_of(self, dataset_id: str) -> Path:
        """Where an uploaded table lies.

        Raises:
            NotFoundError: There is none.
        """
        row = self._store.dataset(dataset_id)
        return self._settings.home.absolute() / "datasets" / f"{row.id}{suffix_of(row.name)}"


def _is_relative_path(source: str) -> bool:
    if source in BUNDLED or source.startswith(OPENML) or is_url(source) or Path(source).is_absolute():
        return False
    return bool(Path(source).suffix) or "/" in source


def suffix_of(name: str) -> str:
    """The ending that tells a table's format."""
    return Path(name).suffix.lower()


def new_id(name: str) -> str:
    """The id of a new study."""
    return f"{name}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(4)}"
