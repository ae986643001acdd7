"""From a DataConfig to prepared rows: what a study trains and chooses on, and, apart from it, the test rows.

``load`` returns two things on purpose. ``Dataset`` has no test rows, so no step of the recipe can touch them by
accident; ``TestRows`` goes to the one step that evaluates the winner.
"""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.data import preparation, sources, splits
from trainables.data.config import DataConfig
from trainables.errors import DataError, Problem

Task = Literal["classification", "regression"]


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
        scaling: Applied to the features.
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
    scaling: preparation.Scaling
    fingerprint: str

    @property
    def n_inputs(self) -> int:
        """D, features of a row."""
        return int(self.train.inputs.shape[1])


def load(config: DataConfig, task: Task) -> tuple[Dataset, TestRows]:
    """Read, divide and prepare a table.

    Args:
        config: Which table.
        task: From the loss: whether the target is a class or a number.

    Raises:
        DataError: The table cannot be used; says why and what to do.
    """
    tables = _read_tables(config)
    targets, class_names = _encode_targets(tables, task)
    parts = _divide(config, {name: (tables[name].features, targets[name]) for name in tables}, class_names)
    train_features, train_target = parts["train"]

    scaling = preparation.Scaling.identity(train_features.shape[1])
    if config.standardize:
        scaling = preparation.Scaling.fit(train_features)
    target_scaling = preparation.Scaling.identity(1)
    if task == "regression":
        target_scaling = preparation.Scaling.fit(train_target.reshape(-1, 1))

    _refuse_constant(train_features, train_target)

    def prepare(part: Part) -> tuple[NDArray[np.float32], NDArray[np.int64] | NDArray[np.float32]]:
        features, target = part
        if task == "classification":
            return scaling.apply(features).astype(np.float32), target
        return scaling.apply(features).astype(np.float32), target_scaling.apply(target).astype(np.float32)

    dataset = Dataset(
        train=Rows(*prepare(parts["train"])),
        validation=Rows(*prepare(parts["validation"])),
        task=task,
        n_outputs=len(class_names) if task == "classification" else 1,
        feature_names=next(iter(tables.values())).feature_names,
        class_names=class_names,
        target_mean=float(target_scaling.mean[0]),
        target_scale=float(target_scaling.scale[0]),
        scaling=scaling,
        fingerprint=_fingerprint(parts),
    )
    return dataset, TestRows(*prepare(parts["test"]))


# Features [N, D] and encoded target [N] of some rows.
Part = tuple[NDArray[np.float64], NDArray[Any]]


def _read_tables(config: DataConfig) -> dict[str, sources.Table]:
    """Read the files of the config, keyed by their place in it: source, or train, validation and test."""
    given = {place: getattr(config, place) for place in ("source", "train", "validation", "test")}
    tables = {place: sources.read(source, config.target, f"data.{place}") for place, source in given.items() if source}
    expected = next(iter(tables.values())).feature_names
    for place, table in tables.items():
        if table.feature_names != expected:
            differing = sorted(set(expected) ^ set(table.feature_names)) or ["the order of the columns"]
            rule, fix = "the same columns in the same order as data.train", f"mend: {', '.join(differing[:8])}"
            raise DataError([Problem(f"data.{place}", given[place], rule, fix)])
    return tables


def _encode_targets(
    tables: dict[str, sources.Table], task: Task
) -> tuple[dict[str, NDArray[np.int64] | NDArray[np.float64]], tuple[str, ...]]:
    """Targets as class indices or numbers, by place, and the names of the classes."""
    if task == "regression":
        return {place: preparation.numbers(table.target, "data.target") for place, table in tables.items()}, ()
    first = next(iter(tables.values()))
    classes = preparation.find_classes(first.target)
    return {
        place: preparation.class_indices(t.target, classes, f"data.{place}") for place, t in tables.items()
    }, classes


def _divide(config: DataConfig, given: dict[str, Part], class_names: tuple[str, ...]) -> dict[str, Part]:
    """Fill in the parts that the config does not give as files, out of source or train."""
    whole = given.get("source") or given["train"]
    features, target = whole
    missing = [part for part in ("validation", "test") if part not in given]
    splits.require_enough_rows(target, class_names, parts=1 + len(missing))
    fractions = {"validation": config.validation_fraction, "test": config.test_fraction}
    rows = splits.split(
        target,
        stratify=bool(class_names),
        fractions={part: fractions[part] for part in missing},
        seed=config.split_seed,
    )
    divided = {part: (features[index], target[index]) for part, index in rows.items()}
    return given | divided


def _refuse_constant(features: NDArray[np.float64], target: NDArray[Any]) -> None:
    """Refuse rows from which nothing can be learnt."""
    if (features == features[0]).all():
        rule, fix = "at least one feature that varies", "check the table: every training row has the same features"
        raise DataError([Problem("data", "all features are constant", rule, fix)])
    if (target == target[0]).all():
        rule, fix = "a target that varies", "choose another target; it is the same in every training row"
        raise DataError([Problem("data.target", float(target[0]), rule, fix)])


def _fingerprint(parts: dict[str, Part]) -> str:
    """Hash over what each part holds: equal for equal tables divided equally."""
    digest = hashlib.sha256()
    for name in ("train", "validation", "test"):
        for array in parts[name]:
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]
