"""Which line of a file a reader complains about: Arrow counts rows without empty lines, each block from its start."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

# What Arrow says of CSV, and of JSON.
_ROW_OF_CSV = re.compile(r"(?<=Row #)\d+")
_ROW_OF_JSON = re.compile(r" in row \d+$")
_CHANGED = re.compile(r"Column\(/([^/\[\]]+)\) changed from")


def of_csv(reason: str, file: Path, encoding: str, delimiter: str, skipped: int) -> str:
    """A complaint of Arrow's about a CSV file with the line in the place of the row's number.

    Args:
        reason: What Arrow says.
        file: The file.
        encoding: Its encoding.
        delimiter: Between its columns.
        skipped: Lines at its beginning that Arrow did not read.
    """
    if (found := _ROW_OF_CSV.search(reason)) is None:
        return reason
    row, line = skipped, skipped
    with file.open(encoding=encoding, errors="replace", newline="") as opened:
        for _ in range(skipped):
            opened.readline()
        rows = csv.reader(opened, delimiter=delimiter)
        try:
            for cells in rows:
                row += bool(cells)
                if row == int(found[0]):
                    break
                # A value in quotes may hold line breaks.
                line = skipped + rows.line_num
        except csv.Error:
            return reason
    return _ROW_OF_CSV.sub(str(line + 1), reason, count=1)


def of_json(reason: str, file: Path) -> str:
    """A complaint of Arrow's about a file of a record a line, with the line's number, less one, for its row's.

    Args:
        reason: What Arrow says.
        file: The file.
    """
    changed = _CHANGED.search(reason)
    first: type | None = None
    with file.open(encoding="utf-8-sig", errors="replace") as opened:
        for number, line in enumerate(opened):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except ValueError:
                return _ROW_OF_JSON.sub("", reason) + f" in row {number}"
            value = record.get(changed[1]) if changed and isinstance(record, dict) else None
            if value is not None:
                first = first or _kind(value)
                if _kind(value) is not first:
                    return _ROW_OF_JSON.sub("", reason) + f" in row {number}"
    return reason


def _kind(value: Any) -> type:
    """What Arrow tells apart: numbers are of one kind."""
    return float if type(value) in (int, float) else type(value)
