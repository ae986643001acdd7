"""What this process may use of its machine: processors and memory, by its affinity and by its container's limits.

A container sees all processors and all memory of its host. What it may use of them stands in its control group
(cgroup), of version 2 or 1: https://docs.kernel.org/admin-guide/cgroup-v2.html.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")
# What the smallest machine that is likely to be used has, where the system does not say what there is.
_LEAST_MEMORY_BYTES = 4 * 2**30


def usable_cpus(cgroups: Path = CGROUPS) -> int:
    """Processors, at least one: of a quota of one and a half, one.

    Args:
        cgroups: Where the system shows control groups.
    """
    # Those that this process may use, where the system can say it.
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [quota for group in _groups(cgroups, "cpu") if (quota := _quota(group)) is not None]
    return max(1, min([cpus, *map(math.floor, quotas)]))


def usable_memory_bytes(cgroups: Path = CGROUPS) -> int:
    """Main memory, whoever uses it now.

    Args:
        cgroups: As above.
    """
    total = _LEAST_MEMORY_BYTES
    if hasattr(os, "sysconf"):
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    files = (group / name for group in _groups(cgroups, "memory") for name in ("memory.max", "memory.limit_in_bytes"))
    limits = [limit for file in files if (limit := _number(_text(file))) is not None]
    return int(min([total, *limits]))


def _groups(cgroups: Path, controller: str) -> Iterator[Path]:
    """The folders of this process's control group and of those that it is part of, all of which limit it."""
    for root in (cgroups, cgroups / controller):
        yield root
        for line in _text(_OWN_CGROUP).splitlines():
            _, controllers, own = line.split(":", 2)
            if controllers == "" or controller in controllers.split(","):
                parts = Path(own.lstrip("/")).parts
                yield from (root.joinpath(*parts[:end]) for end in range(1, len(parts) + 1))


def _quota(group: Path) -> float | None:
    """Processors that a group may use at once; None for all."""
    if text := _text(group / "cpu.max"):
        quota, period = (_number(part) for part in text.split())
    else:
        quota, period = _number(_text(group / "cpu.cfs_quota_us")), _number(_text(group / "cpu.cfs_period_us"))
    # Version 1 writes -1 where there is no limit, and version 2 a word.
    return quota / period if quota is not None and period and quota > 0 else None


def _text(file: Path) -> str:
    """A file's text; empty if it is not there or nobody may read it."""
    try:
        return file.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _number(text: str) -> float | None:
    return float(text) if text.removeprefix("-").isdecimal() else None
