"""Events of a study as they are read from its folder, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from search_service.records.steps import Step
from search_service.service.states import ACTIVE, State
from search_service.service.store.database import Database, study_row
from search_service.service.tables import EventRow, StudyRow, TrialRow
from trainables.metrics import METRICS, MetricName


class EventIntake(Database):
    """Enters what a study says."""

    def take_in(self, study_id: str, entries: Sequence[Mapping[str, Any]], *, begin: int, end: int) -> None:
        """Enter events of a study and what follows from them.

        Args:
            study_id: The study's id.
            entries: Lines of its events.jsonl, in their order.
            begin: Byte of the file at which they begin. If the store has read further, they are in it.
            end: Byte at which they end.
        """
        with self._writing.begin() as session:
            row = study_row(session, study_id, lock=True)
            if row.read_bytes != begin:
                return
            for entry in entries:
                row.events += 1
                session.add(EventRow(study_id=study_id, number=row.events, type=entry["type"], content=dict(entry)))
                _apply(session, row, entry)
            row.read_bytes = end


def _apply(session: Session, row: StudyRow, entry: Mapping[str, Any]) -> None:
    """What an event says of its study."""
    stopping = row.state == State.STOPPING
    # In the record, whose run of the study is made while it goes on.
    row.page = entry.get("page") or row.page
    match entry["type"]:
        case "study_started":
            row.metric = entry["metric"]
        case "step_started":
            row.step = entry["step"]
            if entry["step"] == Step.FINALISTS and row.state in ACTIVE and not stopping:
                row.state = State.FINISHING
        case "round_started":
            row.round, row.step = entry["round"], entry["step"]
            row.planned += entry["max_trials"]
            if row.state in ACTIVE and not stopping:
                row.state = State.SEARCHING
        case "trial_finished":
            _enter_trial(session, row, entry)
        case "finalists_finished":
            row.best_trial, row.test_score = entry["winner"], entry["test_score"]
            row.best_score = entry.get("score", row.best_score)
        case "model_packed":
            # Of the model that is handed over, which may be trained again, or a mean of networks.
            row.test_score = entry["test_score"]


def _enter_trial(session: Session, row: StudyRow, entry: Mapping[str, Any]) -> None:
    metric, score = METRICS[row.metric or "accuracy"], entry["score"]  # type: ignore[index]
    session.add(
        TrialRow(
            study_id=row.id,
            trial_id=entry["trial"],
            round=entry["round"],
            status=entry["status"],
            reason=entry["reason"],
            score=score,
            rank=None if score is None else metric.rank(score),
            best_epoch=entry["best_epoch"],
            epochs=entry["epochs"],
            leaves=entry["values"],
            worker=entry["worker"],
        )
    )
    row.trials += 1
    row.fruitless = 0
    # A trial that diverged after a good epoch is no answer.
    counts = score is not None and entry["status"] in ("completed", "pruned")
    if counts and (row.best_score is None or _is_ahead(session, row, entry)):
        row.best_score, row.best_trial = score, entry["trial"]


def _is_ahead(session: Session, row: StudyRow, entry: Mapping[str, Any]) -> bool:
    """Whether a trial is before the best so far: trained further or, of as many epochs, with a better score.

    As ``RoundResult.ranked`` has it: who was stopped at epoch 3 says nothing of how it would have done at epoch 27.
    """
    metric: MetricName = row.metric or "accuracy"  # type: ignore[assignment]
    query = select(TrialRow.epochs).where(TrialRow.study_id == row.id, TrialRow.trial_id == row.best_trial)
    epochs = session.scalar(query) or 0
    if entry["epochs"] != epochs:
        return bool(entry["epochs"] > epochs)
    return METRICS[metric].better(entry["score"], row.best_score or 0.0)
