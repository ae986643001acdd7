"""What the coarse and the refined search share: the plan of a round, and the verdict on it."""

from __future__ import annotations

import itertools
import math
import time
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from search_service.early_stopping.defaults import asha_rules
from search_service.errors import CheckFailedError
from search_service.folder import layout
from search_service.recipe import second_objective, warm_start
from search_service.recipe.tasks import nobody
from search_service.records.curves import score_at
from search_service.records.earlier import EarlierStudy
from search_service.records.events import Listener, RoundFinished, RoundStarted, TaskDone, TasksProgressed
from search_service.records.numbers import score_text
from search_service.records.round_plan import Limits, Resources, RoundPlan, Sampling
from search_service.records.rounds import RoundResult, TrialResult, TrialStatus
from search_service.records.steps import Step
from search_service.runners.base import Runner, Task, TaskListener, TaskTimes
from search_service.runners.sizing import size_of_population, wave_of
from search_service.runners.stopping import STOP_REQUESTED
from search_service.space.narrowing import Scored
from search_service.space.ranges import Space
from search_service.spec.sections import RoundSpec
from search_service.spec.study_spec import StudySpec
from trainables.config import TrialConfig
from trainables.data.dataset import Dataset
from trainables.metrics import METRICS
from trainables.trivial import TrivialPredictor

# Seconds that a step may train in the driver's process: a worker that has not started yet takes several.
AT_ONCE_S = 1.0


@dataclass(frozen=True)
class Place:
    """Where and for whom rounds are run: what every round of a study needs beside its space and budget.

    ``deadline`` is that of the study or, by ``deadline_of``, of the next round; ``earlier`` is the study of a warm
    start, if there is one; ``rounds`` are those that are over, in their order; ``sentences`` say how the size of the
    next one was decided.
    """

    spec: StudySpec
    dataset: Dataset
    runner: Runner
    listen: Listener
    folder: Path
    deadline: float | None
    earlier: EarlierStudy | None = None
    rounds: list[RoundResult] = field(default_factory=list)
    sentences: tuple[str, ...] = ()
    deadline_of: Literal["study", "round", "budget"] = "study"

    @property
    def epochs_left(self) -> int | None:
        """What is left of the study's epochs, less than 0 where trials under way went on beyond; None for no limit."""
        most = self.spec.search.max_total_epochs
        return None if most is None else most - sum(done.epochs for done in self.rounds)

    def searching(self, **changes: Any) -> Place:
        """The place with changes to the section ``search`` of its spec."""
        search = self.spec.search.model_copy(update=changes)
        return replace(self, spec=self.spec.model_copy(update={"search": search}))

    @property
    def stop_file(self) -> Path:
        """Exists once somebody has asked for an end: trials under way are trained, and the finalists are found."""
        return self.folder / layout.STOP

    def run_tasks(self, tasks: Sequence[Task], listen: TaskListener) -> list[Any]:
        """Have the runner run tasks, with what a trial of the study may use, and tell how far they are."""
        if not tasks:
            return []
        whole, done = sum(task.effort for task in tasks), 0.0
        number = itertools.count(1)

        def hear(task: Task, result: Any, times: TaskTimes) -> None:
            nonlocal done
            listen(task, result, times)
            done += task.effort
            last = TaskDone(task.name, times.worker, times.began_at, times.seconds)
            self.listen(TasksProgressed(next(number), len(tasks), done / whole if whole else 1.0, last))

        self.listen(TasksProgressed(0, len(tasks)))
        return self.runner.run_tasks(tasks, Resources.of(self.spec.search), hear)

    def do(self, task: Task) -> Any:
        """Do one task: here, if that is quicker than asking a worker, and no GPU is wanted, which workers have."""
        if self.spec.search.gpus_per_trial == 0 and task.effort < AT_ONCE_S:
            return task.call()
        return self.run_tasks([task], nobody)[0]

    @property
    def time_is_up(self) -> bool:
        """Whether the study's time budget is spent."""
        return self.deadline is not None and time.monotonic() >= self.deadline


def search(
    place: Place,
    *,
    number: int,
    step: Step,
    cycle: int,
    space: Space,
    base: TrialConfig,
    budget: RoundSpec,
    first: Sequence[Mapping[str, Any]],
    sentences: Sequence[str] = (),
    best_before: float | None = None,
) -> RoundResult:
    """Run one round and tell the listener.

    Raises:
        CheckFailedError: In the study's first round all trials failed or diverged, or none beats the predictor that
            ignores its inputs. Later rounds may bring nothing: what was found before stands.
        RunnerError: The runner broke.
    """
    spec = place.spec
    plan = RoundPlan(
        number=number,
        step=step,
        cycle=cycle,
        space=space,
        base=base,
        metric=spec.metric,
        sampling=Sampling(spec.search.sampler, first=tuple(first), ends=second_objective.ends(spec, place.dataset)),
        population_size=size_of_population(spec.search, budget.max_trials),
        asha=asha_rules(spec.search, budget),
        limits=_limits(place, budget, best_before),
        seed=spec.seed,
        folder=layout.round_folder(place.folder, number),
        resources=Resources.of(spec.search),
        wave=wave_of(spec.search),
    )
    if place.earlier is not None:
        plan, learnt = _taught(plan, place.earlier, place)
        sentences = [*sentences, *learnt]
    if plan.wave is not None:
        waves = f"in waves of {plan.wave} cohorts of {plan.population_size}: the same whoever is quicker"
        sentences = [*sentences, waves]
    place.listen(RoundStarted(plan, (*place.sentences, *sentences)))
    result = place.runner.run_round(plan, place.dataset, place.listen)
    place.rounds.append(result)
    place.listen(RoundFinished(result))
    if number == 1:
        _judge(result, place.dataset)
    return result


def _limits(place: Place, budget: RoundSpec, best_before: float | None) -> Limits:
    """What ends a round, of its own budget and of what is left of the study's."""
    search_spec = place.spec.search
    return Limits(
        max_trials=budget.max_trials,
        max_epochs=budget.max_epochs,
        epochs_left=place.epochs_left,
        target=place.spec.objective.target,
        best_before=best_before,
        patience_trials=search_spec.patience_trials,
        patience_minutes=search_spec.patience_minutes,
        deadline=place.deadline,
        deadline_of=place.deadline_of,
        stop_file=place.stop_file,
    )


def _taught(plan: RoundPlan, earlier: EarlierStudy, place: Place) -> tuple[RoundPlan, list[str]]:
    """The plan with what an earlier study teaches it, and the sentences that say so."""
    lesson = warm_start.lesson(earlier, plan, place.dataset.fingerprint)
    first, sentences = plan.sampling.first, [lesson.sentence]
    if plan.number == 1 and (known := warm_start.best(earlier, space=place.spec.space(), base=plan.base)) is not None:
        first = (warm_start.values_in(known, plan.space, plan.base), *first)
        sentences.append(f"tried first: trial {known.trial_id} of {earlier.study_id}")
    return replace(plan, sampling=replace(plan.sampling, first=first, past=lesson.trials)), sentences


def scored(result: RoundResult) -> list[Scored]:
    """The trials of a round as points for ``space.narrow``: by their place, those that diverged behind all others."""
    diverged = [trial for trial in result.trials if trial.status is TrialStatus.DIVERGED]
    return [Scored(trial.values, rank) for rank, trial in enumerate(by_place(result))] + [
        Scored(trial.values, math.inf) for trial in diverged
    ]


def by_place(result: RoundResult) -> list[TrialResult]:
    """The trials of a round that have a score, best first, whatever the order in which they came.

    A trial may get past a rung because it was there first. So one that was stopped does not come behind all that went
    further, but among them: behind as many of them as were better than it at the epoch where it was stopped, where all
    of them have a score. Those that were trained equally long are ordered by their scores. None that was stopped comes
    first: the best is one that was trained longest.
    """
    rank = METRICS[result.plan.metric].rank
    placed: list[TrialResult] = []
    for epochs, equals in groupby(result.ranked, key=lambda trial: trial.epochs):
        further = sorted(rank(score_at(trial.curve, epochs)) for trial in placed)
        least = min(len(placed), 1)
        new = [(max(least, bisect_right(further, rank(score_at(trial.curve, epochs)))), 0, trial) for trial in equals]
        old = [(place, 1, trial) for place, trial in enumerate(placed)]
        placed = [trial for _, _, trial in sorted(new + old, key=lambda item: item[:2])]
    return placed


def _judge(result: RoundResult, dataset: Dataset) -> None:
    plan, best = result.plan, result.best
    where = f"step {plan.name}"
    if not result.trials:
        remedy = "start the study again" if result.stop_reason == STOP_REQUESTED else "give it more time"
        raise CheckFailedError(f"{where}: no trial was started, since {result.stop_reason}; {remedy}")
    if best is None:
        diverged, failed = result.count(TrialStatus.DIVERGED), result.count(TrialStatus.FAILED)
        reasons = sorted({trial.reason for trial in result.trials if trial.status is TrialStatus.FAILED})
        raise CheckFailedError(
            f"{where}: none of {len(result.trials)} trials has a score ({diverged} diverged, {failed} failed"
            f"{': ' + reasons[0] if reasons else ''}); narrow search_space or lower the learning rates"
        )
    trivial = TrivialPredictor.of(dataset).constant_score(plan.metric, dataset.validation)
    if not METRICS[plan.metric].better(best.score, trivial):
        weighted = plan.metric == "accuracy" and best.config.class_weights != "none"
        cause = "the features may not hold the target, the labels may be mixed up, or the rates may be too low"
        if weighted:
            cause = "class_weights give up accuracy for the rare classes: set objective.metric: balanced_accuracy"
        raise CheckFailedError(
            f"{where}: no trial beats the predictor that ignores its inputs ({plan.metric} {score_text(best.score)} "
            f"against {score_text(trivial)}); {cause}"
        )
