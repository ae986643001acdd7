"""The search as the page shows it: rounds with their ranges, hyperparameters by importance, and every trial.

Large studies are thinned, by how much a ``Detail`` says: every trial counts in what is said of a round, but not every
one is drawn, and fewer of a trial's epochs are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from search_service.records.curves import Curve
from search_service.records.events import TaskDone
from search_service.records.round_plan import RoundPlan
from search_service.records.rounds import RoundResult, TrialResult, TrialStatus
from search_service.report.documents import Document, Number, RoundDocument
from search_service.report.page.figures_in_short import DIGITS_OF_A_VALUE, cut, evenly, label, short
from search_service.report.page.worked import WorkedClock
from search_service.space.ranges import Choices, NumericRange, Range, Space, conditions
from search_service.spec.search_space import LEARNING_RATE
from trainables.metrics import METRICS


@dataclass(frozen=True)
class Detail:
    """How much of a study is shown.

    Attributes:
        trials: Trials that are drawn.
        epochs: Epochs of a trial's curve.
        curves: Trials with a curve, the best first.
    """

    trials: int
    epochs: int
    curves: int


@dataclass(frozen=True)
class ToldRound:
    """A round and its trials, over or not.

    Attributes:
        plan: What was to be done.
        trials: Those that had ended.
        sentences: Why its ranges are what they are.
        result: None where the study ended within the round.
    """

    plan: RoundPlan
    trials: tuple[TrialResult, ...]
    sentences: tuple[str, ...] = ()
    result: RoundResult | None = None


class TaskPart(Document):
    """What a worker did beside the rounds: a piece of the finalists, a baseline, the refit."""

    name: str
    worker: str
    began: Number = Field(description="Seconds since the first trial began.")
    ended: Number = Field(description="Likewise.")


class RangePart(Document):
    """What a round searched of a hyperparameter."""

    leaf: str
    low: Number
    high: Number
    log: bool
    choices: list[str]
    where: str = Field(description="Where it is searched; empty for everywhere.")
    sentence: str = Field(description="Why it is so; empty where the round has nothing to say.")


class RoundPart(Document):
    """A round of the search."""

    number: int
    step: int
    name: str
    cycle: int
    sampler: str
    max_trials: int
    max_epochs: int
    is_over: bool
    counts: dict[str, int]
    best_trial: str | None
    stop_reason: str
    seconds: Number
    sentences: list[str] = Field(description="Those that are of no single range.")
    ranges: list[RangePart]

    @classmethod
    def of(cls, told: ToldRound) -> RoundPart:
        """Make it of a round."""
        plan, done = told.plan, told.result
        said = {leaf: next((s for s in told.sentences if s.startswith(f"{leaf}: ")), "") for leaf in plan.space}
        best = done.best if done else None
        return cls(
            number=plan.number,
            step=int(plan.step),
            name=plan.name,
            cycle=plan.cycle,
            sampler=plan.sampling.sampler,
            max_trials=plan.limits.max_trials,
            max_epochs=plan.limits.max_epochs,
            is_over=done is not None,
            counts={
                str(status): sum(trial.status is status for trial in told.trials)
                for status in TrialStatus
                if status is not TrialStatus.RUNNING
            },
            best_trial=best.trial_id if best else None,
            stop_reason=done.stop_reason if done else "the study ended while this round was running",
            seconds=short(done.seconds) if done else None,
            sentences=[s for s in told.sentences if s not in said.values()],
            ranges=[_range(leaf, range_, said[leaf]) for leaf, range_ in plan.space.items()],
        )


def _range(leaf: str, range_: Range, sentence: str) -> RangePart:
    low = high = None
    log, choices = False, list[str]()
    if isinstance(range_, NumericRange):
        low, high = short(range_.low, DIGITS_OF_A_VALUE), short(range_.high, DIGITS_OF_A_VALUE)
        log = range_.log
    else:
        choices = [cut(label(choice)) for choice in range_.choices]
    return RangePart(
        leaf=leaf,
        low=low,
        high=high,
        log=log,
        choices=choices,
        where=conditions(range_),
        sentence=sentence.removeprefix(f"{leaf}: "),
    )


class LeafPart(Document):
    """A hyperparameter that was searched: its axis over all rounds."""

    leaf: str
    low: Number
    high: Number
    log: bool
    choices: list[str] = Field(description="Empty for numbers.")
    importance: Number = Field(description="Mean share over the rounds that tell; null where none does.")


class CurvePart(Document):
    """Epochs of a training, those that are shown."""

    epochs: list[int]
    score: list[Number] = Field(description="Validation score at these epochs.")
    loss: list[Number] = Field(description="Validation loss.")
    train: list[Number] = Field(description="Training loss.")

    @classmethod
    def of(cls, curve: Curve, most: int, keep: int | None = None) -> CurvePart:
        """Make it of a training.

        Args:
            curve: Its epochs.
            most: Epochs to show.
            keep: An epoch that is among them in any case.
        """
        shown = [curve[i] for i in evenly(len(curve), most)]
        if keep is not None and all(point.epoch != keep for point in shown):
            shown = sorted([*shown, *(p for p in curve if p.epoch == keep)], key=lambda point: point.epoch)
        return cls(
            epochs=[point.epoch for point in shown],
            score=[short(point.validation_score) for point in shown],
            loss=[short(point.validation_loss) for point in shown],
            train=[short(point.train_loss) for point in shown],
        )


class TrialPart(Document):
    """A trial: one configuration, and what became of it."""

    id: str
    round: int
    order: int = Field(description="Place among all trials by the time of their end, from 1.")
    status: str
    reason: str
    values: dict[str, Any] = Field(description="Hyperparameters that were searched; choices as text.")
    score: Number = Field(description="Best validation score; null where there is none.")
    epochs: int
    seconds: Number = Field(description="Trained; null where it was not written down.")
    worker: str
    began: Number = Field(description="Seconds since the first trial began.")
    ended: Number
    curve: CurvePart | None


class ImprovementPart(Document):
    """A trial that was better than all that had ended before it."""

    trial: str
    order: int
    score: Number


def _in_order(rounds: Sequence[ToldRound]) -> list[tuple[int, TrialResult]]:
    """Trials with the numbers of their rounds, by the time of their end; without times, by rounds."""
    told = [(done.plan.number, trial) for done in rounds for trial in done.trials]
    told.sort(key=lambda one: (one[1].times.ended_at if one[1].times else math.inf, one[0], one[1].number))
    return told


def best_so_far(rounds: Sequence[ToldRound]) -> list[ImprovementPart]:
    """Every trial that was the best when it ended, in that order; the last one is the best of the study."""
    found: list[ImprovementPart] = []
    least = math.inf
    for order, (_, trial) in enumerate(_in_order(rounds), start=1):
        able = trial.status in (TrialStatus.COMPLETED, TrialStatus.PRUNED)
        if able and math.isfinite(trial.score) and _rank(trial) < least:
            least = _rank(trial)
            found.append(ImprovementPart(trial=trial.trial_id, order=order, score=short(trial.score)))
    return found


def clock_of(tasks: Sequence[TaskDone], rounds: Sequence[ToldRound]) -> WorkedClock:
    """The clock of trials and tasks, which begins with the first trial."""
    times = [trial.times for done in rounds for trial in done.trials if trial.times]
    first = min((one.began_at for one in times), default=0.0)
    after = [(task.began_at, task.began_at + task.seconds) for task in tasks if 0 < first <= task.began_at]
    return WorkedClock([*((one.began_at, one.ended_at) for one in times), *after])


def tasks_of(tasks: Sequence[TaskDone], clock: WorkedClock) -> list[TaskPart]:
    """Tasks on the clock of the trials; those before the first trial are left out."""
    return [
        TaskPart(
            name=task.name,
            worker=task.worker,
            began=short(clock.since(task.began_at), DIGITS_OF_A_VALUE),
            ended=short(clock.since(task.began_at) + task.seconds, DIGITS_OF_A_VALUE),
        )
        for task in tasks
        if 0 < clock.first <= task.began_at
    ]


def trials_of(rounds: Sequence[ToldRound], detail: Detail, clock: WorkedClock) -> tuple[list[TrialPart], int]:
    """Trials in the order of their ends, and how many there are in all."""
    told = _in_order(rounds)
    spaces = {done.plan.number: done.plan.space for done in rounds}
    order = {trial.trial_id: place for place, (_, trial) in enumerate(told, start=1)}
    best_first = sorted((trial for _, trial in told), key=_rank)
    shown = _shown(best_first, [trial for _, trial in told], detail.trials)
    ranked = [trial.trial_id for trial in best_first if trial.trial_id in shown]
    epochs = dict.fromkeys(ranked, 0) | dict.fromkeys(ranked[: detail.curves], detail.epochs)
    parts = [
        _trial(number, trial, spaces[number], order[trial.trial_id], clock, epochs[trial.trial_id])
        for number, trial in told
        if trial.trial_id in shown
    ]
    return parts, len(told)


def _rank(trial: TrialResult) -> float:
    return METRICS[trial.metric].rank(trial.score)


def _shown(best_first: Sequence[TrialResult], in_order: Sequence[TrialResult], most: int) -> set[str]:
    """Ids of the trials that are drawn: where there are too many, the best quarter of ``most`` and an even sample."""
    if len(in_order) <= most:
        return {trial.trial_id for trial in in_order}
    best = {trial.trial_id for trial in best_first[: most // 4]}
    others = [trial.trial_id for trial in in_order if trial.trial_id not in best]
    return best | {others[i] for i in evenly(len(others), most - len(best))}


def _trial(number: int, trial: TrialResult, space: Space, order: int, clock: WorkedClock, epochs: int) -> TrialPart:
    best, times = trial.best_point, trial.times
    return TrialPart(
        id=trial.trial_id,
        round=number,
        order=order,
        status=str(trial.status),
        reason=cut(trial.reason),
        values={leaf: _value(space.get(leaf), value) for leaf, value in trial.values.items()},
        score=short(trial.score),
        epochs=trial.epochs,
        seconds=short(times.seconds) if times else None,
        worker=cut(trial.worker),
        began=short(clock.since(times.began_at), DIGITS_OF_A_VALUE) if times else None,
        ended=short(clock.since(times.ended_at), DIGITS_OF_A_VALUE) if times else None,
        curve=CurvePart.of(trial.curve, epochs, best.epoch if best else None) if epochs and trial.curve else None,
    )


def _value(range_: Range | None, value: Any) -> Any:
    """A value; one of several choices as the text that the axis has."""
    if isinstance(range_, Choices):
        return cut(label(value))
    if isinstance(value, float):
        return short(value, DIGITS_OF_A_VALUE)
    return value if isinstance(value, int) and not isinstance(value, bool) else cut(label(value))


def leaves_of(rounds: Sequence[ToldRound], documents: Sequence[RoundDocument]) -> list[LeafPart]:
    """Hyperparameters, the most important first; where nobody knows, the learning rate and what is in log space."""
    told = [done.importance.shares for done in documents]
    weights = {
        leaf: sum(weighed) / len(weighed)
        for leaf in {leaf for done in rounds for leaf in done.plan.space}
        if (weighed := [share for shares in told if (share := shares.get(leaf)) is not None])
    }
    parts = [
        _leaf(leaf, rounds, weights) for leaf in dict.fromkeys(leaf for done in rounds for leaf in done.plan.space)
    ]
    return sorted(parts, key=lambda p: (-(p.importance or 0.0), p.leaf != LEARNING_RATE, not p.log, p.leaf))


def _leaf(leaf: str, rounds: Sequence[ToldRound], weights: Mapping[str, float]) -> LeafPart:
    ranges = [done.plan.space[leaf] for done in rounds if leaf in done.plan.space]
    numeric = [range_ for range_ in ranges if isinstance(range_, NumericRange)]
    is_number = len(numeric) == len(ranges)
    choices = dict.fromkeys(
        cut(label(choice)) for range_ in ranges if not isinstance(range_, NumericRange) for choice in range_.choices
    )
    return LeafPart(
        leaf=leaf,
        low=short(min(r.low for r in numeric), DIGITS_OF_A_VALUE) if is_number else None,
        high=short(max(r.high for r in numeric), DIGITS_OF_A_VALUE) if is_number else None,
        log=is_number and all(range_.log for range_ in numeric),
        choices=[] if is_number else list(choices),
        importance=short(weights.get(leaf)),
    )


def describe_importance(rounds: Sequence[RoundDocument]) -> str:
    """Whether the order of the hyperparameters can be trusted, in a sentence."""
    if any(done.importance.shares for done in rounds):
        return "The axes are the hyperparameters that most tell the best third of the trials from the others, roughly."
    reasons = "; ".join(dict.fromkeys(done.importance.reason for done in rounds if done.importance.reason))
    return f"Which hyperparameter mattered most cannot be told ({reasons})." if reasons else ""
