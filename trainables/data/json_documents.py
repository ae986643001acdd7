"""JSON documents into Arrow tables: a list of records, or columns as pandas writes them; a record a line is pyarrow's.

[{"a": 1, "b": "x"}, {"a": 2}]                     records; a key that one lacks is missing there
{"a": [1, 2], "b": ["x", null]}                    columns
{"a": {"0": 1, "1": 2}, "b": {"0": "x"}}           columns by row, pandas' default
{"columns": ["a", "b"], "data": [[1, "x"], [2, null]]}   names and rows, pandas' ``orient="split"``
{"a": 1}                                           records, a line each
{"a": 2}
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.json

from trainables.data import limits, lines
from trainables.data.reading import Read, Wanted
from trainables.errors import DataError, Problem

# Bytes that Python's objects take for one of a document: a number takes 28, beside its place in a list of eight.
_UNPACKED = 20
_RULE = "a list of records, columns, or a record in each line"
# Of a document: enough to see what it begins with.
_HEAD = 4096


def holds_table(file: Path, config_keys: Collection[str] = ()) -> bool:
    """Whether a JSON file is a table: a list, a record a line, columns, or a list of records beside other things.

    Args:
        file: It need not be there.
        config_keys: Keys of a config, which a JSON file may be, too.
    """
    try:
        with file.open(encoding="utf-8-sig", errors="replace") as opened:
            head = opened.read(_HEAD).lstrip()
        if head.startswith("[") or _has_a_record_a_line(file):
            return True
        content = json.loads(file.read_text(encoding="utf-8-sig")) if head.startswith("{") else None
    except (OSError, ValueError, RecursionError):
        return False
    if not isinstance(content, dict):
        return False
    is_config = content.keys() <= {*config_keys} and not any(isinstance(part, list) for part in content.values())
    return not is_config and bool(_columns(content))


def _has_a_record_a_line(file: Path) -> bool:
    """Whether the first line is an object by itself, and another begins behind it."""
    with file.open(encoding="utf-8-sig", errors="replace") as opened:
        lines = (line for line in opened if line.strip())
        first, second = next(lines, ""), next(lines, "")
    try:
        return second.lstrip().startswith("{") and isinstance(json.loads(first), dict)
    except ValueError:
        return False


def read_json(file: Path, wanted: Wanted, path: str, shown: str) -> Read:
    """Read a document; arguments and errors are those of ``formats.read_file``."""
    limits.require(path, shown, unpacked_bytes=_UNPACKED * file.stat().st_size)
    if _has_a_record_a_line(file):
        return read_records(file, wanted, path, shown)
    columns = _columns(json.loads(file.read_text(encoding="utf-8-sig"), object_pairs_hook=_without_repetition))
    if not columns:
        fix = "write the table as [{column: value, ...}, ...]"
        raise DataError([Problem(path, shown, _RULE, fix)])
    return Read(pa.table({name: _array(values) for name, values in columns.items()}), None)


def read_records(file: Path, wanted: Wanted, path: str, shown: str) -> Read:
    """Read a record a line; arguments and errors are those of ``formats.read_file``."""
    try:
        return Read(pyarrow.json.read_json(file), None)
    except pa.ArrowInvalid as error:
        raise pa.ArrowInvalid(lines.of_json(str(error), file)) from error


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys differ: of a key that is there twice, nobody knows which value is meant.

    Raises:
        ValueError: Names the key.
    """
    record = dict(pairs)
    if len(record) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"an object has the key {twice!r} twice")
    return record


def _columns(content: Any) -> dict[str, list[Any]]:
    """Columns of whatever kind of table a document is; none of another."""
    if isinstance(content, list):
        return _of_records(content)
    if not isinstance(content, Mapping):
        return {}
    if content.keys() - {"index"} == {"columns", "data"}:
        return _of_rows(content["columns"], content["data"])
    lists = [part for part in content.values() if isinstance(part, list) and part and isinstance(part[0], Mapping)]
    are_columns = len(content) > 1 and all(isinstance(part, list) and len(part) > 1 for part in content.values())
    if len(lists) == 1 and not are_columns:
        # What an interface answers, {"count": 2, "results": [...]}, and pandas' orient="table".
        return _of_records(lists[0])
    rows = list(content.values())
    are_numbered = bool(rows) and list(content) == [str(at) for at in range(len(rows))] and isinstance(rows[0], Mapping)
    if are_numbered and not all(key.isdecimal() for key in rows[0]):
        # Rows by their number, and not columns.
        return _of_records(rows)
    return _of_columns(content)


def _of_records(content: Sequence[Any]) -> dict[str, list[Any]]:
    """Columns of a list of objects; none if it is something else."""
    if not all(isinstance(record, Mapping) for record in content):
        return {}
    names = dict.fromkeys(name for record in content for name in record)
    return {name: [record.get(name) for record in content] for name in names}


def _of_rows(names: Any, rows: Any) -> dict[str, list[Any]]:
    """Columns of a list of names and one of rows; none if they are something else."""
    are_lists = isinstance(names, list) and isinstance(rows, list) and all(isinstance(row, list) for row in rows)
    if not are_lists or any(len(row) != len(names) for row in rows) or len({*map(str, names)}) < len(names):
        return {}
    return {str(name): [row[at] for row in rows] for at, name in enumerate(names)}


def _of_columns(content: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Columns of an object of lists, or of objects by row; none if it is something else."""
    if all(isinstance(column, list) for column in content.values()):
        is_table = len({len(column) for column in content.values()}) == 1
        return dict(content) if is_table else {}
    if all(isinstance(column, Mapping) for column in content.values()):
        rows = dict.fromkeys(row for column in content.values() for row in column)
        return {name: [column.get(row) for row in rows] for name, column in content.items()}
    return {}


def _array(values: Sequence[Any]) -> pa.Array:
    """A column of one type; of several, as the texts that JSON has for them."""
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError):
        # Whole numbers beyond 64 bits are ids, of which no digit may be lost.
        written = (
            None if value is None else value if isinstance(value, str) else json.dumps(value) for value in values
        )
        return pa.array(list(written), pa.string())
