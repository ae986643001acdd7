"""What the columns of a table are, and raw values of any origin as values of those kinds.

A kind is found from a column's type and values (``kinds.py``), or given by the config. ``Schema.typed`` then turns
rows (of the training table, of a file to predict, of a request to a served model) into a data frame of few types only:

    numeric, boolean   float64, NaN where missing
    categorical        text, MISSING where missing; numbers are written as people write them: 3 and 3.0 are one category
    date               datetime64[us] in UTC, NaT where missing; a time of day is on the first day of 1970
    text               text, empty where missing

What a column is has been decided once, by the training file, and is kept in the schema; it goes for every later value.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

import pandas as pd
import pyarrow as pa

from trainables.data.columns import CONVERSIONS, Column, NotOfItsKindError, without_nulls
from trainables.data.config import ColumnKind
from trainables.data.reading import Reading
from trainables.data.types import as_key, few, plain
from trainables.errors import DataError, Problem

KINDS: tuple[ColumnKind, ...] = get_args(ColumnKind)


@dataclass(frozen=True)
class Schema:
    """The feature columns of a table, in their order there.

    Attributes:
        columns: What each is.
        reading: How the training file was read.
        notes: What was decided in doubt, in words.
        left_out: Columns that are no features though nobody said so: ids and the like.
    """

    columns: tuple[Column, ...]
    reading: Reading = field(default_factory=Reading, compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)
    left_out: tuple[str, ...] = field(default=(), compare=False)

    def __len__(self) -> int:
        return len(self.columns)

    def names(self, *kinds: ColumnKind) -> list[str]:
        """Names of the columns of these kinds; of all without an argument."""
        return [column.name for column in self.columns if not kinds or column.kind in kinds]

    def require(self, names: Collection[str], path: str) -> None:
        """Refuse a table that lacks a column.

        Args:
            names: Names of the table's columns.
            path: The table's config key, for messages.

        Raises:
            DataError: With all that are missing.
        """
        known = set(names)
        missing = [name for name in self.names() if name not in known]
        if missing:
            found = few([repr(name) for name in names]) or "no columns"
            rule, fix = f"the columns that the training table has; it lacks {few(missing)}", "add or rename them"
            raise DataError([Problem(path, found, rule, fix)])

    def typed(self, table: pa.Table, path: str) -> pd.DataFrame:
        """Values of the kinds described above, for all columns of this schema; others are left out.

        Args:
            table: Rows.
            path: The table's config key, for messages.

        Raises:
            DataError: A column is missing, or holds values that are not of its kind; with all such columns.
        """
        self.require(table.column_names, path)
        columns = self._converted(table, path, self.columns)
        # Text stays Python's own, which is what scikit-learn's fitted categories and their file hold.
        texts = {name: pd.Series(columns[name], dtype=object) for name in self.names("categorical", "text")}
        return pd.DataFrame(columns | texts, copy=False)

    def check(self, table: pa.Table, path: str) -> None:
        """Refuse a whole table that ``typed`` would refuse in parts, with the rows as the table numbers them.

        Raises:
            DataError: As ``typed``.
        """
        self.require(table.column_names, path)
        # Anything can be a category.
        self._converted(table, path, [column for column in self.columns if column.kind not in ("categorical", "text")])

    def _converted(self, table: pa.Table, path: str, columns: Sequence[Column]) -> dict[str, Any]:
        problems: list[Problem] = []
        converted: dict[str, Any] = {}
        for column in columns:
            try:
                raw = without_nulls(plain(table.column(column.name)), column.null_values)
                converted[column.name] = CONVERSIONS[column.kind](raw, column)
            except NotOfItsKindError as error:
                where = f"column {column.name}, row {error.row + 1}: {error.value!r}"
                fix = error.fix if path.startswith("data") else error.of_rows
                fix = fix.replace("{name}", as_key(column.name))
                problems.append(Problem(path, where, f"{error.rule}, as column {column.name} has", fix))
        if problems:
            raise DataError(problems)
        return converted
