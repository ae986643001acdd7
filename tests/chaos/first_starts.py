"""First runs that are killed in their first seconds, in homes that nothing has been in: does the next run work?

    python -m tests.chaos.first_starts --runs 60 --seed 1

Each is the command as a user gives it, killed by SIGKILL, SIGTERM or SIGINT at a random moment of its first 8 s: while
it imports, makes MLflow's tables, reads the table, checks, trains. Then the command is given again and has to end well.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.chaos.run import PROCESSES
from tests.chaos.variants import VARIANTS

FIRST_S = 8.0
SIGNALS = (signal.SIGKILL, signal.SIGINT, signal.SIGTERM)
# Seconds, against hanging.
MOST_S = 240


def main() -> int:
    """Run what was asked for."""
    options = argparse.ArgumentParser(prog="python -m tests.chaos.first_starts", description=__doc__)
    options.add_argument("--runs", type=int, default=60)
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    # What this process ignores, as one that was started with & does SIGINT, those that it starts ignore, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    draw, bad = random.Random(given.seed), 0
    states: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="first-") as scratch:
        for number in range(given.runs):
            home = Path(scratch) / str(number)
            home.mkdir()
            moment, how = draw.uniform(0, FIRST_S), draw.choice(SIGNALS)
            state = first(home, moment, how)
            states[state] += 1
            code = again(home)
            bad += code != 0
            print(f"{number:3d} {how.name:8} after {moment:4.2f} s, {state:28} then exit {code}", flush=True)
    print(f"\n{given.runs} first runs were killed; of those after them {given.runs - bad} ended well.")
    print(", ".join(f"{n} {state}" for state, n in states.most_common()))
    return int(bad > 0)


def first(home: Path, moment: float, how: signal.Signals) -> str:
    """Begin a run and end it at a moment; returns how far it had come."""
    config = home / "chaos.yaml"
    config.write_text(VARIANTS["inline-random-1"].spec)
    command = [sys.executable, "-m", "search_service", "run", str(config), "--runner", "inline", "--home", str(home)]
    with (home / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(moment)
            return f"ended by itself with {process.returncode}"
        os.kill(process.pid, how)
        process.wait(MOST_S)
    if any(home.glob("studies/*/round-1/told.jsonl")):
        return "while trials were trained"
    if any(home.glob("studies/*/study.json")):
        return "while it checked"
    if (home / "mlflow.db").exists():
        return "with its tables made"
    return "while its tables were made" if any(home.glob("mlflow.db.*")) else "before it wrote anything"


def again(home: Path) -> int | None:
    """Give the command once more, in a process that has imported everything."""
    from tests.chaos import attempt

    arguments = ["run", str(home / "chaos.yaml"), "--runner", "inline", "--home", str(home)]
    process = PROCESSES.Process(target=attempt.run, args=(arguments, home / "log", {}))
    process.start()
    process.join(MOST_S)
    if process.is_alive():
        process.kill()
        return None
    return process.exitcode


if __name__ == "__main__":
    sys.exit(main())
