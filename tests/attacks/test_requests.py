"""E1: requests that want more than the API gives: hostile configs, paths for names, other people's things."""

from __future__ import annotations

import re
import time

import httpx
import pytest

from search_service.service.routes import pages
from tests.services import ADMIN, ScriptedJobs, serving

VALIDATE, STUDIES, DATASETS = "/api/v1/configs:validate", "/api/v1/studies", "/api/v1/datasets"
# Seconds; parsing the worst of them takes a fraction of one, and a table is never read.
SOON_S = 20


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    limits = {"requests_per_minute": 10**6, "submissions_per_minute": 10**6}
    with serving(home, ScriptedJobs(), admin_token=ADMIN, **limits) as client:
        client.home = home
        yield client


def with_token(service: httpx.Client, name: str, role: str) -> dict[str, str]:
    token = service.post("/api/v1/tokens", json={"name": name, "role": role}).json()["token"]
    return {"Authorization": f"Bearer {token}"}


DEEP = b"[" * 50_000
HOSTILE = {
    "aliases that unfold to megabytes": b"a: &a [x, x, x]\nb: &b [*a, *a, *a]\nname: x\ndata: {source: digits}\n",
    "a tag that makes an object": b"name: !!python/object/apply:os.system ['true']\ndata: {source: digits}\n",
    "a merge key": b"base: &x {source: digits}\ndata: {<<: *x}\nname: x\n",
    "a key twice": b"name: x\nname: y\ndata: {source: digits}\n",
    "brackets, 50 000 deep": DEEP,
    "braces, 50 000 deep": b"{a: " * 50_000,
    "quotes without an end": b'"' + b"a" * 60_000,
    "a number of 60 000 digits": b"name: x\ndata: {source: digits}\nseed: " + b"9" * 60_000,
    "an overflowing number": b'{"name": "x", "data": {"source": "digits"}, "trial": {"optimizer": {"lr": 1e400}}}',
    "not a number": b"name: x\ndata: {source: digits}\ntrial: {optimizer: {lr: .nan}}\n",
    "a NUL": b'{"name": "x\\u0000y", "data": {"source": "digits"}}',
    "half a character": b'{"name": "\\ud800", "data": {"source": "digits"}}',
    "another encoding": "name: x\ndata: {source: digits}\n".encode("utf-16"),
    "bytes that are no text": bytes(range(256)),
    "a config of ten megabytes": b"name: x\n#" + b"a" * 10_000_000,
    "ten thousand choices": b"name: x\ndata: {source: digits}\nsearch_space: {batch_size: {choices: ["
    + b",".join(str(n).encode() for n in range(1, 10_001))
    + b"]}}\n",
    "a billion units": b"name: x\ndata: {source: digits}\ntrial: {network: {hidden_sizes: [1000000000]}}\n",
    "trials without end": b"name: x\ndata: {source: digits}\nsearch: {coarse: {max_trials: 99999999999999999999}}\n",
    "an experiment that is a path": b"name: x\nexperiment: ../../../tmp/x\ndata: {source: digits}\n",
    "a name that is a path": b"name: ../x\ndata: {source: digits}\n",
    "a file of this machine": b"name: x\ndata: {source: /etc/passwd, target: y}\n",
    "a file by its protocol": b"name: x\ndata: {source: 'file:///etc/passwd', target: y}\n",
    "a chain of protocols": b"name: x\ndata: {source: 'zip://x.csv::file:///tmp/x.zip', target: y}\n",
    "this machine by its address": b"name: x\ndata: {source: 'https://[::ffff:127.0.0.1]/t.csv', target: y}\n",
    "the cloud's own address": b"name: x\ndata: {source: 'https://169.254.169.254/latest/t.csv', target: y}\n",
    "an upload that is a path": b"name: x\ndata: {source: 'dataset:../service.db', target: y}\n",
}


@pytest.mark.parametrize("attack", HOSTILE)
def test_e1_a_hostile_config_is_refused_soon_and_leaves_nothing(service, attack):
    before = service.get(STUDIES).json()["total"]
    for path in (VALIDATE, STUDIES):
        began = time.monotonic()
        answer = service.post(path, content=HOSTILE[attack])
        assert 400 <= answer.status_code < 500, answer.text
        assert time.monotonic() - began < SOON_S
        assert answer.headers["content-type"] == "application/problem+json"
    assert service.get(STUDIES).json()["total"] == before
    assert not (service.home / "studies").exists()


@pytest.mark.parametrize(
    "path", ["..", "../..", "..%2f..%2fservice.db", "%2e%2e", "%2fetc%2fpasswd", "x%00y", "*", "C:%5cx"]
)
@pytest.mark.parametrize("of", [STUDIES, DATASETS, "/page"])
def test_e1_an_id_is_no_path(service, of, path):
    store = service.home / "service.db"
    assert store.exists()
    for method in ("GET", "DELETE"):
        # As it stands: httpx would tidy it up.
        request = service.build_request(method, of)
        request.url = request.url.copy_with(raw_path=f"{of}/{path}".encode())
        answer = service.send(request)
        # The list of studies is what a path that leads nowhere may be tidied into.
        assert 400 <= answer.status_code < 500 or answer.text == service.get("/").text, (method, answer.text)
        assert b"SQLite format" not in answer.content
    assert store.exists()


@pytest.mark.parametrize(
    "name", ["../../t.csv", "/etc/t.csv", "..\\t.csv", "a\x00.csv", "\x1b[31mt.csv", "x" * 300 + ".csv"]
)
def test_e1_an_upload_is_kept_under_the_digest_of_its_bytes_whatever_it_is_called(service, name):
    around = sorted(service.home.parent.iterdir())
    answer = service.post(DATASETS, params={"name": name}, content=b"x,y\n1,2\n")
    assert answer.status_code in (200, 201, 422), answer.text
    if answer.status_code != 422:
        assert answer.json()["name"] == "t.csv"
    assert sorted(service.home.parent.iterdir()) == around
    assert {len(path.stem) for path in (service.home / "datasets").glob("*")} <= {64}


def test_e1_nobody_deletes_an_upload_of_somebody_elses_but_admins_do(service):
    ada, grace = (with_token(service, name, "submit") for name in ("ada", "grace"))
    reader = with_token(service, "reader", "read")
    table = b"x,y\n" + b"".join(b"%d,%d\n" % (n, n % 2) for n in range(50))
    for deleter, status in ((grace, 403), (reader, 403), (ada, 204)):
        uploaded = service.post(DATASETS, params={"name": "t.csv"}, content=table, headers=ada).json()
        assert uploaded["owner"] == "ada"
        assert service.delete(f"{DATASETS}/{uploaded['id']}", headers=deleter).status_code == status
    uploaded = service.post(DATASETS, params={"name": "t.csv"}, content=table, headers=ada).json()
    assert service.delete(f"{DATASETS}/{uploaded['id']}").status_code == 204


def test_e1_headers_cannot_make_an_admin(service):
    submit = with_token(service, "climber", "submit")
    for more in ({"X-Forwarded-User": "admin"}, {"X-Role": "admin"}, {"X-Forwarded-For": "127.0.0.1"}):
        answer = service.post("/api/v1/tokens", json={"name": "made", "role": "admin"}, headers=submit | more)
        assert answer.status_code == 403
    # Nor can a token in an address, where logs would keep it.
    answer = service.get(STUDIES, params={"token": ADMIN, "access_token": ADMIN}, headers={"Authorization": ""})
    assert answer.status_code == 401


def test_e1_what_is_shown_of_a_table_runs_nowhere(service):
    """Titles and labels come from strangers: they are text in the page, whose policy allows no script but its own."""
    page = service.get("/")
    policy = page.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    scripts = [line for line in page.text.splitlines() if "<script" in line]
    assert scripts
    assert all("src=" in line for line in scripts)
    for script in pages.FOLDER.glob("*.js"):
        served = service.get(f"/page/{script.name}").text
        assert served == script.read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", served), script.name
