"""Columns that are aligned by blanks, as in UCI's tables and what Fortran and pandas print, with one blank each.

A reader of CSV takes each of several blanks for the end of a column.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# What stands in quotes is one cell; tabs may stand among the blanks.
_CELL = re.compile(rb'"[^"]*"|[^ \t"]+')
# Lines that are looked at, as many as tell a file's delimiter.
_LINES = 50


@contextmanager
def narrowed(file: Path, sample: bytes, others: bytes) -> Iterator[Path]:
    """A file whose cells have one blank between them, as long as it is needed: itself, if it is no such file.

    Args:
        file: A CSV file.
        sample: Its first bytes.
        others: Marks that may separate columns instead, beside tabs; none where it is known that blanks do.
    """
    if not _are_aligned(sample, others):
        yield file
        return
    with tempfile.TemporaryDirectory(prefix="search-service-") as folder:
        plain = Path(folder) / "table.csv"
        with file.open("rb") as aligned, plain.open("wb") as to:
            to.writelines(b" ".join(_CELL.findall(line.rstrip(b"\r\n"))) + b"\n" for line in aligned)
        yield plain


def _are_aligned(sample: bytes, others: bytes) -> bool:
    """Whether blanks cut all lines into as many cells, several at once somewhere, and no other mark cuts anything."""
    # The last line may be cut.
    lines = [line.rstrip() for line in (sample.split(b"\n")[:-1] or [sample]) if line.strip()][:_LINES]
    if b"\0" in sample or len(lines) < 2:
        return False
    cells = [_CELL.findall(line) for line in lines]
    counts = {len(found) for found in cells}
    if len(counts) > 1 or counts == {1}:
        return False
    # As many tabs in each line separate columns themselves, unless most columns have none, as in UCI's cars.
    tabs = {line.count(b"\t") for line in lines}
    if others and len(tabs) == 1 and 0 not in tabs and len(cells[0]) <= 2 * (max(tabs) + 1):
        return False
    outside = [b" ".join(cell for cell in found if not cell.startswith(b'"')) for found in cells]
    if any(all(bytes([mark]) in line for line in outside) for mark in others):
        return False
    return any(re.search(rb"^[ \t]|[ \t]{2}", line) for line in lines)
