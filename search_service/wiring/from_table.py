"""A table, looked at, and the config that it stands for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from search_service.errors import InvalidSpecError, Problem
from search_service.settings import Settings
from search_service.spec import config_file, from_table
from search_service.spec.from_table import Found, StartingConfig
from search_service.spec.study_spec import parse
from search_service.wiring.preparing import inspect
from trainables.data.dataset import Dataset, Loaded
from trainables.data.types import few


def config_of(source: str, overrides: Sequence[str] = (), *, settings: Settings) -> StartingConfig:
    """Look at a table, and say which config it stands for.

    Args:
        source: A path, an address or a name, as ``data.source``.
        overrides: ``key=value`` each, such as ``data.target=y``; they hold, whatever the table is like.
        settings: They say which folders may be read.

    Raises:
        InvalidSpecError: The table cannot be used; says why.
    """
    spec = parse(config_file.overridden(from_table.least(source), overrides))
    try:
        table = inspect(spec, settings=settings)
    except InvalidSpecError as error:
        raise InvalidSpecError([_as_option(problem) for problem in error.problems]) from error
    starting = from_table.starting_config(source, spec.data.target, _found(table), spec.search.minutes)
    return starting.changed(config_file.overridden(starting.plain, overrides))


def _as_option(problem: Problem) -> Problem:
    """Who gave a table and no target has no config to write one into."""
    if (problem.path, problem.value) != ("data.target", None):
        return problem
    return Problem("--target", None, problem.rule, problem.fix)


def _found(table: Loaded) -> Found:
    dataset = table.dataset
    return Found(dataset.task, table.task_reason, len(dataset.train), _shares(dataset), tuple(_lines(table)))


def _lines(table: Loaded) -> list[str]:
    dataset = table.dataset
    given = {"training": dataset.train, "validation": dataset.validation, "test": table.test_rows}
    parts = ", ".join(f"{len(rows):,} {part}" for part, rows in given.items())
    lines = [f"Rows: {parts}. Features: {len(table.preparation.schema)} columns, {dataset.n_inputs} numbers prepared."]
    if dataset.class_names:
        lines.append(f"Classes: {few([f'{name} {share:.1%}' for name, share in _shares(dataset).items()])}.")
    kinds: dict[str, list[str]] = {}
    for column in table.preparation.schema.columns:
        kinds.setdefault(column.kind, []).append(column.name)
    lines += [f"Columns taken as {kind}: {few(names)}." for kind, names in kinds.items()]
    lines += [f"Note: {note}." for note in table.notes]
    # What would be an error with data.strict: true; the remedy is a key of this config.
    return [
        *lines,
        *(f"Suspicious: {it.path}: {it.value}; expected: {it.rule}; to do: {it.fix}." for it in table.warnings),
    ]


def _shares(dataset: Dataset) -> dict[str, float]:
    """Share of each class among the training rows; none for numbers."""
    if not dataset.class_names:
        return {}
    counts = np.bincount(dataset.train.targets.astype(np.int64), minlength=dataset.n_outputs)
    return dict(zip(dataset.class_names, (counts / len(dataset.train)).tolist(), strict=True))
