"""What is installed: the client alone, or all that studies and a service need.

The client is what ``pip install search-service`` brings, in seconds; torch, Ray and MLflow come with the extra ``all``.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shlex
import sys

from packaging.requirements import Requirement

from trainables.errors import Problem

PACKAGE = "search-service"
EXTRA = "all"
# Modules that are called otherwise than what brings them.
_MODULES = ("sklearn", "yaml")
# Without it no study can run here; who has it wants the rest, too.
_TELLING = "torch"


def is_client_alone() -> bool:
    """Whether there is nothing here that could run a study."""
    return importlib.util.find_spec(_TELLING) is None


def requirements() -> list[Requirement]:
    """What has to be there: of the client alone what that needs, else everything.

    Raises:
        importlib.metadata.PackageNotFoundError: The package itself is not installed.
    """
    listed = map(Requirement, importlib.metadata.requires(PACKAGE) or [])
    extras = ("",) if is_client_alone() else ("", EXTRA)
    return [
        one for one in listed if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in extras)
    ]


def pip() -> str:
    """How the Python that runs this is given packages."""
    return f"{shlex.quote(sys.executable)} -m pip install"


def what_is_missing(error: ModuleNotFoundError) -> Problem | None:
    """What to do about a module that is not there; None where it is there, or is none that the package brings."""
    module = (error.name or "").partition(".")[0]
    if not module or importlib.util.find_spec(module) is not None:
        return None
    rule = "an installation that can do this; the client alone submits, follows and fetches"
    if not is_client_alone():
        if module not in _MODULES and module not in {one.name.replace("-", "_") for one in requirements()}:
            # Of a sampler or a runner of somebody's own: where it was looked for tells more.
            return None
        rule = "all that the package requires; search-service doctor lists what is missing"
    return Problem("installation", f"no {module}", rule, f"{pip()} '{PACKAGE}[{EXTRA}]'")
