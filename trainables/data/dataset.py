"""From a DataConfig to prepared rows: what a study trains and chooses on, and, apart from it, the test rows.

``read`` does everything; ``load`` gives the two things that training needs. They are two on purpose: ``Dataset`` has
no test rows, so no step of the recipe can touch them by accident; ``TestRows`` goes to the one step that evaluates
the winner.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trainables import target_scaling
from trainables.data import grids, kept_apart, preparation, splits, targets, traps
from trainables.data.config import ColumnConfig, DataConfig
from trainables.data.files import Files, roles
from trainables.data.grids import Grid
from trainables.data.parts import Part, as_part, divide, division_of
from trainables.data.preparation import RULES, Preparation
from trainables.data.profile import Profile, profile
from trainables.data.schema import Schema
from trainables.data.targets import Task
from trainables.errors import DataError, Problem
from trainables.target_scaling import UNSCALED, TargetScaling

__all__ = ["Dataset", "Folds", "Loaded", "Rows", "Task", "TestRows", "load", "read"]

# Raw training rows kept as the example of a model's input: enough for two batch sizes, few enough to look at.
EXAMPLE_ROWS = 5


@dataclass(frozen=True)
class Rows:
    """Prepared rows as arrays, which travel between processes without copies; ``row_tensors`` puts them on a device.

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

    def followed_by(self, others: Rows) -> Rows:
        """These rows and others of the same table, copied."""
        weights = None
        if self.weights is not None and others.weights is not None:
            weights = np.concatenate([self.weights, others.weights])
        inputs, targets = ([getattr(rows, name) for rows in (self, others)] for name in ("inputs", "targets"))
        return Rows(np.concatenate(inputs), np.concatenate(targets), weights)


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
        scaling: From a regression target's own units to its rows' targets (nothing for classes).
        fingerprint: Hash over content and division of the table, test rows included.
        bins: Which of the D features are bins of a number that is a feature, too; models that find their own
            thresholds, or shall be simple, do without them.
        sources: Of each of the D features the column of the table that it is made of; none where that is not known.
    """

    train: Rows
    validation: Rows
    task: Task
    n_outputs: int
    feature_names: tuple[str, ...]
    class_names: tuple[str, ...]
    scaling: TargetScaling
    fingerprint: str
    bins: tuple[int, ...] = ()
    sources: tuple[str, ...] = ()

    @property
    def n_inputs(self) -> int:
        """D, features of a row."""
        return int(self.train.inputs.shape[1])

    @property
    def validation_shares(self) -> tuple[float, ...]:
        """Share of each class among the validation rows, by weight; none for numbers."""
        if self.task == "regression":
            return ()
        rows = self.validation
        counts = np.bincount(rows.targets.astype(np.int64), rows.weights, minlength=self.n_outputs)
        return tuple((counts / counts.sum()).tolist())

    def with_validation_rows_trained(self) -> Dataset:
        """Its training rows are these and the validation rows; the latter say nothing of a network any more.

        Rows stay as they were prepared, by the training rows alone.
        """
        return replace(self, train=self.train.followed_by(self.validation))


@dataclass(frozen=True)
class Loaded:
    """A table, read, divided and prepared.

    Attributes:
        dataset: Training and validation rows.
        test_rows: Rows that are for the winner only.
        preparation: Raw rows to inputs, as fitted on the training rows.
        target: Name of the target column.
        task_reason: Why it is this task, in words.
        example: A few raw training rows, feature columns only.
        test_fingerprint: Hash over the test rows alone.
        notes: What was found out about the files, in words.
        warnings: Leaks and traps.
        folds: The training and validation rows divided again, if asked for.
        profile: Every column, if asked for.
        grids: Of columns by name, values at which one may ask what a network says.
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
    grids: Mapping[str, Grid]

    @property
    def has_whole_folds(self) -> bool:
        """Whether there are folds, each with rows of two classes to judge by where there are classes."""
        return self.folds is not None and not self.folds.lack_a_second_class


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
    rules: int = RULES,
) -> Loaded:
    """Read, divide and prepare a table.

    Args:
        config: Says which table, and how it is read.
        task: Whether the target is a class or a number, by the loss; None infers it from the target.
        folds: How many divisions of training and validation rows to offer beside the study's own.
        allowed: Folders and URL prefixes that may be read; None for all.
        profiled: Whether to look at every column.
        rules: Edition of the rules by which what is ``auto`` is decided.

    Raises:
        DataError: The table cannot be used; says why and what to do.
    """
    files = Files.read(config, allowed, task, rules=rules)
    table_schema = files.infer(config)  # First: of the table's mistakes it says most, and together.
    task, reason = _settle_task(config, task, files)
    classes = _classes(config, files, reason) if task == "classification" else ()
    given = {place: as_part(table, files, config, classes, task, place) for place, table in files.tables.items()}
    parts = divide(config, given, classes, task)
    dataset, fitted = _prepare(parts["train"], parts["validation"], table_schema, config, classes, task, rules)
    test_rows = TestRows(*_finish(fitted.transform(parts["test"].table, "data.test"), parts["test"], dataset.scaling))
    sample = traps.sample_rows(len(parts["train"]), len(table_schema))
    raw = parts["train"].table.take(sample)
    typed = table_schema.typed(raw, "data")
    sides = _sides(dataset, test_rows)
    found = traps.find(
        table_schema, typed, parts["train"].targets[sample], task, sides, classes, files.target
    ) + kept_apart.find(config, set(given), {name: part.table for name, part in parts.items()})
    found += tuple(
        said for part in given if part in ("validation", "test") for said in _unknown(part, parts[part].table, fitted)
    )
    if config.strict and found:
        raise DataError(found)
    prints = {name: part.fingerprint(table_schema) for name, part in parts.items()}
    whole = hashlib.sha256(" ".join(prints[name] for name in ("train", "validation", "test")).encode()).hexdigest()
    return Loaded(
        dataset=replace(dataset, fingerprint=whole[:16]),
        test_rows=test_rows,
        preparation=fitted,
        target=files.target,
        task_reason=reason,
        example=parts["train"].table.select(table_schema.names()).slice(0, EXAMPLE_ROWS),
        test_fingerprint=prints["test"][:16],
        notes=(*files.notes, *table_schema.notes, *fitted.notes, *_said_of(dataset, parts["train"], config, files)),
        warnings=found,
        folds=Folds(parts, table_schema, config, classes, task, folds, rules) if folds else None,
        profile=_profile(files, config, table_schema, fitted, classes) if profiled else None,
        grids=grids.of_columns(raw, typed, fitted),
    )


def _sides(dataset: Dataset, test_rows: TestRows) -> dict[str, traps.Side]:
    """The prepared rows of each part, by its name."""
    rows = {"train": dataset.train, "validation": dataset.validation, "test": test_rows}
    return {name: traps.Side(of_part.inputs, of_part.targets) for name, of_part in rows.items()}


def _profile(files: Files, config: DataConfig, of: Schema, fitted: Preparation, classes: tuple[str, ...]) -> Profile:
    return profile(files.whole, roles(config, files.target, of), fitted, files.target, classes)


def _settle_task(config: DataConfig, task: Task | None, files: Files) -> tuple[Task, str]:
    if config.task is not None:
        if task not in (None, config.task):
            rule, fix = f"the task of the loss, which is {task}", "change data.task or trial.loss"
            raise DataError([Problem("data.task", config.task, rule, fix)])
        return config.task, "as data.task says"
    meant = targets.task_of(config.columns.get(files.target, ColumnConfig()))
    if task is None and meant is not None:
        return meant, "as data.columns says"
    found, reason = targets.infer_task(files.whole.column(files.target))
    # What the table says by itself is the better reason.
    return (found, reason) if task in (None, found) else (task, "as the loss or the metric says")


def _classes(config: DataConfig, files: Files, reason: str) -> tuple[str, ...]:
    """Names of the classes of a target that is known to have some."""
    if config.target_transform in ("sqrt", "log"):
        rule, fix = f"auto or none, since {reason}: classes", "remove it, or set data.task: regression"
        raise DataError([Problem("data.target_transform", config.target_transform, rule, fix)])
    asked = targets.task_of(config.columns.get(files.target, ColumnConfig()))
    are_meant = "classification" in (config.task, asked)
    return targets.find_classes(files.whole.column(files.target), files.target, are_meant=are_meant)


# ---- preparation -----------------------------------------------------------------------------------------------------


def _prepare(
    train: Part,
    validation: Part,
    of: Schema,
    config: DataConfig,
    classes: tuple[str, ...],
    task: Task,
    rules: int,
) -> tuple[Dataset, Preparation]:
    """Fit on the training rows and prepare both parts."""
    if (train.targets == train.targets[0]).all():
        value = classes[int(train.targets[0])] if classes else float(train.targets[0])
        rule, fix = "a target that varies", "choose another target; it is the same in every training row"
        raise DataError([Problem("data.target", value, rule, fix)])
    fitted, inputs = preparation.fit(train.table, of, config.preparation, train.targets, task, rules)
    if (inputs == inputs[0]).all():
        rule, fix = "at least one feature that varies", "check the table: every training row has the same features"
        raise DataError([Problem("data", "all features are constant", rule, fix)])
    scaling = _scaling(train, config, rules) if task == "regression" else UNSCALED
    dataset = Dataset(
        train=Rows(*_finish(inputs, train, scaling)),
        validation=Rows(*_finish(fitted.transform(validation.table, "data.validation"), validation, scaling)),
        task=task,
        n_outputs=len(classes) or 1,
        feature_names=fitted.feature_names,
        class_names=classes,
        scaling=scaling,
        fingerprint="",
        bins=fitted.bins,
        sources=fitted.sources,
    )
    return dataset, fitted


def _scaling(train: Part, config: DataConfig, rules: int) -> TargetScaling:
    """Of numbers, by the training rows."""
    asked = config.target_transform
    if asked == "auto":
        # Editions before the fourth transformed nothing.
        asked = target_scaling.choose(train.targets) if rules > 3 else "none"
    return TargetScaling.fit(train.targets, train.weights, asked)


def _unknown(part: str, rows: pa.Table, fitted: Preparation) -> Iterator[Problem]:
    """Columns of a file in which most rows have categories that training rows lack: they may be written otherwise."""
    for name, (count, value) in fitted.unseen(rows, f"data.{part}").items():
        if 2 * count > len(rows):
            shown = f"column {name}: {count:,} of {len(rows):,} rows, such as {value!r}"
            fix = "write them as the training file does, where they are the same"
            yield Problem(f"data.{part}", shown, "categories that training rows have", fix)


def _said_of(dataset: Dataset, train: Part, config: DataConfig, files: Files) -> list[str]:
    """What was decided about a target of numbers, and which shares divide nothing, in words."""
    said = [
        f"data.{part}_fraction: {getattr(config, f'{part}_fraction')} divides nothing: data.{part} has those rows"
        for part in ("validation", "test")
        if getattr(config, part)
        and getattr(config, f"{part}_fraction") != DataConfig.model_fields[f"{part}_fraction"].default
    ]
    if config.target_transform != "auto" or dataset.scaling.transform == "none":
        return said
    skewness = target_scaling.skewness(train.targets)
    return [
        *said,
        f"target {files.target}: networks learn its square root, since a few rows have by far the largest values "
        f"(skewness {skewness:.1f}); data.target_transform: none keeps it as it is",
    ]


def _finish(
    inputs: NDArray[np.float32], part: Part, scaling: TargetScaling
) -> tuple[NDArray[np.float32], NDArray[np.int64] | NDArray[np.float32], NDArray[np.float32] | None]:
    if part.targets.dtype.kind == "i":
        return inputs, part.targets, part.weights
    return inputs, scaling.apply(part.targets).astype(np.float32), part.weights


class Folds:
    """Training and validation rows, divided ``count`` times as the study's division does; each prepared by itself."""

    def __init__(
        self,
        parts: Mapping[str, Part],
        of: Schema,
        config: DataConfig,
        classes: tuple[str, ...],
        task: Task,
        count: int,
        rules: int,
    ) -> None:
        self._rows = parts["train"].joined(parts["validation"], of)
        self._schema, self._config, self._classes, self._task, self._rules = of, config, classes, task, rules
        # Now: that rows are too few for it should be said before anything starts.
        division = division_of(config, self._rows, task)
        if division.keys is None and division.method in ("grouped", "time"):
            key = "data.group" if division.method == "grouped" else "data.time"
            rule, fix = "folds of one table", f"leave out data.validation, or {key}"
            raise DataError([Problem("finalists.folds", count, rule, fix)])
        self._index = list(splits.folds(len(self._rows), division, count))
        self._require_targets_that_vary(count)

    @property
    def lack_a_second_class(self) -> bool:
        """Whether there is a fold that is judged on rows of one class alone."""
        targets = self._rows.targets
        return bool(self._classes) and any(len(np.unique(targets[judged])) == 1 for _, judged in self._index)

    def _require_targets_that_vary(self, count: int) -> None:
        """Now, and not when everything else of the study is done."""
        for number, (train, _) in enumerate(self._index, start=1):
            targets = self._rows.targets[train]
            if (targets == targets[0]).all():
                value = self._classes[int(targets[0])] if self._classes else float(targets[0])
                seen = f"{count}: of fold {number}, all {len(train):,} training rows have the target {value!r}"
                rule, fix = "folds of which each is trained on a target that varies", "lower it, or leave it out"
                raise DataError([Problem("finalists.folds", seen, rule, fix)])

    def __len__(self) -> int:
        return len(self._index)

    def __iter__(self) -> Iterator[Dataset]:
        for train, validation in self._index:
            parts = self._rows.take(train), self._rows.take(validation)
            yield _prepare(*parts, self._schema, self._config, self._classes, self._task, self._rules)[0]
