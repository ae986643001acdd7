"""D4: the client goes on where something between it and the service breaks."""

from __future__ import annotations

import httpx
import pytest

from search_service import client as client_module
from search_service.client import Client, RefusedError, ServiceUnreachableError
from search_service.errors import InvalidSpecError


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(client_module, "RECONNECT_S", 0.0)
    monkeypatch.setattr(client_module, "RECONNECTS", 5)


def client(*answers) -> tuple[Client, list[httpx.Request]]:
    """One whose requests are answered in this order; the last answer again and again."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        found = answers[min(len(asked), len(answers)) - 1]
        if isinstance(found, Exception):
            raise found
        return found

    return Client("http://service", "token", transport=httpx.MockTransport(answer)), asked


def stream(*numbers: int, end: bool = False) -> httpx.Response:
    text = "".join(f'event: trial_finished\nid: {n}\ndata: {{"n": {n}}}\n\n: ping\n\n' for n in numbers)
    text += 'event: end\ndata: {"state": "completed"}\n\n' if end else ""
    return httpx.Response(200, text=text)


def problem(status: int, **more) -> httpx.Response:
    return httpx.Response(status, json={"detail": "no", "problems": []} | more)


def test_d4_a_stream_that_breaks_is_taken_up_after_the_last_event_heard():
    broken = httpx.ReadError("reset")
    opened, asked = client(stream(1, 2), broken, problem(503), httpx.Response(502, text="proxy"), stream(3, end=True))
    assert [event.id for event in opened.events("s")] == [1, 2, 3]
    assert [request.headers["Last-Event-ID"] for request in asked] == ["0", "2", "2", "2", "2"]


@pytest.mark.parametrize("answer", [stream(), httpx.ReadError("reset"), problem(503)])
def test_a_service_that_stays_away_is_given_up(answer):
    opened, asked = client(answer)
    with pytest.raises(ServiceUnreachableError, match="does not answer"):
        list(opened.events("s"))
    assert len(asked) == 6


def test_a_study_that_is_not_there_is_not_tried_again():
    opened, asked = client(problem(404))
    with pytest.raises(RefusedError, match="no"):
        list(opened.events("s"))
    assert len(asked) == 1


def test_d4_a_submission_is_said_again_with_the_same_key():
    opened, asked = client(httpx.ConnectError("refused"), httpx.Response(502, text="proxy"), problem(409))
    with pytest.raises(RefusedError):
        opened.submit({"name": "digits", "data": {"source": "digits"}})
    assert len(asked) == 3
    assert len({request.headers["Idempotency-Key"] for request in asked}) == 1


def test_what_cannot_be_said_twice_is_said_once():
    opened, asked = client(httpx.ConnectError("refused"))
    with pytest.raises(ServiceUnreachableError, match="is it running"):
        opened.create_token("ci")
    assert len(asked) == 1


def test_mistakes_in_a_config_are_told_from_mistakes_in_a_request():
    wrong = problem(422, problems=[{"path": "query.sort", "message": "one of", "value": "x", "hint": "see /docs"}])
    with pytest.raises(RefusedError, match=r"query\.sort: x; expected: one of; to do: see /docs"):
        client(wrong)[0].studies(sort="x")
    with pytest.raises(InvalidSpecError):
        client(wrong)[0].submit({"name": "digits"})


def test_an_id_leads_nowhere_else():
    opened, asked = client(httpx.Response(204))
    opened.delete("../datasets?x=1")
    assert asked[0].url.raw_path == b"/api/v1/studies/..%2Fdatasets%3Fx%3D1"


def test_d4_what_is_no_address_is_not_asked(monkeypatch):
    monkeypatch.setenv("SEARCH_SERVICE_URL", "127.0.0.1:8123")
    with pytest.raises(InvalidSpecError, match="SEARCH_SERVICE_URL.*\n.*\n.*write http://127.0.0.1:8123"):
        Client()
