"""`make chaos`: studies that are killed at random moments, again and again, and looked at when they have ended.

    python -m tests.chaos --runs 100 --seed 1

Every run is one study under up to three faults, and then left alone until it ends. What is killed (the driver by
SIGKILL, SIGTERM or SIGINT, Ray's workers, the actor that judges, the raylet, the GCS, MLflow's server) and when follows
from the seed. Prints a line for each run and a table; exits with 1 if anything does not hold.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.chaos.run import Ground, Outcome, disturb
from tests.chaos.variants import VARIANTS


def main() -> int:
    """Run what was asked for."""
    options = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    options.add_argument("--runs", type=int, default=20, help="studies, taking turns over the variants")
    options.add_argument("--begin", type=int, default=0, help="number of the first run, to go on after an earlier one")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    options.add_argument("--keep", type=Path, help="folder for the studies; by default they go when all is well")
    given = options.parse_args()
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="chaos-") as scratch:
        ground = Ground(given.keep or Path(scratch))
        for number in range(given.begin, given.begin + given.runs):
            variant = VARIANTS[given.variants[number % len(given.variants)]]
            outcome = disturb(variant, given.seed * 100_000 + number, ground)
            outcomes.append(outcome)
            print(f"{number:4d}  {outcome}", flush=True)
        table(outcomes)
    return int(any(outcome.violations for outcome in outcomes))


def table(outcomes: list[Outcome]) -> None:
    """By fault: how often, in how many runs something did not hold."""
    times: Counter[str] = Counter()
    bad: Counter[str] = Counter()
    for outcome in outcomes:
        times.update(outcome.faults)
        bad.update(set(outcome.faults) if outcome.violations else ())
    print(f"\n{'fault':24} {'times':>6} {'in runs with a violation':>26}")
    for fault, n in sorted(times.items()):
        print(f"{fault:24} {n:6d} {bad[fault]:26d}")
    repeatable = [outcome for outcome in outcomes if outcome.variant.is_repeatable]
    equal = sum(not outcome.violations for outcome in repeatable)
    killed = sum(bool(outcome.faults) for outcome in outcomes)
    print(f"\n{len(outcomes)} runs, {killed} of them disturbed, {sum(times.values())} faults.")
    print(f"{equal} of {len(repeatable)} studies that must end as if undisturbed did.")
    print(f"{sum(bool(outcome.violations) for outcome in outcomes)} runs with a violation.")


if __name__ == "__main__":
    sys.exit(main())
