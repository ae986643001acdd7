"""How large a table may be that somebody else's config names: rows × columns, columns, and bytes once unpacked.

A file of a megabyte can hold a table of gigabytes, so a table's size is read off its header (``formats.py``) before
anything of it is unpacked. Without limits, as on the command line, any table may be read: ``limited`` sets them for
what is done within it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from trainables.errors import DataError, Problem


@dataclass(frozen=True)
class Limits:
    """What a table may have at most.

    Attributes:
        cells: Rows × columns. One takes up to 70 bytes while it is read, checked and prepared.
        columns: Each is looked at by itself, which takes about a millisecond.
        unpacked_mb: Megabytes of its values.
    """

    cells: int
    columns: int
    unpacked_mb: int


_limits: ContextVar[Limits | None] = ContextVar("limits", default=None)


@contextmanager
def limited(limits: Limits) -> Iterator[None]:
    """Read no larger tables within the block."""
    token = _limits.set(limits)
    try:
        yield
    finally:
        _limits.reset(token)


def require(path: str, shown: str, *, rows: int = 0, columns: int = 0, unpacked_bytes: int = 0) -> None:
    """Refuse a table that is too large, by what is known of it so far.

    Args:
        path: Config key, for messages.
        shown: What the table is called, for messages.
        rows: The table's rows.
        columns: The table's columns.
        unpacked_bytes: Bytes of its values in memory.

    Raises:
        DataError: It is too large; says by what, and what the limit is.
    """
    limits = _limits.get()
    if limits is None:
        return
    megabytes = unpacked_bytes / 2**20
    if columns > limits.columns:
        rule, found = f"a table of at most {limits.columns:,} columns", f"it has {columns:,}"
    elif rows * columns > limits.cells:
        rule, found = f"a table of at most {limits.cells:,} values", f"it has {rows:,} rows of {columns:,} columns"
    elif megabytes > limits.unpacked_mb:
        rule, found = f"a table of at most {limits.unpacked_mb:,} MB when unpacked", f"it has {megabytes:,.0f} MB"
    else:
        return
    raise DataError([Problem(path, shown, rule, f"{found}: take fewer rows or columns, or ask the operator for more")])
