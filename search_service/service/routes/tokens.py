"""Tokens: make, list, revoke."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, status
from fastapi import Path as PathParameter
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from search_service.service.access import ADMIN, LOCAL, Admin, digest_of, new_token
from search_service.service.documents import CreatedToken, NewToken, Token
from search_service.service.parts import Service
from search_service.service.problems import responses
from search_service.service.routes.studies import RawBody
from search_service.service.store import ConflictError
from search_service.service.tables import TokenRow

router = APIRouter(prefix="/api/v1/tokens", tags=["tokens"])


_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": NewToken.model_json_schema(), "example": {"name": "ci", "role": "submit"}}
        },
    }
}


@router.post("", status_code=status.HTTP_201_CREATED, responses=responses(409), openapi_extra=_BODY)
def create(service: Service, _: Admin, body: RawBody) -> CreatedToken:
    """Make a token; its secret is in this answer and nowhere else."""
    # Read here: FastAPI would read and judge a declared body before it asks who is calling.
    try:
        new = NewToken.model_validate_json(body)
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_context=False)) from error
    if new.name.lower() in (ADMIN, LOCAL):
        raise ConflictError(f"the name {new.name!r} is the service's own; choose another")
    secret = new_token()
    row = service.store.add_token(new.name, new.role, digest_of(secret))
    return CreatedToken(**_as_token(row).model_dump(), token=secret)


@router.get("", responses=responses())
def list_tokens(service: Service, _: Admin) -> list[Token]:
    """List tokens, the revoked ones among them."""
    return [_as_token(row) for row in service.store.tokens()]


@router.delete("/{name}", responses=responses(404))
def revoke(
    service: Service, _: Admin, name: Annotated[str, PathParameter(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")]
) -> Token:
    """Let a token be of no use from now on; its name stays taken."""
    return _as_token(service.store.revoke_token(name))


def _as_token(row: TokenRow) -> Token:
    return Token(name=row.name, role=row.role, created_at=row.created_at, revoked_at=row.revoked_at)
