"""Raw rows of a part (train, validation, test): what belongs to each row, and how a table is divided into parts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from trainables.data import columns, splits, targets
from trainables.data.columns import Column
from trainables.data.config import ColumnConfig, DataConfig
from trainables.data.files import Files
from trainables.data.kinds import infer
from trainables.data.schema import Schema
from trainables.data.splits import Division
from trainables.data.targets import Task
from trainables.data.types import plain
from trainables.errors import DataError, Problem


@dataclass(frozen=True)
class Part:
    """Raw rows of a part.

    Attributes:
        table: All columns.
        targets: ``[N]`` class indices or numbers in the user's units.
        weights: ``[N]`` or None.
        keys: ``[N]`` groups or times or None.
    """

    table: pa.Table
    targets: NDArray[Any]
    weights: NDArray[np.float32] | None
    keys: NDArray[Any] | None

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def take(self, rows: NDArray[np.int64]) -> Part:
        """The rows numbered ``rows``."""
        return Part(
            self.table.take(rows),
            self.targets[rows],
            None if self.weights is None else self.weights[rows],
            None if self.keys is None else self.keys[rows],
        )

    def joined(self, other: Part, of: Schema) -> Part:
        """The rows of both, one after the other, with the columns of a schema."""

        def join(mine: NDArray[Any] | None, others: NDArray[Any] | None) -> NDArray[Any] | None:
            return None if mine is None or others is None else np.concatenate([mine, others])

        table = pa.concat_tables(_of_like_types(self.table, other.table, of))
        both = join(self.targets, other.targets)
        assert both is not None
        return Part(table, both, join(self.weights, other.weights), join(self.keys, other.keys))

    def fingerprint(self, of: Schema) -> str:
        """Hash over the feature columns, targets and weights: equal for equal rows in the same order."""
        digest = hashlib.sha256()
        frame = of.typed(self.table, "data")
        for name, column in frame.items():
            values = column.to_numpy()
            if values.dtype == object:
                values = pd.util.hash_array(values, categorize=True)
            digest.update(f"{name} {values.dtype} {values.shape}".encode())
            digest.update(np.ascontiguousarray(values).tobytes())
        for array in (self.targets, self.weights):
            digest.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def _of_like_types(first: pa.Table, second: pa.Table, of: Schema) -> list[pa.Table]:
    """The columns of a schema in two tables, so that they can be joined: of other types in a file of another format."""
    joined: list[dict[str, pa.ChunkedArray]] = [{}, {}]
    for column in of.columns:
        both = [plain(table.column(column.name)) for table in (first, second)]
        if both[0].type != both[1].type:
            # What ``Schema.typed`` makes of either, which it takes as it is.
            both = [_as_its_kind(values, column) for values in both]
        joined[0][column.name], joined[1][column.name] = both
    return [pa.table(columns) for columns in joined]


def _as_its_kind(values: pa.ChunkedArray, of: Column) -> pa.ChunkedArray:
    values = columns.without_nulls(values, of.null_values)
    if of.kind in ("categorical", "text"):
        return columns.category_names(values)
    return pa.chunked_array([pa.array(columns.CONVERSIONS[of.kind](values, of))])


def as_part(
    table: pa.Table, files: Files, config: DataConfig, classes: tuple[str, ...], task: Task, place: str
) -> Part:
    """A table with its targets encoded, its weights and what it is divided by.

    Args:
        table: One of the tables of ``files``.
        files: Name the target column.
        config: Names the other roles.
        classes: Names, or none for numbers.
        task: Kind of target.
        place: The table's place in the config.

    Raises:
        DataError: A target, weight, group or time cannot be used.
    """
    path = f"data.{place}"
    target = table.column(files.target)
    values = (
        targets.class_indices(target, classes, path)
        if task == "classification"
        else targets.numbers(target, "data.target")
    )
    weights = None if config.weight is None else _weights(table.column(config.weight), config.weight, path, files)
    # Only a table that is divided needs keys to divide it by.
    divided = place in ("source", "train") and (config.group or config.time)
    asked = config.columns.get(divided or "", ColumnConfig())
    keys = _keys(table.column(divided), divided, path, asked, by_time=bool(config.time)) if divided else None
    return Part(table, values, weights, keys)


def _weights(column: pa.ChunkedArray, name: str, path: str, files: Files) -> NDArray[np.float32]:
    single = pa.table({name: column})
    try:
        # As people write numbers: of 3,945 the training rows say what the comma is.
        raw = pa.table({name: files.whole.column(name)})
        schema = infer(raw, {name: ColumnConfig(kind="numeric")}, path, files.reading)
        found = schema.typed(single, path)[name].to_numpy()
    except DataError as error:
        value, rule = error.problems[0].value, "row weights: numbers above 0"
        raise DataError([Problem("data.weight", value, rule, "mend the value, or name another column")]) from error
    wrong = ~(found > 0)
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        rule, fix = "row weights above 0", "mend the weights, or remove rows that should not count"
        raise DataError([Problem("data.weight", f"column {name}, row {at + 1}: {found[at]}", rule, fix)])
    return np.asarray(found, dtype=np.float32)


def _keys(column: pa.ChunkedArray, name: str, path: str, asked: ColumnConfig, *, by_time: bool) -> NDArray[Any]:
    raw = columns.without_nulls(plain(column), asked.null_values)
    gaps = columns.missing(raw)
    _require_keys(gaps, name, path)
    if not by_time:
        return np.asarray(pd.factorize(columns.category_names(raw).to_pandas())[0])
    single = infer(pa.table({name: column}), {name: asked}, path)
    if not single.names("numeric", "date"):
        rule, fix = "numbers or dates, to sort rows by", "choose another column, or write dates as 2026-11-24"
        raise DataError([Problem("data.time", f"column {name}: {raw[0].as_py()!r}", rule, fix)])
    times = single.typed(pa.table({name: column}), path)[name]
    # Marks of what is missing may be found only when texts are converted.
    _require_keys(times.isna().to_numpy(), name, path)
    return np.asarray(times.to_numpy())


def _require_keys(gaps: NDArray[np.bool_], name: str, path: str) -> None:
    if gaps.any():
        rule, fix = "a value in every row, to divide by", "fill it in, or remove these rows"
        shown = f"column {name}: {int(gaps.sum())} missing, the first in row {int(np.flatnonzero(gaps)[0]) + 1}"
        raise DataError([Problem(path, shown, rule, fix)])


def division_of(config: DataConfig, part: Part, task: Task) -> Division:
    """How the rows of ``part`` are divided."""
    method = config.division
    if method == "auto":
        method = "stratified" if task == "classification" else "random"
    if method == "stratified" and task == "regression":
        rule, fix = "classes, to keep the shares of", "use split: random"
        raise DataError([Problem("data.split", "stratified", rule, fix)])
    keys = part.targets if method == "stratified" else part.keys
    return Division(method, config.split_seed, keys)


def divide(config: DataConfig, given: Mapping[str, Part], classes: tuple[str, ...], task: Task) -> dict[str, Part]:
    """Fill in the parts that the config does not give as files, out of source or train."""
    whole = given.get("source") or given["train"]
    missing = [part for part in ("validation", "test") if part not in given]
    # By group or time a rare class may be all on one side; stratified it is so only where it has hardly a row for each.
    division = division_of(config, whole, task)
    splits.require_enough_rows(
        whole.targets, classes if division.method == "stratified" else (), parts=1 + len(missing)
    )
    fractions = {"validation": config.validation_fraction, "test": config.test_fraction}
    rows = splits.split(len(whole), division, {part: fractions[part] for part in missing})
    divided = {part: whole.take(index) for part, index in rows.items()} if missing else {"train": whole}
    return {**given, **divided}
