"""What is installed on this machine, and what it has for training."""

from __future__ import annotations

import importlib.metadata
import platform
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from search_service.cli.installed import EXTRA, PACKAGE, is_client_alone, pip, requirements
from search_service.records.findings import Finding, State
from trainables.machine import usable_cpus

VERSIONS, PROCESSORS, SHARED_MEMORY = "versions", "processors", "shared memory"
# Named in any case; of the others only those that are not as they should be.
_NAMED = (PACKAGE, "torch", "ray", "mlflow", "optuna")
# Is there where the system has NVIDIA's driver.
_DRIVER = Path("/proc/driver/nvidia/version")
_SHARED_MEMORY = Path("/dev/shm")
# Bytes of shared memory below which it is worth a word. Ray holds a study's rows in it, once for all workers: a million
# rows of a hundred columns are 400 MB. Docker gives a container 64 MB unless it is told otherwise.
LEAST_SHARED_MEMORY = 512 * 2**20


def look_at_versions() -> Iterator[Finding]:
    """Versions, and whether they are what the package's own metadata require."""
    try:
        required = requirements()
        python = SpecifierSet(str(importlib.metadata.metadata(PACKAGE).json.get("requires_python") or ""))
    except importlib.metadata.PackageNotFoundError:
        remedy = f"{pip()} -e '.[all]' in the project's folder, or make run there"
        yield Finding(VERSIONS, State.FAILED, f"{PACKAGE} is not installed for {sys.executable}", remedy)
        return
    found = [f"Python {platform.python_version()}"]
    found += [f"{name} {version}" for name in _NAMED if (version := _version(name)) is not None]
    if not python.contains(platform.python_version(), prereleases=True):
        text = f"{found[0]} is not {python}, which {PACKAGE} requires"
        yield Finding(VERSIONS, State.FAILED, text, f"make a virtual environment with a Python {python}")
    wrong = [one for one in required if not _is_met(one)]
    if wrong:
        said = (f"{one.name} {_version(one.name) or 'is missing'} (required: {one.specifier})" for one in wrong)
        remedy = f"{pip()} " + " ".join(shlex.quote(_without_marker(one)) for one in wrong)
        yield Finding(VERSIONS, State.FAILED, f"{', '.join(found)}; not as required: {', '.join(said)}", remedy)
    else:
        yield Finding(VERSIONS, State.OK, f"{', '.join(found)}; all {len(required)} requirements are met")
    if is_client_alone():
        text = "this is the client alone: it submits, follows and fetches, and runs no study"
        yield Finding(VERSIONS, State.OK, f"{text}; {pip()} '{PACKAGE}[{EXTRA}]' does")


def look_at_processors() -> Iterator[Finding]:
    """CPUs that this process may use, and GPUs."""
    import torch

    cpus = usable_cpus()
    found = "1 CPU" if cpus == 1 else f"{cpus} CPUs"
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(one) for one in range(torch.cuda.device_count())]
        yield Finding(PROCESSORS, State.OK, f"{found}; GPU: {', '.join(names)}")
    elif _DRIVER.exists():
        text = f"{found}; there is an NVIDIA driver, and torch {torch.__version__} sees no GPU"
        remedy = "nvidia-smi, and CUDA_VISIBLE_DEVICES; in a container --gpus all; a torch with CUDA (pytorch.org)"
        yield Finding(PROCESSORS, State.WARNING, text, remedy)
    else:
        yield Finding(PROCESSORS, State.OK, f"{found}, no GPU")


def look_at_shared_memory() -> Iterator[Finding]:
    """Whether Ray can hold a table in it."""
    if not _SHARED_MEMORY.is_dir():
        yield Finding(SHARED_MEMORY, State.OK, f"this system has no {_SHARED_MEMORY}; Ray uses files instead")
        return
    usage = shutil.disk_usage(_SHARED_MEMORY)
    text = f"{_SHARED_MEMORY} has {size(usage.total)}, {size(usage.free)} free"
    if usage.free >= LEAST_SHARED_MEMORY:
        yield Finding(SHARED_MEMORY, State.OK, text)
        return
    text += f", less than {size(LEAST_SHARED_MEMORY)}: Ray would hold large tables in files instead, which is slower"
    remedy = "in a container --shm-size=2g (docker) or an emptyDir of medium Memory (Kubernetes)"
    if usage.total >= LEAST_SHARED_MEMORY:
        remedy = f"ls -l {_SHARED_MEMORY}, and remove what processes that are gone have left"
    yield Finding(SHARED_MEMORY, State.WARNING, text, remedy)


def size(number: float) -> str:
    """Bytes for people."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "bytes" or number >= 10 else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TB"


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _is_met(required: Requirement) -> bool:
    version = _version(required.name)
    return version is not None and required.specifier.contains(version, prereleases=True)


def _without_marker(required: Requirement) -> str:
    extras = f"[{','.join(sorted(required.extras))}]" if required.extras else ""
    return f"{required.name}{extras}{required.specifier}"
