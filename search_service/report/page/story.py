"""Hears a study as it happens and makes its page when it is over, or cut short."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from search_service.records.events import (
    Event,
    RoundFinished,
    RoundStarted,
    StudyFinished,
    StudyStarted,
    TaskDone,
    TasksProgressed,
    TrialFinished,
)
from search_service.records.rounds import TrialResult
from search_service.report.page.document import ReportPage, Told
from search_service.report.page.search import ToldRound
from search_service.spec.study_spec import StudySpec


class Story:
    """Keeps what a study's result does not hold: why ranges are what they are, and the trials of a round under way.

    A study that goes on is told from its beginning, so whoever hears it has heard everything at its end.
    """

    def __init__(self) -> None:
        self._spec: StudySpec | None = None
        self._versions: Mapping[str, str] = {}
        self._rounds: dict[int, ToldRound] = {}
        self._trials: dict[str, TrialResult] = {}
        self._tasks: list[TaskDone] = []

    def hear(self, event: Event) -> None:
        """Keep what an event brings."""
        match event:
            case StudyStarted():
                self._spec, self._versions = event.spec, event.versions
                self._rounds, self._trials, self._tasks = {}, {}, []
            case TasksProgressed(last=TaskDone() as task):
                self._tasks.append(task)
            case RoundStarted():
                self._rounds[event.plan.number] = ToldRound(event.plan, (), event.sentences)
                self._trials = {}
            case TrialFinished():
                self.hear_trials([event.trial])
            case RoundFinished():
                done = event.result
                before = self._rounds.get(done.plan.number, ToldRound(done.plan, ()))
                self._rounds[done.plan.number] = replace(before, trials=done.trials, result=done)
                self._trials = {}
            case _:
                pass

    def hear_trials(self, trials: Iterable[TrialResult]) -> None:
        """Keep trials of the round that is under way."""
        self._trials |= {trial.trial_id: trial for trial in trials}

    def page(self, event: StudyFinished, places: Mapping[str, str] | None = None) -> ReportPage | None:
        """The page of the study that has ended; None if nobody heard it begin."""
        if self._spec is None:
            return None
        rounds = dict(self._rounds)
        if rounds and self._trials:
            last = max(rounds)
            rounds[last] = replace(rounds[last], trials=tuple(self._trials.values()))
        told = Told(self._versions, tuple(rounds.values()), tuple(self._tasks))
        return ReportPage.of(self._spec, event.result, places, told)
