"""E1: no secret of an address stands in anything that a study or the service writes, prints or answers."""

from __future__ import annotations

import base64
import json
import os
import random
import stat
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

from search_service import wiring
from search_service.errors import InvalidSpecError
from search_service.folder import layout, private_addresses
from search_service.records.events import RoundStarted
from search_service.settings import Settings
from search_service.spec.study_spec import parse
from tests.services import ADMIN, ScriptedJobs, serving, until

SECRETS = ("pa55w0rd-of-alice", "signature-0123456789", "fragment-0123456789")
BUDGET = {"max_trials": 2, "max_epochs": 6}
SMALL = {
    "name": "secretive",
    "trial": {"network": {"hidden_sizes": [8]}, "batch_size": 16, "optimizer": {"lr": 0.03}},
    "checks": {"on_fail": "warn"},
    "search": {"coarse": BUDGET, "refined": BUDGET, "max_cycles": 1},
    "finalists": {"top": 1, "seeds": 1, "baselines": False},
}


def table() -> bytes:
    draw = random.Random(0)
    values = [draw.gauss(0, 1) for _ in range(120)]
    return "".join(["x,y\n", *(f"{value},{'ab'[value > 0]}\n" for value in values)]).encode()


@pytest.fixture(scope="module")
def address():
    """The address of a table that is given only to whoever has the password and the signature."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            login = base64.b64encode(f"alice:{SECRETS[0]}".encode()).decode()
            fine = self.headers.get("Authorization") == f"Basic {login}" and f"sig={SECRETS[1]}" in self.path
            body = table() if fine else b"no"
            self.send_response(200 if fine else 403)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://alice:{SECRETS[0]}@127.0.0.1:{server.server_port}/t.csv?sig={SECRETS[1]}#{SECRETS[2]}"
    server.shutdown()
    thread.join()
    server.server_close()


def holding(folder, secrets=SECRETS) -> list[str]:
    """Files that hold a secret, as it is or in base 64."""
    wanted = [secret.encode() for secret in secrets] + [base64.b64encode(secret.encode())[:-4] for secret in secrets]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [path.name for path in files if any(secret in path.read_bytes() for secret in wanted)]


def test_e1_a_study_of_a_secret_address_goes_on_and_leaves_no_secret(tmp_path, address):
    settings = Settings(home=tmp_path / "home")
    config = SMALL | {"data": {"source": address, "target": "y"}}

    def interrupt(event):
        if isinstance(event, RoundStarted):
            raise KeyboardInterrupt

    study = wiring.prepare(parse(config), settings=settings)
    with pytest.raises(KeyboardInterrupt):
        wiring.run(study, settings=settings, runner="inline", listeners=[interrupt])
    (folder,) = (tmp_path / "home" / "studies").iterdir()
    # While the study may go on, one file has them, for its owner alone.
    assert holding(tmp_path) == [layout.PRIVATE_ADDRESSES]
    assert stat.S_IMODE((folder / layout.PRIVATE_ADDRESSES).stat().st_mode) == 0o600
    command = [sys.executable, "-m", "search_service", "run", "--study", folder.name, "--home", str(settings.home)]
    done = subprocess.run([*command, "--runner", "inline"], capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert holding(tmp_path) == []
    said = done.stdout + done.stderr
    assert [secret for secret in (*SECRETS, "alice") if secret in said] == []
    # To train its trials again, the whole address is given once more.
    again = wiring.replay(folder.name, settings=Settings(home=settings.home, addresses=f"https://other.org/ {address}"))
    assert again.agrees
    with pytest.raises(InvalidSpecError, match="403") as refused:
        wiring.replay(folder.name, settings=settings)
    assert all(secret not in str(refused.value) for secret in SECRETS)


def test_e1_validate_says_no_secret_of_an_address_that_does_not_answer(tmp_path, address):
    source = address.replace("sig=", "wrong=")
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(SMALL | {"data": {"source": source, "target": "y", "no": source}}))
    said = ""
    for override in ([], ["--set", "data.no=null"]):
        command = [sys.executable, "-m", "search_service", "validate", str(tmp_path / "c.yaml"), *override]
        done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False, cwd=tmp_path)
        assert done.returncode == 2, done.stdout + done.stderr
        said += done.stdout + done.stderr
    assert [secret for secret in SECRETS if secret in said] == []


def test_e1_mlflows_password_is_shown_to_no_reader(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_PASSWORD", raising=False)
    # Nobody listens there.
    uri = f"http://bob:{SECRETS[1]}@127.0.0.1:9"
    with serving(tmp_path / "home", admin_token=ADMIN, tracking_uri=uri, max_attempts=1) as service:
        token = service.post("/api/v1/tokens", json={"name": "reader", "role": "read"}).json()["token"]
        config = SMALL | {"data": {"source": "wine"}}
        study = service.post("/api/v1/studies", json=config).json()["id"]
        service.headers["Authorization"] = f"Bearer {token}"
        url = f"/api/v1/studies/{study}"
        until(lambda: service.get(url).json()["state"] == "interrupted", seconds=200, every=0.5)
        answers = [service.get(path).text for path in (url, f"{url}/logs", "/api/v1/studies", "/readyz", "/metrics")]
    assert "127.0.0.1:9" in json.loads(answers[0])["reason"]
    assert [text for text in answers if SECRETS[1] in text or "bob" in text] == []
    assert holding(tmp_path) == []
    assert os.environ.get("MLFLOW_TRACKING_PASSWORD") is None


def test_e1_the_service_keeps_a_secret_of_a_submission_for_its_job_alone(tmp_path, monkeypatch):
    jobs, source = ScriptedJobs(), f"https://alice:{SECRETS[0]}@data.org/t.csv?sig={SECRETS[1]}"
    with serving(tmp_path / "home", jobs, admin_token=ADMIN) as service:
        checked = service.app.state.parts.submissions.check
        # The table itself is of no matter here, and data.org is not asked.
        wine = {"source": "wine"}
        monkeypatch.setattr(
            service.app.state.parts.submissions,
            "check",
            lambda raw: (raw, checked(raw | {"data": wine})[1]),
        )
        config = SMALL | {"data": {"source": source, "target": "y"}}
        study = service.post("/api/v1/studies", json=config).json()["id"]
        until(lambda: jobs.submitted)
        shown = service.get(f"/api/v1/studies/{study}").text
        folder = tmp_path / "home" / "studies" / study
        assert holding(tmp_path) == [layout.PRIVATE_ADDRESSES]
        raw = json.loads((folder / "spec.json").read_text())
        assert raw["data"]["source"] == "https://data.org/t.csv"
        assert private_addresses.put_back(raw, folder, ())["data"]["source"] == source
        assert [secret for secret in SECRETS if secret in shown] == []
        assert service.post(f"/api/v1/studies/{study}/cancel").status_code == 202
        jobs.end(f"{study}-1")
        until(lambda: service.delete(f"/api/v1/studies/{study}").status_code == 204)
    assert holding(tmp_path) == []
