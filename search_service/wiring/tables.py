"""The table of a config, read as the config's loss, section or metric says, or as its target column does."""

from __future__ import annotations

from typing import Any

from search_service.errors import InvalidSpecError
from search_service.spec.against_table import metric_of_another_task
from search_service.spec.study_spec import StudySpec
from trainables.data import dataset as datasets
from trainables.data.config import DataConfig
from trainables.data.dataset import Loaded
from trainables.errors import DataError


def read(spec: StudySpec, config: DataConfig | None = None, **how: Any) -> Loaded:
    """Read, divide and prepare the table.

    Args:
        spec: The whole config; what it leaves open of the task, the target column says.
        config: How the table is read, if otherwise than ``spec.data`` says.
        how: Further arguments of ``trainables.data.dataset.read``.

    Raises:
        InvalidSpecError: The table cannot be used.
    """
    config = config or spec.data
    try:
        return datasets.read(config, spec.task_given, **how)
    except DataError as error:
        wrong = [problem.path for problem in error.problems] == ["data.target"]
        if wrong and spec.metric_says_task and (table := _as_it_is(config, how)) is not None:
            problem = metric_of_another_task(spec, table.dataset.task, table.task_reason)
            raise InvalidSpecError([problem]) from error
        raise InvalidSpecError(error.problems) from error


def _as_it_is(config: DataConfig, how: dict[str, Any]) -> Loaded | None:
    """The table if nobody says what it is; None if it cannot be used so either."""
    try:
        return datasets.read(config, None, **how)
    except DataError:
        return None
