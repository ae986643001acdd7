"""How a Ray is started here or joined: again where it was too slow for itself, and without what nobody would use."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import ray
from ray._private.node import Node

from search_service.runners import local_ray
from search_service.runners.local_ray import LocalRay
from search_service.runners.ray_tune.cluster import packages
from trainables.machine import usable_cpus

_log = logging.getLogger(__name__)
# Times that a start is tried which Ray itself finds too slow, and what it says then (ray/_private/node.py).
MOST_STARTS = 4
_TOO_SLOW = "timed out during startup"
# What a node starts in Python beside its own processes: the autoscaler's monitor, which has no machines to ask for; the
# reader of workers' logs, whose lines nobody hears (``log_to_driver=False``); and what the dashboard is without its
# pages (``include_dashboard=False``), which sends figures of usage to Ray's authors.
_UNUSED = ("start_monitor", "start_log_monitor", "start_api_server")


def start(address: str | None, num_cpus: int | None) -> None:
    """Start Ray here, or join the cluster; here again where it was too slow for itself.

    It gives up after 30 s, which on a machine with more to do than it has cores its processes need to start.

    Args:
        address: Of the cluster; ``None`` starts one here.
        num_cpus: CPUs of a Ray that is started here; default: all that this process may use.
    """
    if address is not None:
        ray.init(
            address=address,
            logging_level="error",
            log_to_driver=False,
            runtime_env=packages(),
        )
        return
    for starts_left in reversed(range(MOST_STARTS)):
        try:
            _start_here(num_cpus)
        # Ray raises bare exceptions; this one has no class of its own either.
        except Exception as error:
            if not starts_left or _TOO_SLOW not in str(error):
                raise
            _log.warning("Ray has not started within its half a minute, as on a busy machine. It is tried again.")
            LocalRay().end()
            ray.shutdown()
        else:
            return


def _start_here(num_cpus: int | None) -> None:
    with _without_unused_programs():
        ray.init(
            address="local",
            # Ray itself heeds a container's limits, and not which processors this process may use.
            num_cpus=num_cpus or usable_cpus(),
            include_dashboard=False,
            logging_level="error",
            log_to_driver=False,
            _system_config=local_ray.settings(),
        )


@contextlib.contextmanager
def _without_unused_programs() -> Iterator[None]:
    """A Ray that is started within has only the processes that trials need.

    There is no public way to say so, and pyproject.toml keeps Ray to one minor version. Each of the programs imports
    Ray first: together they were half of the processor's time of a start.
    """
    own = {method: getattr(Node, method) for method in _UNUSED}
    for method in own:
        setattr(Node, method, lambda node, **options: None)
    try:
        yield
    finally:
        for method, started in own.items():
            setattr(Node, method, started)
