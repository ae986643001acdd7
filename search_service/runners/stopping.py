"""When a round ends before all of its trials were asked for, and why, in a sentence.

The rules only keep further trials from being started: those under way are trained to their own end. They look at what
the journals hold and at the clock, so that a round that was taken up again ends as it would have.
"""

from __future__ import annotations

import math

from search_service.folder import layout
from search_service.records.round_plan import RoundPlan
from search_service.records.rounds import TrialResult, TrialStatus
from trainables.metrics import METRICS

# In a study's folder: whoever wants the study to end well, and soon, makes it.
STOP_FILE = layout.STOP
# Likewise, of whoever wants it to end now, as by Ctrl-C.
CANCEL_FILE = layout.CANCEL
STOP_REQUESTED = "a stop was requested"


class StoppingRules:
    """The rules of one round.

    Args:
        plan: Of the round; what is None in it is no rule.
    """

    def __init__(self, plan: RoundPlan) -> None:
        self._limits, self._metric_name, self._metric = plan.limits, plan.metric, METRICS[plan.metric]
        self._best = math.nan
        # Trials that ended since the best score, and when that was.
        self._since_best = 0
        self._best_at_s = 0.0
        self._best_completed = math.nan if plan.limits.best_before is None else plan.limits.best_before

    def note(self, trial: TrialResult, at_s: float) -> None:
        """A trial has ended.

        Args:
            trial: It.
            at_s: When, in seconds since the round began.
        """
        self._since_best += 1
        if trial.status not in (TrialStatus.COMPLETED, TrialStatus.PRUNED) or not math.isfinite(trial.score):
            return
        if math.isnan(self._best) or self._metric.better(trial.score, self._best):
            self._best, self._since_best, self._best_at_s = trial.score, 0, at_s
        # One that was stopped early is no answer yet, however good.
        if trial.status is TrialStatus.COMPLETED and (
            math.isnan(self._best_completed) or self._metric.better(trial.score, self._best_completed)
        ):
            self._best_completed = trial.score

    def why(self, *, asked: int, epochs: int, seconds: float, time_is_up: bool, stop_requested: bool = False) -> str:
        """Why no further trial is started; empty if one may be.

        Args:
            asked: Trials asked for.
            epochs: Reported of all trials of the round.
            seconds: Since the round began.
            time_is_up: Whether the study's time budget is spent.
            stop_requested: Whether somebody asked for an end.
        """
        limits = self._limits
        if asked >= limits.max_trials:
            return f"all {limits.max_trials} trials done"
        if stop_requested:
            return STOP_REQUESTED
        if time_is_up:
            return "the time budget is spent"
        if limits.epochs_left is not None and epochs >= limits.epochs_left:
            return f"the study's epochs are spent ({epochs} here, where {max(limits.epochs_left, 0)} were left)"
        if self._target_is_reached():
            return f"the target {self._metric_name} {limits.target:g} is reached"
        return self._out_of_patience(seconds)

    def _out_of_patience(self, seconds: float) -> str:
        limits = self._limits
        if limits.patience_trials is not None and self._since_best >= limits.patience_trials:
            return f"{self._nothing_better()} for {self._since_best} trials (patience: {limits.patience_trials})"
        minutes = (seconds - self._best_at_s) / 60
        if limits.patience_minutes is not None and minutes >= limits.patience_minutes:
            return f"{self._nothing_better()} for {minutes:.3g} minutes (patience: {limits.patience_minutes:g})"
        return ""

    def _target_is_reached(self) -> bool:
        best, target = self._best_completed, self._limits.target
        return target is not None and (best == target or self._metric.better(best, target))

    def _nothing_better(self) -> str:
        return "no score" if math.isnan(self._best) else f"no better {self._metric_name} than {self._best:.4g}"
