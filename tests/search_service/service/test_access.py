"""D7: nobody without a token can submit, read or stop."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from search_service.errors import InvalidSpecError
from search_service.service import access
from search_service.service.app import make_app
from search_service.service.settings import ServiceSettings
from search_service.service.submissions import shown_config
from tests.services import ADMIN, ScriptedJobs, serving, until, write_events

# What anybody may call: whether it is there, and what it looks like.
OPEN = {"/healthz", "/readyz"}
RANKS = {"read": 0, "submit": 1, "admin": 2}


@pytest.fixture
def service(tmp_path):
    with serving(tmp_path, ScriptedJobs(), admin_token=ADMIN) as client:
        yield client


def operations(service: httpx.Client) -> list[tuple[str, str]]:
    """Every route of the OpenAPI document, with a path that can be called."""
    document = service.get("/openapi.json").json()
    found = [(method.upper(), path) for path, item in document["paths"].items() for method in item]
    assert len(found) >= 22
    return [(method, re.sub(r"\{\w+\}", "some-thing", path)) for method, path in found if path not in OPEN]


def call(service: httpx.Client, method: str, path: str, token: str | None) -> httpx.Response:
    headers = {"Authorization": "" if token is None else f"Bearer {token}"}
    body = {"name": "some-one", "role": "read"} if method == "POST" else None
    return service.request(method, path, headers=headers, json=body, params={"name": "a.csv"})


def test_d7_without_a_token_or_with_a_wrong_or_revoked_one_every_route_says_401(service):
    revoked = service.post("/api/v1/tokens", json={"name": "gone", "role": "admin"}).json()["token"]
    assert service.delete("/api/v1/tokens/gone").status_code == 200
    # Wrong tokens count, so many of them end in 429; the routes are walked once for each kind.
    for token, words in ((None, "a token is needed"), (revoked, "was revoked")):
        service.app.state.access._rates.storage.reset()
        for method, path in operations(service):
            answer = call(service, method, path, token)
            assert answer.status_code == 401, f"{method} {path}: {answer.text}"
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert words in answer.json()["detail"]
    service.app.state.access._rates.storage.reset()
    for method, path in operations(service):
        assert call(service, method, path, "sst_wrong").status_code == 401, f"{method} {path}"


def test_d7_a_role_may_do_what_it_says_and_not_more(service):
    tokens = {
        role: service.post("/api/v1/tokens", json={"name": role, "role": role}).json()["token"]
        for role in ("read", "submit")
    }
    needed = {}
    for method, path in operations(service):
        refused = {role for role, token in tokens.items() if call(service, method, path, token).status_code == 403}
        assert call(service, method, path, ADMIN).status_code != 403
        needed[method, path] = "admin" if refused == {"read", "submit"} else "submit" if refused == {"read"} else "read"
    expected = {
        (method, path): "admin" if "tokens" in path
        else "read" if method == "GET" or "configs:" in path
        else "submit"
        for method, path in needed
    }  # fmt: skip
    assert needed == expected


def test_d7_of_a_token_nothing_is_kept_that_could_be_used(service, tmp_path):
    made = service.post("/api/v1/tokens", json={"name": "ci"}).json()
    assert made["token"].startswith(access.PREFIX)
    assert made["role"] == "submit"
    assert "token" not in service.get("/api/v1/tokens").json()[0]
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("service.db*"))
    assert made["token"].encode() not in kept
    assert access.digest_of(made["token"]).encode() in kept
    for name in ("admin", "local"):
        assert service.post("/api/v1/tokens", json={"name": name}).status_code == 409
    assert service.post("/api/v1/tokens", json={"name": "ci"}).status_code == 409
    assert service.post("/api/v1/tokens", json={"name": "a b"}).status_code == 422


def test_d7_whoever_tries_many_tokens_has_to_wait_and_nobody_else(service):
    answers = [call(service, "GET", "/api/v1/studies", f"sst_{n}").status_code for n in range(access.MOST_WRONG + 5)]
    assert answers == [401] * access.MOST_WRONG + [429] * 5
    # Behind a proxy everybody has one address.
    assert call(service, "GET", "/api/v1/studies", ADMIN).status_code == 200


def test_d7_who_is_calling_is_asked_before_anything_is_read(service):
    for path in ("/api/v1/tokens", "/api/v1/studies", "/api/v1/datasets?name=a.csv"):
        answer = service.post(path, content=b"{{{", headers={"Authorization": ""})
        assert answer.status_code == 401, path


def test_d7_a_stream_ends_with_the_token_that_it_was_opened_with(service, tmp_path):
    """Also while a busy study goes on: it went on for as long as the study had something to say."""
    study = service.post("/api/v1/studies", json={"name": "digits", "data": {"source": "digits"}}).json()["id"]
    folder = tmp_path / "studies" / study
    until(folder.exists)
    token = service.post("/api/v1/tokens", json={"name": "reader", "role": "read"}).json()["token"]
    url = f"{service.base_url}/api/v1/studies/{study}/events"
    ended = threading.Event()

    def keep_talking() -> None:
        while not ended.wait(0.02):
            write_events(folder, {"type": "nothing"})

    with ThreadPoolExecutor(1) as pool:
        talking = pool.submit(keep_talking)
        try:
            with httpx.stream("GET", url, headers={"Authorization": f"Bearer {token}"}, timeout=30) as answer:
                lines = answer.iter_lines()
                assert next(lines) == "event: nothing"
                service.delete("/api/v1/tokens/reader")
                until(lambda: service.get(f"/api/v1/studies/{study}").status_code == 200)
                # It ends, and does not say that the study has.
                assert "event: end" not in list(lines)
        finally:
            ended.set()
        talking.result()


def test_d7_addresses_and_configs_are_shown_without_what_is_secret(tmp_path):
    settings = {"tracking_uri": "https://user:S3CRET@mlflow.example/base/"}
    assert ServiceSettings(home=tmp_path, **settings).mlflow_address == "https://mlflow.example/base"
    assert ServiceSettings(home=tmp_path, tracking_uri="postgresql://u:S3CRET@db/x").mlflow_address is None
    assert "S3CRET" not in ServiceSettings(home=tmp_path, tracking_uri="postgresql://u:S3CRET@db/x").shown_record
    config = {"name": "a", "data": {"source": "https://a.org/t.csv?signature=S3CRET", "target": "y"}}
    assert shown_config(config)["data"] == {"source": "https://a.org/t.csv", "target": "y"}


def test_rates_are_of_each_caller(tmp_path):
    with serving(tmp_path, ScriptedJobs(), admin_token=ADMIN, requests_per_minute=5) as service:
        other = service.post("/api/v1/tokens", json={"name": "other"}).json()["token"]
        assert [service.get("/api/v1/studies").status_code for _ in range(6)] == [200] * 4 + [429] * 2
        refused = service.get("/api/v1/studies")
        assert refused.headers["Retry-After"] == "60"
        assert call(service, "GET", "/api/v1/studies", other).status_code == 200


def test_submissions_have_a_rate_of_their_own(tmp_path):
    with serving(tmp_path, ScriptedJobs(), submissions_per_minute=2) as service:
        bad = [service.post("/api/v1/studies", json={}).status_code for _ in range(3)]
        assert bad == [422, 422, 429]
        assert service.get("/api/v1/studies").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Host": "evil.example:8000"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "null"},
        {"Host": "["},
        {"Origin": "https://["},
    ],
)
def test_d7_on_loopback_without_tokens_a_web_page_of_somebody_elses_is_refused(tmp_path, headers):
    with serving(tmp_path, ScriptedJobs()) as service:
        body = {"name": "digits", "data": {"source": "digits"}}
        assert service.post("/api/v1/studies", json=body, headers=headers).status_code == 403
        assert service.get("/api/v1/studies", headers=headers).status_code == 403
        assert service.get("/api/v1/studies").json()["total"] == 0
        own = {"Origin": str(service.base_url).rstrip("/")}
        assert service.get("/api/v1/studies", headers=own).status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "search.example.org"])
def test_d7_it_does_not_listen_where_others_are_without_a_token(tmp_path, host):
    with pytest.raises(InvalidSpecError, match="SEARCH_SERVICE_ADMIN_TOKEN.*\n.*can be reached from other machines"):
        make_app(ServiceSettings(home=tmp_path, host=host))
    make_app(ServiceSettings(home=tmp_path, host=host, admin_token=ADMIN))


def test_d7_a_token_that_can_be_guessed_is_refused(tmp_path):
    with pytest.raises(InvalidSpecError, match="6 characters"):
        make_app(ServiceSettings(home=tmp_path, admin_token="secret"))


def test_d7_a_token_is_in_no_representation_of_the_settings(tmp_path):
    assert ADMIN not in repr(ServiceSettings(home=tmp_path, admin_token=ADMIN))


def test_e1_tokens_that_look_alike_are_refused(service):
    assert service.post("/api/v1/tokens", json={"name": "ci"}).status_code == 201
    for name in ("Admin", "ADMIN", "Local", "CI", "Ci"):
        assert service.post("/api/v1/tokens", json={"name": name}).status_code == 409, name
    assert [token["name"] for token in service.get("/api/v1/tokens").json()] == ["ci"]
