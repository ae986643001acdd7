"""Append-only journals, one JSON text a line, and small files written whole or not at all.

A process may be killed while it writes a line. Such a torn line is no entry: whoever reads takes it away first, since
what is appended to it would be lost with it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def append(path: Path, entries: Iterable[object]) -> None:
    """Write entries at the end, in one piece."""
    with path.open("a", encoding="utf-8") as file:
        file.write("".join(json.dumps(entry) + "\n" for entry in entries))


def read(path: Path) -> list[dict[str, Any]]:
    """Every entry, oldest first; none if there is no file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in _whole_lines(path.read_bytes()).splitlines()]


def mend(path: Path) -> list[dict[str, Any]]:
    """Take away a torn last line, for whoever goes on writing; returns every entry."""
    if path.exists():
        content = path.read_bytes()
        if len(whole := _whole_lines(content)) < len(content):
            os.truncate(path, len(whole))
    return read(path)


def keep(path: Path, entries: int) -> None:
    """Take away everything after the first ``entries`` entries."""
    lines = path.read_bytes().splitlines(keepends=True)
    os.truncate(path, sum(map(len, lines[:entries])))


def write_whole(path: Path, content: object) -> None:
    """Write a JSON file; a reader sees the old content or the new one, never half of one."""
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.write_text(json.dumps(content, indent=2), encoding="utf-8")
    os.replace(unfinished, path)  # noqa: PTH105 (Path.replace is the same call; this one is known to be atomic)


def read_whole(path: Path) -> Any:
    """What ``write_whole`` wrote; None if there is no file."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _whole_lines(content: bytes) -> bytes:
    return content[: content.rfind(b"\n") + 1]
