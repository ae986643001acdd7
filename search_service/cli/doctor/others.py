"""What a study or a user speaks to: the record, a Ray cluster, a service."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import httpx

from search_service import __version__
from search_service.client import TOKEN, URL
from search_service.errors import InvalidSpecError, RunnerError
from search_service.records.findings import Finding, State, clock_of
from search_service.runners.registry import runner_kind
from search_service.settings import Settings
from trainables.redaction import redact, shown

RECORD, RAY, SERVICE = "record", "Ray", "service"
# Seconds for an answer; whoever looks is waiting.
TIMEOUT_S = 5.0
# Letters of somebody else's words that are shown.
_MOST_SHOWN = 200
_MAKE_TOKEN = f"set {TOKEN} to what an admin's search-service token create NAME --role submit prints"


def look_at_record(settings: Settings) -> Iterator[Finding]:
    """The file under home, or what MLFLOW_TRACKING_URI names."""
    from search_service.recorders.mlflow import condition as mlflow_condition

    yield from mlflow_condition.look(settings.record_uri)


def look_at_ray(address: str | None) -> Iterator[Finding]:
    """Whether Ray can be used; nothing is started or joined."""
    try:
        from search_service.runners import ray_tune
    except ImportError as error:
        remedy = "search-service run --runner inline does without Ray; else install what the versions lack"
        yield Finding(RAY, State.FAILED, f"Ray cannot be imported: {error}", remedy)
        return
    if address is None:
        yield Finding(RAY, State.OK, "can be imported; a study starts its own")
        return
    try:
        runner_kind("ray").require_address(address)
        yield Finding(RAY, State.OK, f"a cluster's head accepts connections at {ray_tune.head_of(address)}")
    except InvalidSpecError as error:
        (problem,) = error.problems
        yield Finding(RAY, State.FAILED, f"{shown(address)} is not {problem.rule}", problem.fix)
    except RunnerError as error:
        remedy = (
            "ray start --head on the cluster's head, or correct --ray-address; without it a study starts its own Ray"
        )
        yield Finding(RAY, State.FAILED, f"no cluster answers at {shown(address)}: {error}", remedy)


def look_at_service(url: str | None) -> Iterator[Finding]:
    """Whether a service answers, is ready, knows us, has our clock and our version."""
    url = (url or os.environ.get(URL) or "").rstrip("/")
    if not url:
        yield Finding(SERVICE, State.OK, f"none is named ({URL}), and studies of this machine need none")
        return
    token = os.environ.get(TOKEN)
    if token and not re.fullmatch("[!-~]+", token):
        # What could not send it would quote it.
        text = f"the token in {TOKEN} cannot be sent: it has blanks, line breaks or letters beyond ASCII"
        yield Finding(SERVICE, State.FAILED, text, _MAKE_TOKEN)
        return
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT_S) as http:
            sent = time.time()
            answer = http.get("/readyz")
            received = time.time()
            yield _readiness(url, answer)
            if (clock := clock_of(SERVICE, answer.headers.get("Date"), sent, received)) is not None:
                yield clock
            if "version" in _document(answer):
                yield _access(url, http, has_token=bool(token))
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        words = redact(str(error) or type(error).__name__, url)[:_MOST_SHOWN]
        remedy = f"start it (search-service serve), or correct {URL}"
        yield Finding(SERVICE, State.FAILED, f"{shown(url)} does not answer: {words}", remedy)


def _readiness(url: str, answer: httpx.Response) -> Finding:
    content = _document(answer)
    if "version" not in content:
        found = f"{shown(url)} answers {answer.status_code} to /readyz, as no search-service does"
        if "Location" in answer.headers:
            found += f", and leads to {shown(answer.headers['Location'])}"
        return Finding(SERVICE, State.FAILED, found, f"correct {URL}")
    version, trouble = str(content["version"])[:40], str(content.get("trouble") or "")[:_MOST_SHOWN]
    if answer.status_code != HTTPStatus.OK:
        parts = [name for name in ("database", "reconciler") if content.get(name) is False]
        found = f"{shown(url)} answers, and is not ready ({', '.join(parts) or content.get('status')})"
        return Finding(SERVICE, State.FAILED, found, "look at the service's log; it needs its database")
    found = f"{shown(url)} is ready, version {version}"
    if trouble:
        return Finding(SERVICE, State.WARNING, f"{found}, and {trouble}", "look at its Ray cluster, and at its log")
    if version != __version__:
        found += f", and the one here is {__version__}"
        return Finding(SERVICE, State.WARNING, found, "install the same version here and there")
    return Finding(SERVICE, State.OK, found)


def _access(url: str, http: httpx.Client, *, has_token: bool) -> Finding:
    """What the service lets us do. Only an admin may list tokens; whoever else is told their own role."""
    answer = http.get("/api/v1/tokens")
    who = f"the token in {TOKEN}" if has_token else f"a call without a token ({TOKEN} is not set)"
    if answer.status_code == HTTPStatus.OK:
        return Finding(SERVICE, State.OK, f"{who} has the role admin")
    reason = redact(str(_document(answer).get("detail") or f"answer {answer.status_code}"), url)[:_MOST_SHOWN]
    if answer.status_code == HTTPStatus.FORBIDDEN and (role := re.search(r" has (read|submit)$", reason)):
        note = ", which looks and submits nothing" if role[1] == "read" else ""
        return Finding(SERVICE, State.OK, f"{who} has the role {role[1]}{note}")
    if answer.status_code == HTTPStatus.UNAUTHORIZED:
        return Finding(SERVICE, State.FAILED, f"{who} is refused: {reason}", _MAKE_TOKEN)
    return Finding(SERVICE, State.FAILED, f"{who} is refused: {reason}", "look at the service's log")


def _document(answer: httpx.Response) -> dict[str, Any]:
    try:
        content = answer.json()
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
