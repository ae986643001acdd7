"""What to train next, where, and what we learnt: a hyperparameter search that follows the six-step recipe.

Begin with ``study.py``, which reads like the recipe itself; docs/architecture.md has the map.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search_service.client import Client

__version__ = "0.1.0"
__all__ = ["Client", "__version__"]


def __getattr__(name: str) -> Any:
    # Only who wants a client waits for what it imports.
    if name == "Client":
        from search_service.client import Client

        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
