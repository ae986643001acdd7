"""compare(): the same network, data and start under each optimiser, each at its own best learning rate.

Why: an optimiser compared at a learning rate that suits another one says nothing. So each first sweeps its own rates;
the best is the one with the lowest training loss in the last epoch, mean over the sweep's seeds, and never one that
diverged. Where the best rate lies at an edge of the sweep, the sweep is widened beyond it. Then each trains at that
rate from the same fresh seeds, which are the same initial weights, on the same batches.
The criterion is the training loss, since that is what an optimiser is there to lower.

All rates × seeds of a sweep are one population, and so are all seeds of the comparison. The path of each optimiser's
first seed is projected onto one slice through the loss (trainables.landscape). Its origin is the start, the one point
that all paths share, so that the slice has its true loss there. Measured on digits: along the paths the slice's loss
differs from the networks' own by a factor of e^1.7 in the mean, and by e^2.3 to e^2.4 on the slice through the best
end point or the mean of the end points, where the start's 2.3 reads as 0.04 or 0.02. Test rows are not used.
Source: Choi et al. 2019, "On empirical comparisons of optimizers for deep learning", on tuning each by itself.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from search_service.records.comparison_results import (
    ComparisonResult,
    LossSlice,
    OptimizerOutcome,
    PathOnSlice,
    RateTried,
)
from search_service.records.events import ComparisonFinished, ComparisonStarted, Listener, OptimizerCompared
from search_service.records.results import DataSummary, StudyStatus
from search_service.report.comparison_report import conclusion, report
from search_service.spec.study_spec import StudySpec
from trainables.choices import OPTIMIZER_DEFAULTS, OptimizerName
from trainables.config import OptimizerConfig, TrialConfig
from trainables.data.dataset import Dataset
from trainables.landscape import PathRecorder, Plane, grid_around, losses_at, path_steps, slice_rows
from trainables.records import EpochPoint
from trainables.seeds import derive_seed
from trainables.training import EpochRecord, PopulationTraining

# Half decades: rates closer than a factor of three end alike.
SWEEP_RATIO = math.sqrt(10.0)
# Rates on either side of a rule's default: three half decades reach from 0.03 to 30 times the default.
SWEEP_REACH = 3
# A sweep is widened at most so often, by so many rates each time: twice three half decades more on one side.
MOST_WIDENINGS, WIDEN_BY = 2, 3
# Points of the slice along x and y, 4:3: between them the pictures interpolate, and finer grids look the same.
GRID = (49, 37)
# Room around the paths, as a share of their extent.
MARGIN = 0.12

# (what was found, an existing folder) -> the files that were drawn into it.
Draw = Callable[[ComparisonResult, Path], Sequence[Path]]


def compare(
    spec: StudySpec,
    dataset: Dataset,
    data: DataSummary,
    listen: Listener,
    draw: Draw,
    *,
    comparison_id: str,
    folder: Path,
    versions: Mapping[str, str],
) -> ComparisonResult:
    """Compare the optimisers of ``spec.comparison`` on ``spec.trial``, in this process.

    Args:
        spec: What to compare.
        dataset: Training and validation rows.
        data: What the record says about the table.
        listen: Hears every event, as it happens.
        draw: Draws the pictures of a comparison that ran to its end.
        comparison_id: Names the comparison.
        folder: Exists; the pictures are written here.
        versions: The libraries' versions by name, for the record.

    Raises:
        OutsideError: The record broke.
        KeyboardInterrupt: After the listener was told.
    """
    started = time.monotonic()
    compared: list[_Compared] = []

    def result(status: StudyStatus, reason: str, slice_: LossSlice | None = None) -> ComparisonResult:
        outcomes, seconds = tuple(each.outcome for each in compared), time.monotonic() - started
        return ComparisonResult(comparison_id, status, reason, data, spec.metric, outcomes, slice_, seconds)

    def finish(result: ComparisonResult, files: Sequence[Path] = ()) -> ComparisonResult:
        listen(ComparisonFinished(result, report(spec, result), tuple(files)))
        return result

    try:
        # Inside: an interrupt may come with the very first event.
        listen(ComparisonStarted(comparison_id, spec, data, versions))
        for name in spec.comparison.optimizers:
            compared.append(_compare_one(spec, dataset, name))
            listen(OptimizerCompared(compared[-1].outcome))
        done = result(StudyStatus.COMPLETED, "", _slice([each.walk for each in compared if each.walk], dataset))
        done = replace(done, reason=conclusion(done))
        files = draw(done, folder)
    except KeyboardInterrupt:
        finish(result(StudyStatus.INTERRUPTED, "interrupted"))
        raise
    except Exception as error:
        finish(result(StudyStatus.FAILED, f"{type(error).__name__}: {error}"))
        raise
    return finish(done, files)


@dataclass(frozen=True)
class _Walk:
    """The path ``[N, P]`` of an optimiser's first seed, its points at ``steps``."""

    name: OptimizerName
    config: TrialConfig
    points: Tensor
    steps: tuple[int, ...]
    steps_per_epoch: int


@dataclass(frozen=True)
class _Compared:
    """An outcome and its walk; there is none if every learning rate diverged."""

    outcome: OptimizerOutcome
    walk: _Walk | None = None


def _compare_one(spec: StudySpec, dataset: Dataset, name: OptimizerName) -> _Compared:
    """Sweep the rates of one optimiser and train it at the best."""
    started = time.monotonic()
    base = with_optimizer(spec.trial, name)
    rates, sentences = sweep(first_rates(spec, name), lambda rates: _try_rates(spec, dataset, base, rates))
    seeds = tuple(derive_seed(spec.seed, "comparison", i) for i in range(spec.comparison.seeds))

    def outcome(config: TrialConfig | None, curves: tuple[tuple[EpochPoint, ...], ...]) -> OptimizerOutcome:
        seconds = time.monotonic() - started
        return OptimizerOutcome(name, config, rates, sentences, seeds, curves, spec.metric, seconds)

    best = best_rate(rates)
    if best is None:
        return _Compared(outcome(None, ()))
    configs = [base.replace({"optimizer.lr": best.rate, "seed": seed}) for seed in seeds]
    training = _training(spec, dataset, configs, spec.comparison.epochs)
    steps = path_steps(spec.comparison.epochs * training.steps_per_epoch, training.network.parameters.shape[1])
    path = PathRecorder(training, steps)
    curves = _train(training, dataset, spec.comparison.epochs, path)
    return _Compared(outcome(configs[0], curves), _Walk(name, configs[0], path.points, steps, training.steps_per_epoch))


def with_optimizer(trial: TrialConfig, name: OptimizerName) -> TrialConfig:
    """The trial under another update rule, at that rule's defaults; its own rule keeps the numbers it was given."""
    if name == trial.optimizer.name:
        return trial
    return trial.model_copy(update={"optimizer": OptimizerConfig(name=name)})


# ---- the sweep -------------------------------------------------------------------------------------------------


def first_rates(spec: StudySpec, name: OptimizerName) -> tuple[float, ...]:
    """The rates that a sweep begins with, ascending."""
    if spec.comparison.rates is not None:
        return tuple(sorted(spec.comparison.rates))
    default = OPTIMIZER_DEFAULTS[name]["lr"]
    return tuple(_rounded(default * SWEEP_RATIO**i) for i in range(-SWEEP_REACH, SWEEP_REACH + 1))


def sweep(
    first: Sequence[float], try_rates: Callable[[Sequence[float]], Sequence[RateTried]]
) -> tuple[tuple[RateTried, ...], tuple[str, ...]]:
    """Try rates, and more beyond the edge at which the best one lies.

    Args:
        first: The rates to begin with, ascending.
        try_rates: Trains at each of the given rates.

    Returns:
        Everything tried, ascending, and sentences about the widening.
    """
    tried = list(try_rates(first))
    sentences: list[str] = []
    for _ in range(MOST_WIDENINGS):
        more = rates_beyond(tried)
        if not more:
            break
        sentences.append(f"widened to {', '.join(f'{rate:.3g}' for rate in more)}: {_at_the_edge(tried)}")
        tried = sorted([*tried, *try_rates(more)], key=lambda each: each.rate)
    if rates_beyond(tried):
        sentences.append(f"{_at_the_edge(tried)}, and it was not widened further")
    return tuple(tried), tuple(sentences)


def best_rate(tried: Sequence[RateTried]) -> RateTried | None:
    """The rate with the lowest loss, the smaller one of two alike; None if all diverged."""
    best = min(tried, key=lambda each: each.loss)
    return best if math.isfinite(best.loss) else None


def rates_beyond(tried: Sequence[RateTried]) -> tuple[float, ...]:
    """Further rates on the side of the sweep where the best one lies; below it if all diverged; none if it is inside.

    Args:
        tried: Ascending.
    """
    best = best_rate(tried)
    more: list[float] = []
    if best is None or best is tried[0]:
        more += [_rounded(tried[0].rate / SWEEP_RATIO**i) for i in range(WIDEN_BY, 0, -1)]
    if best is not None and best is tried[-1]:
        more += [_rounded(tried[-1].rate * SWEEP_RATIO**i) for i in range(1, WIDEN_BY + 1)]
    return tuple(more)


def _at_the_edge(tried: Sequence[RateTried]) -> str:
    best = best_rate(tried)
    return "every rate diverged" if best is None else f"the best rate, {best.rate:.3g}, lies at the edge of the sweep"


def _rounded(rate: float) -> float:
    """To two digits: what a person would write, and half decades upon half decades still meet 0.1, 1 and 10."""
    return float(f"{rate:.2g}")


def _try_rates(spec: StudySpec, dataset: Dataset, base: TrialConfig, rates: Sequence[float]) -> list[RateTried]:
    """Train every rate × seed of the sweep as one population."""
    seeds = [derive_seed(spec.seed, "sweep", i) for i in range(spec.comparison.sweep_seeds)]
    configs = [base.replace({"optimizer.lr": rate, "seed": seed}) for rate in rates for seed in seeds]
    epochs = spec.comparison.sweep_epochs or spec.comparison.epochs
    training = _training(spec, dataset, configs, epochs)
    last = [0.0] * len(configs)
    for record in itertools.islice(training.epochs(), epochs):
        # A loss that was not finite once stays infinite, even if the network comes back.
        last = [
            loss if math.isfinite(loss) and math.isfinite(before) else math.inf
            for loss, before in zip(record.train_loss, last, strict=True)
        ]
    n = len(seeds)
    return [RateTried(rate, tuple(last[i * n : (i + 1) * n])) for i, rate in enumerate(rates)]


# ---- the comparison --------------------------------------------------------------------------------------------


def _training(spec: StudySpec, dataset: Dataset, configs: Sequence[TrialConfig], epochs: int) -> PopulationTraining:
    return PopulationTraining(configs, dataset, order_seed=spec.seed, max_epochs=epochs, metric=spec.metric)


def _train(
    training: PopulationTraining, dataset: Dataset, epochs: int, after_step: Callable[[], None]
) -> tuple[tuple[EpochPoint, ...], ...]:
    """The curve of each member, from epoch 0, at which nothing is trained yet."""
    untrained = losses_at(training.configs[0], dataset, training.network.parameters)
    loss, score = training.evaluate(training.validation_rows)
    start = EpochRecord(0, tuple(untrained.tolist()), tuple(loss.tolist()), tuple(score.tolist()))
    records = [start, *itertools.islice(training.epochs(after_step), epochs)]
    return tuple(tuple(record.of(member) for record in records) for member in range(training.size))


# ---- the slice -------------------------------------------------------------------------------------------------


def _slice(walks: Sequence[_Walk], dataset: Dataset) -> LossSlice | None:
    """The slice along the paths of all optimisers that did not diverge, with all paths on it."""
    paths = [_evaluate(walk, dataset) for walk in walks]
    whole = [path for path in paths if not path.diverged]
    if not whole:
        return None
    first = whole[0].walk
    points = torch.cat([path.walk.points for path in whole])
    plane = Plane.along(points, origin=first.points[0])
    x, y = grid_around(plane.project(points), GRID, MARGIN)
    cells = torch.cartesian_prod(y, x).flip(1)  # (y, x) in the order of the picture's rows -> (x, y)
    heights = losses_at(first.config, dataset, plane.points(cells)).view(len(y), len(x))
    return LossSlice(
        x=tuple(x.tolist()),
        y=tuple(y.tolist()),
        losses=tuple(tuple(row) for row in heights.tolist()),
        steps=first.steps,
        steps_per_epoch=first.steps_per_epoch,
        explained=(plane.explains(points, slice(0, 1)), plane.explains(points, slice(1, 2))),
        paths=tuple(_project(path, plane) for path in paths if path.losses),
        rows=len(slice_rows(dataset)),
    )


@dataclass(frozen=True)
class _Path:
    """A walk with the losses ``[N]`` of its points, cut before the first that is not finite."""

    walk: _Walk
    losses: tuple[float, ...]
    diverged: bool


def _evaluate(walk: _Walk, dataset: Dataset) -> _Path:
    losses = losses_at(walk.config, dataset, walk.points).tolist()
    n = next((i for i, loss in enumerate(losses) if not math.isfinite(loss)), len(losses))
    return _Path(replace(walk, points=walk.points[:n]), tuple(losses[:n]), n < len(losses))


def _project(path: _Path, plane: Plane) -> PathOnSlice:
    points = tuple((x, y) for x, y in plane.project(path.walk.points).tolist())
    return PathOnSlice(path.walk.name, points, path.losses, plane.explains(path.walk.points), path.diverged)
