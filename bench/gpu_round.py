"""A round on this machine's GPU against the same round on all of its CPUs: when does a GPU pay?

Each row is a shape; the same configurations (random sampling, ASHA, populations of the size that ``auto`` takes) are
trained by Ray Tune, recording nothing: on the CPUs, then with a whole GPU for each cohort, then with a quarter of one.
Networks × epochs per second from the first report to the last, and in brackets the seconds of the whole round: before
the first report, sizes are chosen, and workers import torch and find their device.

    python bench/gpu_round.py            # some four minutes on a machine with a GPU and 16 cores
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from reports import Reports
from step_throughput import make_dataset

from search_service.records.asha_rules import AshaRules
from search_service.records.round_plan import Limits, Resources, RoundPlan, Sampling
from search_service.records.rounds import RoundResult
from search_service.records.steps import Step
from search_service.runners.ray_tune import RayTuneRunner
from search_service.space.ranges import NumericRange
from trainables.config import TrialConfig
from trainables.process import prepare_process

# (width, batch, trials): narrow networks, such as fill a GPU as a population, and such as do by themselves.
SHAPES = [(64, 64, 1024), (256, 256, 256), (1024, 512, 32)]
ROWS, MAX_EPOCHS, GRACE, ETA = 20_000, 9, 3, 3
PLACES: Mapping[str, float] = {"CPUs": 0.0, "a GPU": 1.0, "quarters": 0.25}


def run(runner: RayTuneRunner, width: int, batch: int, trials: int, gpus: float) -> tuple[float, float, RoundResult]:
    """Networks × epochs per second from the first report on, seconds in all, and the round."""
    base = TrialConfig(batch_size=batch).replace({"network.hidden_sizes": (width, width), "schedule.name": "none"})
    reports = Reports()
    with tempfile.TemporaryDirectory() as folder:
        plan = RoundPlan(
            number=1, step=Step.COARSE_SEARCH, cycle=1,
            space={"optimizer.lr": NumericRange(1e-4, 1e-2, log=True)}, base=base,
            metric="accuracy", sampling=Sampling("random"), population_size="auto", asha=AshaRules(GRACE, ETA, ETA),
            limits=Limits(trials, MAX_EPOCHS), seed=0, folder=Path(folder, "round"),
            resources=Resources(gpus_per_trial=gpus),
        )  # fmt: skip
        started = time.perf_counter()
        result = runner.run_round(plan, make_dataset(ROWS), reports.listen)
        seconds = time.perf_counter() - started
    return reports.rate, seconds, result


def main() -> None:
    if not torch.cuda.is_available():
        raise SystemExit("no CUDA device is visible to torch")
    prepare_process()
    print(f"{torch.cuda.get_device_name()} and {os.cpu_count()} CPUs · torch {torch.__version__}")
    print(f"{'width':>6}{'batch':>6}" + "".join(f"{place:>18}" for place in PLACES) + "   networks × epochs/s")
    runner = RayTuneRunner()
    runner.prepare(Resources())
    for width, batch, trials in SHAPES:
        print(f"{width:>6}{batch:>6}", end="", flush=True)
        sizes = []
        for gpus in PLACES.values():
            rate, seconds, result = run(runner, width, batch, trials, gpus)
            print(f"{rate:>10.0f} ({seconds:.0f} s)".rjust(18), end="", flush=True)
            sizes += [str(size.size) for size in result.sizes]
        print(f"   {trials} trials, populations of {', '.join(sizes)}", flush=True)
    runner.close()


if __name__ == "__main__":
    main()
