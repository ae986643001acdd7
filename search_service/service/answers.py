"""What a service's answers mean to its client: what was asked for, or an error of this project."""

from __future__ import annotations

from typing import Any

import httpx

from search_service.errors import InvalidSpecError, OutsideError, Problem, SearchServiceError
from trainables.errors import one_line

# The variable that holds the token for the command line.
TOKEN = "SEARCH_SERVICE_TOKEN"
# Where what is wrong is a config or its table.
_CONFIG_ROUTES = ("/api/v1/studies", "/api/v1/configs:validate", "/api/v1/configs:plan", "/api/v1/datasets")


class ServiceUnreachableError(OutsideError):
    """Nobody answers at the service's address, or not with an answer of ours."""


class RefusedError(SearchServiceError):
    """The service said no; the message is its reason.

    Attributes:
        status: The answer's HTTP status.
        retry_after_s: Seconds after which it may say yes: of 429, since too much was asked in a minute. None of others.
    """

    exit_code = 2

    def __init__(self, status: int, detail: str, retry_after_s: float | None = None) -> None:
        self.status, self.retry_after_s = status, retry_after_s
        super().__init__(detail)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.status, str(self), self.retry_after_s)


def require_success(answer: httpx.Response) -> None:
    """See to it that a service has done what it was asked.

    Raises:
        InvalidSpecError: It says what is wrong with a config or its table.
        RefusedError: It says no.
        ServiceUnreachableError: It cannot be asked now, or somebody else has answered.
    """
    if answer.is_success:
        return
    try:
        found = answer.json()
        detail, problems = found["detail"], found.get("problems", [])
    except (ValueError, KeyError, TypeError):
        raise ServiceUnreachableError(
            f"{answer.url} answered {answer.status_code}, and not as this service does"
        ) from None
    of_config = answer.request.method == "POST" and answer.request.url.path in _CONFIG_ROUTES
    if answer.status_code == 422 and problems:
        found = [Problem(p["path"], p["value"], p["message"], p["hint"]) for p in problems]
        if of_config:
            raise InvalidSpecError(found)
        detail += ": " + "; ".join(one_line(problem) for problem in found)
    if answer.status_code in (500, 502, 503, 504):
        raise ServiceUnreachableError(f"{answer.url}: {detail}")
    if answer.status_code == 401:
        detail += f" ({TOKEN} has the token for the command line)"
    seconds = answer.headers.get("Retry-After", "")
    raise RefusedError(answer.status_code, detail, float(seconds) if seconds.isdecimal() else None)
