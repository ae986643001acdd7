"""Errors as RFC 9457 problem details: one form for everything that goes wrong."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from search_service.errors import DataError, InvalidSpecError, Problem, SearchServiceError
from trainables.redaction import redact

MEDIA_TYPE = "application/problem+json"
_log = logging.getLogger(__name__)


class ProblemItem(BaseModel):
    """One mistake."""

    path: str = Field(description="Config key, parameter or header.")
    message: str = Field(description="What is expected of it.")
    value: Any = Field(default=None, description="What stands there.")
    hint: str = Field(default="", description="What to do.")


class ProblemDetails(BaseModel):
    """What went wrong (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "Unprocessable Content",
                    "status": 422,
                    "detail": "1 mistake in the config",
                    "instance": "/api/v1/studies",
                    "problems": [
                        {
                            "path": "trial.optimizer.name",
                            "message": "one of sgd, momentum, nesterov, adam, adamw",
                            "value": "adamx",
                            "hint": "did you mean adamw?",
                        }
                    ],
                }
            ]
        }
    )

    type: str = Field(default="about:blank", description="Kind of problem; about:blank: the status says it.")
    title: str = Field(description="The status in words.")
    status: int
    detail: str = Field(description="What went wrong here.")
    instance: str = Field(description="Path that was called.")
    problems: list[ProblemItem] = Field(default_factory=list, description="Every mistake, for 422.")


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route documents of its errors; those that any route may have are added."""
    return {
        status: {"model": ProblemDetails, "description": HTTPStatus(status).phrase}
        for status in sorted({401, 403, 422, 429, 503, *statuses})
    }


def describe(openapi: dict[str, Any]) -> None:
    """Say in an OpenAPI document that errors are problem details, which FastAPI takes for ordinary content."""
    for operation in (o for path in openapi["paths"].values() for o in path.values()):
        for status, response in operation["responses"].items():
            if status[0] in "45" and (shown := response.get("content")):
                response["content"] = {MEDIA_TYPE: next(iter(shown.values()))}


def install(app: FastAPI) -> None:
    """Let every error of the app leave as problem details."""
    app.add_exception_handler(SearchServiceError, _on_ours)
    app.add_exception_handler(DataError, _on_ours)
    app.add_exception_handler(RequestValidationError, _on_request)
    app.add_exception_handler(HTTPException, _on_http)
    for unusable in (OperationalError, InterfaceError, PoolTimeoutError):
        app.add_exception_handler(unusable, _on_database)
    app.add_exception_handler(ClientDisconnect, _on_leaving)
    app.add_exception_handler(Exception, _on_bug)


def item(problem: Problem) -> ProblemItem:
    """A mistake as it goes over the wire."""
    value = problem.value if isinstance(problem.value, str | int | float | bool | None) else repr(problem.value)
    return ProblemItem(path=problem.path, message=problem.rule, value=value, hint=problem.fix)


def answer(
    request: Request,
    status: int,
    detail: str,
    problems: Sequence[ProblemItem] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Problem details of a request."""
    content = ProblemDetails(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=request.url.path,
        problems=list(problems),
    )
    # Pydantic writes NaN and infinity as null: JSON has no word for them.
    return JSONResponse(content.model_dump(mode="json"), status, media_type=MEDIA_TYPE, headers=headers)


async def _on_ours(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, InvalidSpecError | DataError):
        n = len(error.problems)
        return answer(request, 422, f"{n} {'mistake' if n == 1 else 'mistakes'}", [item(p) for p in error.problems])
    assert isinstance(error, SearchServiceError)
    headers = {}
    if error.http_status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if error.retryable:
        headers["Retry-After"] = "60" if error.http_status == 429 else "5"
    return answer(request, error.http_status, str(error), headers=headers)


async def _on_request(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    items = []
    for one in error.errors():
        path = ".".join(str(part) for part in one["loc"])
        value = one.get("input")
        shown = value if isinstance(value, int | float | bool | None) else redact(str(value))[:200]
        items.append(ProblemItem(path=path, message=one["msg"], value=shown, hint="see /docs"))
    return answer(request, 422, "the request does not have the form that this route takes", items)


async def _on_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return answer(request, error.status_code, str(error.detail), headers=error.headers)


async def _on_database(request: Request, error: Exception) -> JSONResponse:
    _log.error("the database cannot be used: %s", error)
    return answer(request, 503, "the database cannot be used just now", headers={"Retry-After": "5"})


async def _on_leaving(request: Request, error: Exception) -> Response:
    # Nobody is there to read it; without an answer the server would log a traceback.
    return Response(status_code=HTTPStatus.BAD_REQUEST)


async def _on_bug(request: Request, error: Exception) -> JSONResponse:
    # The server's own log has the traceback; a caller has no use for it.
    return answer(request, 500, "a mistake of ours; the service's log has more")
