"""Values of each column at which one may ask what a network says, and the inputs that they become.

A network sees prepared numbers, and a person asks about the column: what does it say of a house of grade 7, and of
grade 9? Each value is that of some training row, prepared with that row, so that nothing is invented: a category's
one-hot columns, a number and its bins, a date's parts. Axes: G values of a column, W inputs that it becomes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from trainables.data.config import ColumnKind
from trainables.data.preparation import Preparation

# Numbers and dates: so many quantiles, without the rarest at both ends, where a network has seen little. Fewer
# different values are all taken.
QUANTILES, LEAST_SHARE = 20, 0.02
# Categories: the most frequent.
CATEGORIES = 12
# Tables of more columns get none: preparing twenty rows for each would take as long as reading the table.
MOST_COLUMNS = 300


@dataclass(frozen=True)
class Grid:
    """Values of a column.

    Attributes:
        kind: Of the column.
        values: G: numbers from the smallest on, dates as ISO text from the first on, categories from the most frequent.
        shares: G: how many of the training rows have that value, of categories; of the others nothing.
        inputs: ``[G, W]`` float32.
    """

    kind: ColumnKind
    values: tuple[float, ...] | tuple[str, ...]
    shares: tuple[float, ...]
    inputs: NDArray[np.float32]


def of_columns(table: pa.Table, typed: pd.DataFrame, preparation: Preparation) -> dict[str, Grid]:
    """The grids of all columns that have some values; of words there are none.

    Args:
        table: Training rows as they were read.
        typed: The same rows, typed by the preparation's schema.
        preparation: Fitted.
    """
    columns = [column for column in preparation.schema.columns if column.kind != "text"]
    if len(columns) > MOST_COLUMNS:
        return {}
    rows = {column.name: _rows(typed[column.name], column.kind) for column in columns}
    rows = {name: chosen for name, chosen in rows.items() if len(chosen) > 1}
    wanted = np.unique(np.concatenate([*rows.values(), np.empty(0, dtype=np.int64)]))
    if not len(wanted):
        return {}
    prepared = preparation.transform(table.take(wanted))
    places: dict[str, list[int]] = {}
    for place, source in enumerate(preparation.sources):
        places.setdefault(source, []).append(place)
    kinds = {column.name: column.kind for column in columns}
    return {
        name: Grid(
            kinds[name],
            _said(typed[name].iloc[chosen], kinds[name]),
            _shares(typed[name], chosen) if kinds[name] == "categorical" else (),
            prepared[np.searchsorted(wanted, chosen)][:, places[name]],
        )
        for name, chosen in rows.items()
        if name in places
    }


def _rows(values: pd.Series, kind: ColumnKind) -> NDArray[np.int64]:
    """The rows whose values are shown, in the order in which they are."""
    if kind == "categorical":
        frequent = values.value_counts().index[:CATEGORIES]
        return np.array([np.flatnonzero(values == value)[0] for value in frequent], dtype=np.int64)
    known = np.flatnonzero(values.notna())
    order = known[np.argsort(values.iloc[known].to_numpy(), kind="stable")]
    different = _different(values, order)
    if len(different) <= QUANTILES:
        return different
    chosen = _different(values, _spread(order))
    if len(chosen) < QUANTILES // 2:
        # Most rows have one value, and what there is to see is among the others.
        chosen = np.concatenate([chosen, _spread(different)])
        chosen = _different(values, chosen[np.argsort(values.iloc[chosen].to_numpy(), kind="stable")])
    return chosen


def _different(values: pd.Series, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The first of the rows with each value."""
    return np.asarray(rows[~values.iloc[rows].duplicated().to_numpy()], dtype=np.int64)


def _spread(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Quantiles of sorted rows, all of them inside."""
    at = np.linspace(LEAST_SHARE, 1 - LEAST_SHARE, QUANTILES) * (len(rows) - 1)
    return np.asarray(rows[at.round().astype(np.int64)], dtype=np.int64)


def _said(values: pd.Series, kind: ColumnKind) -> tuple[float, ...] | tuple[str, ...]:
    """Values as people write them."""
    if kind == "date":
        return tuple(value.isoformat() for value in values)
    if kind == "boolean":
        return tuple("true" if value else "false" for value in values)
    return tuple(values.astype(str)) if kind == "categorical" else tuple(values.astype(float))


def _shares(values: pd.Series, rows: NDArray[np.int64]) -> tuple[float, ...]:
    shares: Mapping[str, float] = values.value_counts(normalize=True).to_dict()
    return tuple(float(shares[value]) for value in values.iloc[rows])
