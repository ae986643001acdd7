"""What a round's driver costs as workers and trials grow: the real book, sampler, ASHA and Ray Tune; training sleeps.

Simulated nodes of eight CPUs each (``ray.cluster_utils.Cluster``), one cohort per CPU. Workers sleep instead of
training, so that all of them fit onto one machine, and report scores at the rungs as real ones do. Printed are trials
and results per second, the CPU time that the driver spent on each, and the share of the workers' time in which they
slept: where that falls, the driver is what everybody waits for.

    python bench/scaling.py                         # workers 1 to 64, then trials to 10 000: half an hour
    python bench/scaling.py --workers 64 --trials 2000 --population 16
    python bench/scaling.py --training              # no sleep: one worker and two that train, on this machine
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import ray
from ray.cluster_utils import Cluster

from search_service.records.asha_rules import AshaRules
from search_service.records.events import TrialFinished, TrialProgressed
from search_service.records.round_plan import Limits, Resources, RoundPlan, Sampling
from search_service.records.rounds import TrialStatus
from search_service.records.steps import Step
from search_service.runners.base import Cohort, CohortReport, MemberReport
from search_service.runners.checkpoints import MEMBERS, POPULATION, Files
from search_service.runners.cohort import CohortTraining, Judge
from search_service.runners.ray_tune import RayTuneRunner
from search_service.space.ranges import NumericRange
from search_service.spec.study_spec import parse
from search_service.wiring import prepare
from trainables.config import TrialConfig
from trainables.data.dataset import Dataset, Rows
from trainables.records import EpochPoint
from trainables.target_scaling import UNSCALED

CPUS_OF_A_NODE = 8
MAX_EPOCHS = 27


class Sleep(CohortTraining):
    """Sleeps for as long as training would take; a trial's score follows from its learning rate."""

    # Goes to the workers with the class.
    epoch_seconds = 0.1

    def __init__(
        self,
        cohort: Cohort,
        plan: RoundPlan,
        dataset: Dataset,
        judge: Judge,
        *,
        device: str = "cpu",
        read: Callable[[Path], bytes] = Path.read_bytes,
    ) -> None:
        self.cohort, self._plan, self._judge = cohort, plan, judge
        self._rungs = plan.rungs
        self._epoch = int(read(cohort.parts[0] / MEMBERS)) if cohort.parts else 0
        self._left = {member.trial_id: _score(member.config) for member in cohort.members}

    def advance(self) -> CohortReport:
        """As the real one."""
        goal = next((rung for rung in self._rungs if rung > self._epoch), MAX_EPOCHS)
        time.sleep(self.epoch_seconds * (goal - self._epoch))
        epochs, self._epoch = range(self._epoch + 1, goal + 1), goal
        on = self._judge(goal, self._left) if goal < MAX_EPOCHS else set()
        ended = TrialStatus.COMPLETED if goal == MAX_EPOCHS else TrialStatus.PRUNED
        reports = tuple(
            MemberReport(
                trial,
                tuple(EpochPoint(epoch, 1.0, 1.0, score) for epoch in epochs),
                TrialStatus.RUNNING if trial in on else ended,
                "",
            )
            for trial, score in self._left.items()
        )
        self._left = {trial: score for trial, score in self._left.items() if trial in on}
        return CohortReport(self.cohort.cohort_id, goal, reports, "asleep")

    def packed(self) -> Files:
        """As the real one."""
        return {POPULATION: b"", MEMBERS: str(self._epoch).encode()}

    def go_on(self, files: Files) -> None:
        """No worker is lost here."""


def _score(config: TrialConfig) -> float:
    return 1.0 - abs(math.log10(config.optimizer.lr) + 2.5) / 3


def measure(workers: int, trials: int, population: int, runner: RayTuneRunner, dataset: Dataset) -> Mapping[str, float]:
    """One round."""
    results = epochs = 0

    def listen(event: object) -> None:
        nonlocal results, epochs
        results += isinstance(event, TrialProgressed | TrialFinished)
        if isinstance(event, TrialFinished):
            epochs += event.trial.epochs

    with tempfile.TemporaryDirectory() as folder:
        plan = RoundPlan(
            number=1, step=Step.COARSE_SEARCH, cycle=1,
            space={"optimizer.lr": NumericRange(1e-4, 1e-1, log=True)}, base=TrialConfig(),
            metric="accuracy", sampling=Sampling("tpe"), population_size=population, asha=AshaRules(3, 3.0, 3.0),
            limits=Limits(trials, MAX_EPOCHS), seed=0, folder=Path(folder, "round"),
            resources=Resources(max_concurrent_trials=workers),
        )  # fmt: skip
        wall, cpu = time.perf_counter(), time.process_time()
        runner.run_round(plan, dataset, listen)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    # Members of a cohort sleep together.
    asleep = Sleep.epoch_seconds * epochs / population
    return {
        "wall": wall,
        "trials/s": trials / wall,
        "results/s": results / wall,
        "cpu ms/trial": 1000 * cpu / trials,
        "cpu ms/result": 1000 * cpu / results,
        "asleep": asleep / (wall * workers),
    }


def two_workers(trials: int, pairs: int) -> None:
    """The same trials of about a second on digits, one by one, on one worker and on two; start-up is in the times."""
    study = prepare(parse({"name": "scaling", "data": {"source": "digits"}}))
    base = TrialConfig(batch_size=64).replace({"network.hidden_sizes": (200, 200), "schedule.name": "none"})
    runner = RayTuneRunner()
    ratios = []
    for pair in range(pairs):
        seconds = []
        for workers in (1, 2):
            with tempfile.TemporaryDirectory() as folder:
                plan = RoundPlan(
                    number=1, step=Step.COARSE_SEARCH, cycle=1,
                    space={"optimizer.lr": NumericRange(1e-4, 1e-2, log=True)}, base=base,
                    metric="accuracy", sampling=Sampling("random"), population_size=1, asha=None,
                    limits=Limits(trials, MAX_EPOCHS), seed=pair, folder=Path(folder, "round"),
                    resources=Resources(max_concurrent_trials=workers),
                )  # fmt: skip
                started = time.perf_counter()
                runner.run_round(plan, study.dataset, lambda event: None)
                seconds.append(time.perf_counter() - started)
        ratios.append(seconds[0] / seconds[1])
        print(f"{trials} trials: one worker {seconds[0]:.1f} s, two {seconds[1]:.1f} s", flush=True)
    print(f"two workers / one: {statistics.median(ratios):.2f}")
    runner.close()


def make_dataset() -> Dataset:
    part = Rows(np.zeros((2, 1), np.float32), np.array([0, 1]))
    return Dataset(part, part, "classification", 2, ("x",), ("a", "b"), UNSCALED, "none")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 4, 16, 64])
    parser.add_argument("--trials", type=int, nargs="*", help="of the most workers; default: 1 000 to 10 000")
    parser.add_argument("--population", type=int, nargs="*", default=[1, 16])
    parser.add_argument("--epoch-seconds", type=float, default=Sleep.epoch_seconds)
    parser.add_argument("--training", action="store_true", help="one worker and two that really train")
    parser.add_argument("--pairs", type=int, default=3, help="of --training")
    asked = parser.parse_args()
    if asked.training:
        two_workers(100, asked.pairs)
        return
    Sleep.epoch_seconds = asked.epoch_seconds
    most = max(asked.workers)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": min(most, CPUS_OF_A_NODE)})
    for _ in range(math.ceil(most / CPUS_OF_A_NODE) - 1):
        cluster.add_node(num_cpus=CPUS_OF_A_NODE)
    ray.init(address=cluster.address, logging_level="error", log_to_driver=False)
    runner, dataset = RayTuneRunner(cluster.address, train=Sleep), make_dataset()
    cases = [(workers, 25 * workers, 1) for workers in asked.workers]
    cases += [(most, trials, size) for size in asked.population for trials in asked.trials or (1_000, 3_000, 10_000)]
    # Imports, and the first actor of each node.
    measure(1, 2, 1, runner, dataset)
    heads = ("workers", "trials", "population", "seconds", "trials/s", "results/s", "ms/trial", "ms/result", "asleep")
    print("".join(f"{head:>11}" for head in heads))
    for workers, trials, size in cases:
        got = measure(workers, trials, size, runner, dataset)
        print(
            f"{workers:>11}{trials:>11}{size:>11}{got['wall']:>11.1f}{got['trials/s']:>11.1f}{got['results/s']:>11.1f}"
            f"{got['cpu ms/trial']:>11.1f}{got['cpu ms/result']:>11.1f}{got['asleep']:>11.0%}",
            flush=True,
        )
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main()
