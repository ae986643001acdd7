"""How much sooner than random search: our sampler and our ASHA on recorded learning curves, by a simulated clock.

The curves are those of multilayer perceptrons on 34 OpenML tables, 52 epochs each, as the LCBench surrogate of YAHPO
Gym gives them for any configuration (an ONNX model; it is not part of this project and is looked for in
``../shared/data/lcbench_surrogate``, or where ``--surrogate`` says). Nothing is trained: an epoch takes one unit of
time, eight workers take trials as they become free, and every method stops when as many epochs are spent as 100 full
trainings take. What is asked and who decides is the real code: ``search_service.samplers`` and
``search_service.early_stopping``; of Ray Tune its ``OptunaSearch`` and ``ASHAScheduler`` with their defaults.

A method's incumbent is the best validation accuracy that any of its trials has had in any epoch so far. Random search
trains every configuration for 52 epochs. Each run of a method draws for itself: no configurations are shared. Ours try
the service's own default configuration first, as every study does; a row is without it, and one gives it to Ray Tune.
A portfolio is what a team would have that has searched before: eight of 512 random configurations that, chosen
greedily, are best on the 33 other tasks (Feurer et al. 2022, "Auto-sklearn 2.0", section 3.2). It is tried after the
default; one row gives it to Ray Tune.

    sooner        random search's whole time over the time at which the method reaches random search's last incumbent;
                  a run that never does counts as 0. Median and quartiles over all runs.
    reached       share of the runs that reach it.
    final         mean last incumbent above random search's, in points of accuracy.

    python bench/early_stopping.py                  # 34 tasks, 5 seeds: an hour on two cores
    python bench/early_stopping.py --quick          # 8 tasks, 2 seeds: about 5 minutes
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime

from search_service.early_stopping.defaults import asha_rules
from search_service.early_stopping.halving import Halving
from search_service.samplers.sampler import Sampler
from search_service.space.ranges import NumericRange
from search_service.spec.sections import RoundSpec, SearchSpec
from trainables.config import TrialConfig
from trainables.seeds import derive_seed

EPOCHS, WORKERS, FULL_TRAININGS = 52, 8, 100
# What a config for this budget would ask for: about as many begin in it.
TRIALS = 500
TIME = EPOCHS * FULL_TRAININGS / WORKERS
# The surrogate's inputs after the epoch, in its order, under the names that the service has for the like.
SPACE = {
    "batch_size": NumericRange(16, 512, log=True, integer=True),
    "optimizer.lr": NumericRange(1e-4, 1e-1, log=True),
    "optimizer.momentum": NumericRange(0.1, 0.99),
    "optimizer.l2": NumericRange(1e-5, 1e-1),
    "layers": NumericRange(1, 5, integer=True),
    "units": NumericRange(64, 1024, log=True, integer=True),
    "network.dropout": NumericRange(0.0, 1.0),
}
BASE = TrialConfig().replace({"optimizer.name": "momentum"})
# The service's default configuration, which a study tries first. It has no L2: here the least that there is.
DEFAULT = {
    "batch_size": BASE.batch_size,
    "optimizer.lr": BASE.optimizer.lr,
    "optimizer.momentum": BASE.optimizer.momentum,
    "optimizer.l2": SPACE["optimizer.l2"].low,
    "layers": len(BASE.network.hidden_sizes),
    "units": BASE.network.hidden_sizes[0],
    "network.dropout": BASE.network.dropout,
}
# Configurations of a portfolio, and of those that it is chosen from.
PORTFOLIO, CANDIDATES = 8, 512
SURROGATE = Path(__file__).parents[1] / ".." / "shared" / "data" / "lcbench_surrogate"


Point = Mapping[str, Any]


# ---- the curves ------------------------------------------------------------------------------------------------


class Curves:
    """Validation accuracy per epoch of any configuration on one task."""

    def __init__(self, folder: Path, task: str) -> None:
        self._session = _session(folder)
        code = json.loads((folder / "encoding.json").read_text(encoding="utf-8"))["OpenML_task_id"][task]
        self._task = np.full((EPOCHS, 1), code, np.int32)

    def __call__(self, values: Point) -> np.ndarray[Any, Any]:
        """Accuracy in percent, an entry per epoch."""
        rows = np.empty((EPOCHS, 1 + len(SPACE)), np.float32)
        rows[:, 0] = np.arange(1, EPOCHS + 1)
        rows[:, 1:] = [values[leaf] for leaf in SPACE]
        outputs = self._session.run(None, {"x_cat": self._task, "x_cont": rows})[0]
        return np.asarray(outputs[:, 1], float)


@cache
def _session(folder: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(folder / "model.onnx"), options)


def tasks(folder: Path) -> list[str]:
    """OpenML ids of the tasks."""
    space = json.loads((folder / "config_space.json").read_text(encoding="utf-8"))["hyperparameters"]
    return next(list(h["choices"]) for h in space if h["name"] == "OpenML_task_id")


def portfolios(folder: Path) -> dict[str, list[Point]]:
    """For each task, the configurations to try first: the best on all others, each where those before it are not."""
    sampler = Sampler(SPACE, BASE, method="random", mode="max", seed=0, most=CANDIDATES)
    points = [suggestion.values for _ in range(CANDIDATES) for suggestion in sampler.ask(1)]
    every = tasks(folder)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        best = np.array(list(pool.map(_best_of, [(folder, task, points) for task in every])))
    # Tasks whose accuracies differ by little count for as much as the others: 0 is a task's median, 1 its best.
    median = np.median(best, axis=1, keepdims=True)
    gain = (best - median) / (best.max(axis=1, keepdims=True) - median)
    return {task: [points[i] for i in _greedy(np.delete(gain, row, axis=0))] for row, task in enumerate(every)}


def _best_of(job: tuple[Path, str, Sequence[Point]]) -> list[float]:
    """The best accuracy of each configuration in any epoch."""
    folder, task, points = job
    curves = Curves(folder, task)
    return [float(curves(values).max()) for values in points]


def _greedy(gain: np.ndarray[Any, Any]) -> list[int]:
    """Columns of ``[tasks, configurations]``, each the one by which the mean of the best of the chosen grows most."""
    chosen: list[int] = []
    reached = np.full(len(gain), -np.inf)
    for _ in range(PORTFOLIO):
        chosen.append(int(np.maximum(gain, reached[:, None]).mean(axis=0).argmax()))
        reached = np.maximum(reached, gain[:, chosen[-1]])
    return chosen


# ---- the methods -----------------------------------------------------------------------------------------------


class Search(Protocol):
    """A sampler with a rule that stops trials."""

    def ask(self) -> tuple[str, Point]:
        """A trial's name and configuration."""
        ...

    def goes_on(self, trial: str, epoch: int, score: float) -> bool:
        """Whether a trial goes on after an epoch; heard of every epoch, and no more once it is False."""
        ...


class Ours:
    """This project's sampler and halving."""

    def __init__(
        self, seed: int, method: str, *, early_stopping: bool = True, first: Sequence[Point] = (DEFAULT,)
    ) -> None:
        self._sampler = Sampler(SPACE, BASE, method=method, mode="max", seed=seed, first=first, most=10_000)
        rules = asha_rules(SearchSpec(), RoundSpec(max_trials=TRIALS, max_epochs=EPOCHS))
        assert rules is not None
        self._halving = Halving(rules, max_epochs=EPOCHS, mode="max")
        self._rungs = set(self._halving.rungs) if early_stopping else set()

    def ask(self) -> tuple[str, Point]:
        """See ``Search``."""
        (suggestion,) = self._sampler.ask(1)
        return str(suggestion.number), suggestion.values

    def goes_on(self, trial: str, epoch: int, score: float) -> bool:
        """See ``Search``."""
        if epoch == EPOCHS:
            self._sampler.tell(int(trial), "completed", score)
            return False
        if epoch not in self._rungs:
            return True
        if self._halving.report(epoch, {trial: score}):
            self._sampler.observe(int(trial), score)
            return True
        self._sampler.tell(int(trial), "pruned", score)
        return False


class RayTune:
    """Ray Tune's OptunaSearch and ASHAScheduler as they come; only the maximum is given."""

    def __init__(self, seed: int, *, first: Sequence[Point] = ()) -> None:
        import optuna
        from ray.tune.schedulers import ASHAScheduler, TrialScheduler
        from ray.tune.search.optuna import OptunaSearch

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        space: dict[str, Any] = {
            # Whole numbers as real ones, rounded below: for Optuna's own kind an ask takes five times as long.
            leaf: optuna.distributions.FloatDistribution(r.low - r.integer / 2, r.high + r.integer / 2, log=r.log)
            for leaf, r in SPACE.items()
        }
        points = [dict(point) for point in first] or None
        self._search = OptunaSearch(
            space=space, metric="score", mode="max", seed=seed % 2**32, points_to_evaluate=points
        )
        self._scheduler = ASHAScheduler(metric="score", mode="max", max_t=EPOCHS)
        self._stop = TrialScheduler.STOP
        self._trials: dict[str, Any] = {}

    def ask(self) -> tuple[str, Point]:
        """See ``Search``."""
        name = str(len(self._trials))
        values = self._search.suggest(name)
        assert isinstance(values, dict)
        self._trials[name] = _TuneTrial(name)
        self._scheduler.on_trial_add(None, self._trials[name])  # type: ignore[arg-type]
        return name, {leaf: round(value) if SPACE[leaf].integer else value for leaf, value in values.items()}

    def goes_on(self, trial: str, epoch: int, score: float) -> bool:
        """See ``Search``."""
        result = {"training_iteration": epoch, "score": score}
        self._search.on_trial_result(trial, result)
        decision = self._scheduler.on_trial_result(None, self._trials[trial], result)  # type: ignore[arg-type]
        if decision != self._stop:
            return True
        self._search.on_trial_complete(trial, result)
        self._scheduler.on_trial_complete(None, self._trials[trial], result)  # type: ignore[arg-type]
        return False


@dataclass(frozen=True)
class _TuneTrial:
    """What the scheduler looks at of a trial."""

    trial_id: str


# By seed and portfolio.
METHODS: Mapping[str, Callable[[int, Sequence[Point]], Search]] = {
    "random search": lambda seed, _: Ours(seed, "random", early_stopping=False, first=()),
    "Ray Tune: OptunaSearch + ASHAScheduler": lambda seed, _: RayTune(seed),
    "the same, our default tried first": lambda seed, _: RayTune(seed, first=[DEFAULT]),
    "the same, default and portfolio first": lambda seed, portfolio: RayTune(seed, first=[DEFAULT, *portfolio]),
    "ours, random sampling": lambda seed, _: Ours(seed, "random"),
    "ours, no default tried first": lambda seed, _: Ours(seed, SearchSpec().sampler, first=()),
    "ours, as shipped": lambda seed, _: Ours(seed, SearchSpec().sampler),
    "ours, default and portfolio first": lambda seed, portfolio: Ours(
        seed, SearchSpec().sampler, first=[DEFAULT, *portfolio]
    ),
}


# ---- the clock -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """One run of a method.

    Attributes:
        best: Times at which the incumbent changed, and its score.
        trials: Started.
        seconds: Real ones, most of them asking.
    """

    best: tuple[tuple[float, float], ...]
    trials: int
    seconds: float

    def reaches(self, score: float) -> float:
        """When the incumbent is as good as ``score``; infinity if never."""
        return next((when for when, best in self.best if best >= score), math.inf)


def simulate(search: Search, curves: Curves) -> Run:
    """Let the workers train until the time is up."""
    started = time.perf_counter()
    order = itertools.count()
    # When a worker's trial has its next epoch; ties in the order in which they began.
    due: list[tuple[int, int, str, np.ndarray[Any, Any], int]] = []
    best: list[tuple[float, float]] = []
    trials = 0

    def start(now: int) -> None:
        nonlocal trials
        trial, values = search.ask()
        trials += 1
        heapq.heappush(due, (now + 1, next(order), trial, curves(values), 1))

    for _ in range(WORKERS):
        start(0)
    while due and due[0][0] <= TIME:
        now, _, trial, curve, epoch = heapq.heappop(due)
        score = float(curve[epoch - 1])
        if not best or score > best[-1][1]:
            best.append((now, score))
        if search.goes_on(trial, epoch, score):
            heapq.heappush(due, (now + 1, next(order), trial, curve, epoch + 1))
        else:
            start(now)
    return Run(tuple(best), trials, time.perf_counter() - started)


def run_all(job: tuple[Path, str, int, Sequence[str], Sequence[Point]]) -> dict[str, Run]:
    """Methods on one task with one seed."""
    folder, task, seed, names, portfolio = job
    curves = Curves(folder, task)
    return {
        name: simulate(METHODS[name](derive_seed(seed, "early stopping", task, name), portfolio), curves)
        for name in names
    }


def report(runs: list[dict[str, Run]]) -> None:
    """Print a row per method."""
    print(
        f"{'method':<40} {'sooner':>7}  {'quartiles':>13}  {'reached':>8}  {'final':>7}  {'trials':>7}  {'ms each':>8}"
    )
    for name in runs[0]:
        targets = [of["random search"].best[-1][1] for of in runs]
        own = [of[name] for of in runs]
        sooner = [TIME / run.reaches(target) for run, target in zip(own, targets, strict=True)]
        low, median, high = np.quantile(sooner, (0.25, 0.5, 0.75))
        gain = np.mean([run.best[-1][1] - target for run, target in zip(own, targets, strict=True)])
        trials = np.mean([run.trials for run in own])
        each = 1000 * np.mean([run.seconds / run.trials for run in own])
        reached = np.mean([value > 0 for value in sooner])
        print(
            f"{name:<40} {median:>6.1f}x  {low:>5.1f} - {high:>5.1f}  {reached:>7.1%}  {gain:>+7.2f}  {trials:>7.0f}  "
            f"{each:>8.1f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="8 tasks, 2 seeds")
    parser.add_argument("--seeds", type=int, default=5, help="runs per task")
    parser.add_argument("--first-seed", type=int, default=0, help="the first of them")
    parser.add_argument("--only", action="append", default=[], help="rows with this in their names, beside the first")
    parser.add_argument("--surrogate", type=Path, default=SURROGATE, help="folder of the surrogate")
    asked = parser.parse_args()
    if not (asked.surrogate / "model.onnx").exists():
        raise SystemExit(f"the LCBench surrogate is not in {asked.surrogate}; say where with --surrogate")
    chosen = tasks(asked.surrogate)[:: 34 // 8 if asked.quick else 1][: 8 if asked.quick else None]
    seeds = range(asked.first_seed, asked.first_seed + (2 if asked.quick else asked.seeds))
    first_trials = portfolios(asked.surrogate)
    names = [
        name
        for number, name in enumerate(METHODS)
        if not number or not asked.only or any(part in name for part in asked.only)
    ]
    jobs = [(asked.surrogate, task, seed, names, first_trials[task]) for seed in seeds for task in chosen]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        runs = list(pool.map(run_all, jobs))
    print(f"{len(chosen)} tasks, {len(seeds)} seeds, {WORKERS} workers, {FULL_TRAININGS} trainings of {EPOCHS} epochs")
    report(runs)


if __name__ == "__main__":
    main()
