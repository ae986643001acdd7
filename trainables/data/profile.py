"""What a table looks like to somebody who opens it for the first time: every column, how it is prepared, the target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainables.data.columns import CONVERSIONS, Column, category_names, missing, without_nulls
from trainables.data.preparation import Preparation
from trainables.data.types import plain

# Values named of a column, and classes of a target.
TOP_VALUES, TOP_CLASSES = 3, 30
# What becomes of a column, by the part of the preparation that takes it.
_PREPARED = {
    "quantile": "quantile",
    "robust": "robust",
    "bins": "bins",
    "category": "one-hot",
    "date": "days, cycles",
    "text": "hashed words",
    "missing": "flag",
}
# What becomes of a number, by the step of its pipeline; gaps are filled whatever it is.
_STEPS = {"signedlog": "log", "standardscaler": "standard"}


@dataclass(frozen=True)
class ColumnProfile:
    """A column of the table.

    Attributes:
        name: The column's name.
        role: feature, target, group, time, weight, left out, or empty.
        kind: A feature's kind, else the type that the column is stored as.
        missing: Rows without a value.
        distinct: Different values.
        values: Least, median and largest number or date; else the most frequent values.
        prepared: What a network sees of it.
    """

    name: str
    role: str
    kind: str
    missing: int
    distinct: int
    values: str
    prepared: str


@dataclass(frozen=True)
class Profile:
    """A table.

    Attributes:
        rows: Rows of the table that training rows come from.
        columns: All of them, in the table's order.
        target: The target's shares by class name, or numbers by name (mean, deviation, quantiles).
    """

    rows: int
    columns: tuple[ColumnProfile, ...]
    target: Mapping[str, float]


def profile(
    table: pa.Table, roles: Mapping[str, str], preparation: Preparation, target: str, classes: tuple[str, ...]
) -> Profile:
    """Look at a table.

    Args:
        table: The table as it was read.
        roles: Role of each column that is no feature.
        preparation: The preparation as it was fitted.
        target: Name of the target column.
        classes: Names, or none for numbers.
    """
    known = {column.name: column for column in preparation.schema.columns}
    kinds = {name: column.kind for name, column in known.items()}
    prepared = _prepared(preparation)
    columns = []
    for name in table.column_names:
        raw = _as_read(plain(table.column(name)), known.get(name))
        role = roles.get(name) or ("feature" if name in kinds else "empty")
        columns.append(
            ColumnProfile(
                name=name,
                role=role,
                kind=kinds.get(name, str(raw.type)),
                missing=int(missing(raw).sum()),
                distinct=_distinct(raw),
                values=_values(raw),
                prepared=prepared.get(name, ""),
            )
        )
    return Profile(table.num_rows, tuple(columns), _distribution(plain(table.column(target)), classes))


def _as_read(raw: pa.ChunkedArray, of: Column | None) -> pa.ChunkedArray:
    """A column's values without those that mean missing, and texts as the numbers or dates that they are."""
    if of is None:
        return raw
    raw = without_nulls(raw, of.null_values)
    if of.kind not in ("numeric", "date") or of.storage != "text":
        return raw
    return pa.chunked_array([pa.array(CONVERSIONS[of.kind](raw, of), from_pandas=True)])


def _prepared(preparation: Preparation) -> dict[str, str]:
    """What is made of each column, by its name: of one in several parts all of it, as in "robust, bins, flag"."""
    uses: dict[str, list[str]] = {}
    for part, transformer, names in preparation.encoder.transformers_:
        for name in map(str, names):
            uses.setdefault(name, []).append(_use_of(part, transformer))
    # A flag says something beside what the number says.
    return {name: ", ".join(sorted(found, key=lambda use: use == "flag")) for name, found in uses.items()}


def _use_of(part: str, transformer: Any) -> str:
    if part == "many":
        return "hashed" if type(transformer).__name__ == "HashedCategories" else "mean target"
    if part in ("standard", "log"):
        steps = (_STEPS[name] for name in transformer.named_steps if name in _STEPS)
        return ", ".join(steps) or "as it is"
    return _PREPARED[part]


def _distinct(column: pa.ChunkedArray) -> int:
    try:
        return int(pc.count_distinct(column, mode="only_valid").as_py())
    except pa.ArrowNotImplementedError:
        # Lists and the like, which are left out.
        return 0


def _short(value: float) -> str:
    # A lot of 1,651,359 square feet is easier to recognise than one of 1.65e+06.
    return f"{value:.0f}" if 1e6 <= abs(value) < 1e12 else f"{value:.6g}"


def _values(column: pa.ChunkedArray) -> str:
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers = np.asarray(column.cast(pa.float64(), safe=False).drop_null().to_numpy())
        numbers = numbers[~np.isnan(numbers)]
        return " · ".join(map(_short, np.quantile(numbers, [0, 0.5, 1]))) if len(numbers) else ""
    if pa.types.is_duration(kind):
        # Arrow has no order of durations.
        seconds = CONVERSIONS["numeric"](column, Column("", "numeric", "number"))
        return _values(pa.chunked_array([pa.array(seconds, from_pandas=True)]))
    if pa.types.is_temporal(kind):
        ends = pc.min_max(column)
        return f"{ends['min']} · {ends['max']}"
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return ""
    # Of values that hardly ever come again, a share says nothing.
    return ", ".join(
        f"{name} {share:.0%}" if share >= 0.01 else name for name, share in _shares(column, TOP_VALUES).items()
    )


def _shares(column: pa.ChunkedArray, most: int) -> dict[str, float]:
    """Shares of the most frequent values, the most frequent first."""
    counted: list[dict[str, Any]] = pc.value_counts(category_names(column).drop_null()).to_pylist()
    counted.sort(key=lambda entry: -entry["counts"])
    total = sum(entry["counts"] for entry in counted)
    return {str(entry["values"]): entry["counts"] / total for entry in counted[:most]}


def _distribution(target: pa.ChunkedArray, classes: tuple[str, ...]) -> dict[str, float]:
    if classes:
        return _shares(target, TOP_CLASSES)
    numbers = np.asarray(target.cast(pa.float64(), safe=False).to_numpy())
    names = ("least", "5 %", "median", "95 %", "largest")
    quantiles = dict(zip(names, np.quantile(numbers, [0, 0.05, 0.5, 0.95, 1]).tolist(), strict=True))
    return {"mean": float(numbers.mean()), "deviation": float(numbers.std()), **quantiles}
