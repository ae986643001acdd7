"""Which rows train, which choose, and which are touched once at the end.

Reference: ``sklearn.model_selection``, which divides; by time it is a sort and a cut.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from trainables.errors import DataError, Problem

# A target with more classes than this may be a quantity that nobody meant as classes.
MANY_CLASSES = 20

Indices = NDArray[np.int64]
Method = Literal["random", "stratified", "grouped", "time"]


@dataclass(frozen=True)
class Division:
    """How rows are divided.

    Attributes:
        method: random; stratified (each class keeps its share); grouped (equal keys stay on one side); time (later
            rows validate, the latest test; equal times stay on one side).
        seed: Decides which rows go where; without meaning by time, and for folds of groups.
        keys: ``[N]``: classes, groups or times, as the method needs; anything that sorts.
    """

    method: Method
    seed: int
    keys: NDArray[Any] | None = None

    def of(self, rows: Indices) -> Division:
        """The same for some of the rows."""
        return Division(self.method, self.seed, None if self.keys is None else self.keys[rows])


def split(n_rows: int, division: Division, fractions: Mapping[str, float]) -> dict[str, Indices]:
    """Divide the rows of a table into train and the parts named.

    Args:
        n_rows: Rows of the table.
        division: How.
        fractions: Share of all rows for each part held out of train (of all groups, if grouped), in the order in which
            they follow train in time.

    Returns:
        Row numbers by part, ascending and disjoint: ``train`` and the keys of ``fractions``.

    Raises:
        DataError: Too few rows to give each part what it needs.
    """
    rest = np.arange(n_rows)
    parts: dict[str, Indices] = {}
    left = 1.0
    # By time the last part is cut off first. The others' order is kept: a seed stands for a certain division.
    order = list(fractions.items())
    for part, fraction in reversed(order) if division.method == "time" else order:
        # Of what is left, the share that makes it ``fraction`` of the whole.
        rest, parts[part] = _hold_out(rest, division.of(rest), fraction / left, part)
        left -= fraction
    return {"train": rest} | {part: parts[part] for part in fractions}


def folds(n_rows: int, division: Division, count: int) -> Iterator[tuple[Indices, Indices]]:
    """Divide rows ``count`` times into rows to train and rows to validate on; by time, the latter come later.

    Raises:
        DataError: Too few rows, groups or times.
    """
    from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

    rows = np.arange(n_rows)
    if division.method == "time":
        yield from _folds_by_time(division, count)
        return
    seed = division.seed % 2**32
    splitter = {
        "random": KFold(count, shuffle=True, random_state=seed),
        "stratified": StratifiedKFold(count, shuffle=True, random_state=seed),
        "grouped": GroupKFold(count),
    }[division.method]
    stratified, grouped = division.method == "stratified", division.method == "grouped"
    try:
        yield from splitter.split(rows, division.keys if stratified else None, division.keys if grouped else None)
    except ValueError as error:
        raise _too_few("finalists.folds", count, str(error)) from error


def _folds_by_time(division: Division, count: int) -> Iterator[tuple[Indices, Indices]]:
    """Blocks of equal length in time, each validated by what came before it."""
    assert division.keys is not None
    order = np.argsort(division.keys, kind="stable")
    times = division.keys[order]
    cuts = [int(np.searchsorted(times, times[len(times) * k // (count + 1)])) for k in range(1, count + 1)]
    if len(set(cuts)) < count or cuts[0] == 0:
        raise _too_few("finalists.folds", count, "too few different times")
    for start, end in zip(cuts, [*cuts[1:], len(times)], strict=True):
        yield np.sort(order[:start]), np.sort(order[start:end])


def require_enough_rows(
    target: NDArray[np.int64] | NDArray[np.float64], class_names: tuple[str, ...], parts: int
) -> None:
    """Refuse a table whose classes have fewer rows than there are parts, or that has not two rows for each.

    Of a class with hardly more, one part may get none, since each gets its share of all rows: that is said later.

    Raises:
        DataError: Says which class lacks rows.
    """
    if class_names:
        counts = np.bincount(target.astype(np.int64), minlength=len(class_names))
        rare = [f"{name} ({count})" for name, count in zip(class_names, counts, strict=True) if count < parts]
        if rare:
            rule = f"at least {parts} rows of each class, as many as there are parts"
            fix = "add rows of these classes (count in brackets), or drop or merge them"
            are_numbers = all(re.fullmatch(r"-?\d+(\.\d+)?", name) for name in class_names)
            if are_numbers and (len(class_names) > MANY_CLASSES or all(name.isdecimal() for name in class_names)):
                fix += "; or, if the target is a quantity, set data.task: regression"
            raise DataError([Problem("data.target", ", ".join(rare[:8]), rule, fix)])
    elif len(target) < 2 * parts:
        # Two rows are the least that has a variance.
        rule, fix = f"at least {2 * parts} rows, two for each of {parts} parts", "add rows"
        raise DataError([Problem("data", f"{len(target)} rows", rule, fix)])


def _hold_out(rows: Indices, division: Division, fraction: float, part: str) -> tuple[Indices, Indices]:
    if division.method == "time":
        return _hold_out_latest(rows, division, fraction, part)
    from sklearn.model_selection import GroupShuffleSplit, train_test_split

    # scikit-learn takes 32-bit seeds.
    seed = division.seed % 2**32
    try:
        if division.method == "grouped":
            splitter = GroupShuffleSplit(1, test_size=fraction, random_state=seed)
            kept, held = next(splitter.split(rows, groups=division.keys))
            return rows[np.sort(kept)], rows[np.sort(held)]
        classes = division.keys if division.method == "stratified" else None
        kept, held = train_test_split(rows, test_size=fraction, random_state=seed, stratify=classes)
    except ValueError as error:
        raise _too_few(f"data.{part}_fraction", f"{fraction:.3g} of {len(rows)} rows", str(error)) from error
    return np.sort(kept), np.sort(held)


def _hold_out_latest(rows: Indices, division: Division, fraction: float, part: str) -> tuple[Indices, Indices]:
    assert division.keys is not None
    times = np.sort(division.keys)
    cut = times[min(len(times) - 1, int(np.floor(len(times) * (1 - fraction))))]
    late = division.keys >= cut
    if late.all():
        # Everything from the cut on is one time: that time alone is held out, if there is an earlier one at all.
        late = division.keys > cut
    if not late.any() or late.all():
        value = f"{fraction:.3g} of {len(rows)} rows"
        raise _too_few(f"data.{part}_fraction", value, "too few different times")
    return rows[~late], rows[late]


def _too_few(path: str, value: object, reason: str) -> DataError:
    rule = (
        "rows enough for every part: one of every class if stratified, a group or time of its own if grouped or by time"
    )
    fix = f"change the number, add rows or merge rare classes: {reason.splitlines()[0]}"
    return DataError([Problem(path, value, rule, fix)])
