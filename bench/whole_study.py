"""Where a whole study's time goes, and how much of it the workers stand idle.

    python bench/whole_study.py                       # a study of this checkout
    python bench/whole_study.py --against ../before   # and of another one in turn, as ratios

A made-up table (6 600 training rows, 16 columns, ten classes), 56 trials in two rounds, three finalists with three
seeds each, baselines and the refit, on all CPUs of this machine, from the command to its end. Who trained when is read
from the study's events.jsonl; what the driver itself trains stands in no event of older versions and counts as idle.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from sklearn.datasets import make_classification

HERE = Path(__file__).parent.parent
ROWS, COLUMNS, CLASSES = 8_250, 16, 10
CONFIG = {
    "name": "whole",
    "data": {"source": "table.csv", "target": "y"},
    "trial": {"network": {"hidden_sizes": [128, 128]}, "batch_size": 128},
    "search_space": {"optimizer.weight_decay": {"low": 1e-3, "high": 1.0, "log": True}},
    "search": {
        "coarse": {"max_trials": 40, "max_epochs": 20},
        "refined": {"max_trials": 16, "max_epochs": 60},
        "max_cycles": 1,
    },
    "finalists": {"top": 3, "seeds": 3},
}
# Bins of the time line, in seconds.
BIN_S = 0.1


def make_table(path: Path) -> None:
    """The table."""
    inputs, targets = make_classification(
        ROWS, COLUMNS, n_informative=10, n_classes=CLASSES, class_sep=1.2, flip_y=0.05, random_state=0
    )
    frame = pd.DataFrame(inputs.round(4), columns=[f"x{i}" for i in range(COLUMNS)])
    frame.assign(y=[f"class {target}" for target in targets]).to_csv(path, index=False)


def run(checkout: Path, slots: int) -> Mapping[str, float]:
    """One study of a checkout; seconds by part, and shares."""
    with tempfile.TemporaryDirectory() as folder:
        make_table(Path(folder, "table.csv"))
        Path(folder, "config.yaml").write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
        command = [sys.executable, "-m", "search_service", "run", f"{folder}/config.yaml", "--home", f"{folder}/home"]
        began = time.time()
        subprocess.run(command, cwd=checkout, check=True, capture_output=True)
        wall = time.time() - began
        (events,) = Path(folder).glob("home/studies/*/events.jsonl")
        told = [json.loads(line) for line in events.read_text(encoding="utf-8").splitlines()]
    return {"seconds": wall} | parts_of(told, began) | {"few train": idle_share(told, began, wall, slots)}


def parts_of(told: list[dict[str, object]], began: float) -> dict[str, float]:
    """Seconds of each part."""
    at = {
        str(event["type"]): datetime.fromisoformat(str(event["at"])).timestamp()
        for event in told
        if event["type"] in ("study_started", "round_finished", "model_packed", "study_finished")
    }
    first = next(datetime.fromisoformat(str(e["at"])).timestamp() for e in told if e["type"] == "round_started")
    return {
        "until it begins": at["study_started"] - began,
        "steps 1 to 3": first - at["study_started"],
        "rounds": at["round_finished"] - first,
        "after them": at["model_packed"] - at["round_finished"],
    }


def idle_share(told: list[dict[str, object]], began: float, wall: float, slots: int) -> float:
    """Share of the time in which fewer than half of the slots train."""
    busy: list[set[str]] = [set() for _ in range(int(wall / BIN_S) + 1)]
    for event in told:
        if event["type"] not in ("trial_finished", "task_finished") or not event.get("began_at"):
            continue
        start = float(str(event["began_at"])) - began
        last = min(len(busy) - 1, int((start + float(str(event["seconds"]))) / BIN_S))
        for place in range(max(0, int(start / BIN_S)), last + 1):
            busy[place].add(str(event["worker"]))
    return float(np.mean([len(workers) < slots / 2 for workers in busy]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, help="another checkout, whose studies are run in turn")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--slots", type=int, default=2, help="CPUs of this machine")
    asked = parser.parse_args()
    checkouts = [HERE, *([asked.against] if asked.against else [])]
    seconds: dict[Path, list[float]] = {checkout: [] for checkout in checkouts}
    for _ in range(asked.repeats):
        for checkout in checkouts:
            found = run(checkout, asked.slots)
            seconds[checkout].append(found["seconds"])
            shown = ", ".join(
                f"{name} {value:.0%}" if name == "few train" else f"{name} {value:.1f}" for name, value in found.items()
            )
            print(f"{checkout.name}: {shown}", flush=True)
    if asked.against:
        ratio = statistics.median(seconds[asked.against]) / statistics.median(seconds[HERE])
        print(f"{asked.against.name} / {HERE.name}: {ratio:.2f}")


if __name__ == "__main__":
    main()
