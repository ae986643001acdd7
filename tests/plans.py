"""What tests train: a plain configuration, small rounds with everything filled in, tables as a config names them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from search_service.early_stopping.brackets import Brackets
from search_service.records.asha_rules import AshaRules
from search_service.records.round_plan import Limits, Resources, RoundPlan, Sampling
from search_service.records.steps import Step
from search_service.space.ranges import NumericRange
from trainables.config import NetworkConfig, ScheduleConfig, TrialConfig
from trainables.data.config import DataConfig
from trainables.metrics import METRICS


def plain(**fields: Any) -> TrialConfig:
    """Two layers of 64 units, without dropout and schedule: what one test varies, nothing else does."""
    return TrialConfig(
        network=NetworkConfig(hidden_sizes=(64, 64), dropout=0.0), schedule=ScheduleConfig(name="none"), **fields
    )


def make_plan(folder: Path, **changes: Any) -> RoundPlan:
    """Eight random trials of up to 6 epochs on a small network, ASHA with rungs at 2 epochs.

    Args:
        folder: For the round's journals.
        changes: Other values of the plan or of one of its parts, by their names; ``early_stopping=False`` for no ASHA.
    """
    settings: dict[str, Any] = {
        "number": 1,
        "step": Step.COARSE_SEARCH,
        "cycle": 1,
        "space": {"optimizer.lr": NumericRange(1e-4, 1e-1, log=True), "network.dropout": NumericRange(0.0, 0.5)},
        "base": plain().replace({"network.hidden_sizes": (16,)}),
        "metric": "accuracy",
        "population_size": 1,
        "seed": 0,
        "folder": folder,
        "max_trials": 8,
        "max_epochs": 6,
        "grace_period": 2,
        "reduction_factor": 3.0,
        "rung_spacing": 3.0,
        "sampler": "random",
    } | changes
    stops = settings.pop("early_stopping", True)
    parts = {part: _taken(settings, kind) for part, kind in PARTS.items()}
    if not stops:
        parts["asha"] = None
    return RoundPlan(**settings, **parts)


PARTS = {"sampling": Sampling, "asha": AshaRules, "limits": Limits, "resources": Resources}


def _taken(settings: dict[str, Any], kind: Any) -> Any:
    """A part of a plan, of those of the settings that are its own."""
    names = [field.name for field in dataclasses.fields(kind) if field.name in settings]
    return kind(**{name: settings.pop(name) for name in names})


def brackets_of(plan: RoundPlan, folder: Path | None = None) -> Brackets:
    """What judges the trials of a round."""
    mode = METRICS[plan.metric].mode
    return Brackets(plan.asha, max_epochs=plan.limits.max_epochs, mode=mode, seed=plan.seed, folder=folder)


def as_in_a_file(data: dict[str, Any]) -> DataConfig:
    """A config's section ``data``, as ``search_service.parse`` reads it: strictly."""
    return DataConfig.model_validate_json(json.dumps(data), strict=True)
