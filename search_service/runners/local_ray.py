"""A Ray that is started here: how, and whether the processes that it cannot do without still live.

Ray does not survive its raylet or its GCS. Without the first nothing can be placed any more; without the second its
C++ part ends whatever process uses Ray, after 60 s and without an exception. Whoever notices in time can shut Ray down
and start it again, in the same process.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
from typing import Any

import psutil

# Names of the processes, and what they are called when one is spoken of.
# A raylet without a GCS ends by itself, so that of both the GCS is named.
_VITAL = {"gcs_server": "GCS (its control store)", "raylet": "raylet"}
# Seconds for what is left to be gone after it was killed: the system takes milliseconds.
_GONE_S = 5.0


# Ray's own way to say how much its workers stand back for other processes.
_NICENESS = "RAY_worker_niceness"


def settings() -> dict[str, Any]:
    """Ray's settings: workers stand back for other processes no more than the study does whose trials they train.

    Ray starts them with a niceness of 15: beside any other work they get a thirtieth of a core, while what was measured
    by the driver to plan a study got half of one. Who wants a study to stand back begins it with ``nice``.
    """
    return {} if _NICENESS in os.environ else {"worker_niceness": 0}


class LocalRay:
    """What ``ray.init`` has just started below a process: below this one if none is given."""

    def __init__(self, parent: psutil.Process | None = None) -> None:
        below = (parent or psutil.Process()).children()
        self._vital = {process: _VITAL[name] for process in below if (name := _name(process)) in _VITAL}
        # The raylet's agents, and what else Ray has for its head. Workers end with their raylet; these do not always.
        self._agents = [process for process in below if process not in self._vital and _is_of_ray(process)]
        for process in self._vital:
            with contextlib.suppress(psutil.Error):
                self._agents += process.children(recursive=True)

    @property
    def lost(self) -> str | None:
        """Which process has died, the first of them; None if all is well."""
        dead = {called for process, called in self._vital.items() if not _lives(process)}
        return next((called for called in _VITAL.values() if called in dead), None)

    def end(self) -> None:
        """End what a shutdown without a GCS or a raylet leaves behind."""
        # psutil tells another process of the same number apart by the time at which it began.
        left = [process for process in (*self._vital, *self._agents) if _lives(process)]
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(left, timeout=_GONE_S)


def _name(process: psutil.Process) -> str:
    """Name of the executable; none if the process has ended."""
    try:
        return str(process.name())
    except psutil.Error:
        return ""


def _is_of_ray(process: psutil.Process) -> bool:
    """Whether it runs one of Ray's own programs: its monitors and its dashboard are written in Python."""
    spec = importlib.util.find_spec("ray")
    folder = next(iter(spec.submodule_search_locations or ()), None) if spec is not None else None
    try:
        return folder is not None and any(part.startswith(f"{folder}/") for part in process.cmdline())
    except psutil.Error:
        return False


def _lives(process: psutil.Process) -> bool:
    """Whether it runs; one that has ended and whose end nobody has asked about does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
