"""Whether a cluster is there, before Ray is asked to join it, and how much room it has."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

import ray
from ray._private import services
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from search_service.errors import RunnerError
from search_service.records.round_plan import Resources
from search_service.runners.nodes import differences, versions

# Seconds to wait for a cluster's head to accept a connection.
CONNECT_TIMEOUT_S = 5.0
# Seconds between two looks at the nodes of a cluster: workers come and go.
ROOM_S = 1.0
# Seconds that all nodes may take to say what they have; the first time Ray sends them the packages.
NODES_S = 120.0


class LostRayError(BaseException):
    """A process that Ray needs has died.

    No ``Exception``: at one Tune tidies up before it lets it through, and what it asks of Ray is never answered.
    """


class Room:
    """How many workers a cluster has room for.

    Args:
        resources: What a worker may use.
        may_change: Whether nodes may come and go.
    """

    def __init__(self, resources: Resources, *, may_change: bool) -> None:
        self._resources, self._may_change = resources, may_change
        self._looked_at, self._slots = time.monotonic(), slots_of(resources)

    def __call__(self) -> int:
        """That many, as of a second ago at most."""
        if self._may_change and time.monotonic() > self._looked_at + ROOM_S:
            self._looked_at, self._slots = time.monotonic(), slots_of(self._resources)
        return self._slots


def packages() -> dict[str, Any]:
    """What every process of a study on an existing cluster needs: these two packages, as they are here.

    Ray sends them once and keeps them on the nodes, so nothing has to be installed there but what they import.
    """
    import search_service
    import trainables

    folders = [str(Path(str(module.__file__)).parent) for module in (search_service, trainables)]
    return {"py_modules": folders}


def require_able_nodes() -> None:
    """See to it that every node has what training needs, in the versions of this machine.

    Raises:
        RunnerError: One has not; says which, what, and the fix.
    """
    nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
    ask = ray.remote(versions)
    asked = [
        ask.options(num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote()
        for node in nodes
    ]
    try:
        found = ray.get(asked, timeout=NODES_S)
    except ray.exceptions.GetTimeoutError as error:
        raise RunnerError(f"not every node of the cluster has answered within {NODES_S:g} s") from error
    if wrong := differences(versions(), found):
        raise RunnerError(f"the cluster cannot train: {'; '.join(wrong)}")


def slots_of(resources: Resources) -> int:
    """Workers that a cluster has room for."""
    total = ray.cluster_resources()
    slots = total.get("CPU", 1) // resources.cpus_per_trial
    if resources.gpus_per_trial > 0:
        slots = min(slots, total.get("GPU", 0) // resources.gpus_per_trial)
    return int(slots)


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
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError("an address is auto or host:port")
    socket.create_connection((host, int(port)), timeout=CONNECT_TIMEOUT_S).close()


def require_in_use(address: str) -> None:
    """See to it that a Ray which this process uses already is the one at ``address``.

    By the port alone: one machine has several names and addresses.

    Raises:
        ConnectionError: It is another one.
    """
    if not ray.is_initialized():
        return
    in_use = ray.get_runtime_context().gcs_address
    if in_use.rpartition(":")[2] != address.rpartition(":")[2]:
        raise ConnectionError(
            f"this process uses the one at {in_use} already; end it with ray.shutdown(), or leave the address out"
        )
