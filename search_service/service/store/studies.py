"""Studies, their events and their trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.exc import IntegrityError

from search_service.service.states import ACTIVE, ENDED, RESUMABLE, State, Wanted
from search_service.service.store.database import Database, now, study_row
from search_service.service.store.errors import ConflictError, NotFoundError
from search_service.service.tables import EventRow, StudyRow, TrialRow
from trainables.metrics import MetricName

Sort = Literal["submitted_at", "name", "priority", "state", "best_score", "finished_at"]


@dataclass(frozen=True)
class NewStudy:
    """A valid submission.

    ``digest`` is of what was submitted: the same Idempotency-Key with another one is a mistake.
    """

    study_id: str
    name: str
    owner: str
    spec: Mapping[str, Any]
    digest: str = ""
    priority: int = 0
    idempotency_key: str | None = None
    metric: MetricName | None = None


class Studies(Database):
    """Studies: submitted, asked for, listed, forgotten; what has happened in them."""

    def add_study(self, new: NewStudy) -> tuple[StudyRow, bool]:
        """Enter a study, or find the one that was entered with the same key.

        Returns:
            The study, and whether it is new.

        Raises:
            ConflictError: The key was used for something else.
        """
        if (known := self.submitted_before(new.owner, new.idempotency_key, new.digest)) is not None:
            return known, False
        row = StudyRow(
            id=new.study_id,
            name=new.name,
            owner=new.owner,
            idempotency_key=new.idempotency_key,
            digest=new.digest,
            spec=dict(new.spec),
            priority=new.priority,
            state=State.PENDING,
            wanted=Wanted.RUN,
            submitted_at=now(),
            metric=new.metric,
        )
        try:
            with self._writing.begin() as session:
                session.add(row)
        except IntegrityError:
            # Somebody with the same key was between our look and our entry.
            if (known := self.submitted_before(new.owner, new.idempotency_key, new.digest)) is None:
                raise
            return known, False
        return self.study(new.study_id), True

    def submitted_before(self, owner: str, key: str | None, digest: str) -> StudyRow | None:
        """The study that its owner has submitted with this Idempotency-Key, if there is one.

        Raises:
            ConflictError: The key was used for something else.
        """
        if key is None:
            return None
        query = select(StudyRow).where(StudyRow.owner == owner, StudyRow.idempotency_key == key)
        with self._reading() as session:
            known = session.scalar(query)
        if known is not None and known.digest != digest:
            raise ConflictError(
                f"the Idempotency-Key {key!r} was used for another submission (study {known.id}); "
                "use a new key for a new study"
            )
        return known

    def study(self, study_id: str, *, whole: bool = False) -> StudyRow:
        """A study; ``whole`` with its spec, result and report.

        Raises:
            NotFoundError: There is none.
        """
        with self._reading() as session:
            return study_row(session, study_id, whole=whole)

    def studies(
        self,
        *,
        states: Sequence[State] = (),
        name: str | None = None,
        owner: str | None = None,
        sort: Sort = "submitted_at",
        descending: bool = True,
        limit: int = 50,
        offset: int = 0,
    ) -> tuple[list[StudyRow], int]:
        """A page of studies, and how many there are in all.

        Args:
            states: Only those in one of them; all if there is none.
            name: Only those whose name contains it, whatever the case.
            owner: Only those of this token.
            sort: Column to order by.
            descending: Largest first.
            limit: Studies of the page.
            offset: Studies before it.
        """
        where: list[ColumnElement[bool]] = []
        if states:
            where.append(StudyRow.state.in_([str(state) for state in states]))
        if name is not None:
            where.append(StudyRow.name.icontains(name, autoescape=True))
        if owner is not None:
            where.append(StudyRow.owner == owner)
        column = getattr(StudyRow, sort)
        order = column.desc() if descending else column.asc()
        query = select(StudyRow).where(*where).order_by(order.nulls_last(), StudyRow.id).limit(limit).offset(offset)
        with self._reading() as session:
            total = session.scalar(select(func.count()).select_from(StudyRow).where(*where)) or 0
            return list(session.scalars(query)), total

    def want(self, study_id: str, wanted: Wanted) -> StudyRow:
        """Note what is wanted of a study; asked again, nothing changes.

        Raises:
            NotFoundError: There is no such study.
            ConflictError: It cannot be had any more.
        """
        with self._writing.begin() as session:
            row = study_row(session, study_id, lock=True)
            if wanted is Wanted.RUN:
                self._resume(row)
            elif row.state == State.PENDING and (wanted is Wanted.CANCEL or not row.attempt):
                row.state, row.wanted, row.reason = State.CANCELLED, wanted, "cancelled while it waited"
                row.finished_at = now()
            elif row.state in ENDED:
                # A study that waited is cancelled whichever of the two was asked.
                if row.state != State.CANCELLED or wanted not in (Wanted.CANCEL, row.wanted):
                    raise ConflictError(f"study {study_id} has ended: {row.state}")
            elif wanted is Wanted.CANCEL or row.wanted == Wanted.RUN:
                row.wanted = wanted
                if wanted is Wanted.STOP and row.state in ACTIVE:
                    row.state = State.STOPPING
        return self.study(study_id)

    @staticmethod
    def _resume(row: StudyRow) -> None:
        if row.state not in RESUMABLE:
            if row.state in ENDED:
                raise ConflictError(f"study {row.id} has ended: {row.state}; submit its config as a new study")
            raise ConflictError(f"study {row.id} has not ended: {row.state}")
        row.state, row.wanted, row.reason = State.PENDING, Wanted.RUN, ""
        row.finished_at, row.fruitless, row.not_before = None, 0, None

    def delete_study(self, study_id: str) -> None:
        """Forget a study.

        Raises:
            NotFoundError: There is no such study.
            ConflictError: A job works on it.
        """
        with self._writing.begin() as session:
            row = study_row(session, study_id, lock=True)
            if row.state in ACTIVE:
                raise ConflictError(f"study {study_id} is {row.state}; cancel it first")
            session.delete(row)

    def counts(self) -> dict[str, int]:
        """Studies by state."""
        query = select(StudyRow.state, func.count()).group_by(StudyRow.state)
        with self._reading() as session:
            found = {str(state): int(count) for state, count in session.execute(query)}
        return {str(state): found.get(state, 0) for state in State}

    def events(self, study_id: str, *, after: int = 0, limit: int = 500, types: Sequence[str] = ()) -> list[EventRow]:
        """Events of a study after one of them, in their order."""
        query = select(EventRow).where(EventRow.study_id == study_id, EventRow.number > after)
        query = query.where(EventRow.type.in_(types)) if types else query
        with self._reading() as session:
            return list(session.scalars(query.order_by(EventRow.number).limit(limit)))

    def progress(self, study_ids: Sequence[str]) -> dict[str, tuple[int, State]]:
        """How many events each study has, and where it stands; those that are gone are left out."""
        query = select(StudyRow.id, StudyRow.events, StudyRow.state).where(StudyRow.id.in_(study_ids))
        with self._reading() as session:
            return {study_id: (events, State(state)) for study_id, events, state in session.execute(query)}

    def trials(
        self, study_id: str, *, status: str | None = None, limit: int = 50, offset: int = 0
    ) -> tuple[list[TrialRow], int]:
        """A page of a study's ended trials, best score first, and how many there are.

        Raises:
            NotFoundError: There is no such study.
        """
        where: list[ColumnElement[bool]] = [TrialRow.study_id == study_id]
        if status is not None:
            where.append(TrialRow.status == status)
        query = select(TrialRow).where(*where).order_by(TrialRow.rank.asc().nulls_last(), TrialRow.trial_id)
        with self._reading() as session:
            study_row(session, study_id)
            total = session.scalar(select(func.count()).select_from(TrialRow).where(*where)) or 0
            return list(session.scalars(query.limit(limit).offset(offset))), total

    def trial(self, study_id: str, trial_id: str) -> TrialRow:
        """A trial that is over.

        Raises:
            NotFoundError: There is none.
        """
        with self._reading() as session:
            row = session.get(TrialRow, (study_id, trial_id))
        if row is None:
            raise NotFoundError(f"study {study_id} has no trial {trial_id} that is over")
        return row
