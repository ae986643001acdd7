"""The book of a round: whom to try next, who was asked, who ended how. Kept by the driver of every runner.

Everything that happens is appended to journals in the round's folder, so that nothing is lost with the process:

    plan.json     what the round does
    asked.jsonl   each trial as it is asked for, with its configuration and cohort
    rungs.jsonl   the decisions of halving.py (rungs-1.jsonl and so on: of the other brackets, brackets.py)
    told.jsonl    each trial as it ends, with its curve and the cohort that it was in then
    paused.jsonl  each cohort that was saved with what was left of it
    merged.jsonl  each cohort that was made of what others had left
    ended.json    why the round ended

A book that finds them goes on where they end. Trials that were told are results again. What waits to go on with others
waits again, and a cohort that was made of such begins again with what it was made of. Whoever else was asked for and
not told is trained first, from the start, in the cohort and with the number that it had. What the rungs said to them
then, they say again, since a report repeated gets the answer it had.

Of a cohort of 64, ASHA leaves some 25 after the first rung and 10 after the second: on a GPU these take as long as the
64 did. So a cohort that is half empty is paused while there are new configurations to try, its worker begins those, and
paused cohorts of one structure and epoch go on together (paused.py).

A deterministic round (``RoundPlan.wave``) is the same whoever is quicker: its cohorts are asked for in waves, each when
all before have ended; none is paused, and what ends a round is looked at between waves.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from search_service.folder import journals, layout
from search_service.records.events import Listener, TrialFinished, TrialProgressed
from search_service.records.round_plan import RoundPlan
from search_service.records.rounds import RoundResult, TrialResult, TrialStatus, TrialTimes
from search_service.runners import plan_file
from search_service.runners.asking import Asking, AskingAhead, AskingInWaves, fate_of
from search_service.runners.base import Cohort, CohortReport, Member
from search_service.runners.network_size import size_objective
from search_service.runners.paused import Part, Paused, Training
from search_service.runners.round_journals import RoundJournals, points_of
from search_service.runners.sizing import CohortSizes
from search_service.runners.stopping import StoppingRules
from search_service.runners.waves import beside_others, next_wave
from search_service.samplers.sampler import Sampler, Suggestion
from search_service.space.layers import in_config
from trainables.metrics import METRICS
from trainables.records import EpochPoint
from trainables.seeds import derive_seed


class RoundBook:
    """Turns a plan into cohorts, and reports into results.

    Args:
        plan: The round's plan.
        sizes: How many configurations its cohorts have.
        listen: Hears what happens to each trial, and first of all of those that had ended before.

    Raises:
        RunnerError: The folder's journals are those of another plan.
    """

    def __init__(self, plan: RoundPlan, sizes: CohortSizes, listen: Listener) -> None:
        self._plan, self._sizes, self._listen = plan, sizes, listen
        self._started = time.monotonic()
        self._rungs = plan.rungs
        self._sampler = Sampler(
            plan.space,
            plan.base,
            method=plan.sampling.sampler,
            mode=METRICS[plan.metric].mode,
            seed=derive_seed(plan.seed, "round", plan.number),
            first=plan.sampling.first,
            most=plan.limits.max_trials,
            cost=size_objective(plan),
        )
        for trial in plan.sampling.past:
            self._sampler.learn(trial.values, trial.state, trial.score)
        self._rules = StoppingRules(plan)
        self._asked = 0
        # As they were asked for; ``_merged`` are made of these.
        self._cohorts: dict[str, Cohort] = {}
        self._merged: dict[str, Cohort] = {}
        # Epoch of the last report of each.
        self._heard: dict[str, int] = {}
        # How often cohorts were merged: names are not used twice.
        self._merges = 0
        self._journals = RoundJournals(plan)
        self._paused = Paused(plan.folder.absolute() / layout.PAUSED)
        # trial -> epoch -> point: a report repeated after a restart changes nothing.
        self._points: dict[str, dict[int, EpochPoint]] = {}
        # Of all trials together: what limits a round is looked at for each cohort.
        self._epochs = 0
        self._trained: dict[str, Training] = {}
        self._results: dict[str, TrialResult] = {}
        # Cohorts that wait for a worker: of an earlier process that had not ended them, of a wave, of a lost worker.
        self._to_begin: deque[Cohort] = deque()
        self._stop_reason = ""
        self._seconds: float | None = None
        plan.folder.mkdir(parents=True, exist_ok=True)
        plan_file.require_same(plan)
        self._take_up()
        ask = AskingAhead if plan.wave is None else AskingInWaves
        self._asking: Asking = ask(self._sampler, sizes.most, sizes.of)

    @property
    def has_ended(self) -> bool:
        """Whether an earlier process has finished this round."""
        return self._seconds is not None

    @property
    def is_closed(self) -> bool:
        """Whether ``next_cohort`` has nothing any more, and not only nothing yet."""
        return bool(self._stop_reason) and not self._to_begin and not self._paused

    def next_cohort(self) -> Cohort | None:
        """The next trials to train; None if there are none, or none yet (``is_closed``): those under way go on."""
        if self._to_begin:
            return beside_others(self._to_begin.popleft(), self._cohorts.values())
        if (parts := self._paused.take(full=True)) is not None:
            return self._merge(parts)
        if self._plan.wave is not None and len(self._results) < self._asked:
            return None
        self._stop_reason = self._stop_reason or self._why_stop()
        self._ask()
        if not self._to_begin:
            self._stop_reason = self._stop_reason or f"the whole grid of {self._asked} configurations is done"
            parts = self._paused.take(full=False)
            return None if parts is None else self._merge(parts)
        return beside_others(self._to_begin.popleft(), self._cohorts.values())

    def _ask(self) -> None:
        """Ask for a cohort, or for those of a wave, unless the round is to end."""
        wave = None if self._plan.wave is None else next_wave(self._cohorts.values())
        begun: list[Cohort] = []
        while not self._stop_reason and len(begun) < (self._plan.wave or 1):
            left = self._plan.limits.max_trials - self._asked
            suggestions = self._asking.ask(left) if left > 0 else []
            if not suggestions:
                break
            begun.append(self._enter(suggestions, wave))
        if begun:
            self._journals.write_suggested(begun)
            self._to_begin.extend(begun)

    def report(self, report: CohortReport) -> None:
        """Enter a cohort's report; what is said again, by a worker in the place of one that was lost, is known."""
        if report.epoch <= self._heard.get(report.cohort_id, 0):
            return
        self._heard[report.cohort_id] = report.epoch
        members = {member.trial_id: member for member in self._members_of(report.cohort_id)}
        began_at = time.time() - report.seconds
        for news in report.members:
            if news.trial_id in self._results:
                continue
            self._note(news.trial_id, news.points)
            training = self._trained.setdefault(news.trial_id, Training(began_at, {}))
            training.seconds[report.epoch] = report.seconds
            if news.status is TrialStatus.RUNNING:
                last = news.points[-1]
                self._asking.observe(members[news.trial_id].number, last.validation_score)
                self._listen(TrialProgressed(news.trial_id, last.epoch, last.validation_score))
            else:
                self._finish(members[news.trial_id], news.status, news.reason, report.cohort_id, report.worker)
        if report.finished:
            self._paused.end(report.cohort_id)

    def is_to_pause(self, report: CohortReport) -> bool:
        """Whether a cohort that has just reported is to be saved and left.

        Then ``pause`` is due once it is saved; until then the round does not end.
        """
        left = [member for member in report.members if member.status is TrialStatus.RUNNING]
        if self._plan.wave is not None:
            return False
        if not left or report.cohort_id in self._paused.leaving:
            return bool(left)
        new = 0 if self._stop_reason else self._plan.limits.max_trials - self._asked
        structure = self._members_of(report.cohort_id)[0].config.structure
        if new <= 0 or not self._paused.has_use_for(structure, report.epoch, len(left)):
            return False
        self._paused.leaving.add(report.cohort_id)
        return True

    def pause(self, report: CohortReport, saved: Path) -> None:
        """Take over what was saved of a cohort: its folder moves into the round's own.

        Args:
            report: Its last.
            saved: Its checkpoint after it, as ``cohort.write`` wrote it.
        """
        known = {member.trial_id: member for member in self._members_of(report.cohort_id)}
        left = tuple(known[news.trial_id] for news in report.members if news.status is TrialStatus.RUNNING)
        part = self._paused.keep(report.cohort_id, report.epoch, left, saved)
        # Once it is there: what is not written down was never paused, and begins again.
        curves = {member.trial_id: self._curve(member.trial_id) for member in left}
        self._journals.write_paused(part, curves, {trial: self._trained[trial] for trial in curves})
        self._paused.put(part)

    def fail(self, cohort_id: str, reason: str) -> None:
        """Enter that a cohort broke; those of its trials that had not ended have failed."""
        for member in self._members_of(cohort_id):
            if member.trial_id not in self._results:
                self._finish(member, TrialStatus.FAILED, reason, cohort_id)
        self._paused.end(cohort_id)

    def begin_again(self, cohort_id: str) -> None:
        """Have a cohort whose worker was lost trained once more, from its beginning and to the same numbers."""
        self._paused.leaving.discard(cohort_id)
        self._to_begin.append(self._cohorts.get(cohort_id) or self._merged[cohort_id])

    def _members_of(self, cohort_id: str) -> tuple[Member, ...]:
        return (self._cohorts.get(cohort_id) or self._merged[cohort_id]).members

    def _merge(self, parts: Sequence[Part]) -> Cohort:
        """Paused cohorts as one; one alone goes on as it was."""
        cohort = Cohort(
            f"r{self._plan.number}-merged-{self._merges:03d}",
            tuple(member for part in parts for member in part.members),
            tuple(part.folder for part in parts),
        )
        self._merges += 1
        self._merged[cohort.cohort_id] = cohort
        self._paused.begin(cohort)
        self._journals.write_merged(cohort, parts)
        return cohort

    def result(self) -> RoundResult:
        """The round's result, once every cohort has ended."""
        self._asking.close()
        self._paused.forget()
        if self._seconds is None:
            self._stop_reason = self._stop_reason or self._why_stop()
            self._seconds = time.monotonic() - self._started
            self._journals.write_ending(self._stop_reason, self._seconds, self._sizes.chosen)
        return RoundResult(
            plan=self._plan,
            trials=tuple(sorted(self._results.values(), key=lambda trial: trial.number)),
            stop_reason=self._stop_reason,
            seconds=self._seconds,
            sizes=self._sizes.chosen,
        )

    def _take_up(self) -> None:
        """Go on where an earlier process ended, if there was one."""
        folder = self._plan.folder
        for bracket in range(self._plan.asha.brackets if self._plan.asha else 0):
            journals.mend(folder / layout.rungs(bracket))
        for _, entries in groupby(self._journals.suggested(), key=lambda entry: entry["cohort"]):
            own = list(entries)
            drawn = [self._sampler.recall(self._journals.drawn(entry["values"])) for entry in own]
            self._enter(drawn, own[0].get("wave"))
        members = {member.trial_id: member for cohort in self._cohorts.values() for member in cohort.members}
        # A trial whose line is lost is trained again, to the same end.
        told = journals.mend(folder / layout.ENDED_TRIALS, rebuild=True)
        for entry in told:
            (member,) = self._journals.find(members, [entry["trial"]], layout.ENDED_TRIALS)
            if member.trial_id not in self._results:
                self._recall(member, entry)
        self._started -= max((entry["seconds"] for entry in told), default=0.0)
        self._begin_again(members)
        if (ending := journals.read_whole(folder / layout.ROUND_ENDING, rebuild=True)) is not None:
            self._stop_reason = ending["stop_reason"]
            self._sizes.recall(ending["sizes"])
            if len(self._results) == len(members):
                self._seconds = ending["seconds"]

    def _begin_again(self, members: Mapping[str, Member]) -> None:
        """Whoever had not ended waits or begins again, in the last cohort that can."""
        unfinished = members.keys() - self._results.keys()
        saved = self._journals.paused(members, self._paused)
        merged = self._journals.merged(members, self._paused)
        self._merges = len(merged)
        waiting: list[Part] = []
        begin: list[Cohort] = []
        # The last ones first: what was merged is made of cohorts before it.
        for cohort in reversed([*self._cohorts.values(), *merged]):
            left = {member.trial_id for member in cohort.members} & unfinished
            part = saved.get(cohort.cohort_id)
            if not left:
                continue
            if part is not None and left <= {member.trial_id for member in part.members}:
                waiting.append(part)
            elif all(folder.name in saved for folder in cohort.parts):
                begin.append(cohort)
            else:
                continue
            unfinished -= left
        for part in saved.values():
            # In the order in which they were saved.
            if part in waiting:
                self._paused.put(part)
                self._go_on(part)
        for cohort in reversed(begin):
            self._to_begin.append(cohort)
            if cohort.parts:
                self._merged[cohort.cohort_id] = cohort
                self._paused.begin(cohort)
            for folder in cohort.parts:
                self._go_on(saved[folder.name])

    def _go_on(self, part: Part) -> None:
        """Take up what is known of those of a saved cohort who have not ended."""
        for member in part.members:
            if member.trial_id not in self._results:
                self._observe(member, part.curves[member.trial_id])
                self._note(member.trial_id, part.curves[member.trial_id])
                if (training := part.times.get(member.trial_id)) is not None:
                    self._trained[member.trial_id] = training

    def _observe(self, member: Member, points: Sequence[EpochPoint]) -> None:
        """Tell the sampler what it heard before."""
        for point in points:
            if point.epoch in self._rungs:
                self._sampler.observe(member.number, point.validation_score)

    def _recall(self, member: Member, entry: Mapping[str, Any]) -> None:
        """A trial that had ended is a result again."""
        points = points_of(entry["curve"])
        self._note(member.trial_id, points)
        self._observe(member, points[:-1])
        times = TrialTimes(**entry["times"]) if "times" in entry else None
        status = TrialStatus(entry["status"])
        trial = self._end(member, status, entry["reason"], entry["worker"], entry["seconds"], times)
        self._sampler.tell(member.number, fate_of(trial), trial.score)
        self._listen(TrialFinished(trial))

    def _enter(self, suggestions: Sequence[Suggestion], wave: int | None = None) -> Cohort:
        """The next cohort and its trials, by their numbers."""
        members = []
        for suggestion in suggestions:
            number = self._asked
            self._asked += 1
            # Initial weights of its own for each trial, the same in every runner.
            seed = derive_seed(self._plan.seed, "round", self._plan.number, "trial", number)
            config = self._plan.base.replace({**in_config(suggestion.values, self._plan.base), "seed": seed})
            members.append(Member(self._journals.trial_id(number), suggestion.number, config, suggestion.values))
        cohort = Cohort(f"r{self._plan.number}-cohort-{len(self._cohorts):03d}", tuple(members), wave=wave)
        self._cohorts[cohort.cohort_id] = cohort
        self._paused.expect(cohort)
        self._points |= {member.trial_id: {} for member in members}
        return cohort

    def _why_stop(self) -> str:
        if self._plan.wave is not None:
            self._rules = StoppingRules.in_order(self._plan, self._results.values())
        return self._rules.why(asked=self._asked, epochs=self._epochs, seconds=time.monotonic() - self._started)

    def _finish(self, member: Member, status: TrialStatus, reason: str, cohort_id: str, worker: str = "") -> None:
        """A trial ends: it is written down first, and heard of then."""
        seconds = time.monotonic() - self._started
        times = None
        if (training := self._trained.pop(member.trial_id, None)) is not None:
            times = TrialTimes(training.began_at, time.time(), sum(training.seconds.values()))
        trial = self._end(member, status, reason, worker, seconds, times)
        self._journals.write_ended(trial, cohort_id, seconds)
        self._asking.tell(member.number, fate_of(trial), trial.score)
        self._listen(TrialFinished(trial))

    def _note(self, trial: str, points: Iterable[EpochPoint]) -> None:
        """Epochs of a trial, of which some may be known."""
        known = self._points[trial]
        before = len(known)
        known |= {point.epoch: point for point in points}
        self._epochs += len(known) - before

    def _curve(self, trial: str) -> list[dict[str, Any]]:
        """What was reported of a trial, as plain data."""
        return [point.to_plain() for _, point in sorted(self._points[trial].items())]

    def _end(
        self,
        member: Member,
        status: TrialStatus,
        reason: str,
        worker: str,
        seconds: float,
        times: TrialTimes | None,
    ) -> TrialResult:
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
            times=times,
        )
        self._results[member.trial_id] = trial
        self._rules.note(trial, seconds)
        return trial
