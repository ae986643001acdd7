"""What has happened in a study, in its folder, for whoever watches from elsewhere: the service, a script, ``tail -f``.

``events.jsonl`` has one event a line, oldest first; a line's number is its id. A study that goes on is told again from
its beginning: what stands there already is not written again, so that a reader who has followed it hears nothing twice.
The text of the report is written beside it once the study is over.

>>> as_entry(StepStarted(4, "coarse search", cycle=1))
{'type': 'step_started', 'step': 4, 'name': 'coarse search', 'cycle': 1}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, assert_never

from search_service.folder import journals, layout
from search_service.records.events import (
    CheckFinished,
    ComparisonFinished,
    ComparisonStarted,
    CycleDecided,
    Event,
    FinalistsFinished,
    ModelPacked,
    OptimizerCompared,
    RoundFinished,
    RoundStarted,
    StepStarted,
    StudyFinished,
    StudyStarted,
    TaskDone,
    TasksProgressed,
    TrialFinished,
    TrialProgressed,
)
from search_service.records.round_plan import RoundPlan
from search_service.records.rounds import RoundResult, TrialResult
from search_service.report.documents import CheckDocument, finite
from search_service.report.worth import not_compared, worth

# Every process that works on a study begins it and ends it: these stand there once for each.
_OF_A_PROCESS = ("study_started", "study_finished")
# What tells two events of a type apart.
_IDENTITY = ("type", "step", "cycle", "round", "trial", "epoch", "task")


class EventJournal:
    """Writes events into a study's folder.

    Args:
        folder: The study's folder, which exists.
        page: Tells the study's page below the address of the record's UI. It is written with the first event, and with
            the next one once it is another: a record that is written beside the study makes its run a moment later.
    """

    def __init__(self, folder: Path, page: Callable[[], str] = str) -> None:
        self._folder, self._page = folder, page
        self._told: str | None = None
        self._known = {_identity(entry) for entry in journals.mend(folder / layout.EVENTS, rebuild=True)}

    def record(self, event: Event) -> None:
        """Write an event, unless it stands there."""
        entry = as_entry(event)
        if entry is None:
            return
        if isinstance(event, StudyFinished):
            (self._folder / layout.REPORT).write_text(event.report, encoding="utf-8")
        identity = _identity(entry)
        if identity in self._known and entry["type"] not in _OF_A_PROCESS:
            return
        self._known.add(identity)
        if (page := self._page()) != self._told:
            entry["page"] = self._told = page
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        journals.append(self._folder / layout.EVENTS, [{"at": at, **finite(entry)}])


def as_entry(event: Event) -> dict[str, Any] | None:  # noqa: PLR0911, PLR0912 (one for each kind of event)
    """An event as plain data; None for those that tell nobody anything, and of a comparison, which is no study."""
    match event:
        case StudyStarted():
            return {
                "type": "study_started",
                "resumed": event.resumed,
                **({"extends": event.extends} if event.extends else {}),
                "metric": event.spec.metric,
                "rows": {"train": event.data.n_train, "validation": event.data.n_validation, "test": event.data.n_test},
                "fingerprint": event.data.fingerprint,
            }
        case StepStarted():
            return {"type": "step_started", "step": event.step, "name": event.name, "cycle": event.cycle}
        case CheckFinished():
            return {"type": "check_finished", **CheckDocument.of(event.check).plain()}
        case RoundStarted():
            return {"type": "round_started", **_plan(event.plan), "decided": list(event.sentences)}
        case TrialProgressed():
            return {"type": "trial_progressed", "trial": event.trial_id, "epoch": event.epoch, "score": event.score}
        case TrialFinished():
            return {"type": "trial_finished", **_trial(event.trial)}
        case RoundFinished():
            return {"type": "round_finished", **_round(event.result)}
        case CycleDecided():
            decision = event.decision
            return {
                "type": "cycle_decided",
                "cycle": decision.cycle,
                "stop": decision.stop,
                "reason": decision.reason,
                "decided": list(decision.narrowing),
            }
        case TasksProgressed():
            return None if event.last is None else _task(event.last)
        case FinalistsFinished():
            return {
                "type": "finalists_finished",
                "winner": event.result.winner.trial_id,
                "score": event.result.winner.mean,
                "test_score": event.result.test_mean,
                "worth_it": worth(event.result) or not_compared(event.result),
            }
        case ModelPacked():
            return {"type": "model_packed", "folder": event.folder.name, "test_score": event.test_score}
        case StudyFinished():
            result = event.result
            return {
                "type": "study_finished",
                "status": str(result.status),
                "reason": result.reason,
                "seconds": round(result.seconds, 3),
            }
        case ComparisonStarted() | OptimizerCompared() | ComparisonFinished():
            return None
        case _:
            assert_never(event)


def _plan(plan: RoundPlan) -> dict[str, Any]:
    return {
        "round": plan.number,
        "step": plan.step,
        "cycle": plan.cycle,
        "name": plan.name,
        "max_trials": plan.limits.max_trials,
        "max_epochs": plan.limits.max_epochs,
    }


def _round(done: RoundResult) -> dict[str, Any]:
    return {
        "round": done.plan.number,
        "trials": len(done.trials),
        "best": done.best.trial_id if done.best else None,
        "best_score": done.best.score if done.best else None,
        "reason": done.stop_reason,
        "seconds": round(done.seconds, 3),
    }


def _trial(trial: TrialResult) -> dict[str, Any]:
    best = trial.best_point
    return {
        "trial": trial.trial_id,
        "round": int(trial.trial_id.removeprefix("r").partition("-")[0]),
        "status": str(trial.status),
        "reason": trial.reason,
        "score": trial.score,
        "best_epoch": best.epoch if best else None,
        "epochs": trial.epochs,
        "values": dict(trial.values),
        "worker": trial.worker,
        "began_at": trial.times.began_at if trial.times else None,
        "seconds": round(trial.times.seconds, 3) if trial.times else None,
    }


def _task(task: TaskDone) -> dict[str, Any]:
    return {
        "type": "task_finished",
        "task": task.name,
        "worker": task.worker,
        "began_at": task.began_at,
        "seconds": round(task.seconds, 3),
    }


def _identity(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(entry.get(key) for key in _IDENTITY)
