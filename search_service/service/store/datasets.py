"""Uploaded tables."""

from __future__ import annotations

import zlib
from collections.abc import Callable

from sqlalchemy import Text, cast, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from search_service.service.states import ENDED, RESUMABLE
from search_service.service.store.database import Database, now
from search_service.service.store.errors import ConflictError, NotFoundError, NotYoursError, QuotaError
from search_service.service.tables import DatasetRow, StudyRow


class Datasets(Database):
    """Uploads: entered once whatever their name, within a quota, deleted when nothing reads them."""

    def add_dataset(
        self, dataset_id: str, *, name: str, size: int, owner: str, most_bytes: int | None = None
    ) -> tuple[DatasetRow, bool]:
        """Enter an upload; the same bytes again are the same dataset, under its first name.

        Args:
            dataset_id: The digest of its bytes.
            name: Name of the file.
            size: Bytes.
            owner: The name of the token that uploads it.
            most_bytes: Bytes that all uploads of this owner may have together; None for no limit.

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

    def has_dataset(self, dataset_id: str) -> bool:
        """Whether there is such an upload."""
        with self._reading() as session:
            return session.get(DatasetRow, dataset_id) is not None

    def delete_dataset(
        self, dataset_id: str, *, caller: str | None = None, remove: Callable[[], None] = lambda: None
    ) -> None:
        """Forget an upload.

        Args:
            dataset_id: The upload's id.
            caller: Who asks, if it has to be the owner.
            remove: Removes its file; called before others can see that it is gone, who may upload it anew.

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
            session.flush()
            remove()

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
