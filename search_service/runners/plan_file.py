"""plan.json of a round: what its plan does, so that another process goes on with the same round or not at all.

Version 2 has the parts of ``RoundPlan`` (records/round_plan.py) as they are nested there, but for where and how it is
run: another process may have other limits of time, another folder, another number of workers. Version 1, which bore no
number, had all of it side by side; it is read as if it had been written today.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from search_service.errors import RunnerError
from search_service.folder import journals, layout
from search_service.records.round_plan import RoundPlan

VERSION = 2

# Where and how a plan is run, and not what it does.
_OF_THE_PROCESS, _LIMITS_OF_THE_PROCESS = ("folder", "resources"), ("deadline", "deadline_of", "stop_file")
# What lay side by side in version 1, by the part in which it lies today.
_PARTS_OF_1 = {
    "sampling": ("sampler", "first", "past"),
    "asha": ("grace_period", "reduction_factor", "rung_spacing", "standing", "brackets"),
    "limits": (
        "max_trials",
        "max_epochs",
        "epochs_left",
        "target",
        "best_before",
        "patience_trials",
        "patience_minutes",
    ),
}


def require_same(plan: RoundPlan) -> None:
    """Write a round's plan down; where that was done before, require it to be the same.

    Raises:
        RunnerError: The folder is that of a round that does something else.
    """
    path, described = plan.folder / layout.PLAN, describe(plan)
    before = read(path)
    if before is None:
        journals.write_whole(path, described)
        return
    then, now = _flat(before), _flat(described)
    if changed := sorted(key for key in then.keys() | now.keys() if then.get(key) != now.get(key)):
        raise RunnerError(
            f"round {plan.number} cannot go on: its {', '.join(changed)} would not be what it began with ({path}); "
            "another version of the program may have begun it, so start a new study"
        )


def read(path: Path) -> dict[str, Any] | None:
    """What ``require_same`` wrote, in today's form; None where there is no such file, or a damaged one.

    Raises:
        RunnerError: A later version of the program has written it.
    """
    found: dict[str, Any] | None = journals.read_whole(path, rebuild=True)
    if found is None:
        return None
    if (version := found.get("version", 1)) > VERSION:
        raise RunnerError(f"{path} was written by a later version of the program; go on with that one")
    return found if version == VERSION else _from_1(found)


def describe(plan: RoundPlan) -> dict[str, Any]:
    """What a plan does, as plain data."""
    plain = {name: value for name, value in vars(plan).items() if name not in _OF_THE_PROCESS}
    if plan.wave is None:
        # Versions that know of no waves read what has none.
        del plain["wave"]
    limits = {name: value for name, value in asdict(plan.limits).items() if name not in _LIMITS_OF_THE_PROCESS}
    plain |= {
        "version": VERSION,
        "space": {leaf: asdict(range_) for leaf, range_ in plan.space.items()},
        "base": plan.base.to_plain(),
        # Versions that searched for one objective read what has one.
        "sampling": {name: value for name, value in asdict(plan.sampling).items() if name != "ends" or value},
        "asha": None if plan.asha is None else asdict(plan.asha),
        "limits": limits,
    }
    # As it is read back: tuples are lists there.
    described: dict[str, Any] = json.loads(json.dumps(plain, default=str))
    return described


def _from_1(found: Mapping[str, Any]) -> dict[str, Any]:
    """Version 1 in today's form."""
    moved = {name for names in _PARTS_OF_1.values() for name in names} | {"early_stopping"}
    upgraded: dict[str, Any] = {name: value for name, value in found.items() if name not in moved}
    for part, names in _PARTS_OF_1.items():
        upgraded[part] = {name: found[name] for name in names if name in found}
    if not found["early_stopping"]:
        upgraded["asha"] = None
    return upgraded | {"version": VERSION}


def _flat(plan: Mapping[str, Any]) -> dict[str, Any]:
    """With the numbers of the parts side by side: what has changed is named by itself."""
    flat = {name: value for name, value in plan.items() if name not in _PARTS_OF_1}
    for part in _PARTS_OF_1:
        flat |= {f"{part}.{name}": value for name, value in (plan[part] or {}).items()}
    return flat
