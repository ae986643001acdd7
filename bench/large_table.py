"""A table of 5 million rows: what it takes to read, prepare and train on it, and what more concurrent trials add.

Writes a Parquet file of random numbers (50 columns of float32, 1 GB), then measures, each in a process of its own,

- reading, dividing and preparing it, and one epoch of a small network: seconds and peak memory;
- a round on Ray Tune with 2 and with 8 concurrent trials: peak memory of all processes together, shared memory counted
  once (PSS). The same with a tiny table says how much of the difference is the workers themselves.

    python bench/large_table.py                 # needs 10 GB of disk and memory, about 10 minutes on two cores
    python bench/large_table.py --rows 500000   # a tenth
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

COLUMNS = 50
# Concurrent trials compared.
FEW, MANY = 2, 8
# Rows of the table that stands for no table at all.
TINY = 2_000
# Seconds between two looks at the memory.
LOOK_EVERY_S = 0.5


def write_table(file: Path, rows: int) -> None:
    """Random features and a target that has to do with them, in parts, so that this process stays small."""
    import pyarrow as pa
    import pyarrow.parquet

    names = [f"x{i}" for i in range(COLUMNS)]
    schema = pa.schema([(name, pa.float32()) for name in names] + [("y", pa.string())])
    with pyarrow.parquet.ParquetWriter(file, schema, compression="none") as writer:
        for part, start in enumerate(range(0, rows, 250_000)):
            n = min(250_000, rows - start)
            x = np.random.default_rng(part).normal(size=(n, COLUMNS)).astype(np.float32)
            label = np.where(x[:, 0] + x[:, 1] > 0, "yes", "no")
            writer.write_table(pa.table([*x.T.copy(), label], names=[*names, "y"]).cast(schema))


def load_and_train(file: Path, answers: Any) -> None:
    """In a fresh process: seconds and peak memory (GiB) after loading and after an epoch."""
    from trainables.config import TrialConfig
    from trainables.data.config import DataConfig
    from trainables.data.dataset import load
    from trainables.process import prepare_process
    from trainables.training import PopulationTraining

    prepare_process()
    started = time.perf_counter()
    dataset, _ = load(DataConfig(source=str(file), target="y"))
    loaded, peak_loaded = time.perf_counter() - started, _peak_gib()
    config = TrialConfig().replace({"network.hidden_sizes": (32,), "batch_size": 4096})
    started = time.perf_counter()
    record = next(PopulationTraining([config], dataset, order_seed=0, max_epochs=1).epochs())
    answers.put(
        {
            "seconds to load": loaded,
            "peak GiB after loading": peak_loaded,
            "seconds of an epoch": time.perf_counter() - started,
            "peak GiB after an epoch": _peak_gib(),
            "validation accuracy": record.validation_score[0],
            "tensors GiB": _gib(dataset),
        }
    )


def run_round(file: Path, concurrent: int, answers: Any) -> None:
    """In a fresh process: the peak of all memory of this process and Ray's, in GiB, with so many trials at once."""
    import psutil

    from search_service.records.round_plan import Limits, Resources, RoundPlan, Sampling
    from search_service.records.rounds import TrialStatus
    from search_service.records.steps import Step
    from search_service.runners.ray_tune import RayTuneRunner
    from search_service.space.ranges import NumericRange
    from trainables.config import TrialConfig
    from trainables.data.config import DataConfig
    from trainables.data.dataset import load
    from trainables.process import prepare_process

    prepare_process()
    dataset, _ = load(DataConfig(source=str(file), target="y"))
    peak, done = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        me = psutil.Process()
        while not done.wait(LOOK_EVERY_S):
            total = 0
            for process in [me, *me.children(recursive=True)]:
                try:
                    total += process.memory_full_info().pss
                except (psutil.NoSuchProcess, psutil.AccessDenied):
                    continue
            peak = max(peak, total)

    watcher = threading.Thread(target=watch)
    watcher.start()
    runner = RayTuneRunner(num_cpus=2)
    with tempfile.TemporaryDirectory() as folder:
        plan = RoundPlan(
            number=1, step=Step.COARSE_SEARCH, cycle=1,
            space={"optimizer.lr": NumericRange(1e-3, 1e-2, log=True)},
            base=TrialConfig().replace({"network.hidden_sizes": (32,), "batch_size": 4096}),
            metric="accuracy", sampling=Sampling("random"), population_size=1, asha=None, limits=Limits(MANY, 1),
            seed=0, folder=Path(folder), resources=Resources(concurrent, cpus_per_trial=2 / concurrent),
        )  # fmt: skip
        result = runner.run_round(plan, dataset, lambda event: None)
    runner.close()
    done.set()
    watcher.join()
    answers.put(
        {
            "peak": peak / 2**30,
            "tensors": _gib(dataset),
            "completed": result.count(TrialStatus.COMPLETED),
            "workers": len({trial.worker for trial in result.trials}),
        }
    )


def _peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _gib(dataset: Any) -> float:
    # The test rows, a fifth, come to as much as they do to the table.
    parts = (dataset.train, dataset.validation)
    return sum(part.inputs.nbytes + part.targets.nbytes for part in parts) / 0.8 / 2**30


def in_a_process(function: Any, *arguments: Any) -> dict[str, Any]:
    """What ``function`` puts into a queue, from a fresh process."""
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    process = context.Process(target=function, args=(*arguments, answers))
    process.start()
    answer: dict[str, Any] = answers.get()
    process.join()
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--folder", type=Path, default=None, help="where the table is written, and removed again")
    chosen = parser.parse_args()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
        large, tiny = Path(name) / "large.parquet", Path(name) / "tiny.parquet"
        write_table(large, chosen.rows)
        write_table(tiny, TINY)
        print(f"{chosen.rows} rows × {COLUMNS} columns, {large.stat().st_size / 2**30:.2f} GiB of Parquet")
        for what, value in in_a_process(load_and_train, large).items():
            print(f"  {what:<26} {value:8.2f}", flush=True)
        peaks, tensors = {}, 0.0
        for table, file in (("large", large), ("tiny", tiny)):
            for concurrent in (FEW, MANY):
                answer = in_a_process(run_round, file, concurrent)
                peaks[table, concurrent] = answer["peak"]
                print(
                    f"  {table}: {concurrent} concurrent trials, {answer['workers']} workers, {answer['completed']} "
                    f"completed: peak {answer['peak']:.2f} GiB",
                    flush=True,
                )
                tensors = max(tensors, answer["tensors"])
    more, workers = (peaks[table, MANY] - peaks[table, FEW] for table in ("large", "tiny"))
    print(f"  {MANY} instead of {FEW} add {more:.2f} GiB; the workers alone {workers:.2f} GiB")
    print(f"  which is {more / tensors:.2f} of the tensors ({tensors:.2f} GiB)")


if __name__ == "__main__":
    main()
