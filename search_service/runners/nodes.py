"""Whether the nodes of a cluster can train: the versions that they have of what training needs.

Imported on the nodes themselves before anything else of this package, so it needs nothing but Python.
"""

from __future__ import annotations

import importlib.metadata
import platform
import socket
from collections.abc import Mapping, Sequence

# What a worker imports beside this package, by the names of the distributions.
NEEDED = ("torch", "numpy", "pandas", "pydantic", "scikit-learn", "threadpoolctl")
# Where one is missing.
MISSING = "none"


def versions() -> dict[str, str]:
    """This process's host, Python, and version of each; ``none`` for one that is missing."""
    found = {"host": socket.gethostname(), "Python": platform.python_version()}
    for name in NEEDED:
        try:
            found[name] = importlib.metadata.version(name).partition("+")[0]
        except importlib.metadata.PackageNotFoundError:
            found[name] = MISSING
    return found


def differences(here: Mapping[str, str], nodes: Sequence[Mapping[str, str]]) -> list[str]:
    """What of the nodes is not as here, a sentence each, with the fix.

    Args:
        here: ``versions()`` of the driver.
        nodes: Of each node.
    """
    sentences = []
    for name in ("Python", *NEEDED):
        others: dict[str, list[str]] = {}
        for node in nodes:
            if not _alike(name, here[name], node[name]):
                others.setdefault(node[name], []).append(node["host"])
        for version, hosts in sorted(others.items()):
            where = ", ".join(sorted(set(hosts))[:3]) + (" and others" if len(set(hosts)) > 3 else "")
            has = f"no {name}" if version == MISSING else f"{name} {version}"
            wanted = f"Python {here[name]}" if name == "Python" else f"{name}=={here[name]}"
            sentences.append(f"{where}: {has}, and {here[name]} on this machine; install {wanted} there")
    return sentences


def _alike(name: str, one: str, other: str) -> bool:
    """Whether two versions go together. Of Python, major and minor say whether pickles of functions are read."""
    if name == "Python":
        return one.split(".")[:2] == other.split(".")[:2]
    return one == other
