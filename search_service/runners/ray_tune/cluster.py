"""Whether a cluster is there, before Ray is asked to join it."""

from __future__ import annotations

import socket

import ray
from ray._private import services

from search_service.errors import RunnerError

# Seconds to wait for a cluster's head to accept a connection.
CONNECT_TIMEOUT_S = 5.0


def head_of(address: str) -> str:
    """Where the head of a cluster listens, which has just accepted a connection; nothing is started or joined.

    Args:
        address: ``auto`` or ``host:port``.

    Raises:
        RunnerError: Nobody answers there, or there is no cluster to be found.
    """
    found: str | None = address
    try:
        if address == "auto":
            found = services.canonicalize_bootstrap_address("auto")
        if found is None:
            raise ConnectionError("no cluster is running here")
        require_listener(found)
    except (OSError, ValueError) as error:
        where = "" if found in (None, address) else f"{found}: "
        raise RunnerError(f"{where}{error}") from error
    return found


def require_listener(address: str) -> None:
    """Fail at once where nobody listens: Ray itself tries for minutes and may end the process.

    Raises:
        OSError: Nobody answers there.
        ValueError: It is no ``host:port``.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        raise ValueError("an address is auto or host:port")
    socket.create_connection((host, int(port)), timeout=CONNECT_TIMEOUT_S).close()


def require_in_use(address: str) -> None:
    """See to it that a Ray which this process uses already is the one at ``address``.

    By the port alone: one machine has several names and addresses.

    Raises:
        ConnectionError: It is another one.
    """
    if not ray.is_initialized() or address.startswith("ray://"):
        return
    in_use = ray.get_runtime_context().gcs_address
    if in_use.rpartition(":")[2] != address.rpartition(":")[2]:
        raise ConnectionError(
            f"this process uses the one at {in_use} already; end it with ray.shutdown(), or leave the address out"
        )
