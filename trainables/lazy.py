"""Public names of a package, imported when they are asked for: torch, Ray and MLflow take seconds to import."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def attach(package: str, homes: Mapping[str, Sequence[str]]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The ``__getattr__`` and ``__dir__`` of a package whose public names live in its modules (PEP 562).

    Args:
        package: Its ``__name__``.
        homes: Names by the module of the package in which they are, such as ``{"client": ("Client",)}``.
    """
    modules = {name: f"{package}.{module}" for module, names in homes.items() for name in names}

    def get(name: str) -> Any:
        if name in modules:
            try:
                return getattr(importlib.import_module(modules[name]), name)
            except ModuleNotFoundError as error:
                if error.name and importlib.util.find_spec(error.name.partition(".")[0]) is None:
                    error.add_note(f"{package}.{name} needs more than the client: pip install 'search-service[all]'")
                raise
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def listed() -> list[str]:
        return sorted(sys.modules[package].__all__)

    return get, listed
