"""Features to mean 0 and standard deviation 1, and targets to class indices or standardised numbers.

Everything is fitted on training rows only: validation and test rows must not leak into what they judge.
Reference: ``sklearn.preprocessing.StandardScaler`` (which does the scaling) and ``LabelEncoder``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainables.errors import DataError, Problem

# A target of whole numbers with more distinct values than this is a quantity, not a set of classes.
MOST_CLASSES = 1_000


@dataclass(frozen=True)
class Scaling:
    """A linear map fitted on training rows: (value - mean) / scale, per column ``[D]`` or for the target ``[1]``."""

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def fit(cls, columns: NDArray[np.float64]) -> Scaling:
        """Fit on ``[N, D]``; constant columns get scale 1 and so become 0."""
        from sklearn.preprocessing import StandardScaler

        scaler = StandardScaler().fit(columns)
        return cls(scaler.mean_, scaler.scale_)

    @classmethod
    def identity(cls, n_columns: int) -> Scaling:
        """Leave ``n_columns`` columns as they are."""
        return cls(np.zeros(n_columns), np.ones(n_columns))

    def apply(self, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scale ``[N, D]``."""
        return (columns - self.mean) / self.scale


def find_classes(target: NDArray[Any]) -> tuple[str, ...]:
    """Names of the classes in a target, in the order of their indices (numbers by size, text by alphabet).

    Raises:
        DataError: One class only, or so many that the target is a quantity.
    """
    values = np.unique(_comparable(target))
    if len(values) < 2:
        rule, fix = "at least two classes", "choose another target or add rows of another class"
        raise DataError([Problem("data.target", f"one class only: {values[0]}", rule, fix)])
    fractional = values.dtype.kind == "f" and not np.array_equal(values, np.round(values))
    if len(values) > MOST_CLASSES or fractional:
        rule = f"classes: text, or at most {MOST_CLASSES} different whole numbers"
        fix = "set trial.loss: mse to predict a number"
        raise DataError([Problem("data.target", f"{len(values)} different values", rule, fix)])
    return tuple(_name(value) for value in values)


def class_indices(target: NDArray[Any], classes: tuple[str, ...], path: str) -> NDArray[np.int64]:
    """Index of each row's class.

    Args:
        target: ``[N]``.
        classes: Names, as ``find_classes`` gave them.
        path: Config key of the rows, for the message.

    Raises:
        DataError: A class that the training rows lack.
    """
    index = {name: i for i, name in enumerate(classes)}
    names = [_name(value) for value in _comparable(target)]
    unknown = sorted(set(names) - set(classes))
    if unknown:
        rule, fix = "classes that the training rows have", "drop these rows or add such rows to the training file"
        raise DataError([Problem(path, ", ".join(unknown[:8]), rule, fix)])
    return np.array([index[name] for name in names], dtype=np.int64)


def numbers(target: NDArray[Any], path: str) -> NDArray[np.float64]:
    """A regression target as float64 ``[N]``.

    Raises:
        DataError: Text, or not finite.
    """
    try:
        values = np.asarray(target, dtype=np.float64)
    except (TypeError, ValueError) as error:
        rule, fix = "numbers, since the loss predicts one", "choose a numeric target or a loss that classifies"
        raise DataError([Problem(path, f"text such as {target[0]!r}", rule, fix)]) from error
    if not np.isfinite(values).all():
        raise DataError([Problem(path, "NaN or infinite", "finite numbers", "drop or mend these rows")])
    return values


def _comparable(target: NDArray[Any]) -> NDArray[Any]:
    """Text of any kind as text, so that numpy can sort it; numbers as they are."""
    return target.astype(str) if target.dtype.kind in "OUS" else target


def _name(value: Any) -> str:
    # 3 and 3.0 are one class, whichever file wrote it which way.
    if isinstance(value, (np.floating, float)) and float(value).is_integer():
        return str(int(value))
    return str(value)
