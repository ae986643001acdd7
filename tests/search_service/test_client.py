"""D4: the client goes on where something between it and the service breaks."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import httpx
import numpy as np
import pytest

from search_service import client as client_module
from search_service.client import Client, RefusedError, ServiceUnreachableError
from search_service.errors import DamagedFileError, InvalidSpecError
from search_service.service.documents import Study

STUDY = Study.model_config["json_schema_extra"]["examples"][0] | {"config": {}, "attempts": [], "result": None}
UPLOADED = {"id": "ab.csv", "source": "dataset:ab.csv", "name": "t.csv", "bytes": 12}
UPLOADED |= {"owner": "ada", "uploaded_at": "2026-11-26T10:15:00Z"}


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(client_module, "RECONNECT_S", 0.0)
    monkeypatch.setattr(client_module, "RECONNECTS", 5)
    monkeypatch.setattr(client_module, "LOOK_EVERY_S", 0.0)


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


def test_d4_whoever_is_told_to_ask_later_does():
    """Others with the same token count, too, and one of them may have asked often."""
    later = httpx.Response(429, json={"detail": "too many", "problems": []}, headers={"Retry-After": "0"})
    ended = {**STUDY, "state": "completed"}
    opened, asked = client(later, httpx.Response(200, json=ended))
    assert opened.wait("digits-0").has_ended
    assert len(asked) == 2
    opened, asked = client(stream(1), later, stream(2, end=True))
    assert [event.id for event in opened.events("s")] == [1, 2]
    assert len(asked) == 3
    # What is asked once is told so.
    opened, asked = client(later)
    with pytest.raises(RefusedError, match="too many") as caught:
        opened.study("digits-0")
    assert (len(asked), caught.value.retry_after_s) == (1, 0.0)


def test_d4_who_waits_bears_a_service_that_is_started_again():
    away, ended = httpx.ConnectError("refused"), httpx.Response(200, json={**STUDY, "state": "completed"})
    # Each question is asked three times before it counts as unanswered.
    opened, asked = client(*[away] * 9, ended)
    assert opened.wait("digits-0").has_ended
    assert len(asked) == 10
    opened, _ = client(away)
    with pytest.raises(ServiceUnreachableError):
        opened.wait("digits-0")


@pytest.mark.parametrize(
    "error", [RefusedError(429, "too many", 60.0), DamagedFileError(Path("f"), "cut off", "mend it")]
)
def test_e1_errors_are_the_same_in_another_process(error):
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_d4_a_config_from_python_may_hold_paths_and_numbers_of_numpy(tmp_path):
    (tmp_path / "t.csv").write_text("x,y\n1,a\n2,b\n")
    dataset = httpx.Response(201, json=UPLOADED)
    opened, asked = client(dataset, problem(422))
    config = {
        "name": "mine",
        "data": {"source": tmp_path / "t.csv", "target": "y"},
        "search": {"coarse": {"max_trials": np.int64(8)}},
    }
    with pytest.raises(RefusedError):
        opened.submit(config)
    assert json.loads(asked[1].content)["search"] == {"coarse": {"max_trials": 8}}
    assert json.loads(asked[1].content)["data"]["source"] == "dataset:ab.csv"
    with pytest.raises(InvalidSpecError, match=r"(?s)search\.seed.*text, a number"):
        opened.submit({"name": "mine", "search": {"seed": {1, 2}}})


def test_e2_a_file_that_is_called_as_a_bundled_set_is_not_taken_for_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("digits").write_text("x,y\n1,2\n")
    opened, asked = client(problem(422))
    with pytest.raises(RefusedError):
        opened.submit({"name": "mine", "data": {"source": "digits"}})
    assert [json.loads(request.content)["data"] for request in asked] == [{"source": "digits"}]


def test_d4_a_file_that_is_not_here_and_a_table_that_is_no_config_are_said_before_anything_is_sent(tmp_path):
    opened, asked = client(problem(422))
    with pytest.raises(InvalidSpecError, match=r"(?s)data\.source: 'nofile\.csv'.*it was looked for at /"):
        opened.submit({"name": "mine", "data": {"source": "nofile.csv", "target": "y"}})
    with pytest.raises(InvalidSpecError, match=r"(?s)a config; this is a table.*give \{"):
        opened.submit(tmp_path / "t.csv")
    assert asked == []
    # What only the cluster has is its matter.
    with pytest.raises(RefusedError):
        opened.submit({"name": "mine", "data": {"source": "/data/of/the/cluster.csv", "target": "y"}})
    assert len(asked) == 1
