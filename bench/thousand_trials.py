"""A study of a thousand trials: what recording adds to it, and how long one waits for what is looked at afterwards.

Runs the same study with and without its record (in turn, one process, a SQLite file), then each command that
looks back, as a process of its own, and what MLflow's own page asks its store for when the study's trials are opened.

    python bench/thousand_trials.py             # about five minutes on two cores
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from search_service import wiring
from search_service.settings import Settings
from search_service.spec.study_spec import parse

# Seconds that each may take.
MOST_S = 3.0


def study(trials: int, seed: int) -> dict[str, Any]:
    """A config: small networks, of which each trial takes some hundredths of a second."""
    return {
        "name": "thousand",
        "seed": seed,
        "data": {"source": "digits"},
        "trial": {"network": {"hidden_sizes": [64]}},
        "search_space": {
            "network.dropout": {"low": 0.0, "high": 0.5},
            "optimizer.weight_decay": {"low": 1e-4, "high": 1.0, "log": True},
        },
        "search": {
            "coarse": {"max_trials": trials * 7 // 10, "max_epochs": 9},
            "refined": {"max_trials": trials - trials * 7 // 10, "max_epochs": 27},
            "max_cycles": 1,
            "patience_trials": None,
        },
        "finalists": {"top": 2, "seeds": 2},
    }


def run(trials: int, seed: int, home: Path, *, record: bool) -> tuple[float, str, int]:
    """Seconds of a study, its id, and its trials."""
    settings = Settings(home=home)
    started = time.perf_counter()
    prepared = wiring.prepare(parse(study(trials, seed)), settings=settings)
    result = wiring.run(prepared, settings=settings, runner="inline", record=record).result
    return time.perf_counter() - started, result.study_id, sum(len(done.trials) for done in result.rounds)


def seconds_of(*arguments: str) -> float:
    """Of a command, from its start to its end."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "search_service", *arguments]
    subprocess.run(command, capture_output=True, check=True, cwd=tempfile.gettempdir())
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1_000)
    parser.add_argument("--pairs", type=int, default=2)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        home = Path(name) / "home"
        # A fresh store's tables, which a home makes once.
        run(10, 0, home, record=True)
        recorded, alone = [], []
        for seed in range(1, asked.pairs + 1):
            alone.append(run(asked.trials, seed, Path(name) / f"alone-{seed}", record=False)[0])
            seconds, study_id, trials = run(asked.trials, seed, home, record=True)
            recorded.append(seconds)
        added = (sum(recorded) - sum(alone)) / asked.pairs
        print(f"{trials} trials: {sum(alone) / asked.pairs:.1f} s alone, {sum(recorded) / asked.pairs:.1f} s recorded")
        # With figures, model and registration; a share means nothing where trials are as short as these (tracking.py).
        print(f"recording adds {added:.1f} s, {1e3 * added / trials:.0f} ms a trial")
        fine = True
        page = str(Path(name) / "page.html")
        at = ("--home", str(home))
        looks = {
            "list": lambda: seconds_of("list", *at),
            "show": lambda: seconds_of("show", study_id, *at),
            "report": lambda: seconds_of("report", study_id, *at),
            "report --html": lambda: seconds_of("report", study_id, "--html", "--to", page, *at),
        }
        for what, look in looks.items():
            took = look()
            fine &= took <= MOST_S
            print(f"{what:<16} {took:.2f} s", flush=True)
        print(f"{'':<16} the page has {Path(page).stat().st_size / 1e6:.2f} MB")
        client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
        (experiment,) = [one for one in client.search_experiments() if one.name != "Default"]
        started = time.perf_counter()
        # What the page of a view asks for: its first hundred runs, newest first.
        client.search_runs([experiment.experiment_id], order_by=["attributes.start_time DESC"], max_results=100)
        took = time.perf_counter() - started
        fine &= took <= MOST_S
        print(f"{'a view in MLflow':<16} {took:.2f} s")
    raise SystemExit(not fine)


if __name__ == "__main__":
    main()
