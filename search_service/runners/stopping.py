"""When a round ends before all of its trials were asked for, and why, in a sentence.

The rules only keep further trials from being started: those under way are trained to their own end. They look at what
the journals hold and at the clock, so that a round that was taken up again ends as it would have.

A new rule is a function and a line in STOPPING_RULES. What the user sets for it is a field of ``Limits``
(records/round_plan.py); a rule of one's own, added from outside, may bring its numbers with it:

    STOPPING_RULES["ten that diverged"] = ten_diverged
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from search_service.records.numbers import score_text
from search_service.records.round_plan import RoundPlan
from search_service.records.rounds import TrialResult, TrialStatus
from trainables.metrics import METRICS

STOP_REQUESTED = "a stop was requested"


@dataclass
class Progress:
    """How far a round has come: what rules look at beside its plan.

    Attributes:
        asked: Number of trials asked for.
        epochs: Number of epochs reported of all trials of the round.
        seconds: Time since the round began, that of earlier processes included.
        ended: Trials that have ended, in the order in which they did.
        best: Best score of trials that were completed or stopped at a rung; NaN without one.
        since_best: Number of trials that have ended since the best score.
        best_at_s: When that was, in seconds since the round began; 0 without one.
        best_completed: Best score of trials that were trained to the end, or of the round before where that counts
            towards the target; NaN without one. A trial that was stopped early is no answer yet, however good.
    """

    asked: int = 0
    epochs: int = 0
    seconds: float = 0.0
    ended: list[TrialResult] = field(default_factory=list)
    best: float = math.nan
    since_best: int = 0
    best_at_s: float = 0.0
    best_completed: float = math.nan


# What is spent, by whose time it is.
_TIMES = {
    "study": "the time budget is spent",
    "round": "the round's share of the minutes is spent",
    "budget": "the round's share of the time budget is spent",
}
# Why no further trial of a round is started; empty if one may be.
StoppingRule = Callable[[RoundPlan, Progress], str]


def all_trials_asked(plan: RoundPlan, progress: Progress) -> str:
    """Every trial of the round's budget was asked for."""
    most = plan.limits.max_trials
    return f"all {most} trials done" if progress.asked >= most else ""


def stop_requested(plan: RoundPlan, progress: Progress) -> str:
    """Somebody has made the file that asks for an end."""
    file = plan.limits.stop_file
    # However soon: without a trial of the first round there is nothing to end well with.
    if plan.number == 1 and not progress.asked:
        return ""
    return STOP_REQUESTED if file is not None and file.exists() else ""


def time_is_up(plan: RoundPlan, progress: Progress) -> str:
    """The study's time is over, or the round's part of it."""
    deadline = plan.limits.deadline
    if deadline is None or time.monotonic() < deadline:
        return ""
    of_round = plan.limits.deadline_of != "study"
    # However short the time: without a trial of the first round there is nothing to go on with.
    if of_round and plan.number == 1 and not progress.asked:
        return ""
    return _TIMES[plan.limits.deadline_of]


def epochs_are_spent(plan: RoundPlan, progress: Progress) -> str:
    """The study's epochs are used up."""
    left = plan.limits.epochs_left
    if left is None or progress.epochs < left:
        return ""
    return f"the study's epochs are spent ({progress.epochs} here, where {max(left, 0)} were left)"


def target_is_reached(plan: RoundPlan, progress: Progress) -> str:
    """A trial that was trained to the end is as good as the user asked for."""
    target, best = plan.limits.target, progress.best_completed
    if target is None or not (best == target or METRICS[plan.metric].better(best, target)):
        return ""
    return f"the target {plan.metric} {target:g} is reached"


def too_many_trials_without_a_better_score(plan: RoundPlan, progress: Progress) -> str:
    """The patience in trials has run out."""
    patience = plan.limits.patience_trials
    if patience is None or progress.since_best < patience:
        return ""
    return f"{_nothing_better(plan, progress)} for {progress.since_best} trials (patience: {patience})"


def too_long_without_a_better_score(plan: RoundPlan, progress: Progress) -> str:
    """The patience in minutes has run out."""
    patience, minutes = plan.limits.patience_minutes, (progress.seconds - progress.best_at_s) / 60
    if patience is None or minutes < patience:
        return ""
    return f"{_nothing_better(plan, progress)} for {minutes:.3g} minutes (patience: {patience:g})"


def _nothing_better(plan: RoundPlan, progress: Progress) -> str:
    return "no score" if math.isnan(progress.best) else f"no better {plan.metric} than {score_text(progress.best)}"


# In the order in which they are asked: the first that gives a reason ends the round.
STOPPING_RULES: dict[str, StoppingRule] = {
    "max_trials": all_trials_asked,
    "stop_file": stop_requested,
    "deadline": time_is_up,
    "epochs_left": epochs_are_spent,
    "target": target_is_reached,
    "patience_trials": too_many_trials_without_a_better_score,
    "patience_minutes": too_long_without_a_better_score,
}


class StoppingRules:
    """All rules for one round, and what they look at.

    Args:
        plan: The round's plan.
    """

    def __init__(self, plan: RoundPlan) -> None:
        self._plan, self._metric = plan, METRICS[plan.metric]
        self._progress = Progress()
        if plan.limits.best_before is not None:
            self._progress.best_completed = plan.limits.best_before

    @classmethod
    def in_order(cls, plan: RoundPlan, trials: Iterable[TrialResult]) -> StoppingRules:
        """The rules of a deterministic round, which hear of trials by their numbers, whoever was quicker."""
        rules = cls(plan)
        for trial in sorted(trials, key=lambda trial: trial.number):
            rules.note(trial, 0.0)
        return rules

    def note(self, trial: TrialResult, at_s: float) -> None:
        """Take note of a trial that has ended.

        Args:
            trial: The trial.
            at_s: When it ended, in seconds since the round began.
        """
        now = self._progress
        now.ended.append(trial)
        now.since_best += 1
        if trial.status not in (TrialStatus.COMPLETED, TrialStatus.PRUNED) or not math.isfinite(trial.score):
            return
        if math.isnan(now.best) or self._metric.better(trial.score, now.best):
            now.best, now.since_best, now.best_at_s = trial.score, 0, at_s
        if trial.status is TrialStatus.COMPLETED and (
            math.isnan(now.best_completed) or self._metric.better(trial.score, now.best_completed)
        ):
            now.best_completed = trial.score

    def why(self, *, asked: int, epochs: int, seconds: float) -> str:
        """Why no further trial is started; empty if one may be.

        Args:
            asked: Trials asked for.
            epochs: Reported of all trials of the round.
            seconds: Since the round began.
        """
        now = self._progress
        now.asked, now.epochs, now.seconds = asked, epochs, seconds
        return next((reason for rule in STOPPING_RULES.values() if (reason := rule(self._plan, now))), "")
