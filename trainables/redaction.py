"""What of an address others may see: neither a user's name and password nor a query or fragment, which may be secrets.

``shown`` is for an address, ``redact`` for a text that may hold some, such as a library's error. Whatever is recorded,
printed, answered or raised goes through one of them; ``trainables.errors`` and ``search_service.errors`` see to the
last.

>>> shown("https://alice:hunter2@data.org/t.csv?sig=abc#x")
'https://data.org/t.csv'
>>> redact("401: url='https://data.org/t.csv?sig=abc' refused")
"401: url='https://data.org/t.csv' refused"
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

# Stands where something was taken out.
HIDDEN = "…"
# Shorter ones stand in every text by chance, and would be taken out of words.
LEAST_SECRET_LENGTH = 4
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://[^\s'\"<>`]+")
# The query of a path without its host, as HTTP libraries name what they could not fetch.
_QUERY = re.compile(r"(?<=[\w/.%~\-])\?[\w.~%\-]+=[^\s'\"<>`)]*")
# What may end a sentence or stand around an address, and belongs to the text.
_AFTER = ".,;:)]}"
# Addresses of files of this machine: what looks like a query in one is a letter of a name.
_LOCAL = ("sqlite://", "file://")


def shown(address: str) -> str:
    """An address as messages and records may show it; a path is no address and stays as it is."""
    scheme, mark, rest = address.partition("://")
    if not mark:
        return address
    if "::" in scheme:
        return redact(address)
    if f"{scheme}://".lower() in _LOCAL:
        return address
    authority, tail = _divided(rest)
    if not _is_place(authority.rpartition("@")[2]):
        # A password with a slash or a question mark in it: all up to the last @ is somebody's name and password.
        before, at, after = rest.rpartition("@")
        authority, tail = _divided(after) if at and before else (HIDDEN, "")
    place = authority.rpartition("@")[2]
    return f"{scheme}://{place}{re.split('[?#]', tail, maxsplit=1)[0]}"


def _divided(rest: str) -> tuple[str, str]:
    """What names the host, and what follows it."""
    found = re.search(r"[/?#\\]", rest)
    return (rest, "") if found is None else (rest[: found.start()], rest[found.start() :])


def _is_place(host: str) -> bool:
    """Whether a text is a host with or without a port."""
    name, colon, port = host.rpartition(":")
    return not colon or "]" in port or not port or (port.isdecimal() and ":" not in name.partition("]")[2])


def redact(text: str, *known: str) -> str:
    """A text with every address in it as ``shown``.

    Args:
        text: Such as the message of an error.
        known: Addresses that it may be about: what is secret in these is taken out wherever it stands.
    """
    for address in sorted(known, key=len, reverse=True):
        text = text.replace(address, shown(address))
        for secret in secrets_of(address):
            text = text.replace(secret, HIDDEN)
    return _QUERY.sub("", _ADDRESS.sub(_shown_in_text, text))


def _shown_in_text(found: re.Match[str]) -> str:
    address = found[0].rstrip(_AFTER)
    return shown(address) + found[0][len(address) :]


def secrets_of(address: str) -> tuple[str, ...]:
    """The parts of an address that are nobody's business, long ones first; none if it has none."""
    found = {part for part in _parts(address) if len(part) >= LEAST_SECRET_LENGTH}
    return tuple(sorted(found, key=len, reverse=True))


def _parts(address: str) -> Iterator[str]:
    try:
        parts = urlsplit(address)
        given = (parts.password, parts.query, parts.fragment, *(p.partition("=")[2] for p in parts.query.split("&")))
    except ValueError:
        return
    for part in given:
        if part and parts.scheme:
            yield part
            yield unquote(part)


def login_of(address: str) -> tuple[str, str, str]:
    """A web address without a user's name and password, and the two; empty where it has none.

    >>> login_of("https://bob:p%40ss@mlflow.org/base")
    ('https://mlflow.org/base', 'bob', 'p@ss')
    """
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or "@" not in parts.netloc:
        return address, "", ""
    login, _, place = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    return parts._replace(netloc=place).geturl(), unquote(user), unquote(password)


def has_secret(address: str) -> bool:
    """Whether something of an address is not shown."""
    return shown(address) != address


def guard_process() -> None:
    """See to it that nothing secret of an address leaves this process by a log or by a traceback that nobody caught."""
    logging.setLogRecordFactory(_log_record)
    sys.excepthook = _say_uncaught
    threading.excepthook = lambda of: _say_uncaught(of.exc_type, of.exc_value, of.exc_traceback)


def _log_record(*arguments: Any, **options: Any) -> logging.LogRecord:
    record = logging.LogRecord(*arguments, **options)
    if not record.args:
        record.msg = redact(str(record.msg))
    elif isinstance(record.args, tuple):
        # Not the template, which may put an address together of parts (%s://%s:%d).
        record.args = tuple(redact(str(one)) if isinstance(one, str | Exception) else one for one in record.args)
    if record.exc_info and record.exc_info[0] is not None:
        # A formatter takes this text instead of making one.
        record.exc_text = redact("".join(traceback.format_exception(*record.exc_info)).rstrip())
    return record


def _say_uncaught(kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
    if kind is not None and not issubclass(kind, SystemExit):
        sys.stderr.write(redact("".join(traceback.format_exception(kind, error, at))))
