"""Who may do what: tokens, roles, rates.

A token is 256 random bits; of it only the SHA-256 is kept, which is enough for a secret that cannot be guessed. Roles
are read, submit and admin, each with what the ones before it may. Without tokens the service listens on loopback only,
and there it refuses what a web page of somebody else's could send in its reader's name.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from search_service.errors import InvalidSpecError, Problem, SearchServiceError
from search_service.service.settings import LEAST_TOKEN_LENGTH, ServiceSettings, is_loopback
from search_service.service.store import Role, Store

# Says what it is to whoever finds one, and to programs that look for secrets in what is published.
PREFIX = "sst_"
_RANKS: dict[Role, int] = {"read": 0, "submit": 1, "admin": 2}
# The names of those who have no token of their own.
LOCAL, ADMIN = "local", "admin"
# Wrong tokens from one address in a minute; further ones are told to come again later. Right ones always pass, since
# behind a proxy all callers have one address.
MOST_WRONG = 30

_bearer = HTTPBearer(auto_error=False, description="A token from `search-service token create`.")


class UnknownCallerError(SearchServiceError):
    """There is no token, or none that is valid."""

    http_status = 401


class ForbiddenError(SearchServiceError):
    """The token is valid and does not permit this."""

    http_status = 403


class TooManyError(SearchServiceError):
    """Too often; wait."""

    http_status = 429
    retryable = True


@dataclass(frozen=True)
class Caller:
    """Who is asking.

    Attributes:
        name: The caller's name, that of the token.
        role: What it may do.
        token: Name of its token, which can be revoked; None for those who have none of their own.
    """

    name: str
    role: Role
    token: str | None = None


class Access:
    """Knows callers by their tokens, and how often they have called.

    Args:
        store: Has the tokens.
        settings: Whether tokens are needed, and the rates.
    """

    def __init__(self, store: Store, settings: ServiceSettings) -> None:
        self._store, self._settings = store, settings
        self._rates = MovingWindowRateLimiter(MemoryStorage())
        # The limiter's storage is not made for threads.
        self._lock = threading.Lock()
        admin = settings.admin_token.get_secret_value() if settings.admin_token else None
        self._admin_digest = None if admin is None else digest_of(admin)

    def caller(self, request: Request, token: str | None) -> Caller:
        """Who is asking.

        Raises:
            UnknownCallerError: Nobody we know.
            ForbiddenError: A web page of somebody else's.
            TooManyError: Too often.
        """
        address = request.client.host if request.client else "?"
        if not self._settings.needs_tokens:
            _require_own_page(request)
            caller = Caller(LOCAL, "admin")
        else:
            caller = self._known(token, address)
        self.count(caller, "requests", self._settings.requests_per_minute)
        return caller

    def _known(self, token: str | None, address: str) -> Caller:
        if token is None:
            raise UnknownCallerError("a token is needed: send the header Authorization: Bearer TOKEN")
        digest = digest_of(token)
        if self._admin_digest is not None and hmac.compare_digest(digest, self._admin_digest):
            return Caller(ADMIN, "admin")
        row = self._store.token(digest)
        if row is not None and row.revoked_at is None:
            return Caller(row.name, row.role, row.name)  # type: ignore[arg-type]
        # Only wrong ones are slowed down: behind a proxy everybody has the same address.
        with self._lock:
            fine = self._rates.hit(RateLimitItemPerMinute(MOST_WRONG), "wrong", address)
        if not fine:
            raise TooManyError("too many wrong tokens; wait a minute")
        raise UnknownCallerError("this token is not known" if row is None else "this token was revoked")

    def count(self, caller: Caller, what: str, per_minute: int) -> None:
        """Count a call.

        Raises:
            TooManyError: There were as many as there may be.
        """
        with self._lock:
            fine = self._rates.hit(RateLimitItemPerMinute(per_minute), what, caller.name)
        if not fine:
            raise TooManyError(f"more than {per_minute} {what} in a minute; wait")

    def count_work(self, caller: Caller) -> None:
        """Count a call that reads a table or trains something.

        Raises:
            TooManyError: There were as many as there may be.
        """
        self.count(caller, "submissions", self._settings.submissions_per_minute)


def require(role: Role) -> Callable[..., Caller]:
    """A dependency of a route: the caller, who has this role or a higher one."""

    def caller(
        request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)] = None
    ) -> Caller:
        access: Access = request.app.state.access
        found = access.caller(request, credentials.credentials if credentials else None)
        if _RANKS[found.role] < _RANKS[role]:
            raise ForbiddenError(f"this needs the role {role}; {found.name} has {found.role}")
        return found

    return caller


Reader = Annotated[Caller, Depends(require("read"))]
Submitter = Annotated[Caller, Depends(require("submit"))]
Admin = Annotated[Caller, Depends(require("admin"))]


def new_token() -> str:
    """A token that nobody can guess."""
    return PREFIX + secrets.token_urlsafe(32)


def digest_of(token: str) -> str:
    """What is kept of it."""
    return hashlib.sha256(token.encode()).hexdigest()


def require_safe(settings: ServiceSettings) -> None:
    """Refuse to listen where anybody could submit.

    Raises:
        InvalidSpecError: No token is set, and the address is not loopback; or the token can be guessed.
    """
    path, token = "SEARCH_SERVICE_ADMIN_TOKEN", settings.admin_token
    make = "python -c 'import secrets; print(secrets.token_urlsafe(32))'"
    if token is None and not is_loopback(settings.host):
        rule = f"a token, since {settings.host} can be reached from other machines"
        raise InvalidSpecError([Problem(path, None, rule, f"set it, for example to the output of {make}")])
    if token is not None and len(token.get_secret_value()) < LEAST_TOKEN_LENGTH:
        n = len(token.get_secret_value())
        rule = f"at least {LEAST_TOKEN_LENGTH} characters that nobody can guess"
        raise InvalidSpecError([Problem(path, f"{n} characters", rule, f"take the output of {make}")])


def _require_own_page(request: Request) -> None:
    """On loopback without tokens: no web page but our own may call.

    A page can send requests to its reader's own machine, and a name of its owner's can point there. The first say where
    they come from (Origin, Sec-Fetch-Site), the second carry that name (Host).
    """
    origin = request.headers.get("origin")
    try:
        host = urlsplit(f"//{request.headers.get('host', '')}")
        other_page = origin is not None and urlsplit(origin).netloc != host.netloc
    except ValueError as error:
        raise ForbiddenError("the header Host or Origin is no address") from error
    if not is_loopback(host.hostname or "") or other_page or request.headers.get("sec-fetch-site") == "cross-site":
        raise ForbiddenError("without tokens only this machine's own programs and this service's page may call")
