"""The queue of studies, and the attempts at running them: what the reconciler does."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, undefer

from search_service.service.states import ACTIVE, State, Wanted
from search_service.service.store.database import Database, now, storable, study_row
from search_service.service.store.errors import NotFoundError
from search_service.service.tables import AttemptRow, StudyRow


class Attempts(Database):
    """Studies under way and waiting, and the jobs that run them, one attempt after another."""

    def active(self) -> list[StudyRow]:
        """Studies under way, by id."""
        query = select(StudyRow).where(StudyRow.state.in_([str(state) for state in ACTIVE])).order_by(StudyRow.id)
        with self._reading() as session:
            return list(session.scalars(query))

    def begin_next(self, most: int, longest_wait_s: float = math.inf) -> tuple[StudyRow, AttemptRow] | None:
        """Begin the next attempt: of the study that waits with the highest priority, the oldest of those.

        Args:
            most: Studies that may run at the same time.
            longest_wait_s: Seconds that a study may have to wait after its job died. One that would have to wait longer
                was told so before the clock was set back, and may begin.

        Returns:
            None if nobody waits, or as many run as may.
        """
        # As far as a date goes where there is no limit.
        latest = now() + timedelta(seconds=min(longest_wait_s, 1e9))
        with self._writing.begin() as session:
            running = select(func.count()).where(StudyRow.state.in_([str(state) for state in ACTIVE]))
            if (session.scalar(running) or 0) >= most:
                return None
            waiting = (
                select(StudyRow)
                .where(StudyRow.state == State.PENDING)
                .where(StudyRow.not_before.is_(None) | ~StudyRow.not_before.between(now(), latest))
                .order_by(StudyRow.priority.desc(), StudyRow.submitted_at, StudyRow.id)
                .limit(1)
                .options(undefer(StudyRow.spec))
                .with_for_update(skip_locked=True)
            )
            row = session.scalar(waiting)
            if row is None:
                return None
            return row, _begin_attempt(session, row)

    def attempt(self, study_id: str, number: int | None = None) -> AttemptRow:
        """An attempt of a study; by default the last.

        Raises:
            NotFoundError: There is none.
        """
        query = select(AttemptRow).where(AttemptRow.study_id == study_id)
        query = query.where(AttemptRow.number == number) if number is not None else query
        with self._reading() as session:
            row = session.scalar(query.order_by(AttemptRow.number.desc()).limit(1))
            if row is None:
                study_row(session, study_id)
        if row is None:
            which = "no attempt yet" if number is None else f"no attempt {number}"
            raise NotFoundError(f"study {study_id} has {which}")
        return row

    def attempts(self, study_id: str) -> list[AttemptRow]:
        """All attempts of a study, oldest first."""
        query = select(AttemptRow).where(AttemptRow.study_id == study_id).order_by(AttemptRow.number)
        with self._reading() as session:
            return list(session.scalars(query))

    def note_attempt(self, attempt: AttemptRow, **changes: Any) -> None:
        """Change columns of an attempt."""
        query = update(AttemptRow).where(AttemptRow.study_id == attempt.study_id, AttemptRow.number == attempt.number)
        with self._writing.begin() as session:
            session.execute(query.values(**changes))

    def end_attempt(self, attempt: AttemptRow, outcome: str, **changes: Any) -> bool:
        """Note that an attempt is over, and what has become of its study, in columns of that.

        Returns:
            Whether it was noted: not if another replica has done so before.
        """
        with self._writing.begin() as session:
            row = study_row(session, attempt.study_id, lock=True)
            if row.attempt != attempt.number or row.state not in ACTIVE:
                return False
            session.execute(
                update(AttemptRow)
                .where(AttemptRow.study_id == attempt.study_id, AttemptRow.number == attempt.number)
                .values(ended_at=now(), outcome=storable(outcome))
            )
            for column, value in changes.items():
                setattr(row, column, storable(value))
        return True


def _begin_attempt(session: Session, row: StudyRow) -> AttemptRow:
    row.attempt += 1
    row.state = State.STOPPING if row.wanted == Wanted.STOP else State.CHECKING
    row.started_at = row.started_at or now()
    attempt = AttemptRow(
        study_id=row.id, number=row.attempt, job_id=f"{row.id}-{row.attempt}", started_at=now(), submitted=False
    )
    session.add(attempt)
    return attempt
