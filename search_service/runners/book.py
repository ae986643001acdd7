"""The book of a round: whom to try next, who was asked, who ended how. Kept by the driver of every runner.

Everything that happens is appended to journals in the round's folder (``asked.jsonl``, ``told.jsonl``; the rungs are
in ``rungs.jsonl``, by halving.py), so that nothing that was learnt is lost with the process.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict

from search_service.events import Listener, TrialFinished, TrialProgressed
from search_service.results import EpochPoint, RoundPlan, RoundResult, TrialResult, TrialStatus
from search_service.runners.base import Cohort, CohortReport, Member
from search_service.sampling import Sampler
from trainables.metrics import METRICS
from trainables.seeds import derive_seed


class RoundBook:
    """Turns a plan into cohorts, and reports into results.

    Args:
        plan: Of the round.
        listen: Hears what happens to each trial.
    """

    def __init__(self, plan: RoundPlan, listen: Listener) -> None:
        self._plan, self._listen = plan, listen
        self._started = time.monotonic()
        self._sampler = Sampler(
            plan.space,
            plan.base,
            method=plan.sampler,
            mode=METRICS[plan.metric].mode,
            seed=derive_seed(plan.seed, "round", plan.number),
            first=plan.first,
        )
        self._asked = 0
        self._cohorts: dict[str, Cohort] = {}
        # trial -> epoch -> point: a report repeated after a restart changes nothing.
        self._points: dict[str, dict[int, EpochPoint]] = {}
        self._results: dict[str, TrialResult] = {}
        self._stop_reason = ""
        plan.folder.mkdir(parents=True, exist_ok=True)

    def next_cohort(self) -> Cohort | None:
        """The next trials to train, or None if the round is to end with those under way."""
        self._stop_reason = self._stop_reason or self._why_stop()
        if self._stop_reason:
            return None
        members = []
        for suggestion in self._sampler.ask(min(self._plan.population_size, self._plan.max_trials - self._asked)):
            number = self._asked
            self._asked += 1
            # Initial weights of its own for each trial, the same in every runner.
            seed = derive_seed(self._plan.seed, "round", self._plan.number, "trial", number)
            config = self._plan.base.replace({**suggestion.values, "seed": seed})
            members.append(Member(f"r{self._plan.number}-{number:03d}", suggestion.number, config, suggestion.values))
        cohort = Cohort(f"r{self._plan.number}-cohort-{len(self._cohorts):03d}", tuple(members))
        self._cohorts[cohort.cohort_id] = cohort
        for member in members:
            self._points[member.trial_id] = {}
            self._write("asked", {"trial": member.trial_id, "cohort": cohort.cohort_id, "values": dict(member.values)})
        return cohort

    def report(self, report: CohortReport) -> None:
        """Enter a cohort's report."""
        members = {member.trial_id: member for member in self._cohorts[report.cohort_id].members}
        for news in report.members:
            if news.trial_id in self._results:
                continue
            self._points[news.trial_id] |= {point.epoch: point for point in news.points}
            if news.status is TrialStatus.RUNNING:
                last = news.points[-1]
                self._listen(TrialProgressed(news.trial_id, last.epoch, last.validation_score))
            else:
                self._finish(members[news.trial_id], news.status, news.reason, report.worker)

    def fail(self, cohort_id: str, reason: str) -> None:
        """Enter that a cohort broke; those of its trials that had not ended have failed."""
        for member in self._cohorts[cohort_id].members:
            if member.trial_id not in self._results:
                self._finish(member, TrialStatus.FAILED, reason, "")

    def result(self) -> RoundResult:
        """The round's result, once every cohort has ended."""
        return RoundResult(
            plan=self._plan,
            trials=tuple(self._results[trial] for trial in sorted(self._results)),
            stop_reason=self._stop_reason or self._why_stop(),
            seconds=time.monotonic() - self._started,
        )

    def _why_stop(self) -> str:
        plan = self._plan
        if self._asked >= plan.max_trials:
            return f"all {plan.max_trials} trials done"
        if plan.deadline is not None and time.monotonic() >= plan.deadline:
            return "the time budget is spent"
        better = METRICS[plan.metric].better
        scores = [trial.score for trial in self._results.values() if trial.status is TrialStatus.COMPLETED]
        if plan.best_before is not None:
            scores.append(plan.best_before)
        if plan.target is not None and any(score == plan.target or better(score, plan.target) for score in scores):
            return f"the target {plan.metric} {plan.target:g} is reached"
        return ""

    def _finish(self, member: Member, status: TrialStatus, reason: str, worker: str) -> None:
        curve = tuple(point for _, point in sorted(self._points[member.trial_id].items()))
        trial = TrialResult(
            trial_id=member.trial_id,
            number=member.number,
            config=member.config,
            values=member.values,
            status=status,
            reason=reason,
            curve=curve,
            metric=self._plan.metric,
            worker=worker,
        )
        self._results[member.trial_id] = trial
        useful = status in (TrialStatus.COMPLETED, TrialStatus.PRUNED) and math.isfinite(trial.score)
        state = "completed" if status is TrialStatus.COMPLETED else "pruned"
        self._sampler.tell(member.number, state if useful else "failed", trial.score, trial.epochs)  # type: ignore[arg-type]
        self._write(
            "told",
            {
                "trial": trial.trial_id,
                "status": status,
                "reason": reason,
                "worker": worker,
                "config": trial.config.to_plain(),
                "curve": [asdict(point) for point in curve],
            },
        )
        self._listen(TrialFinished(trial))

    def _write(self, journal: str, entry: object) -> None:
        with (self._plan.folder / f"{journal}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
