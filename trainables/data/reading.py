"""How the training file was read, which every later file is read by: validation and test files, rows to predict.

A CSV file has only text. What its values are is decided once, by the training file: looked at alone, a later file with
the same values might be numbers where the training file had codes, or hold a word that means missing elsewhere and is
a category here. ``Schema.reading`` keeps it, and ``schema.json`` in a model.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from pydantic import TypeAdapter

from trainables.data.config import CsvConfig
from trainables.errors import DataError, Problem

# Arrow's own list, which holds what spreadsheets and pandas write for a missing value.
NULL_VALUES = tuple(pyarrow.csv.ConvertOptions().null_values)

CsvType = Literal["number", "text"]


@dataclass(frozen=True)
class Reading:
    """How files are read.

    Attributes:
        given: What the config says of CSV files.
        found: The same and what was found out, if the training file was CSV.
        types: Type of each column of the training table, as a later CSV file is to be read: numbers, or text that is
            converted by the column's kind.
        words: Texts that usually mean missing and are values of a column of the training table, by column.
    """

    given: CsvConfig = field(default_factory=CsvConfig)
    found: CsvConfig | None = None
    types: Mapping[str, CsvType] = field(default_factory=dict)
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, table: pa.Table, given: CsvConfig, found: CsvConfig | None, texts: tuple[str, ...]) -> Reading:
        """From the training table.

        Args:
            table: The table as it was read, with plain types.
            given: What the config says.
            found: How the file is written, if it is CSV.
            texts: Columns whose values are codes, even where they look like numbers.
        """
        types: dict[str, CsvType] = {}
        words = {}
        usual = pa.array(NULL_VALUES, pa.string())
        for column, kind in zip(table.columns, table.schema, strict=True):
            number = pa.types.is_integer(kind.type) or pa.types.is_floating(kind.type) or pa.types.is_decimal(kind.type)
            types[kind.name] = "number" if number and kind.name not in texts else "text"
            if pa.types.is_string(kind.type):
                known = pc.unique(column.filter(pc.is_in(column, value_set=usual))).to_pylist()
                if known:
                    words[kind.name] = tuple(known)
        return cls(given, found, types, words)

    def skipped(self, first_line: Collection[str], given: CsvConfig) -> int:
        """Lines to skip in a file: none in a later one that begins with columns' names, whatever the training file did.

        Args:
            first_line: Cells of the file's first line.
            given: What the config says.
        """
        return 0 if set(first_line) & set(self.types) else given.skip_rows

    @property
    def null_values(self) -> tuple[str, ...]:
        """Texts that mean missing in a CSV file, in a column without values of that name."""
        return null_values_of(self.given)


def null_values_of(given: CsvConfig) -> tuple[str, ...]:
    """Texts that mean missing in a CSV file."""
    return (*(NULL_VALUES if given.usual_null_values else ("",)), *given.null_values)


def without(
    table: pa.Table, null_values: tuple[str, ...], words: Mapping[str, tuple[str, ...]] | None = None
) -> pa.Table:
    """A table in whose text columns some texts are missing values.

    Args:
        table: A table with plain types.
        null_values: The texts that mean missing.
        words: Texts of ``null_values`` that are values all the same, by column.
    """
    if not null_values:
        return table
    for index, kind in enumerate(table.schema):
        meant = set(null_values) - set((words or {}).get(kind.name, ()))
        if pa.types.is_string(kind.type) and meant:
            column = table.column(index)
            gaps = pc.is_in(column, value_set=pa.array(sorted(meant), pa.string()))
            if pc.any(gaps).as_py():
                table = table.set_column(index, kind.name, pc.if_else(gaps, pa.scalar(None, pa.string()), column))
    return table


AS_JSON = TypeAdapter(Reading)
"""Checks and converts what ``schema.json`` has of it."""


def require_names_first(filled: Sequence[int], path: str, shown: str) -> None:
    """Refuse a title, or nothing, above the row that names the columns: the first with as many full cells as any.

    Args:
        filled: How many of its cells are full, of each of the first rows.
        path: Config key, for messages.
        shown: What the file is called, for messages.

    Raises:
        DataError: Says how many rows come before.
    """
    most = max(filled)
    names = filled.index(most)
    # Of two columns one may have no name, as an index.
    if names and filled[0] <= 1 < most - 1:
        rule = f"a first line that names the columns; before the first line of {most} full cells there are {names}"
        raise DataError([Problem(path, shown, rule, how_to_skip(names, path))])


def how_to_skip(lines: int, path: str) -> str:
    """What to do about lines before the names: of rows to predict there is no config that could say so."""
    if path.startswith("data."):
        return f"skip them: data.csv.skip_rows: {lines}"
    return "remove them" if lines > 1 else "remove it"


class Wanted(NamedTuple):
    """What a config says that a reader needs: how CSV is written, and the columns named by their roles."""

    csv: CsvConfig = CsvConfig()
    target: str | None = None
    others: tuple[str, ...] = ()
    # Other columns that the config speaks of.
    named: tuple[str, ...] = ()
    # Of rows to predict, nobody knows it yet.
    needs_target: bool = True
    # CSV columns whose values are codes: 01009 is no number.
    texts: tuple[str, ...] = ()
    # Whether an address that only this network reaches is refused.
    public_only: bool = False
    # Whether digits that begin with zeros are codes where nothing else is said.
    finds_codes: bool = False
    # How the training file was read; none while it is being read.
    before: Reading | None = None


class Read(NamedTuple):
    """A table, the name of its target column where the format has one, and what was found out on the way."""

    table: pa.Table
    target: str | None
    notes: tuple[str, ...] = ()
    # How a CSV file is written, as given and found out.
    csv: CsvConfig | None = None
