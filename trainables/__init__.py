"""How networks learn: populations of multilayer perceptrons, their data, and what can be measured on them.

Everything trained here is a population: K networks of one shape whose parameters carry a leading axis K.
This package knows torch and the table libraries (in ``data/``), and nothing of Ray, MLflow, Optuna or the
search service. Axes are named K (population), B (batch), D (features), H (units of a layer), C (outputs),
P (parameters of one network) throughout.

What ``__all__`` names is the public surface; everything else may move.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainables.config import TrialConfig
    from trainables.data.config import DataConfig
    from trainables.data.dataset import Dataset, load
    from trainables.errors import DataError
    from trainables.metrics import METRICS
    from trainables.model import TableModel
    from trainables.training import PopulationTraining

__all__ = [
    "METRICS",
    "DataConfig",
    "DataError",
    "Dataset",
    "PopulationTraining",
    "TableModel",
    "TrialConfig",
    "load",
]
# Where each is: imported when it is asked for, since torch takes seconds.
_MODULES = {
    "METRICS": "trainables.metrics",
    "DataConfig": "trainables.data.config",
    "DataError": "trainables.errors",
    "Dataset": "trainables.data.dataset",
    "PopulationTraining": "trainables.training",
    "TableModel": "trainables.model",
    "TrialConfig": "trainables.config",
    "load": "trainables.data.dataset",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
