"""Rows of a table that are none: totals at its end, as spreadsheets and reports have them, names again, and units.

Read as one of the rows, the sum of a column lies far from all of its values, and a network learns from it. Files that
were joined have their first line, the names of the columns, again and again.
"""

from __future__ import annotations

import re
from collections.abc import Collection

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from trainables.data import columns
from trainables.data.config import CsvConfig
from trainables.data.types import few
from trainables.errors import DataError, Problem

# The last rows that are looked at: an average may stand below the total.
_LOOKED_AT = 3
# Rows at which is looked for what stands below the names; how many may, in exports of surveys; and rows below them.
_GLANCE, _MOST_NAMES, _LEAST_BELOW = 1_000, 2, 3
_WORDS = re.compile(
    r"((grand|sub|overall)[ -]?)?totals?|sum|summe|gesamt(summe)?|insgesamt|somme|suma|totale|totaal|totaux|razem|"
    r"итого|всего|合计|总计|合計|総計|average|mean|durchschnitt|moyenne|promedio",
    re.IGNORECASE,
)


def without(table: pa.Table, given: CsvConfig, path: str, shown: str) -> pa.Table:
    """The table without its last rows, if the config says how many of them are none.

    Args:
        table: As it was read, with plain types.
        given: What the config says.
        path: Config key, for messages.
        shown: What the file is called, for messages.

    Raises:
        DataError: The config says nothing, and a row at the end is called a total.
    """
    if given.skip_last_rows is not None:
        return table.slice(0, max(0, table.num_rows - given.skip_last_rows))
    for back in range(min(_LOOKED_AT, table.num_rows - 1), 0, -1):
        if (named := _total_in(table, table.num_rows - back)) is not None:
            column, word = named
            value = f"{shown}, row {table.num_rows - back + 1} of {table.num_rows}: {word!r} in column {column}"
            rule = "rows, and no total of them at the end"
            fix = f"data.csv.skip_last_rows: {back} leaves it out; 0 keeps it, if it is a row as the others are"
            if path in ("data.validation", "data.test"):
                # The key would take as many of the training rows, too.
                fix = "remove it from the file; data.csv.skip_last_rows: 0 keeps it, if it is a row as the others are"
            raise DataError([Problem(path, value, rule, fix)])
    return table


def without_repeated_names(table: pa.Table) -> tuple[pa.Table, int]:
    """The table without rows whose every value is its column's name, and how many they were."""
    if table.num_columns < 2 or not all(pa.types.is_string(field.type) for field in table.schema):
        return table, 0
    repeats = None
    for name, column in zip(table.column_names, table.columns, strict=True):
        # A mark of byte order stands before the first, where files were joined that begin with one.
        same = pc.fill_null(pc.is_in(column, value_set=pa.array([name, f"\ufeff{name}"])), fill_value=False)
        repeats = same if repeats is None else pc.and_(repeats, same)
    count = int(pc.sum(repeats).as_py() or 0)
    return (table.filter(pc.invert(repeats)) if count else table), count


def require_no_second_names(table: pa.Table, texts: Collection[str], path: str, shown: str) -> None:
    """Refuse units, questions and the like between the names of the columns and their values.

    Args:
        table: As it was read, with plain types.
        texts: Columns that are said to hold text, which tell nothing.
        path: Config key, for messages.
        shown: What the file is called, for messages.

    Raises:
        DataError: In the first rows, words stand above numbers or dates, in all columns that have such.
    """
    table = table.slice(0, _GLANCE)
    words = [name for name in table.column_names if name not in texts and pa.types.is_string(table[name].type)]
    others = [name for name in table.column_names if not pa.types.is_string(table[name].type)]
    for rows in range(1, _MOST_NAMES + 1):
        if table.num_rows < _LEAST_BELOW + rows or any(table[name].slice(0, rows).null_count < rows for name in others):
            return
        above = [name for name in words if _are_names_above_values(table[name], rows)]
        alone = all(table[name][0].as_py() in (None, "") for name in table.column_names if name not in above)
        if len(above) > 1 or (above and alone):
            found = few([repr(table[name][0].as_py()) for name in above])
            what, have = ("the first row", "has") if rows == 1 else (f"the first {rows} rows", "have")
            rule = f"values below the names; {what} {have} units, questions or other names: {found}"
            raise DataError([Problem(path, shown, rule, f"remove {what} below the names from the file")])


def are_values(column: pa.ChunkedArray) -> bool:
    """Whether texts are numbers or dates, by the first of them."""
    values = column.slice(0, _GLANCE).to_pandas()
    return bool((pd.to_numeric(values, errors="coerce").notna() | columns.as_times(values).notna()).all())


def _are_names_above_values(column: pa.ChunkedArray, rows: int) -> bool:
    """Whether the first values of a text column are words, and all others numbers or dates."""
    values = column.to_pandas()
    read = pd.to_numeric(values, errors="coerce").notna() | columns.as_times(values).notna()
    below = values.iloc[rows:].notna()
    return bool(
        values.iloc[:rows].map(lambda text: any(map(str.isalpha, text)), na_action="ignore").eq(True).all()
        and not read.iloc[:rows].any()
        and below.any()
        and read.iloc[rows:][below].all()
    )


def _total_in(table: pa.Table, row: int) -> tuple[str, str] | None:
    """The column of a row, and its value, that calls it a total; None where none does."""
    for name, column in zip(table.column_names, table.columns, strict=True):
        if not pa.types.is_string(column.type):
            continue
        value = column[row].as_py()
        word = (value or "").strip().rstrip(":").strip()
        # What is a value of other rows, too, is a category.
        if word and _WORDS.fullmatch(word) and pc.sum(pc.equal(column, value)).as_py() == 1:
            return name, value
    return None
