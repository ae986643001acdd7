"""Which rows train, which choose, and which are touched once at the end.

Stratified for classes, so that each part has every class; the seed is part of the config.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from trainables.errors import DataError, Problem

# A target with more classes than this may be a quantity that nobody meant as classes.
MANY_CLASSES = 20

Indices = NDArray[np.int64]


def split(
    target: NDArray[np.int64] | NDArray[np.float64], *, stratify: bool, fractions: Mapping[str, float], seed: int
) -> dict[str, Indices]:
    """Divide the rows of a table into train and the parts named.

    Args:
        target: ``[N]``, class indices if ``stratify``.
        stratify: Keep the share of each class in each part.
        fractions: Share of all rows for each part held out of train.
        seed: Decides which rows go where.

    Returns:
        Row numbers by part, ascending and disjoint: ``train`` and the keys of ``fractions``.

    Raises:
        DataError: Too few rows to give each part what it needs.
    """
    rest = np.arange(len(target))
    parts: dict[str, Indices] = {}
    left = 1.0
    for part, fraction in fractions.items():
        # Of what is left, the share that makes it ``fraction`` of the whole.
        rest, parts[part] = _hold_out(rest, target[rest] if stratify else None, fraction / left, seed, part)
        left -= fraction
    return {"train": rest} | parts


def require_enough_rows(
    target: NDArray[np.int64] | NDArray[np.float64], class_names: tuple[str, ...], parts: int
) -> None:
    """Refuse a table that cannot be divided into ``parts``, each with a row of every class (or two rows).

    Raises:
        DataError: Says which class lacks rows.
    """
    if class_names:
        counts = np.bincount(target.astype(np.int64), minlength=len(class_names))
        rare = [f"{name} ({count})" for name, count in zip(class_names, counts, strict=True) if count < parts]
        if rare:
            rule = f"at least {parts} rows of each class, one for each of {parts} parts"
            fix = "add rows of these classes (count in brackets), or drop or merge them"
            if len(class_names) > MANY_CLASSES:
                fix += "; or, if the target is a quantity, set trial.loss: mse"
            raise DataError([Problem("data.target", ", ".join(rare[:8]), rule, fix)])
    elif len(target) < 2 * parts:
        # Two rows are the least that has a variance.
        rule, fix = f"at least {2 * parts} rows, two for each of {parts} parts", "add rows"
        raise DataError([Problem("data", f"{len(target)} rows", rule, fix)])


def _hold_out(
    rows: Indices, classes: NDArray[np.generic] | None, fraction: float, seed: int, part: str
) -> tuple[Indices, Indices]:
    from sklearn.model_selection import train_test_split

    try:
        # scikit-learn takes 32-bit seeds.
        kept, held = train_test_split(rows, test_size=fraction, random_state=seed % 2**32, stratify=classes)
    except ValueError as error:
        rule = "enough rows that each part has one of every class"
        fix = f"raise the fraction, add rows or merge rare classes: {str(error).splitlines()[0]}"
        raise DataError([Problem(f"data.{part}_fraction", f"{fraction:.3g} of {len(rows)} rows", rule, fix)]) from error
    return np.sort(kept), np.sort(held)
