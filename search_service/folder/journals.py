r"""Append-only journals, one JSON text a line with its checksum, and small files written whole or not at all.

A process may be killed while it writes a line, a disk may be full in the middle of one. Such a torn line is no entry:
whoever writes takes it away, since what is appended to it would be lost with it. What else is wrong with a line (a bit
that changed, a hand that edited it) its checksum tells; what can be made again is dropped (``rebuild``), anything else
is named with file, line and what to do. Nothing that is read is ever guessed at.

>>> import tempfile
>>> path = Path(tempfile.mkdtemp()) / "told.jsonl"
>>> append(path, [{"trial": "r1-000"}])
>>> path.read_text()
'{"trial": "r1-000", "crc": "d4af3f89"}\n'
>>> read(path)
[{'trial': 'r1-000'}]
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from search_service.errors import DamagedFileError

# At the end of a line: CRC-32 of what stands before it. Lines of older versions have none, and are taken as they are.
_CHECKSUM = re.compile(rb', "crc": "([0-9a-f]{8})"\}$')

_log = logging.getLogger(__name__)


def append(path: Path, entries: Iterable[object], *, durable: bool = False) -> None:
    """Write entries at the end, all of them or none.

    Args:
        path: The journal, which is made if need be.
        entries: JSON objects that are not empty.
        durable: Whether they are to survive a power cut from now on, and not only the end of this process.

    Raises:
        OSError: The disk is full, or broke; the journal is as it was.
    """
    content = memoryview(b"".join(map(_line, entries)))
    # Without a buffer: what could not be written must not be written later.
    with path.open("ab", buffering=0) as file:
        before = file.tell()
        try:
            while content:
                content = content[file.write(content) :]
            if durable:
                os.fdatasync(file.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                os.truncate(path, before)
            raise


def read(path: Path) -> list[dict[str, Any]]:
    """Every entry, oldest first; none if there is no file.

    Raises:
        DamagedFileError: A line that is not the last one is no entry.
    """
    return list(_entries(path, rebuild=False)) if path.exists() else []


def mend(path: Path, *, rebuild: bool = False) -> list[dict[str, Any]]:
    """Take away a torn last line, for whoever goes on writing; returns every entry.

    Args:
        path: The journal.
        rebuild: Whether whoever asks can make a lost entry again: then damaged lines are taken away, too, and noted in
            the log. Others keep the places that they have in the file.

    Raises:
        DamagedFileError: A line is damaged, and cannot be made again.
    """
    if not path.exists():
        return []
    content = path.read_bytes()
    if len(whole := _whole_lines(content)) < len(content):
        os.truncate(path, len(whole))
    return list(_entries(path, rebuild=rebuild))


def keep(path: Path, entries: int) -> None:
    """Take away everything after the first ``entries`` entries."""
    end, left = 0, entries
    for line in path.read_bytes().splitlines(keepends=True):
        if left == 0:
            break
        left -= bool(line.strip())
        end += len(line)
    os.truncate(path, end)


def entries_of(lines: bytes) -> list[dict[str, Any]]:
    """Entries of whole lines, as somebody reads them who follows a journal.

    Raises:
        ValueError: A line is damaged.
    """
    return [_entry(line) for line in lines.splitlines() if line.strip()]


def write_whole(path: Path, content: object, *, durable: bool = True) -> None:
    """Write a JSON file; a reader sees the old content or the new one, never half of one.

    Args:
        path: The file.
        content: What the file is to hold, as plain data.
        durable: Whether that holds after a power cut, too.

    Raises:
        OSError: The disk is full, or broke; the old content is still there.
    """
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        with unfinished.open("w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    if durable:
        _sync_folder(path.parent)


def read_whole(path: Path, *, remedy: str = "", rebuild: bool = False) -> Any:
    """What ``write_whole`` wrote; None if there is no file.

    Args:
        path: The file.
        remedy: What a person can do if it is damaged.
        rebuild: Whether whoever asks can make it again: then a damaged file is as none, and noted in the log.

    Raises:
        DamagedFileError: It is no JSON, as after a power cut on a disk that lies, or by hand.
    """
    if not path.exists():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        damaged = DamagedFileError(path, f"is no JSON ({error})", remedy or _FROM_BACKUP)
        if not rebuild:
            raise damaged from error
        _log.warning("%s It is made again.", damaged)
        return None


_FROM_BACKUP = "bring it back from a backup"


def _line(entry: object) -> bytes:
    body = json.dumps(entry).encode()
    return body[:-1] + b', "crc": "%08x"}\n' % zlib.crc32(body)


def _entry(line: bytes) -> dict[str, Any]:
    """What a line says.

    Raises:
        ValueError: It is damaged.
    """
    if (found := _CHECKSUM.search(line)) is not None:
        line = line[: found.start()] + b"}"
        if zlib.crc32(line) != int(found[1], 16):
            raise ValueError("its checksum is another one")
    entry = json.loads(line)
    if not isinstance(entry, dict) or "crc" in entry:
        raise ValueError("it is no entry")
    return entry


def _entries(path: Path, *, rebuild: bool) -> Iterable[dict[str, Any]]:
    at = 0
    for number, line in enumerate(_whole_lines(path.read_bytes()).splitlines(keepends=True), start=1):
        if line.strip():
            try:
                yield _entry(line.rstrip(b"\n"))
            except ValueError as error:
                again = (
                    f"bring it back from a backup, or remove {path.parent} and what came after it: that is done again"
                )
                damaged = DamagedFileError(path, f"line {number}: {error}", again)
                if not rebuild:
                    raise damaged from error
                _log.warning("%s It is made again.", damaged)
                _blank(path, at, len(line) - 1)
        at += len(line)


def _blank(path: Path, at: int, length: int) -> None:
    """Make a line blank, so that whoever follows the file by its bytes finds the others where they were."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b" " * length)


def _whole_lines(content: bytes) -> bytes:
    """Without a torn last line, and without the zeros that a power cut may leave at the end of a file."""
    content = content[: content.rfind(b"\n") + 1]
    while content.endswith(b"\0\n") and not content[content[:-1].rfind(b"\n") + 1 :].strip(b"\0\n"):
        content = content[: content[:-1].rfind(b"\n") + 1]
    return content


def _sync_folder(folder: Path) -> None:
    """Make a renaming survive a power cut, where the system lets a folder be synchronised."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
