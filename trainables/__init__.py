"""How networks learn: populations of multilayer perceptrons, their data, and what can be measured on them.

Everything trained here is a population: K networks of one shape whose parameters carry a leading axis K.
This package knows torch and the table libraries (in ``data/``), and nothing of Ray, MLflow, Optuna or the
search service. Axes are named K (population), B (batch), D (features), H (units of a layer), C (outputs),
P (parameters of one network) throughout.

What ``__all__`` names is the public surface; everything else may move.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainables.lazy import attach

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
__getattr__, __dir__ = attach(
    __name__,
    {
        "config": ("TrialConfig",),
        "data.config": ("DataConfig",),
        "data.dataset": ("Dataset", "load"),
        "errors": ("DataError",),
        "metrics": ("METRICS",),
        "model": ("TableModel",),
        "training": ("PopulationTraining",),
    },
)
