"""A whole study and a whole comparison, whose events are told to recorders."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

from search_service import wiring
from search_service.comparison import compare
from search_service.recorders.figures import comparison as figures
from search_service.recorders.memory import MemoryRecorder
from search_service.records.events import (
    CycleDecided,
)
from search_service.records.finalists import SeedNoise
from search_service.runners.inline import InlineRunner
from search_service.spec.study_spec import parse
from search_service.study import run_study, summarize

SPEC = {
    "name": "wine",
    "experiment": "recorded",
    "data": {"source": "wine"},
    "trial": {"network": {"hidden_sizes": [8]}, "optimizer": {"lr": 0.01}, "batch_size": 16},
    "search_space": {
        "optimizer.weight_decay": {"low": 1e-3, "high": 1.0, "log": True},
        "network.activation": {"choices": ["relu", "tanh"]},
    },
    "search": {
        "coarse": {"max_trials": 6, "max_epochs": 4},
        "refined": {"max_trials": 4, "max_epochs": 6},
        "max_cycles": 1,
    },
    "finalists": {"top": 2, "seeds": 2, "calibration": "temperature"},
}


def told_study(folder: Path) -> MemoryRecorder:
    """The events of a study.

    Args:
        folder: The study's.
    """
    memory = MemoryRecorder()
    spec = parse(SPEC)
    study = wiring.prepare(spec)
    run_study(
        spec, study.table, InlineRunner(), memory.record, study_id="wine-1", folder=folder,
        versions={"torch": "x"},
    )  # fmt: skip
    # As if step 6 had measured the noise, which it does where there would be another cycle.
    place = next(i for i, event in enumerate(memory.events) if isinstance(event, CycleDecided))
    decision = dataclasses.replace(memory.events[place].decision, measured=SeedNoise("r2-000", (0.9, math.nan, 0.95)))
    memory.events[place] = CycleDecided(decision)
    return memory


def told_comparison(folder: Path) -> MemoryRecorder:
    """The events of a comparison of optimisers.

    Args:
        folder: The comparison's.
    """
    memory = MemoryRecorder()
    asked = {"optimizers": ["sgd", "adam"], "seeds": 2, "epochs": 3, "sweep_seeds": 1, "sweep_epochs": 2}
    spec = parse(SPEC | {"comparison": asked})
    study = wiring.prepare(spec)
    compare(
        spec, study.dataset, summarize(spec, study.table), memory.record, figures.write,
        comparison_id="optimisers-1", folder=folder, versions={"torch": "x"},
    )  # fmt: skip
    return memory
