"""What trainings cost here: before anything was trained, of some steps that are timed; later, of the rounds themselves.

How networks of different shapes compare is arithmetic (tasks.effort); how many seconds that is on this machine, beside
whatever else it does, is measured. A round that is over tells it best.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from search_service.recipe import tasks
from search_service.recipe.costs import Costs
from search_service.recipe.planned_rounds import planned_round
from search_service.records.rounds import RoundResult, TrialResult
from search_service.samplers.sampler import Sampler
from search_service.space.layers import in_config
from search_service.space.ranges import Space
from search_service.spec.sections import RoundSpec
from search_service.spec.study_spec import StudySpec
from trainables import baselines
from trainables.config import TrialConfig
from trainables.data.dataset import Dataset
from trainables.records import Pace

# Configurations drawn to see what those of a space cost in the mean, which then is within some per cent.
DRAWN = 64


@dataclass(frozen=True)
class Beside:
    """What takes time and is not training.

    Attributes:
        report_s: Seconds of a report of a population.
        task_s: Seconds of a task.
        load: How many times as long as on an idle machine things take.
    """

    report_s: float = 0.0
    task_s: float = 0.0
    load: float = 1.0


# The first trials at a rung have nobody to be compared with, so that rounds train more than is expected of them; and
# workers that train at once share caches and memory.
MORE_EPOCHS, SHARED = 1.3, 1.2
# Arithmetic takes about this part of what a start takes longer on a busy machine, imports and files as they are.
LOADED = 0.7
# Seconds of a network's epoch beside its steps: a look at the validation rows, a report.
SECONDS_PER_EPOCH = 1e-3


def before_rounds(
    spec: StudySpec, dataset: Dataset, space: Space, pace: Pace, slots: int, beside: Beside | None = None
) -> Costs:
    """What things will cost, of the pace of the config's trial.

    Args:
        spec: What was asked.
        dataset: Its rows.
        space: Ranges.
        pace: Of a population of the config's trial, measured while nothing else of the study trains.
        slots: Workers.
        beside: What is not training.
    """
    drawn, beside = configs_of(space, spec.trial), beside or Beside()
    factor = SHARED * factor_of(pace, spec.trial, dataset)
    together = fmean(_of_epoch([config] * pace.size, dataset) / pace.size for config in drawn)
    # About two epochs to a report, the members of a population together.
    per_report = beside.report_s / (2 * pace.size)
    # Those that win are rather among the large.
    largest = sorted(drawn, key=lambda config: _of_epoch([config], dataset))[len(drawn) // 2 :]
    return Costs(
        epoch=MORE_EPOCHS * (factor * together + per_report) / slots,
        network_epoch=factor * fmean(_among_its_kind(config, spec, dataset) for config in largest),
        single_epoch=factor * fmean(_of_epoch([config], dataset) for config in largest),
        baselines=baselines_s(spec, dataset, beside.load),
        slots=slots,
        task=beside.task_s,
        alone=fmean(_of_epoch([config], dataset) for config in drawn) / together,
    )


def after_round(
    spec: StudySpec,
    dataset: Dataset,
    result: RoundResult,
    best: Sequence[TrialResult],
    slots: int,
    beside: Beside | None = None,
) -> Costs:
    """What things cost, of what a round has taken.

    Args:
        spec: What was asked.
        dataset: Its rows.
        result: The round.
        best: Its best trials, one at least: finalists will be like them.
        slots: Workers.
        beside: What is not training.
    """
    beside = beside or Beside()
    budget = RoundSpec(max_trials=max(1, len(result.trials)), max_epochs=result.plan.limits.max_epochs)
    planned = planned_round(spec.search, result.plan.step, budget)
    trained = [trial for trial in result.trials if trial.epochs]
    alone = sum(_of_epoch([trial.config], dataset) * trial.epochs for trial in trained)
    together = sum(_in_its_cohort(trial, result, dataset) * trial.epochs for trial in trained)
    # Trials that went on have done so with fewer than they had begun with.
    effort, seconds = (alone + together) / 2, _seconds_at_work(result)
    factor, ratio = seconds * slots / effort, alone / together
    return Costs(
        epoch=seconds / planned.epochs_as_of_many(ratio),
        network_epoch=factor * fmean(_among_its_kind(trial.config, spec, dataset) for trial in best),
        single_epoch=factor * fmean(_of_epoch([trial.config], dataset) for trial in best),
        baselines=baselines_s(spec, dataset, beside.load),
        slots=slots,
        task=beside.task_s,
        alone=ratio,
    )


def _in_its_cohort(trial: TrialResult, result: RoundResult, dataset: Dataset) -> float:
    """Seconds of effort for an epoch of a trial among as many of its shape as are trained together."""
    hidden = tuple(trial.config.network.hidden_sizes)
    members = next((size.size for size in result.sizes if size.layer_sizes[1:-1] == hidden), 1)
    members = max(1, min(members, len(result.trials)))
    return _of_epoch([trial.config] * members, dataset) / members


def factor_of(pace: Pace, trial: TrialConfig, dataset: Dataset) -> float:
    """Seconds here for each of effort, of the pace of a population of the config's trial."""
    return pace.seconds_per_epoch / _of_epoch([trial] * pace.size, dataset)


def _seconds_at_work(result: RoundResult) -> float:
    """Seconds from the first training's beginning: workers may have had to start before."""
    times = [trial.times for trial in result.trials if trial.times is not None]
    if not times:
        return result.seconds
    return min(result.seconds, max(time.ended_at for time in times) - min(time.began_at for time in times))


def baselines_s(spec: StudySpec, dataset: Dataset, load: float) -> float:
    """Seconds of one worker for the simpler models, if they are wanted.

    Args:
        spec: What was asked.
        dataset: Its rows.
        load: How many times as long as on an idle machine things take.
    """
    if not spec.finalists.baselines:
        return 0.0
    # Beside others that train, and one that is busy with something else is not so with arithmetic alone.
    slower = max(SHARED, LOADED * load)
    again = spec.model.refit
    return slower * sum(LEAST_BASELINE_S + baselines.seconds(name, dataset, again=again) for name in baselines.NAMES)


# Importing scikit-learn in a worker, and scoring.
LEAST_BASELINE_S = 1.5


def configs_of(space: Space, base: TrialConfig) -> list[TrialConfig]:
    """Configurations from all over a space."""
    sampler = Sampler(space, base, method="random", mode="max", seed=0, most=DRAWN)
    suggestions = [suggestion for _ in range(DRAWN) for suggestion in sampler.ask(1)]
    return [base.replace(in_config(suggestion.values, base)) for suggestion in suggestions] or [base]


def seconds_of(efforts: Sequence[float], factor: float, slots: int) -> float:
    """Seconds until tasks are done, the longest first, each by whoever is free.

    Args:
        efforts: Of each task, in seconds, about.
        factor: Seconds here for each of those.
        slots: Workers.

    >>> seconds_of([1, 3, 2], 2.0, 2)
    6.0
    """
    ends = [0.0] * slots
    for effort in sorted(efforts, reverse=True):
        ends[ends.index(min(ends))] += factor * effort
    return max(ends)


def _among_its_kind(config: TrialConfig, spec: StudySpec, dataset: Dataset) -> float:
    """Seconds of effort for an epoch of a network among the seeds of a finalist, as they are cut into tasks."""
    members = min(tasks.members_per_task(config, dataset), max(2, spec.finalists.seeds))
    return _of_epoch([config] * members, dataset) / members


def _of_epoch(configs: Sequence[TrialConfig], dataset: Dataset) -> float:
    """Seconds of effort for an epoch of a population."""
    return tasks.effort(configs, dataset, 1) + SECONDS_PER_EPOCH


def finite(costs: Costs) -> bool:
    """Whether all of them are numbers that something can be reckoned with."""
    return all(math.isfinite(value) and value > 0 for value in (costs.epoch, costs.network_epoch, costs.single_epoch))
