"""The studies of a home at a glance: where each stands, read from its folder alone, whoever runs it or has run it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from search_service.errors import DamagedFileError
from search_service.folder import journals, layout, study_folder
from search_service.folder.study_folder import StudyFolder
from search_service.records.rounds import TrialStatus
from search_service.records.steps import Step
from search_service.report.documents import Document
from trainables.metrics import METRICS, MetricName

# A process works on it; it has ended, one way or the other; or its process has, and it can go on.
StateAtHome = Literal["running", "completed", "failed", "interrupted"]
_BEGINNINGS = ("step_started", "round_started")
_ABLE = (TrialStatus.COMPLETED, TrialStatus.PRUNED)
# Of a study, those that are shown.
BEST_TRIALS = 5


class StudyAtHome(Document):
    """Where a study stands."""

    id: str
    name: str
    state: StateAtHome
    wanted: str = Field(default="run", description="run, stop or cancel: what was asked of it while it runs.")
    reason: str = Field(description="Why it ended; empty if it has not.")
    step: int | None = Field(description=f"Of the recipe, that was begun last; {Step.FINALISTS} are the finalists.")
    metric: MetricName | None
    trials: int = Field(description="Ended.")
    planned: int = Field(description="Trials at most, of the rounds that have begun.")
    best_trial: str | None = Field(description="The winner; before, the best of the trials that were trained furthest.")
    best_score: float | None = Field(description="Its validation score; of the winner the mean over its trainings.")
    test_score: float | None = Field(description="Of the model that is handed over.")
    worth_it: str = Field(description="Whether the model is better than simpler ones; empty while it is not known.")
    began_at: datetime | None
    seconds: float = Field(description="Time that was worked on it.")
    folder: str


def studies_of(studies: Path) -> Iterator[StudyAtHome]:
    """Every study of a home, the newest first; what is no study is left out.

    Args:
        studies: Folder of the studies.
    """
    folders = [path for path in studies.glob("*") if (path / layout.SPEC).is_file()]
    for path in sorted(folders, key=lambda path: (path / layout.SPEC).stat().st_mtime, reverse=True):
        folder = StudyFolder(path)
        yield study_of(folder, events_of(folder))


def study_of(folder: StudyFolder, events: list[dict[str, Any]]) -> StudyAtHome:
    """A study, from its folder and what ``events_of`` has read there."""
    state, reason = _state(folder, events)
    by_type: dict[str, list[Mapping[str, Any]]] = {}
    for event in events:
        by_type.setdefault(event["type"], []).append(event)
    metric = next((event["metric"] for event in by_type.get("study_started", ())), None)
    best, score = _best(events, metric)
    packed = by_type.get("model_packed", ())
    return StudyAtHome(
        id=folder.path.name,
        name=_name(folder),
        state=state,
        wanted=_wanted(folder) if state == "running" else "run",
        reason=reason,
        # A search step begins with its round, and each step of its own with itself.
        step=next((event["step"] for event in reversed(events) if event["type"] in _BEGINNINGS), None),
        metric=metric,
        trials=len(by_type.get("trial_finished", ())),
        planned=sum(event["max_trials"] for event in by_type.get("round_started", ())),
        best_trial=best,
        best_score=score,
        test_score=packed[-1]["test_score"] if packed else None,
        # Studies of older versions have not written it down.
        worth_it=next((str(event.get("worth_it", "")) for event in by_type.get("finalists_finished", ())), ""),
        began_at=datetime.fromisoformat(events[0]["at"]).astimezone(UTC) if events else None,
        seconds=folder.seconds,
        folder=str(folder.path),
    )


def _state(folder: StudyFolder, events: list[dict[str, Any]]) -> tuple[StateAtHome, str]:
    """Where it stands, and why it ended."""
    if (ending := folder.ending) is not None:
        status, _, reason = ending.partition(": ")
        return ("completed" if status == "completed" else "failed"), reason
    if folder.is_locked:
        return "running", ""
    if events and events[-1]["type"] == "study_finished":
        return "interrupted", events[-1]["reason"]
    return "interrupted", "its process ended without a word" if events else "nobody has worked on it"


def _wanted(folder: StudyFolder) -> str:
    return next((asked for asked in (layout.CANCEL, layout.STOP) if (folder.path / asked).exists()), "run")


def _name(folder: StudyFolder) -> str:
    try:
        return str(study_folder.load_spec(folder)["name"])
    except (DamagedFileError, KeyError, TypeError):
        return folder.path.name


def events_of(folder: StudyFolder) -> list[dict[str, Any]]:
    """What has happened, oldest first; what cannot be read of it is left out."""
    try:
        return journals.read(folder.path / layout.EVENTS)
    except DamagedFileError:
        # Whoever goes on with the study mends it; who looks on changes nothing.
        return []


def best_trials(events: list[dict[str, Any]], metric: MetricName | None) -> list[dict[str, Any]]:
    """The trials that have a score and did not fail, the best first of those that were trained furthest.

    As ``RoundResult.ranked`` has it: who was stopped at epoch 3 says nothing of how it would have done at epoch 27.
    """
    if metric is None:
        return []
    finished = [event for event in events if event["type"] == "trial_finished"]
    able = [event for event in finished if event["status"] in _ABLE and _is_number(event["score"])]
    # Of equals the first.
    return sorted(able, key=lambda event: (-event["epochs"], METRICS[metric].rank(event["score"])))


def _best(events: list[dict[str, Any]], metric: MetricName | None) -> tuple[str | None, float | None]:
    """The winner or, before there is one, the best trial, and its validation score."""
    trials = best_trials(events, metric)
    won = next((event for event in reversed(events) if event["type"] == "finalists_finished"), None)
    if won is None:
        return (trials[0]["trial"], trials[0]["score"]) if trials else (None, None)
    # Studies of earlier versions do not say the winner's mean.
    own = (event["score"] for event in trials if event["trial"] == won["winner"])
    return won["winner"], won.get("score", next(own, None))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
