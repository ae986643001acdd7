r"""Quotation marks within the values of a CSV file: doubled, as the format has it, or behind a backslash.

Spark and MySQL write ``"say \"hi\""``, which a reader of the format takes for ``say \hi\""``, or cuts at a comma.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# A cell that is quoted, and a mark behind a backslash in it that does not end it.
_ESCAPED = re.compile(rb'(?:^|[,;\t|\n])"[^"\n]*(?<!\\)(?:\\\\)*\\"[^,;\t|\r\n"]')
_MARK = re.compile(rb'(\\+)"')


@contextmanager
def doubled(file: Path, sample: bytes) -> Iterator[Path]:
    """A file whose values have their quotation marks doubled, as long as it is needed: itself, or another.

    Args:
        file: A CSV file.
        sample: Its first bytes.
    """
    if not _ESCAPED.search(sample):
        yield file
        return
    with tempfile.TemporaryDirectory(prefix="search-service-") as folder:
        plain = Path(folder) / "table.csv"
        with file.open("rb") as escaped, plain.open("wb") as to:
            to.writelines(_MARK.sub(_doubled, line) for line in escaped)
        yield plain


def _doubled(found: re.Match[bytes]) -> bytes:
    """Of two backslashes one is a value's own; one that is left over says that the mark behind it is."""
    own, is_value = divmod(len(found[1]), 2)
    return b"\\" * own + (b'""' if is_value else b'"')
