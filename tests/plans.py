"""What tests train: a plain configuration, and small rounds with everything filled in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from search_service.records.rounds import RoundPlan
from search_service.space.ranges import NumericRange
from trainables.config import NetworkConfig, ScheduleConfig, TrialConfig


def plain(**fields: Any) -> TrialConfig:
    """Two layers of 64 units, without dropout and schedule: what one test varies, nothing else does."""
    return TrialConfig(
        network=NetworkConfig(hidden_sizes=(64, 64), dropout=0.0), schedule=ScheduleConfig(name="none"), **fields
    )


def make_plan(folder: Path, **changes: Any) -> RoundPlan:
    """Eight random trials of up to 6 epochs on a small network, ASHA with rungs at 2 epochs."""
    settings: dict[str, Any] = {
        "number": 1,
        "step": 4,
        "cycle": 1,
        "space": {"optimizer.lr": NumericRange(1e-4, 1e-1, log=True), "network.dropout": NumericRange(0.0, 0.5)},
        "base": plain().replace({"network.hidden_sizes": (16,)}),
        "first": (),
        "metric": "accuracy",
        "max_trials": 8,
        "max_epochs": 6,
        "early_stopping": True,
        "grace_period": 2,
        "reduction_factor": 3.0,
        "rung_spacing": 3.0,
        "standing": None,
        "sampler": "random",
        "population_size": 1,
        "seed": 0,
        "folder": folder,
    }
    return RoundPlan(**(settings | changes))
