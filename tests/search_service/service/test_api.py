"""D4: the API, over HTTP, with jobs that end as a test says."""

from __future__ import annotations

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import httpx
import pytest
import yaml
from sqlalchemy.exc import OperationalError
from typer.testing import CliRunner

from search_service import Client
from search_service.cli import commands as cli
from search_service.errors import InvalidSpecError
from search_service.folder import layout
from search_service.folder.study_folder import StudyFolder
from search_service.service import parts
from search_service.service.store import ConflictError, Store
from search_service.service.submissions import Submissions
from tests.conftest import REPOSITORY
from tests.contracts.test_stores import ROUND, STARTED, trial
from tests.services import ScriptedJobs, serving, until, write_events

DIGITS = {"name": "digits", "data": {"source": "digits"}}
STUDIES = "/api/v1/studies"


@pytest.fixture
def jobs():
    return ScriptedJobs()


@pytest.fixture
def service(tmp_path, jobs):
    with serving(tmp_path, jobs) as client:
        yield client


def submit(service, config=DIGITS, **params) -> dict:
    answer = service.post(STUDIES, json=config, params=params)
    assert answer.status_code == 201, answer.text
    return answer.json()


def begun(service, jobs, tmp_path, **params):
    """A study whose job runs, and its folder."""
    study = submit(service, **params)["id"]
    until(lambda: any(job.job_id.startswith(study) for job in jobs.submitted))
    return study, tmp_path / "studies" / study


def finish(jobs, study, folder) -> None:
    (folder / layout.REPORT).write_text("what was learnt: η", encoding="utf-8")
    best = {"trial_id": "r1-000", "validation_mean": 0.9, "config": {"optimizer.lr": 0.1}, "test_mean": 0.8}
    (folder / layout.RESULT).write_text(json.dumps({"best": best}))
    StudyFolder(folder).end("completed", "good enough")
    jobs.end(f"{study}-1")


def test_d4_a_study_from_submission_to_its_answer(service, jobs, tmp_path):
    answer = service.post(STUDIES, json=DIGITS)
    assert answer.status_code == 201
    study = answer.json()["id"]
    assert answer.headers["Location"] == f"{STUDIES}/{study}"
    assert answer.json()["state"] == "pending"
    until(lambda: service.get(f"{STUDIES}/{study}").json()["state"] == "checking")
    assert service.get(f"{STUDIES}/{study}/best").status_code == 404
    folder = tmp_path / "studies" / study
    check = {"type": "check_finished", "step": 1, "name": "initial loss", "cycle": 1, "passed": True, "summary": "s"}
    check |= {"advice": "", "measured": {"loss": 2.3}, "expected": {"loss": 2.3}}
    write_events(folder, STARTED, check, ROUND, trial(0, 0.5), trial(1, 0.9))
    until(lambda: service.get(f"{STUDIES}/{study}").json()["trials"] == 2)
    assert service.get(f"{STUDIES}/{study}/checks").json()[0]["summary"] == "s"
    best = service.get(f"{STUDIES}/{study}/best").json()
    assert (best["final"], best["trial"], best["score"]) == (False, "r1-001", 0.9)
    finish(jobs, study, folder)
    until(lambda: service.get(f"{STUDIES}/{study}").json()["state"] == "completed")
    best = service.get(f"{STUDIES}/{study}/best").json()
    assert (best["final"], best["trial"], best["values"]) == (True, "r1-000", {"optimizer.lr": 0.1})
    assert service.get(f"{STUDIES}/{study}/report").text == "what was learnt: η"
    found = service.get(f"{STUDIES}/{study}").json()
    assert (found["config"], found["reason"]) == (DIGITS, "good enough")
    assert found["attempts"][0]["ended_at"] is not None


def test_yaml_is_as_good_as_json(service):
    answer = service.post(STUDIES, content=yaml.safe_dump(DIGITS), headers={"Content-Type": "application/yaml"})
    assert answer.status_code == 201
    # As curl sends a file if it is told nothing.
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert service.post(STUDIES, content=yaml.safe_dump(DIGITS), headers=form).status_code == 201


def test_d4_two_submissions_at_once_with_one_key_are_one_study(service):
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: service.post(STUDIES, json=DIGITS, headers={"Idempotency-Key": "k"}), range(8))
        )
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert service.get(STUDIES).json()["total"] == 1
    other = service.post(STUDIES, json=DIGITS | {"seed": 1}, headers={"Idempotency-Key": "k"})
    assert other.status_code == 409
    assert "used for another submission" in other.json()["detail"]


def bad_configs() -> list[dict]:
    return [
        {},
        {"name": "no data"},
        DIGITS | {"trial": {"optimizer": {"name": "adamx", "lr": -1}}, "serch": {}},
        DIGITS | {"search_space": {"optimizer.lrr": {"low": 1, "high": 0.1, "log": True}}},
        DIGITS | {"trial": {"batch_size": 10**6}},
        DIGITS | {"data": {"source": "digit"}},
        DIGITS | {"trial": {"loss": "binary_cross_entropy"}},
        DIGITS | {"search": {"warm_start": "no-such-study"}},
    ]


@pytest.mark.parametrize("number", range(len(bad_configs())))
def test_d2_a_bad_config_gets_the_words_of_validate_and_leaves_nothing(service, tmp_path, monkeypatch, number):
    config = bad_configs()[number]
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(config))
    monkeypatch.setenv("SEARCH_SERVICE_HOME", str(tmp_path))
    by_command = CliRunner().invoke(cli.app, ["validate", str(path)])
    assert isinstance(by_command.exception, InvalidSpecError)
    expected = [(p.path, p.rule, p.fix) for p in by_command.exception.problems]
    for route in (STUDIES, "/api/v1/configs:validate", "/api/v1/configs:plan"):
        answer = service.post(route, json=config)
        assert answer.status_code == 422
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert [(p["path"], p["message"], p["hint"]) for p in answer.json()["problems"]] == expected
    assert service.get(STUDIES).json()["total"] == 0
    assert not (tmp_path / "studies").exists()


def test_d2_text_that_is_no_config(service):
    for source in ("https://[/x.csv", "/a\0b.csv"):
        config = DIGITS | {"data": {"source": source, "target": "y"}}
        assert service.post(STUDIES, json=config).status_code == 422
    for body, words in (
        (b"a: [", "readable YAML"),
        (b"\xff\xfe", "UTF-8"),
        (b"a: *b", "YAML"),
        (b"", "keys and values"),
    ):
        answer = service.post(STUDIES, content=body)
        assert answer.status_code == 422
        assert words in answer.text
    assert service.post(STUDIES, content=b"#" * 70_000).status_code == 413


def test_c5_a_plan_and_a_validation(service):
    checked = service.post("/api/v1/configs:validate", json=DIGITS).json()
    assert (checked["task"], checked["outputs"], sum(checked["rows"].values())) == ("classification", 10, 1797)
    planned = service.post("/api/v1/configs:plan", json=DIGITS)
    assert planned.status_code == 200
    assert "seconds" in planned.text


def test_d7_a_table_outside_the_permitted_folders_is_not_read(service, tmp_path):
    secret = tmp_path.parent / "secret.csv"
    secret.write_text("a,b\n1,2\n")
    for source in (str(secret), "/etc/passwd", "file:///etc/passwd", f"{tmp_path}/datasets/../service.db"):
        answer = service.post(STUDIES, json=DIGITS | {"data": {"source": source, "target": "b"}})
        assert answer.status_code == 422
        assert "root:" not in answer.text
    answer = service.post(STUDIES, json=DIGITS | {"data": {"source": "tables/own.csv", "target": "b"}})
    assert "upload the file first" in answer.json()["problems"][0]["hint"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "169.254.169.254", "10.0.0.1"])
def test_d7_an_address_of_a_private_network_is_not_read(service, host):
    source = f"https://{host}:9/table.csv"
    answer = service.post(STUDIES, json=DIGITS | {"data": {"source": source, "target": "b"}})
    assert answer.status_code == 422
    assert "private network" in answer.json()["problems"][0]["hint"]


def test_d4_an_uploaded_table_is_used(service, tmp_path):
    rows = "x,y\n" + "".join(f"{i % 7},{'ab'[i % 2]}\n" for i in range(200))
    first = service.post("/api/v1/datasets", content=rows, params={"name": "mine.csv"})
    assert first.status_code == 201
    again = service.post("/api/v1/datasets", content=rows, params={"name": "other.csv"})
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    # Its ending says how it is read: the same bytes under another one are another table.
    assert service.post("/api/v1/datasets", content=rows, params={"name": "mine.tsv"}).status_code == 201
    assert sorted(path.suffix for path in (tmp_path / "datasets").iterdir()) == [".csv", ".tsv"]
    config = {"name": "mine", "data": {"source": first.json()["source"], "target": "y"}}
    assert service.post(STUDIES, json=config).status_code == 201
    missing = service.post(STUDIES, json=config | {"data": {"source": "dataset:" + "0" * 64, "target": "y"}})
    assert missing.json()["problems"][0]["message"] == "an uploaded table"
    assert service.get("/api/v1/datasets").json()["total"] == 2


def test_d4_said_again_a_submission_needs_its_table_no_more(service, tmp_path):
    rows = "x,y\n" + "".join(f"{i % 7},{'ab'[i % 2]}\n" for i in range(200))
    source = service.post("/api/v1/datasets", content=rows, params={"name": "mine.csv"}).json()["source"]
    config, key = {"name": "mine", "data": {"source": source, "target": "y"}}, {"Idempotency-Key": "k"}
    first = service.post(STUDIES, json=config, headers=key)
    for path in (tmp_path / "datasets").iterdir():
        path.unlink()
    again = service.post(STUDIES, content=yaml.safe_dump(config), headers=key)
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])


def test_d4_while_tables_are_slow_everything_else_answers(service, monkeypatch):
    gate = threading.Event()
    monkeypatch.setattr(service.app.state.parts.submissions, "check", lambda raw: gate.wait(60) and None)
    with ThreadPoolExecutor(30) as pool:
        slow = [pool.submit(service.post, "/api/v1/configs:validate", json=DIGITS) for _ in range(30)]
        until(lambda: sum(one.done() for one in slow) >= 30 - parts.READERS - parts.MOST_WAITING)
        assert service.get("/readyz").status_code == 200
        assert service.get(STUDIES).status_code == 200
        refused = [one.result() for one in slow if one.done()]
        assert {answer.status_code for answer in refused} == {503}
        assert "Retry-After" in refused[0].headers
        gate.set()


def test_an_upload_that_is_no_table_leaves_nothing(service, tmp_path):
    assert service.post("/api/v1/datasets", content=b"x", params={"name": "mine.exe"}).status_code == 422
    assert service.post("/api/v1/datasets", content=b"", params={"name": "mine.csv"}).status_code == 422
    # A name is a name, and leads nowhere.
    for name in ("a\x1b[31m.csv", "a\u202egpj.csv", "a\n.csv", "..\\a.csv", "é" * 120 + ".csv", "a\0.csv"):
        refused = service.post("/api/v1/datasets", content=b"x,y\n1,2\n", params={"name": name})
        assert (refused.status_code, refused.json()["problems"][0]["path"]) == (422, "name"), name
    answer = service.post("/api/v1/datasets", content=b"x,y\n1,2\n", params={"name": "../../../mine.csv"})
    assert answer.json()["name"] == "mine.csv"
    assert [path.suffix for path in (tmp_path / "datasets").iterdir()] == [".csv"]


def test_an_upload_that_is_too_large_is_refused(tmp_path, jobs):
    with serving(tmp_path, jobs, max_upload_mb=1) as service:
        answer = service.post("/api/v1/datasets", content=b"x" * 2_000_000, params={"name": "mine.csv"})
        assert answer.status_code == 413
        assert answer.headers["Content-Type"] == "application/problem+json"
        chunks = (b"x" * 100_000 for _ in range(20))
        assert service.post("/api/v1/datasets", content=chunks, params={"name": "mine.csv"}).status_code == 413
    assert list((tmp_path / "datasets").iterdir()) == []


def test_e1_an_upload_is_deleted_by_its_owner_once_no_study_needs_it(service, jobs, tmp_path):
    table = "x,y\n" + "".join(f"{i},{i % 2}\n" for i in range(60))
    uploaded = service.post("/api/v1/datasets", params={"name": "t.csv"}, content=table.encode()).json()
    study = submit(service, {"name": "mine", "data": {"source": uploaded["source"], "target": "y"}})["id"]
    refused = service.delete(f"/api/v1/datasets/{uploaded['id']}")
    assert refused.status_code == 409
    assert study in refused.json()["detail"]
    until(lambda: jobs.submitted)
    service.post(f"{STUDIES}/{study}/cancel")
    jobs.end(f"{study}-1", 130)
    until(lambda: service.get(f"{STUDIES}/{study}").json()["state"] == "cancelled")
    assert service.delete(f"{STUDIES}/{study}").status_code == 204
    client = Client(str(service.base_url))
    assert [one.source for one in client.datasets().items] == [uploaded["source"]]
    client.delete_dataset(uploaded["source"])
    assert list((tmp_path / "datasets").iterdir()) == []
    assert service.delete(f"/api/v1/datasets/{uploaded['id']}").status_code == 404


def test_e1_a_config_may_hold_a_data_frame_where_it_names_a_table(service):
    import pandas as pd

    frame = pd.DataFrame({"x": range(60), "z": [i % 7 + 0.5 for i in range(60)], "y": ["a", "b"] * 30})
    client = Client(str(service.base_url))
    study = client.submit({"name": "mine", "data": {"source": frame, "target": "y"}})
    (uploaded,) = client.datasets().items
    assert uploaded.name.endswith(".parquet")
    assert client.study(study.id).config["data"]["source"].endswith(uploaded.id)
    # The same table is one upload, and what is none is refused before anything is sent.
    assert client.validate({"name": "mine", "data": {"source": frame, "target": "y"}}).inputs == 1
    assert client.datasets().total == 1
    with pytest.raises(InvalidSpecError, match="a data frame"):
        client.submit({"name": "mine", "data": {"source": {"x": [1]}, "target": "y"}})


def test_e1_uploads_have_a_quota_and_what_is_refused_leaves_nothing(tmp_path, jobs):
    with serving(tmp_path, jobs, max_uploads_mb=1) as service:
        first = service.post("/api/v1/datasets", params={"name": "a.csv"}, content=b"a" * 700_000)
        assert first.status_code == 201
        refused = service.post("/api/v1/datasets", params={"name": "b.csv"}, content=b"b" * 700_000)
        assert refused.status_code == 413
        assert "SEARCH_SERVICE_MAX_UPLOADS_MB" in refused.json()["detail"]
        assert [path.name for path in (tmp_path / "datasets").iterdir()] == [first.json()["id"]]


def test_e1_an_upload_whose_file_is_deleted_before_it_is_entered_is_not_entered(service, tmp_path, monkeypatch):
    content = b"x,y\n1,2\n"

    def entered_too_late(self, dataset_id, **rest):
        (tmp_path / "datasets" / dataset_id).unlink()
        return add(self, dataset_id, **rest)

    add = Store.add_dataset
    with monkeypatch.context() as patch:
        patch.setattr(Store, "add_dataset", entered_too_late)
        refused = service.post("/api/v1/datasets", params={"name": "a.csv"}, content=content)
    assert (refused.status_code, "upload it once more" in refused.json()["detail"]) == (409, True)
    assert service.get("/api/v1/datasets").json()["total"] == 0
    assert service.post("/api/v1/datasets", params={"name": "a.csv"}, content=content).status_code == 201


def test_e1_of_a_study_that_cannot_be_entered_nothing_is_left(service, tmp_path, monkeypatch):
    def breaks(self, new):
        raise ConflictError("another submission was faster")

    monkeypatch.setattr(Store, "add_study", breaks)
    address = f"{service.base_url}/tables/t.csv?token=s3cret"
    monkeypatch.setattr(Submissions, "check", lambda self, raw: (raw, SimpleNamespace(name="mine", metric="accuracy")))
    answer = service.post(STUDIES, json={"name": "mine", "data": {"source": address, "target": "y"}})
    assert (answer.status_code, "was faster" in answer.text) == (409, True)
    assert list((tmp_path / "studies").glob("*")) == []


def test_e1_an_upload_that_breaks_off_is_no_mistake_of_ours(service, tmp_path, caplog):
    address = service.base_url
    with socket.create_connection((address.host, address.port)) as connection:
        head = "POST /api/v1/datasets?name=t.csv HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nabc"
        connection.sendall(head.encode())
        until(lambda: list((tmp_path / "datasets").glob("unfinished-*")))
    until(lambda: not list((tmp_path / "datasets").iterdir()))
    assert service.get("/healthz").status_code == 200
    assert "Traceback" not in caplog.text


def test_lists_are_pages(service):
    for number in range(5):
        submit(service, DIGITS | {"name": f"study-{number}"}, priority=number)
    page = service.get(STUDIES, params={"limit": 2, "offset": 1, "sort": "-priority"}).json()
    assert [study["name"] for study in page["items"]] == ["study-3", "study-2"]
    assert (page["total"], page["limit"], page["offset"]) == (5, 2, 1)
    assert service.get(STUDIES, params={"name": "STUDY-4"}).json()["total"] == 1
    assert service.get(STUDIES, params={"limit": 201}).status_code == 422
    assert service.get(STUDIES, params={"sort": "spec"}).status_code == 422
    assert service.get(STUDIES, params={"state": ["completed", "failed"]}).json()["total"] == 0


def test_d4_events_are_heard_as_they_come_and_after_the_last_one_heard(service, jobs, tmp_path):
    study, folder = begun(service, jobs, tmp_path)
    heard: list[tuple[str, str]] = []

    def listen(after: int, into: list) -> None:
        headers = {"Last-Event-ID": str(after)}
        with httpx.stream("GET", f"{service.base_url}{STUDIES}/{study}/events", headers=headers, timeout=60) as answer:
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            fields: dict[str, str] = {}
            for line in answer.iter_lines():
                key, _, value = line.partition(": ")
                fields[key] = value
                if not line and "event" in fields:
                    into.append((fields.get("id", ""), fields["event"]))
                    fields = {}

    listener = threading.Thread(target=listen, args=(0, heard))
    listener.start()
    write_events(folder, STARTED)
    until(lambda: heard == [("1", "study_started")])
    write_events(folder, ROUND, trial(0, 0.5))
    until(lambda: len(heard) == 3)
    finish(jobs, study, folder)
    listener.join(timeout=60)
    assert heard == [("1", "study_started"), ("2", "round_started"), ("3", "trial_finished"), ("", "end")]
    later: list[tuple[str, str]] = []
    listen(2, later)
    assert later == [("3", "trial_finished"), ("", "end")]


def test_a_study_that_is_deleted_is_gone_and_so_are_its_streams(service, jobs, tmp_path):
    waiting = submit(service)["id"]
    jobs.break_off(unreachable=True)
    with httpx.stream("GET", f"{service.base_url}{STUDIES}/{waiting}/events", timeout=60) as answer:
        service.post(f"{STUDIES}/{waiting}/cancel")
        jobs.break_off(unreachable=False)
        until(lambda: service.delete(f"{STUDIES}/{waiting}").status_code == 204)
        assert "event: end" in list(answer.iter_lines())
    study, folder = begun(service, jobs, tmp_path)
    finish(jobs, study, folder)
    until(lambda: service.get(f"{STUDIES}/{study}").json()["state"] == "completed")
    assert service.delete(f"{STUDIES}/{study}").status_code == 204
    assert not folder.exists()
    for what in ("", "/events", "/trials", "/checks", "/best", "/logs", "/report", "/model"):
        answer = service.get(f"{STUDIES}/{study}{what}")
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")
    assert service.delete(f"{STUDIES}/{study}").status_code == 404


def test_a_stream_of_more_events_than_a_page_and_after_a_database_that_was_away(service, jobs, tmp_path, monkeypatch):
    study, folder = begun(service, jobs, tmp_path)
    write_events(folder, STARTED, *(trial(number, 0.5) for number in range(700)))
    finish(jobs, study, folder)
    until(lambda: service.get(f"{STUDIES}/{study}").json()["state"] == "completed", 60)
    store = service.app.state.parts.store
    read = store.events

    def away(*_, **__):
        raise OperationalError("SELECT", {}, Exception("away"))

    url = f"{service.base_url}{STUDIES}/{study}/events"
    monkeypatch.setattr(store, "events", away)
    with pytest.raises(httpx.RemoteProtocolError), httpx.stream("GET", url, timeout=60) as answer:
        list(answer.iter_lines())
    monkeypatch.setattr(store, "events", read)
    with httpx.stream("GET", url, timeout=60) as answer:
        assert sum(line.startswith("id: ") for line in answer.iter_lines()) == 701


def test_logs_go_on_where_they_were_left(service, jobs, tmp_path):
    study, folder = begun(service, jobs, tmp_path)
    assert service.get(f"{STUDIES}/{study}/logs").text == ""
    (folder / f"{study}-1.log").write_text("one\ntwo\n")
    first = service.get(f"{STUDIES}/{study}/logs")
    assert (first.text, first.headers["Log-Offset"], first.headers["Log-Attempt"]) == ("one\ntwo\n", "8", "1")
    with (folder / f"{study}-1.log").open("a") as file:
        file.write("three\n")
    assert service.get(f"{STUDIES}/{study}/logs", params={"offset": 8}).text == "three\n"
    assert service.get(f"{STUDIES}/{study}/logs", params={"attempt": 2}).status_code == 404
    # A letter of which the second byte is not there yet.
    with (folder / f"{study}-1.log").open("ab") as file:
        file.write("η".encode()[:1])
    assert service.get(f"{STUDIES}/{study}/logs", params={"offset": 14}).headers["Log-Offset"] == "14"
    with (folder / f"{study}-1.log").open("ab") as file:
        file.write("η".encode()[1:])
    assert service.get(f"{STUDIES}/{study}/logs", params={"offset": 14}).text == "η"


def test_d4_stop_cancel_and_resume(service, jobs, tmp_path):
    study, _ = begun(service, jobs, tmp_path)
    assert service.post(f"{STUDIES}/{study}/stop").json()["state"] == "stopping"
    assert service.post(f"{STUDIES}/{study}/cancel").status_code == 202
    until(lambda: jobs.cancelled == [f"{study}-1"])
    jobs.end(f"{study}-1", 130)
    until(lambda: service.get(f"{STUDIES}/{study}").json()["state"] == "cancelled")
    assert service.post(f"{STUDIES}/{study}/stop").status_code == 409
    assert "resume it first" in service.post(f"{STUDIES}/{study}/extend", json={"trials": 4}).json()["detail"]
    assert service.post(f"{STUDIES}/{study}/resume").json()["state"] == "pending"
    until(lambda: [job.job_id for job in jobs.submitted] == [f"{study}-1", f"{study}-2"])
    assert service.delete(f"{STUDIES}/{study}").status_code == 409


def test_21_only_a_study_that_has_completed_is_extended_by_trials_or_minutes(service, jobs, tmp_path):
    study, folder = begun(service, jobs, tmp_path)
    refused = service.post(f"{STUDIES}/{study}/extend", json={"trials": 4})
    assert (refused.status_code, "has not completed" in refused.json()["detail"]) == (409, True)
    finish(jobs, study, folder)
    until(lambda: service.get(f"{STUDIES}/{study}").json()["state"] == "completed")
    for wrong in ({}, {"trials": 4, "minutes": 1}, {"trials": 1}, {"minutes": -1}, {"epochs": 3}, {"trials": 2.5}):
        answer = service.post(f"{STUDIES}/{study}/extend", json=wrong)
        assert answer.status_code == 422, wrong
    # It has no rounds to go on from: its job has ended as this test says.
    answer = service.post(f"{STUDIES}/{study}/extend", json={"trials": 4})
    assert (answer.status_code, "a study that has found a model" in answer.text) == (422, True)
    assert service.post(f"{STUDIES}/another/extend", json={"trials": 4}).status_code == 404
    assert [path.name for path in (tmp_path / "studies").iterdir()] == [study]
    assert service.get(STUDIES).json()["total"] == 1


def test_e1_a_study_that_is_extended_is_a_submission(tmp_path, jobs):
    with serving(tmp_path, jobs, submissions_per_minute=1) as service:
        study, folder = begun(service, jobs, tmp_path)
        finish(jobs, study, folder)
        until(lambda: service.get(f"{STUDIES}/{study}").json()["state"] == "completed")
        assert service.post(f"{STUDIES}/{study}/extend", json={"trials": 4}).status_code == 429


def test_e1_a_study_whose_upload_was_deleted_is_not_extended(service, jobs, tmp_path):
    """It was queued, and its job failed to begin."""
    rows = "x,y\n" + "".join(f"{i % 7},{'ab'[i % 2]}\n" for i in range(200))
    source = service.post("/api/v1/datasets", content=rows, params={"name": "mine.csv"}).json()["source"]
    study, folder = begun(service, jobs, tmp_path, config={"name": "mine", "data": {"source": source, "target": "y"}})
    finish(jobs, study, folder)
    until(lambda: service.get(f"{STUDIES}/{study}").json()["state"] == "completed")
    assert service.delete(f"/api/v1/datasets/{source.removeprefix('dataset:')}").status_code == 204
    refused = service.post(f"{STUDIES}/{study}/extend", json={"trials": 4})
    assert (refused.status_code, "was deleted; upload it again" in refused.json()["detail"]) == (409, True)


def test_health_and_metrics(service):
    submit(service)
    assert service.get("/healthz").json()["status"] == "ok"
    ready = service.get("/readyz")
    assert (ready.status_code, ready.json()["database"], ready.json()["reconciler"]) == (200, True, True)
    shown = service.get("/metrics").text
    assert 'search_service_studies{state="completed"} 0.0' in shown
    assert 'search_service_request_seconds_count{method="POST",route="/api/v1/studies",status="201"} 1.0' in shown
    # Whatever somebody calls with makes no series of its own.
    for number in range(5):
        service.request(f"AAA{number}", "/healthz")
    shown = service.get("/metrics").text
    assert "AAA" not in shown
    assert 'method="other"' in shown


def test_a_cluster_that_does_not_answer_is_said_and_submissions_wait(tmp_path, jobs):
    jobs.break_off(unreachable=True)
    with serving(tmp_path, jobs) as service:
        study = submit(service)["id"]
        until(lambda: service.get("/readyz").json()["trouble"] != "")
        assert service.get("/readyz").status_code == 200
        jobs.break_off(unreachable=False)
        until(lambda: [job.job_id for job in jobs.submitted] == [f"{study}-1"])


def test_the_shipped_configs_are_taken(service, tmp_path):
    """All but the one with a table of its own, which has to be uploaded first (tests/end_to_end/test_service.py)."""
    taken = 0
    for path in sorted((REPOSITORY / "configs").glob("*.yaml")):
        config = yaml.safe_load(path.read_text())
        source = str(config["data"].get("source"))
        if "/" in source or "." in source:
            continue
        answer = service.post("/api/v1/configs:validate", content=path.read_bytes())
        assert answer.status_code == 200, f"{path.name}: {answer.text}"
        taken += 1
    assert taken >= 2
