"""Where a table lies: a path, or a URL that fsspec can fetch; as a file or folder on this machine.

URLs are fetched whole into a temporary folder that lives as long as the reading, so that every format has one reader
for local files. Credentials are those of the environment, as each protocol's own library finds them.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies

from trainables.errors import DataError, Problem
from trainables.redaction import redact, shown

# Tables by name (named_sets.py).
BUNDLED = ("breast_cancer", "diabetes", "digits", "wine")
OPENML = "openml:"
# What may be fetched. Others that fsspec knows (local, reference, zip, chains with ::) lead back to files of this
# machine, past the rule which folders may be read.
PROTOCOLS = ("http", "https", "s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "hf", "ftp", "sftp", "memory")
# The package that a protocol needs, where it is not one of ours.
PACKAGES = {
    "s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs", "abfss": "adlfs",
    "adl": "adlfs", "hf": "huggingface_hub", "sftp": "paramiko",
}  # fmt: skip
# What somebody else's config may fetch: bytes, and seconds in all.
MOST_FETCHED_BYTES, FETCH_TIMEOUT_S = 2 * 2**30, 1_800
# IPv6 for IPv4 by translation (NAT64, 6to4), and the site-local addresses of old.
_TRANSLATED = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "fec0::/10")))

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Seconds for a server to accept a connection, and to send the next bytes.
CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 10, 60


def is_url(source: str) -> bool:
    """Whether ``source`` is a URL and no path of this machine."""
    return "://" in source or "::" in source


def is_unknown_word(source: str) -> bool:
    """Whether ``source`` is a single word and nothing of that name is here: more likely a bundled set, misspelt."""
    return not any(mark in source for mark in "./\\:") and not Path(source).exists()


@contextmanager
def local(source: str, path: str, *, public_only: bool = False) -> Iterator[Path]:
    """The file or folder of ``source`` on this machine.

    Args:
        source: A path or URL.
        path: Config key, for messages.
        public_only: Whether a web address that only this network reaches is refused, also when another leads to it.

    Raises:
        DataError: There is none, or it cannot be fetched.
    """
    if not is_url(source):
        file = Path(source)
        if not file.exists():
            fix = f"check the path; it was looked for at {file.absolute()}"
            raise DataError([Problem(path, source, "an existing file or folder", fix)])
        yield file
        return
    with tempfile.TemporaryDirectory(prefix="search-service-") as folder:
        yield _fetch(source, Path(folder), path, public_only=public_only)


def _fetch(url: str, folder: Path, path: str, *, public_only: bool) -> Path:
    name = shown(url)
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise DataError([Problem(path, name, "an address", f"mend it: {redact(str(error), url)}")]) from error
    if parts.scheme not in PROTOCOLS or "::" in url:
        rule = f"a path, or a URL of {', '.join(PROTOCOLS)}"
        raise DataError([Problem(path, name, rule, "use one of these, or copy the file to this machine")])
    import fsspec
    from fsspec.callbacks import DEFAULT_CALLBACK

    target = folder / (PurePosixPath(parts.path).name or "table")
    try:
        filesystem, place = fsspec.core.url_to_fs(url, **_options(parts.scheme, public_only=public_only))
        # Over HTTP there are no folders: fsspec would take a page with links for one.
        if not parts.scheme.startswith("http") and filesystem.isdir(place):
            filesystem.get(place, str(target), recursive=True)
        else:
            # Not get: it would take the ? of a query for a pattern.
            filesystem.get_file(place, str(target), callback=_limit() if public_only else DEFAULT_CALLBACK)
    except ImportError as error:
        package = PACKAGES.get(parts.scheme, "")
        rule, fix = f"a protocol that is installed ({error})", f"pip install {package}" if package else "install it"
        raise DataError([Problem(path, name, rule, fix)]) from error
    # Each protocol has a library of its own with errors of its own.
    except Exception as error:
        reason = redact((str(error).splitlines() or [""])[0], url) or type(error).__name__
        rule = "an address that answers with a file"
        fix = f"check the address, the network and the credentials: {type(error).__name__}: {reason}"
        raise DataError([Problem(path, name, rule, fix)]) from error
    if not target.exists():
        raise DataError([Problem(path, name, "an address that answers with a file", "nothing lies there: check it")])
    return target


def _options(scheme: str, *, public_only: bool) -> dict[str, Any]:
    """What a protocol needs to be told so that it fails in time."""
    if scheme in ("http", "https"):
        import aiohttp

        total = FETCH_TIMEOUT_S if public_only else None
        timeout = aiohttp.ClientTimeout(total=total, sock_connect=CONNECT_TIMEOUT_S, sock_read=READ_TIMEOUT_S)
        options: dict[str, Any] = {"client_kwargs": {"timeout": timeout, "trust_env": True}}
        if public_only:
            options |= {"get_client": _public_client, "skip_instance_cache": True}
        return options
    if scheme in ("ftp", "sftp"):
        return {"timeout": CONNECT_TIMEOUT_S}
    return {}


def _limit() -> Any:
    """Ends a fetch that is too large."""
    from fsspec.callbacks import Callback

    class Limit(Callback):
        """Counts what has come."""

        def call(self, *arguments: Any, **options: Any) -> None:
            """Called after each piece."""
            if self.value > MOST_FETCHED_BYTES:
                raise ValueError(f"it has more than {MOST_FETCHED_BYTES // 2**30} GB")

    return Limit()


async def _public_client(**options: Any) -> Any:
    """A client that connects to addresses of the internet only.

    The address is looked at when the connection is made: a name may lead anywhere, and an answer to another name.
    """
    import aiohttp

    proxies = _proxy_addresses()

    def connect(address: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, place = address
        host = ipaddress.ip_address(place[0].partition("%")[0])
        if host not in proxies and not _is_public(host):
            raise OSError(errno.EACCES, f"{host} is an address of a private network, which may not be read from")
        return socket.socket(family=family, type=kind, proto=protocol)

    options.pop("loop", None)
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(socket_factory=connect), **options)


def _is_public(host: Address) -> bool:
    """Whether an address is one of the internet; those that stand for another, which may be anything, are none."""
    return host.is_global and not host.is_multicast and not any(host in network for network in _TRANSLATED)


def _proxy_addresses() -> frozenset[Address]:
    """Addresses of the proxies that the environment names: we may go there, and they decide what else is reached."""
    found = set()
    for protocol, proxy in getproxies().items():
        if protocol == "no":
            # Hosts that need none.
            continue
        with contextlib.suppress(OSError, ValueError):
            parts = urlsplit(proxy if "://" in proxy else f"//{proxy}")
            found |= {str(place[4][0]).partition("%")[0] for place in socket.getaddrinfo(parts.hostname, parts.port)}
    return frozenset(ipaddress.ip_address(address) for address in found)


def is_public_only(source: str, allowed: Sequence[str]) -> bool:
    """Whether a URL is permitted by its protocol alone (``https://``), and not by a prefix that names its host.

    >>> is_public_only("https://a.org/t.csv", ["https://"]), is_public_only("https://a.org/t.csv", ["https://a.org/"])
    (True, False)
    """
    return is_url(source) and not any(
        _begins_with(source, prefix) for prefix in allowed if is_url(prefix) and not prefix.endswith("://")
    )


def _begins_with(source: str, prefix: str) -> bool:
    """Whether a prefix permits a source: where it ends with a host, it is that host and not one that begins like it."""
    if not source.startswith(prefix):
        return False
    ends_with_host = "://" in prefix and not prefix.endswith("/") and "/" not in prefix.partition("://")[2]
    return not ends_with_host or source[len(prefix) :][:1] in ("", "/", "?")


def require_allowed(given: Mapping[str, str], allowed: Sequence[str]) -> None:
    """Refuse sources outside the folders and addresses that may be read; links are followed first.

    Args:
        given: Sources by config key.
        allowed: Folders, and prefixes of URLs (``s3://bucket/tables/``, ``openml:``).

    Raises:
        DataError: With all that are refused.
    """
    problems = []
    for path, source in given.items():
        if "\0" in source:
            problems.append(Problem(path, source, "a path or address without a NUL", "take it out"))
            continue
        # A word that is nothing here is refused when it is looked for, as the misspelt name of a set.
        if source in BUNDLED or is_unknown_word(source):
            continue
        if is_url(source) or source.startswith(OPENML):
            # Two dots would lead out of what a prefix permits.
            upwards = ".." in unquote(source).split("/")
            fine = not upwards and any(
                _begins_with(source, prefix) for prefix in allowed if is_url(prefix) or prefix == OPENML
            )
        else:
            folders = [Path(folder).resolve() for folder in allowed if not is_url(folder) and folder != OPENML]
            place = Path(source).resolve()
            # A link within a folder of Parquet files may lead out of it.
            places = [place, *(inner.resolve() for inner in place.rglob("*"))] if place.is_dir() else [place]
            fine = all(any(one.is_relative_to(folder) for folder in folders) for one in places)
        if not fine:
            rule = f"a table within {', '.join(allowed) or 'nothing: no folder is permitted'}"
            fix = "move the table there, or ask the operator to permit its place (SEARCH_SERVICE_DATA_FOLDERS)"
            problems.append(Problem(path, shown(source), rule, fix))
    if problems:
        raise DataError(problems)
