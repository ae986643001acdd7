"""A table, looked at, and the config that it stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from search_service.errors import InvalidSpecError, Problem
from search_service.settings import Settings
from search_service.spec import config_file, from_table
from search_service.spec.from_table import Found, StartingConfig
from search_service.spec.study_spec import StudySpec, parse
from search_service.wiring import tables
from trainables.data.dataset import Dataset, Loaded
from trainables.data.types import few

# Changes that say how the table is to be looked at. Others change a config that is not there yet: what they say, of
# ranges above all, is right or wrong beside the rest of it.
_LOOKED_AT = ("data", "objective.metric", "trial", config_file.MINUTES)
# What a config says itself, whatever the table is like.
_ITS_OWN = ("schema_version", "name", "seed", "data")


def config_of(source: str, overrides: Sequence[str] = (), *, settings: Settings) -> StartingConfig:
    """Look at a table, and say which config it stands for.

    Args:
        source: A path, an address or a name, as ``data.source``.
        overrides: ``key=value`` each, such as ``data.target=y``; they hold, whatever the table is like.
        settings: They say which folders may be read.

    Raises:
        InvalidSpecError: The table cannot be used; says why.
    """
    looked_at = [override for override in overrides if override.startswith(_LOOKED_AT)]
    spec = parse(config_file.overridden(from_table.least(source), looked_at))
    try:
        table = _with_folds(spec, settings) or inspect(spec, settings=settings)
    except InvalidSpecError as error:
        raise InvalidSpecError([_as_option(problem) for problem in error.problems]) from error
    found = replace(_found(table), folds=table.has_whole_folds)
    starting = from_table.starting_config(source, spec.data.target, found, spec.search.minutes)
    changed = config_file.overridden(starting.plain, overrides)
    searched = changed.get("search_space")
    if isinstance(searched, dict):
        for leaf in from_table.settled(starting.plain, overrides):
            searched.pop(leaf, None)
    return starting.changed(changed)


def inspect(spec: StudySpec, *, settings: Settings, folds: int | None = None) -> Loaded:
    """Read the table and look at every column; what is suspicious is said and no error, even if ``strict``.

    Args:
        spec: Which table.
        settings: They say which folders may be read.
        folds: How many divisions are wanted beside the study's own.

    Raises:
        InvalidSpecError: The table cannot be used, or not be divided so.
    """
    config = spec.data.model_copy(update={"strict": False})
    return tables.read(spec, config, allowed=settings.allowed_sources, profiled=True, folds=folds)


def _with_folds(spec: StudySpec, settings: Settings) -> Loaded | None:
    """The table with the folds that its config may ask for; None if its rows cannot be divided so."""
    try:
        return inspect(spec, settings=settings, folds=from_table.FOLDS)
    except InvalidSpecError as error:
        if any(problem.path != "finalists.folds" for problem in error.problems):
            raise
        return None


def completed(spec: StudySpec, table: Loaded) -> StudySpec:
    """A config that leaves its networks open, with everything else that its table alone stands for.

    Args:
        spec: What it says stays as it is.
        table: Its table.
    """
    starting = from_table.starting_config("", None, _found(table), spec.search.minutes).plain
    open_keys = {section: value for section, value in starting.items() if section not in _ITS_OWN}
    return parse(_over(open_keys, spec.model_dump(mode="json", exclude_unset=True)))


def _over(plain: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Plain data with what is given in its place, key by key."""
    both = dict(plain)
    for key, value in given.items():
        below = both.get(key)
        both[key] = _over(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return both


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
