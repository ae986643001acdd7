"""Tells somebody that a study is over, by a web hook or by mail, so that nobody has to watch a night's search.

Where to: ``SEARCH_SERVICE_NOTIFY``, addresses separated by blanks.

    https://hooks.example/T0/B0          a JSON document by POST; Slack, Mattermost and the like show its ``text``
    smtp://user:password@host:587/?to=ada@example.org&from=search@example.org
    smtps://…                            a mail; smtp goes over to TLS where the server can

With ``SEARCH_SERVICE_NOTIFY_SECRET`` a document has a signature in the header ``X-Search-Service-Signature``:
``t=SECONDS,v1=HEX``, HEX being the HMAC-SHA256 of ``SECONDS.BODY``. Whoever hears it recomputes that, and refuses old
seconds. A study neither fails nor waits for long because nobody hears: what went wrong is said at its end.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import smtplib
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.message import EmailMessage
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

import httpx

from search_service.errors import DataError, OutsideError, Problem
from search_service.records.numbers import score_text
from search_service.records.results import StudyResult
from search_service.report.documents import finite
from search_service.report.worth import worth
from search_service.settings import Settings
from search_service.spec.study_spec import StudySpec

KEY = "SEARCH_SERVICE_NOTIFY"
SIGNATURE = "X-Search-Service-Signature"
# Seconds that somebody may take to answer, and those between attempts: together well below a minute for each address.
TIMEOUT_S, WAITS_S = 10.0, (1.0, 4.0)
_WEB, _MAIL = ("http", "https"), ("smtp", "smtps")
_LOCAL = ("localhost", "127.0.0.1", "::1")


def require_addresses(settings: Settings) -> None:
    """See to it that everybody who is to be told can be.

    Raises:
        DataError: An address is of no kind that there is, or a mail has nobody to go to.
    """
    problems = []
    for address in settings.notified:
        try:
            place = urlsplit(address)
            if place.scheme in _WEB:
                httpx.URL(address)
            # It is a number only when it is asked for.
            _ = place.port
        except (ValueError, httpx.InvalidURL):
            begins = address.partition("://")[0]
            shown = f"{begins}://…" if begins in (*_WEB, *_MAIL) else "…"
            rule, fix = "an address with a host and, if need be, a port from 0 to 65535", "correct it, or leave it out"
            problems.append(Problem(KEY, shown, rule, fix))
            continue
        if place.scheme not in (*_WEB, *_MAIL) or not place.hostname:
            rule = "addresses that begin with https://, http://, smtps:// or smtp://, separated by blanks"
            problems.append(Problem(KEY, _shown(place), rule, "correct it, or leave it out"))
        elif place.scheme in _MAIL and not _of_mail(place, "to"):
            rule, fix = "a mail server's address with ?to=", "write smtp://HOST:PORT/?to=ADDRESS&from=ADDRESS"
            problems.append(Problem(KEY, _shown(place), rule, fix))
        elif place.scheme in _MAIL and not (_of_mail(place, "to") + _of_mail(place, "from")).isprintable():
            rule, fix = "mail addresses without line breaks", "remove %0A and %0D behind to= and from="
            problems.append(Problem(KEY, _shown(place), rule, fix))
    if problems:
        raise DataError(problems)


def tell(
    settings: Settings, spec: StudySpec, result: StudyResult, places: Mapping[str, str], say: Callable[[str], None]
) -> None:
    """Tell everybody that a study is over.

    Args:
        settings: Who is to be told.
        spec: What was asked.
        result: What the study found.
        places: Where to look.
        say: Hears whom it could not be told.
    """
    if not settings.notified:
        return
    final = result.finalists
    score = None if final is None else final.model_test_score
    verdict = worth(final) if final is not None else None
    found = f"test {final.metric} {score_text(score)}. {verdict or ''}" if final is not None else result.reason
    document = {
        "event": "study_ended",
        "study_id": result.study_id,
        "name": spec.name,
        "status": str(result.status),
        "reason": result.reason,
        "metric": spec.metric,
        "test_score": score,
        "worth": verdict,
        "seconds": round(result.seconds, 1),
        "places": dict(places),
    }
    _send(settings, document | {"text": f"{spec.name} {result.status}: {found}".strip()}, say)


@contextmanager
def told_if_broken(settings: Settings, spec: StudySpec, study_id: str) -> Iterator[None]:
    """Tell everybody if what is done inside breaks from outside: Ray, MLflow, a disk."""
    try:
        yield
    except OutsideError as error:
        text = f"{spec.name} broke: {error}"
        document = {"event": "study_broke", "study_id": study_id, "name": spec.name, "reason": str(error)}
        # What is wrong with telling is nothing beside what is wrong with the study.
        _send(settings, document | {"text": text}, lambda sentence: None)
        raise


def _send(settings: Settings, document: Mapping[str, Any], say: Callable[[str], None]) -> None:
    for address in settings.notified:
        place = urlsplit(address)
        try:
            if place.scheme in _WEB:
                _post(address, document, settings.notify_secret)
            else:
                _mail(place, document)
        # Of a name or a password in letters that SMTP's login has not, a ValueError.
        except (httpx.HTTPError, OSError, ValueError, smtplib.SMTPException) as error:
            say(f"nobody was told at {_shown(place)}: {_reason(error)}")


def _reason(error: Exception) -> str:
    """What went wrong, without the address, which may be a secret and which httpx writes in its own way."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"it answered {error.response.status_code} {error.response.reason_phrase}".rstrip()
    return (str(error).splitlines() or [type(error).__name__])[0]


def _post(address: str, document: Mapping[str, Any], secret: str | None) -> None:
    # No NaN: it is no JSON, and a strict receiver refuses all of it.
    body = json.dumps(finite(document)).encode()
    for wait in (*WAITS_S, None):
        try:
            # Of each attempt, as its seconds are.
            headers = {"Content-Type": "application/json", **_signed(body, secret)}
            httpx.post(address, content=body, headers=headers, timeout=TIMEOUT_S).raise_for_status()
        except httpx.HTTPError as error:
            # Whoever says that it is wrong says so again.
            is_refused = isinstance(error, httpx.HTTPStatusError) and error.response.status_code < 500
            if wait is None or is_refused:
                raise
            time.sleep(wait)
        else:
            return


def _signed(body: bytes, secret: str | None) -> dict[str, str]:
    if secret is None:
        return {}
    at = str(int(time.time()))
    signature = hmac.new(secret.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {SIGNATURE: f"t={at},v1={signature}"}


def _mail(place: SplitResult, document: Mapping[str, Any]) -> None:
    to = _of_mail(place, "to")
    mail = EmailMessage()
    text = " ".join(str(document["text"]).split())
    mail["Subject"] = f"[search-service] {text if len(text) <= 100 else text[:99] + '…'}"
    mail["To"], mail["From"] = to, _of_mail(place, "from") or to
    lines = [text, ""]
    lines += [f"{name}: {where}" for name, where in document.get("places", {}).items()]
    mail.set_content("\n".join([*lines, f"study: {document['study_id']}"]))
    host = str(place.hostname)
    if place.scheme == "smtps":
        server: smtplib.SMTP = smtplib.SMTP_SSL(
            host, place.port or 465, timeout=TIMEOUT_S, context=ssl.create_default_context()
        )
    else:
        server = smtplib.SMTP(host, place.port or 587, timeout=TIMEOUT_S)
    with server:
        is_safe = place.scheme == "smtps" or host in _LOCAL
        server.ehlo_or_helo_if_needed()
        if server.has_extn("starttls"):
            server.starttls(context=ssl.create_default_context())
            is_safe = True
        if place.username:
            if not is_safe:
                raise smtplib.SMTPException("the server has no TLS, and a password is not sent without")
            server.login(unquote(place.username), unquote(place.password or ""))
        server.send_message(mail)


def _of_mail(place: SplitResult, key: str) -> str:
    return ", ".join(parse_qs(place.query).get(key, []))


def _shown(place: SplitResult) -> str:
    """An address without what may be a secret, which of a web hook is its path."""
    return f"{place.scheme}://{place.hostname or ''}" if place.scheme else "…"
