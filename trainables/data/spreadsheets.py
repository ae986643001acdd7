"""Sheets of Excel and OpenDocument into Arrow tables; python-calamine parses, an extra dependency.

A cell has a type of its own: a column whose cells have one is of that type, another is text, as in a CSV file.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from trainables.data import limits
from trainables.data.reading import Read, Reading, Wanted, require_names_first
from trainables.data.types import NAMED_COLUMNS, as_key, few
from trainables.errors import DataError, Problem

# Rows among which the one that names the columns is looked for.
_LOOKED_AT = 50


def read_spreadsheet(file: Path, wanted: Wanted, path: str, shown: str) -> Read:
    """Read a sheet; arguments and errors are those of ``formats.read_file``."""
    try:
        import python_calamine
    except ImportError as error:
        rule, fix = "a format that is installed", "pip install 'search-service[excel]', or save the sheet as CSV"
        raise DataError([Problem(path, shown, rule, fix)]) from error
    with python_calamine.CalamineWorkbook.from_path(str(file)) as book:
        names = book.sheet_names
        sheet = wanted.csv.sheet or names[0]
        if sheet not in names:
            raise DataError([Problem("data.csv.sheet", sheet, "a sheet of the file", f"one of: {few(names)}")])
        rows = book.get_sheet_by_name(sheet).to_python(skip_empty_area=False)
        if wanted.csv.sheet is None and not _may_be_meant(rows, wanted):
            _refuse_for_another(book, sheet, wanted, path, shown)
    before = wanted.before or Reading()
    rows = rows[before.skipped([_text_of(cell).strip() for cell in rows[0]], wanted.csv) :] if rows else rows
    if not rows:
        others = few([name for name in book.sheet_names if name != sheet])
        fix = f"sheet {sheet} is empty: " + (f"data.csv.sheet names another: {others}" if others else "fill it")
        raise DataError([Problem(path, shown, "a sheet with rows", fix)])
    limits.require(path, shown, rows=len(rows), columns=len(rows[0]))
    require_names_first([sum(cell != "" for cell in row) for row in rows[:_LOOKED_AT]], path, shown)
    names = [_text_of(cell).strip() for cell in rows[0]]
    # Cells that were only formatted make empty columns at the end.
    cells = {at: [row[at] for row in rows[1:]] for at in range(len(names))}
    used = [at for at in cells if names[at] or any(cell != "" for cell in cells[at])]
    table = pa.table([_of_cells(cells[at]) for at in used], names=[names[at] for at in used])
    said = (
        [f"sheet {sheet} of {len(book.sheet_names)}; data.csv.sheet names another"] if len(book.sheet_names) > 1 else []
    )
    return Read(table, None, tuple(said))


def _may_be_meant(rows: Sequence[Sequence[Any]], wanted: Wanted) -> bool:
    """Whether a sheet has names that are asked for, or, where none are known, two full cells in a row."""
    known = set(wanted.before.types) if wanted.before is not None else {wanted.target} if wanted.target else set()
    for row in rows[:_LOOKED_AT]:
        full = {_text_of(cell).strip() for cell in row} - {""}
        if known & full if known else len(full) > 1:
            return True
    return False


def _refuse_for_another(book: Any, sheet: str, wanted: Wanted, path: str, shown: str) -> None:
    """Refuse a sheet of notes before the one that holds the table.

    Raises:
        DataError: Other sheets may be the table; names them and the key.
    """
    others = [name for name in book.sheet_names if name != sheet]
    others = [name for name in others if _may_be_meant(book.get_sheet_by_name(name).to_python(), wanted)]
    if not others:
        return
    missing = f"no column {wanted.target}" if wanted.target and wanted.before is None else "none of its columns"
    rule = f"a table in the first sheet; {sheet} has {missing}, as {few(others)} has"
    if not path.startswith("data."):
        raise DataError([Problem(path, shown, rule, f"let {others[0]} be the first sheet, or save it as CSV")])
    fix = " or ".join(f"data.csv.sheet: {as_key(name)}" for name in others[:NAMED_COLUMNS])
    raise DataError([Problem(path, shown, rule, f"name the sheet: {fix}")])


def _of_cells(cells: Sequence[Any]) -> pa.Array:
    """A column of a sheet: of one type, or as text where cells have several."""
    values = [None if cell == "" else cell for cell in cells]
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float}:
        numbers = pa.array(values, pa.float64())
        # 6.02e23 is whole, too, and no int64.
        are_whole = pc.and_(pc.equal(numbers, pc.floor(numbers)), pc.less(pc.abs(numbers), 2.0**63))
        return numbers.cast(pa.int64()) if pc.all(are_whole, min_count=0).as_py() and kinds else numbers
    if kinds == {datetime.date, datetime.datetime}:
        return pa.array([_at_midnight(value) for value in values], pa.timestamp("us"))
    if len(kinds) == 1:
        return pa.array(values)
    return pa.array([None if value is None else _text_of(value) for value in values], pa.string())


def _at_midnight(value: Any) -> Any:
    """A date as the instant at which it begins: a moment at midnight is a date in a sheet."""
    is_date = isinstance(value, datetime.date) and not isinstance(value, datetime.datetime)
    return datetime.datetime.combine(value, datetime.time()) if is_date else value


def _text_of(value: Any) -> str:
    """A cell as text: sheets know no whole numbers."""
    return f"{value:.15g}" if isinstance(value, float) else str(value)
