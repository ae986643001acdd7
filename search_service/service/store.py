"""What the service remembers, in SQL: SQLite beside the studies, or PostgreSQL.

Every method is one transaction. Two replicas of a service may share a database: what must happen once is decided by
the database (unique keys, a lease), never by a process.
"""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Engine,
    Text,
    cast,
    create_engine,
    delete,
    event,
    func,
    make_url,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker, undefer

from search_service.errors import SearchServiceError
from search_service.service.states import ACTIVE, ENDED, RESUMABLE, State, Wanted
from search_service.service.tables import (
    AttemptRow,
    DatasetRow,
    EventRow,
    LeaseRow,
    StudyRow,
    TokenRow,
    TrialRow,
)
from trainables.metrics import METRICS, MetricName

# Connections kept, and opened beyond them when many call at once.
POOL_SIZE, MAX_OVERFLOW = 10, 20
# Seconds that a writer to SQLite waits for another.
BUSY_TIMEOUT_S = 30
Sort = Literal["submitted_at", "name", "priority", "state", "best_score", "finished_at"]
Role = Literal["read", "submit", "admin"]


class NotFoundError(SearchServiceError):
    """There is no such thing in the store."""

    exit_code = 2
    http_status = 404


class ConflictError(SearchServiceError):
    """Not as things stand: the study has ended, runs, or the key was used for something else."""

    exit_code = 2
    http_status = 409


class NotYoursError(SearchServiceError):
    """It is somebody else's."""

    exit_code = 2
    http_status = 403


class QuotaError(SearchServiceError):
    """There is no room for more of this owner's."""

    exit_code = 2
    http_status = 413


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


class Store:
    """The database.

    Args:
        url: SQLAlchemy URL. Its tables exist: see ``migrations.upgrade``.
    """

    def __init__(self, url: str) -> None:
        self.engine = make_engine(url)
        self._reading = sessionmaker(self.engine, expire_on_commit=False)
        self._writing = sessionmaker(self.engine.execution_options(writes=True), expire_on_commit=False)
        # Leases of others as they were last seen, and since when, by this process's clock.
        self._seen_leases: dict[str, tuple[tuple[str, datetime], float]] = {}

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()

    # ---- studies -----------------------------------------------------------------------------------------------

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
            return _study(session, study_id, whole=whole)

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
            row = _study(session, study_id, lock=True)
            if wanted is Wanted.RUN:
                self._resume(row)
            elif row.state == State.PENDING and (wanted is Wanted.CANCEL or not row.attempt):
                row.state, row.wanted, row.reason = State.CANCELLED, wanted, "cancelled while it waited"
                row.finished_at = now()
            elif row.state in ENDED:
                if not (wanted is Wanted.CANCEL and row.state == State.CANCELLED):
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
            row = _study(session, study_id, lock=True)
            if row.state in ACTIVE:
                raise ConflictError(f"study {study_id} is {row.state}; cancel it first")
            session.delete(row)

    def counts(self) -> dict[str, int]:
        """Studies by state."""
        query = select(StudyRow.state, func.count()).group_by(StudyRow.state)
        with self._reading() as session:
            found = {str(state): int(count) for state, count in session.execute(query)}
        return {str(state): found.get(state, 0) for state in State}

    # ---- what the reconciler does --------------------------------------------------------------------------------

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
            self.study(study_id)
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
            row = _study(session, attempt.study_id, lock=True)
            if row.attempt != attempt.number or row.state not in ACTIVE:
                return False
            session.execute(
                update(AttemptRow)
                .where(AttemptRow.study_id == attempt.study_id, AttemptRow.number == attempt.number)
                .values(ended_at=now(), outcome=_storable(outcome))
            )
            for column, value in changes.items():
                setattr(row, column, _storable(value))
        return True

    def take_in(self, study_id: str, entries: Sequence[Mapping[str, Any]], *, begin: int, end: int) -> None:
        """Enter events of a study and what follows from them.

        Args:
            study_id: Of the study.
            entries: Lines of its events.jsonl, in their order.
            begin: Byte of the file at which they begin. If the store has read further, they are in it.
            end: Byte at which they end.
        """
        with self._writing.begin() as session:
            row = _study(session, study_id, lock=True)
            if row.read_bytes != begin:
                return
            for entry in entries:
                row.events += 1
                session.add(EventRow(study_id=study_id, number=row.events, type=entry["type"], content=dict(entry)))
                _apply(session, row, entry)
            row.read_bytes = end

    # ---- what is asked -------------------------------------------------------------------------------------------

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
            _study(session, study_id)
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

    # ---- datasets ------------------------------------------------------------------------------------------------

    def add_dataset(
        self, dataset_id: str, *, name: str, size: int, owner: str, most_bytes: int | None = None
    ) -> tuple[DatasetRow, bool]:
        """Enter an upload; the same bytes again are the same dataset, under its first name.

        Args:
            dataset_id: Of its bytes.
            name: Of the file.
            size: In bytes.
            owner: Whose it is.
            most_bytes: Of all uploads of this owner together; None for no limit.

        Returns:
            The dataset, and whether it is new.

        Raises:
            QuotaError: There is no room for it.
        """
        row = DatasetRow(id=dataset_id, name=name, bytes=size, owner=owner, uploaded_at=now())
        try:
            with self._writing.begin() as session:
                if session.get(DatasetRow, dataset_id) is None and most_bytes is not None:
                    _require_quota(session, owner, size, most_bytes)
                session.add(row)
        except IntegrityError:
            return self.dataset(dataset_id), False
        return row, True

    def delete_dataset(self, dataset_id: str, *, caller: str | None = None) -> None:
        """Forget an upload.

        Args:
            dataset_id: Of it.
            caller: Who asks, if it has to be the owner.

        Raises:
            NotFoundError: There is none.
            NotYoursError: It is somebody else's.
            ConflictError: A study may still read it.
        """
        # An id is a digest with an ending, which no other text of a config contains.
        reads_it = cast(StudyRow.spec, Text).contains(dataset_id, autoescape=True)
        over = [str(state) for state in ENDED if state not in RESUMABLE]
        users = select(StudyRow.id).where(StudyRow.state.not_in(over), reads_it).order_by(StudyRow.id).limit(1)
        with self._writing.begin() as session:
            row = session.get(DatasetRow, dataset_id, with_for_update=True)
            if row is None:
                raise NotFoundError(f"there is no dataset {dataset_id}")
            if caller is not None and row.owner != caller:
                raise NotYoursError(f"dataset {dataset_id} is {row.owner}'s; only {row.owner} and admins may delete it")
            if (user := session.scalar(users)) is not None:
                raise ConflictError(
                    f"study {user} reads dataset {dataset_id} and has not ended, or can be resumed; wait for it, or "
                    "delete the study first"
                )
            session.delete(row)

    def dataset(self, dataset_id: str) -> DatasetRow:
        """An upload.

        Raises:
            NotFoundError: There is none.
        """
        with self._reading() as session:
            row = session.get(DatasetRow, dataset_id)
        if row is None:
            raise NotFoundError(f"there is no dataset {dataset_id}; upload it first")
        return row

    def datasets(self, *, limit: int = 50, offset: int = 0) -> tuple[list[DatasetRow], int]:
        """A page of uploads, newest first, and how many there are."""
        query = select(DatasetRow).order_by(DatasetRow.uploaded_at.desc(), DatasetRow.id).limit(limit).offset(offset)
        with self._reading() as session:
            total = session.scalar(select(func.count()).select_from(DatasetRow)) or 0
            return list(session.scalars(query)), total

    # ---- tokens --------------------------------------------------------------------------------------------------

    def add_token(self, name: str, role: Role, digest: str) -> TokenRow:
        """Enter a token by the SHA-256 of its secret.

        Raises:
            ConflictError: There is one with this name in whatever case, be it revoked: who reads a list of tokens or of
                owners does not tell ci from CI.
        """
        row = TokenRow(name=name, role=role, digest=digest, created_at=now())
        alike = select(TokenRow.name).where(func.lower(TokenRow.name) == name.lower())
        try:
            with self._writing.begin() as session:
                if (taken := session.scalar(alike.limit(1))) is not None:
                    raise ConflictError(f"there is a token {taken!r} already; choose another name than {name!r}")
                session.add(row)
        except IntegrityError as error:
            raise ConflictError(f"there is a token {name!r} already; choose another name") from error
        return row

    def token(self, digest: str) -> TokenRow | None:
        """The token with this digest, be it revoked."""
        with self._reading() as session:
            return session.scalar(select(TokenRow).where(TokenRow.digest == digest))

    def revoked(self, names: Sequence[str]) -> set[str]:
        """Which of these tokens are of no use any more."""
        if not names:
            return set()
        query = select(TokenRow.name).where(TokenRow.name.in_(names), TokenRow.revoked_at.is_(None))
        with self._reading() as session:
            return set(names) - set(session.scalars(query))

    def tokens(self) -> list[TokenRow]:
        """All tokens, by name."""
        with self._reading() as session:
            return list(session.scalars(select(TokenRow).order_by(TokenRow.name)))

    def revoke_token(self, name: str) -> TokenRow:
        """Let a token be of no use from now on.

        Raises:
            NotFoundError: There is none with this name.
        """
        with self._writing.begin() as session:
            row = session.get(TokenRow, name, with_for_update=True)
            if row is None:
                raise NotFoundError(f"there is no token {name!r}")
            row.revoked_at = row.revoked_at or now()
        return row

    # ---- replicas ------------------------------------------------------------------------------------------------

    def lease(self, name: str, holder: str, seconds: float) -> bool:
        """Take or renew a lease.

        Clocks of machines differ, and may be set back or ahead while nobody looks. So a lease has run out when whoever
        wants it has seen it unchanged for its length, by a clock of its own that only goes forward.

        Args:
            name: Of what only one may do.
            holder: Who wants to.
            seconds: For how long, if it is not renewed.

        Returns:
            Whether ``holder`` has it now.
        """
        renewed = now() + timedelta(seconds=seconds)
        with self._reading() as session:
            row = session.get(LeaseRow, name)
        if row is None:
            try:
                with self._writing.begin() as session:
                    session.add(LeaseRow(name=name, holder=holder, until=renewed))
            except IntegrityError:
                return False
            return True
        if row.holder != holder:
            seen = self._seen_leases.get(name)
            if seen is None or seen[0] != (row.holder, row.until):
                self._seen_leases[name] = seen = ((row.holder, row.until), time.monotonic())
            if time.monotonic() - seen[1] < seconds:
                return False
        # Whoever was quicker has changed it.
        same = (LeaseRow.name == name, LeaseRow.holder == row.holder, LeaseRow.until == row.until)
        with self._writing.begin() as session:
            taken = session.execute(update(LeaseRow).where(*same).values(holder=holder, until=renewed))
        return bool(taken.rowcount)  # type: ignore[attr-defined]

    def give_up_lease(self, name: str, holder: str) -> None:
        """Let another replica take over at once."""
        with self._writing.begin() as session:
            session.execute(delete(LeaseRow).where(LeaseRow.name == name, LeaseRow.holder == holder))


def make_engine(url: str) -> Engine:
    """Connections to a database: for SQLite in WAL mode, with foreign keys, writers one at a time."""
    if make_url(url).get_backend_name() != "sqlite":
        return create_engine(url, pool_size=POOL_SIZE, max_overflow=MAX_OVERFLOW, pool_pre_ping=True)
    engine = create_engine(
        url, connect_args={"timeout": BUSY_TIMEOUT_S}, pool_size=POOL_SIZE, max_overflow=MAX_OVERFLOW
    )

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, _: Any) -> None:
        # Transactions begin below, not when sqlite3 thinks fit.
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "foreign_keys=ON", "synchronous=NORMAL"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        # IMMEDIATE: a transaction that reads and then writes would fail, not wait, if another wrote between the two.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")

    return engine


def now() -> datetime:
    """The time, with its zone."""
    return datetime.now(UTC)


def _study(session: Session, study_id: str, *, lock: bool = False, whole: bool = False) -> StudyRow:
    query = select(StudyRow).where(StudyRow.id == study_id)
    if lock:
        query = query.with_for_update()
    if whole:
        query = query.options(undefer(StudyRow.spec), undefer(StudyRow.result), undefer(StudyRow.report))
    row = session.scalar(query)
    if row is None:
        raise NotFoundError(f"there is no study {study_id}")
    return row


def _require_quota(session: Session, owner: str, size: int, most: int) -> None:
    """See to it that an upload fits; others of the same owner wait until it is entered."""
    if session.get_bind().dialect.name == "postgresql":
        # On SQLite writers come one at a time anyway.
        session.execute(select(func.pg_advisory_xact_lock(zlib.crc32(owner.encode()))))
    used = session.scalar(select(func.sum(DatasetRow.bytes)).where(DatasetRow.owner == owner)) or 0
    if used + size > most:
        raise QuotaError(
            f"the uploads of {owner} have {used / 2**20:.1f} MB and may have {most / 2**20:.0f} MB in all; this one "
            f"would add {size / 2**20:.1f} MB: delete some (search-service dataset list, dataset delete ID), or ask "
            "for a larger SEARCH_SERVICE_MAX_UPLOADS_MB"
        )


def _storable(value: Any) -> Any:
    # PostgreSQL has no NUL in text; a log that was torn by a crash may.
    return value.replace("\0", "") if isinstance(value, str) else value


def _begin_attempt(session: Session, row: StudyRow) -> AttemptRow:
    row.attempt += 1
    row.state = State.STOPPING if row.wanted == Wanted.STOP else State.CHECKING
    row.started_at = row.started_at or now()
    attempt = AttemptRow(
        study_id=row.id, number=row.attempt, job_id=f"{row.id}-{row.attempt}", started_at=now(), submitted=False
    )
    session.add(attempt)
    return attempt


def _apply(session: Session, row: StudyRow, entry: Mapping[str, Any]) -> None:
    """What an event says of its study."""
    stopping = row.state == State.STOPPING
    match entry["type"]:
        case "study_started":
            row.page, row.metric = entry.get("page", ""), entry["metric"]
        case "step_started":
            row.step = entry["step"]
            if entry["step"] == 7 and row.state in ACTIVE and not stopping:
                row.state = State.FINISHING
        case "round_started":
            row.round, row.step = entry["round"], entry["step"]
            if row.state in ACTIVE and not stopping:
                row.state = State.SEARCHING
        case "trial_finished":
            _enter_trial(session, row, entry)
        case "finalists_finished":
            row.best_trial, row.test_score = entry["winner"], entry["test_score"]


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
    if counts and (row.best_score is None or metric.better(score, row.best_score)):
        row.best_score, row.best_trial = score, entry["trial"]
