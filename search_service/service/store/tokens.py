"""Tokens of those who may call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from search_service.service.store.database import Database, now
from search_service.service.store.errors import ConflictError, NotFoundError
from search_service.service.tables import TokenRow

Role = Literal["read", "submit", "admin"]


class Tokens(Database):
    """Tokens, by the digests of their secrets."""

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
