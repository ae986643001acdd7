"""From a DataConfig to prepared rows: what a study trains and chooses on, and, apart from it, the test rows.

``read`` does everything; ``load`` gives the two things that training needs. They are two on purpose: ``Dataset`` has
no test rows, so no step of the recipe can touch them by accident; ``TestRows`` goes to the one step that evaluates
the winner.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.data import locations, preparation, schema, sources, splits, targets, traps
from trainables.data.config import DataConfig
from trainables.data.formats import Wanted
from trainables.data.preparation import Preparation, Scaling
from trainables.data.profile import Profile, profile
from trainables.data.schema import Schema
from trainables.data.splits import Division
from trainables.data.targets import Task
from trainables.errors import DataError, Problem

__all__ = ["Dataset", "Folds", "Loaded", "RowTensors", "Rows", "Task", "TestRows", "load", "read"]

# Raw training rows kept as the example of a model's input: enough for two batch sizes, few enough to look at.
EXAMPLE_ROWS = 5


@dataclass(frozen=True)
class RowTensors:
    """Rows on a device: inputs ``[N, D]`` and targets ``[N]`` (class indices or standardised numbers).

    Where rows do not count alike they have positive weights, ``[N]``.
    """

    inputs: Tensor
    targets: Tensor
    weights: Tensor | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def total_weight(self) -> Tensor | int:
        """How many rows these count as."""
        return len(self) if self.weights is None else self.weights.sum()

    def take(self, index: Tensor | slice) -> RowTensors:
        """The rows at ``index``; of a slice they are views."""
        weights = None if self.weights is None else self.weights[index]
        return RowTensors(self.inputs[index], self.targets[index], weights)

    def spread(self, most: int) -> RowTensors:
        """All rows, or ``most`` of them at even distances: a table may be sorted."""
        index = torch.linspace(0, len(self) - 1, min(len(self), most), dtype=torch.float64).round().long()
        return self.take(index)


@dataclass(frozen=True)
class Rows:
    """Prepared rows as arrays, which travel between processes without copies.

    Attributes:
        inputs: ``[N, D]`` float32.
        targets: ``[N]`` int64 class indices or float32 standardised numbers.
        weights: ``[N]`` float32, above 0: how many rows each counts as; None where all count alike.
    """

    inputs: NDArray[np.float32]
    targets: NDArray[np.int64] | NDArray[np.float32]
    weights: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    def to_tensors(self, device: str, dtype: torch.dtype) -> RowTensors:
        """The same rows as tensors; on the CPU in float32 they share the arrays' memory."""
        with warnings.catch_warnings():
            # Arrays out of Ray's object store are read-only; nothing here writes to its rows.
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            inputs, targets = torch.from_numpy(self.inputs), torch.from_numpy(self.targets)
            weights = None if self.weights is None else torch.from_numpy(self.weights).to(device, dtype)
        targets = targets.to(device, dtype) if targets.is_floating_point() else targets.to(device)
        return RowTensors(inputs.to(device, dtype), targets, weights)


class TestRows(Rows):
    """The rows that nothing may see before the winner is known."""

    __test__ = False  # Not a test case, whatever pytest makes of the name.


@dataclass(frozen=True)
class Dataset:
    """Training and validation rows of a study, prepared.

    Attributes:
        train: Rows that networks learn from.
        validation: Rows that choose between networks.
        task: Kind of target.
        n_outputs: C: classes, or 1 number.
        feature_names: D names.
        class_names: C names, or none for regression.
        target_mean: Subtracted from a regression target (0 for classes).
        target_scale: A regression target was divided by it (1 for classes).
        fingerprint: Hash over content and division of the table, test rows included.
    """

    train: Rows
    validation: Rows
    task: Task
    n_outputs: int
    feature_names: tuple[str, ...]
    class_names: tuple[str, ...]
    target_mean: float
    target_scale: float
    fingerprint: str

    @property
    def n_inputs(self) -> int:
        """D, features of a row."""
        return int(self.train.inputs.shape[1])


@dataclass(frozen=True)
class Loaded:
    """A table, read, divided and prepared.

    Attributes:
        dataset: Training and validation rows.
        test_rows: For the winner only.
        preparation: Raw rows to inputs, as fitted on the training rows.
        target: Name of the target column.
        task_reason: Why it is this task, in words.
        example: A few raw training rows, feature columns only.
        test_fingerprint: Hash over the test rows alone.
        notes: What was found out about the files, in words.
        warnings: Leaks and traps.
        folds: The training and validation rows divided again, if asked for.
        profile: Every column, if asked for.
    """

    dataset: Dataset
    test_rows: TestRows
    preparation: Preparation
    target: str
    task_reason: str
    example: pa.Table
    test_fingerprint: str
    notes: tuple[str, ...]
    warnings: tuple[Problem, ...]
    folds: Folds | None
    profile: Profile | None


def load(config: DataConfig, task: Task | None = None) -> tuple[Dataset, TestRows]:
    """Read, divide and prepare a table; see ``read``."""
    loaded = read(config, task)
    return loaded.dataset, loaded.test_rows


def read(
    config: DataConfig,
    task: Task | None = None,
    *,
    folds: int | None = None,
    allowed: Sequence[str] | None = None,
    profiled: bool = False,
) -> Loaded:
    """Read, divide and prepare a table.

    Args:
        config: Which table.
        task: From the loss: whether the target is a class or a number; None infers it from the target.
        folds: How many divisions of training and validation rows to offer beside the study's own.
        allowed: Folders and URL prefixes that may be read; None for all.
        profiled: Whether to look at every column.

    Raises:
        DataError: The table cannot be used; says why and what to do.
    """
    files = _Files.read(config, allowed)
    task, reason = _settle_task(config, task, files.whole.column(files.target))
    table_schema = files.infer(config)
    classes = targets.find_classes(files.whole.column(files.target)) if task == "classification" else ()
    given = {place: _as_part(table, files, config, classes, task, place) for place, table in files.tables.items()}
    parts = _divide(config, given, classes, task)
    dataset, fitted, scaling = _prepare(parts["train"], parts["validation"], table_schema, config, classes, task)
    test_rows = TestRows(*_finish(fitted.transform(parts["test"].table, "data.test"), parts["test"], scaling))

    sample = traps.sample_rows(len(parts["train"]), len(table_schema))
    found = traps.find(
        table_schema,
        table_schema.typed(parts["train"].table.take(sample), "data"),
        parts["train"].targets[sample],
        task,
        {
            "train": traps.Side(dataset.train.inputs, dataset.train.targets),
            "validation": traps.Side(dataset.validation.inputs, dataset.validation.targets),
            "test": traps.Side(test_rows.inputs, test_rows.targets),
        },
        classes,
    )
    if config.strict and found:
        raise DataError(found)
    prints = {name: part.fingerprint(table_schema) for name, part in parts.items()}
    whole = hashlib.sha256(" ".join(prints[name] for name in ("train", "validation", "test")).encode()).hexdigest()
    return Loaded(
        dataset=Dataset(**{**vars(dataset), "fingerprint": whole[:16]}),
        test_rows=test_rows,
        preparation=fitted,
        target=files.target,
        task_reason=reason,
        example=parts["train"].table.select(table_schema.names()).slice(0, EXAMPLE_ROWS),
        test_fingerprint=prints["test"][:16],
        notes=files.notes,
        warnings=found,
        folds=Folds(parts, table_schema, config, classes, task, folds) if folds else None,
        profile=profile(files.whole, _roles(config, files.target), fitted, files.target, classes) if profiled else None,
    )


# ---- files -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Files:
    """The tables of a config.

    Attributes:
        tables: By their place in the config: source, or train, validation and test.
        target: Name of the target column.
        notes: On how they were read.
    """

    tables: Mapping[str, pa.Table]
    target: str
    notes: tuple[str, ...]

    @property
    def whole(self) -> pa.Table:
        """The table that training rows come from."""
        return next(iter(self.tables.values()))

    @classmethod
    def read(cls, config: DataConfig, allowed: Sequence[str] | None) -> _Files:
        given = {place: getattr(config, place) for place in ("source", "train", "validation", "test")}
        given = {place: source for place, source in given.items() if source}
        if allowed is not None:
            locations.require_allowed({f"data.{place}": source for place, source in given.items()}, allowed)
        roles = tuple(name for name in (config.group, config.time, config.weight) if name)
        # A code such as 01009 loses its zero where it is read as a number.
        texts = tuple(name for name, kind in config.columns.items() if kind == "categorical")
        wanted = Wanted(config.csv, config.target, roles, texts=texts)
        tables, target, notes = {}, "", []
        for place, source in given.items():
            found = sources.read(source, wanted, f"data.{place}")
            target = found.target or target
            notes += [f"{source}: {note}" for note in found.notes]
            table, left_out = _with_targets(found.table, target, config, f"data.{place}")
            if left_out:
                notes.append(f"{source}: {left_out} rows without a target left out")
            tables[place] = table
        return cls(tables, target, tuple(notes))

    def infer(self, config: DataConfig) -> Schema:
        """The schema of the feature columns.

        Raises:
            DataError: A name of the config is no column; a column cannot be a feature; another file lacks one.
        """
        whole, path = self.whole, f"data.{next(iter(self.tables))}"
        no_features = {name for name in (self.target, config.group, config.time, config.weight) if name}
        _require_columns(config, whole.column_names)
        features = [name for name in whole.column_names if name not in no_features | set(config.drop)]
        # A column without a single value has nothing to be prepared from.
        features = [name for name in features if whole.column(name).null_count < whole.num_rows]
        if not features:
            rule, fix = "at least one column with values beside the target", "add feature columns"
            raise DataError([Problem(path, sources.few(whole.column_names), rule, fix)])
        inferred = schema.infer(whole.select(features), config.columns, path)
        _require_kinds(config, inferred)
        for place, table in self.tables.items():
            roles = [name for name in (config.weight,) if name and name not in table.column_names]
            if roles:
                problem = Problem(f"data.{place}", sources.few(table.column_names), f"a column {roles[0]}", "add it")
                raise DataError([problem])
            inferred.check(table, f"data.{place}")
        return inferred


def _with_targets(table: pa.Table, target: str, config: DataConfig, path: str) -> tuple[pa.Table, int]:
    """The rows that have a target, and how many have none."""
    column = table.column(target)
    if config.missing_target == "refuse":
        targets.require_present(column, target, path)
        return table, 0
    gaps = schema.missing(schema.plain(column))
    if gaps.all():
        rule, fix = "at least one row with a target", "choose another target"
        raise DataError([Problem(path, f"column {target}: no values", rule, fix)])
    return (table.filter(pa.array(~gaps)) if gaps.any() else table), int(gaps.sum())


def _require_columns(config: DataConfig, names: Sequence[str]) -> None:
    asked = {"data.group": [config.group], "data.time": [config.time], "data.weight": [config.weight]}
    asked |= {"data.drop": list(config.drop), "data.columns": list(config.columns)}
    asked["data.preparation.log"] = list(config.preparation.log)
    problems = [
        Problem(path, name, "a column of the table", f"one of: {', '.join(repr(n) for n in names[:20])}")
        for path, given in asked.items()
        for name in given
        if name is not None and name not in names
    ]
    if problems:
        raise DataError(problems)


def _require_kinds(config: DataConfig, inferred: Schema) -> None:
    numeric = inferred.names("numeric")
    problems = [
        Problem("data.preparation.log", name, "a numeric feature column", "remove it, or see data.columns")
        for name in config.preparation.log
        if name not in numeric
    ]
    problems += [
        Problem(f"data.columns.{name}", kind, "a feature column", "remove it: the column is no feature")
        for name, kind in config.columns.items()
        if name not in inferred.names()
    ]
    if problems:
        raise DataError(problems)


def _settle_task(config: DataConfig, task: Task | None, target: pa.ChunkedArray) -> tuple[Task, str]:
    if config.task is not None:
        if task not in (None, config.task):
            rule, fix = f"the task of the loss, which is {task}", "change data.task or trial.loss"
            raise DataError([Problem("data.task", config.task, rule, fix)])
        return config.task, "as data.task says"
    return (task, "as the loss says") if task is not None else targets.infer_task(target)


def _roles(config: DataConfig, target: str) -> dict[str, str]:
    """Columns that are no features."""
    given = {config.group: "group", config.time: "time", config.weight: "weight", target: "target"}
    return dict.fromkeys(config.drop, "left out") | {name: role for name, role in given.items() if name is not None}


# ---- parts -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Part:
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

    def take(self, rows: NDArray[np.int64]) -> _Part:
        return _Part(
            self.table.take(rows),
            self.targets[rows],
            None if self.weights is None else self.weights[rows],
            None if self.keys is None else self.keys[rows],
        )

    def __add__(self, other: _Part) -> _Part:
        def join(mine: NDArray[Any] | None, others: NDArray[Any] | None) -> NDArray[Any] | None:
            return None if mine is None or others is None else np.concatenate([mine, others])

        table = pa.concat_tables([self.table, other.table], promote_options="permissive")
        both = join(self.targets, other.targets)
        assert both is not None
        return _Part(table, both, join(self.weights, other.weights), join(self.keys, other.keys))

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


def _as_part(
    table: pa.Table, files: _Files, config: DataConfig, classes: tuple[str, ...], task: Task, place: str
) -> _Part:
    path = f"data.{place}"
    target = table.column(files.target)
    values = (
        targets.class_indices(target, classes, path)
        if task == "classification"
        else targets.numbers(target, "data.target")
    )
    weights = None if config.weight is None else _weights(table.column(config.weight), config.weight, path)
    # Only a table that is divided needs keys to divide it by.
    divided = place in ("source", "train") and (config.group or config.time)
    keys = _keys(table.column(divided), divided, path, by_time=bool(config.time)) if divided else None
    return _Part(table, values, weights, keys)


def _weights(column: pa.ChunkedArray, name: str, path: str) -> NDArray[np.float32]:
    found = Schema((schema.Column(name, "numeric", "number"),)).typed(pa.table({name: column}), path)[name].to_numpy()
    wrong = ~(found > 0)
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        rule, fix = "row weights above 0", "mend the weights, or remove rows that should not count"
        raise DataError([Problem("data.weight", f"column {name}, row {at + 1}: {found[at]}", rule, fix)])
    return np.asarray(found, dtype=np.float32)


def _keys(column: pa.ChunkedArray, name: str, path: str, *, by_time: bool) -> NDArray[Any]:
    raw = schema.plain(column)
    gaps = schema.missing(raw)
    if gaps.any():
        rule, fix = "a value in every row, to divide by", "fill it in, or remove these rows"
        shown = f"column {name}: {int(gaps.sum())} missing, the first in row {int(np.flatnonzero(gaps)[0]) + 1}"
        raise DataError([Problem(path, shown, rule, fix)])
    if not by_time:
        return np.asarray(pd.factorize(schema.category_names(raw).to_pandas())[0])
    single = schema.infer(pa.table({name: raw}), {}, path)
    if not single.names("numeric", "date"):
        rule, fix = "numbers or dates, to sort rows by", "choose another column, or write dates as 2026-11-24"
        raise DataError([Problem("data.time", f"column {name}: {raw[0].as_py()!r}", rule, fix)])
    return np.asarray(single.typed(pa.table({name: raw}), path)[name].to_numpy())


def _division(config: DataConfig, part: _Part, task: Task) -> Division:
    method = config.division
    if method == "auto":
        method = "stratified" if task == "classification" else "random"
    if method == "stratified" and task == "regression":
        rule, fix = "classes, to keep the shares of", "use split: random"
        raise DataError([Problem("data.split", "stratified", rule, fix)])
    keys = part.targets if method == "stratified" else part.keys
    return Division(method, config.split_seed, keys)


def _divide(config: DataConfig, given: Mapping[str, _Part], classes: tuple[str, ...], task: Task) -> dict[str, _Part]:
    """Fill in the parts that the config does not give as files, out of source or train."""
    whole = given.get("source") or given["train"]
    missing = [part for part in ("validation", "test") if part not in given]
    # Only stratified parts have every class for certain; by group or time a rare class may be all on one side.
    division = _division(config, whole, task)
    splits.require_enough_rows(
        whole.targets, classes if division.method == "stratified" else (), parts=1 + len(missing)
    )
    fractions = {"validation": config.validation_fraction, "test": config.test_fraction}
    rows = splits.split(len(whole), division, {part: fractions[part] for part in missing})
    divided = {part: whole.take(index) for part, index in rows.items()} if missing else {"train": whole}
    return {**given, **divided}


# ---- preparation -----------------------------------------------------------------------------------------------------


def _prepare(
    train: _Part, validation: _Part, of: Schema, config: DataConfig, classes: tuple[str, ...], task: Task
) -> tuple[Dataset, Preparation, Scaling]:
    """Fit on the training rows and prepare both parts."""
    if (train.targets == train.targets[0]).all():
        value = classes[int(train.targets[0])] if classes else float(train.targets[0])
        rule, fix = "a target that varies", "choose another target; it is the same in every training row"
        raise DataError([Problem("data.target", value, rule, fix)])
    fitted, inputs = preparation.fit(train.table, of, config.preparation, train.targets, task)
    if (inputs == inputs[0]).all():
        rule, fix = "at least one feature that varies", "check the table: every training row has the same features"
        raise DataError([Problem("data", "all features are constant", rule, fix)])
    scaling = Scaling.fit(train.targets, train.weights) if task == "regression" else Scaling(0.0, 1.0)
    dataset = Dataset(
        train=Rows(*_finish(inputs, train, scaling)),
        validation=Rows(*_finish(fitted.transform(validation.table, "data.validation"), validation, scaling)),
        task=task,
        n_outputs=len(classes) or 1,
        feature_names=fitted.feature_names,
        class_names=classes,
        target_mean=scaling.mean,
        target_scale=scaling.scale,
        fingerprint="",
    )
    return dataset, fitted, scaling


def _finish(
    inputs: NDArray[np.float32], part: _Part, scaling: Scaling
) -> tuple[NDArray[np.float32], NDArray[np.int64] | NDArray[np.float32], NDArray[np.float32] | None]:
    if part.targets.dtype.kind == "i":
        return inputs, part.targets, part.weights
    return inputs, scaling.apply(part.targets).astype(np.float32), part.weights


class Folds:
    """Training and validation rows, divided ``count`` times as the study's division does; each prepared by itself."""

    def __init__(
        self,
        parts: Mapping[str, _Part],
        of: Schema,
        config: DataConfig,
        classes: tuple[str, ...],
        task: Task,
        count: int,
    ) -> None:
        self._rows = parts["train"] + parts["validation"]
        self._schema, self._config, self._classes, self._task = of, config, classes, task
        # Now: that rows are too few for it should be said before anything starts.
        division = _division(config, self._rows, task)
        if division.keys is None and division.method in ("grouped", "time"):
            rule, fix = "folds of one table", f"leave out data.validation, or data.{division.method}"
            raise DataError([Problem("finalists.folds", count, rule, fix)])
        self._index = list(splits.folds(len(self._rows), division, count))

    def __len__(self) -> int:
        return len(self._index)

    def __iter__(self) -> Iterator[Dataset]:
        for train, validation in self._index:
            parts = self._rows.take(train), self._rows.take(validation)
            yield _prepare(*parts, self._schema, self._config, self._classes, self._task)[0]
