"""E1: whoever is named is told that a study is over; who does not hear is said, and nothing else changes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socketserver
import ssl
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from search_service import wiring
from search_service.errors import DataError, OutsideError
from search_service.records.events import TrialFinished
from search_service.records.results import StudyStatus
from search_service.report.worth import worth
from search_service.settings import Settings
from search_service.spec.study_spec import parse
from search_service.wiring import notifying

SECRET = "only we two know it"
SPEC = {
    "name": "small",
    "data": {"source": "wine"},
    "search_space": {},
    "search": {
        "coarse": {"max_trials": 3, "max_epochs": 3},
        "refined": {"max_trials": 2, "max_epochs": 4},
        "max_cycles": 1,
    },
    "finalists": {"top": 1, "seeds": 1, "baselines": False},
    "checks": {"on_fail": "warn"},
}


@contextmanager
def serving(server):
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


@contextmanager
def hook(*answers):
    """A web hook; it answers with these statuses, then with 204, and keeps what it hears."""
    heard, left = [], list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.append((dict(self.headers), body))
            self.send_response(left.pop(0) if left else 204)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    with serving(HTTPServer(("127.0.0.1", 0), Handler)) as server:
        yield f"http://127.0.0.1:{server.server_port}/hooks/T0KEN", heard


@contextmanager
def mail_server(tls=None, *, from_the_start=False):
    """One that takes every mail; it keeps what it hears, and which of that came over TLS.

    With a context it offers STARTTLS and a login, or speaks nothing but TLS `from_the_start`.
    """
    heard = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            connection, is_safe = self.request, False
            if from_the_start:
                connection, is_safe = tls.wrap_socket(connection, server_side=True), True
            lines = connection.makefile("rb")
            connection.sendall(b"220 here\r\n")
            in_data = False
            while line := lines.readline():
                heard.append(f"{'safe ' if is_safe else ''}{line.decode().rstrip()}")
                if in_data:
                    in_data = line != b".\r\n"
                    if in_data:
                        continue
                word = line.upper().split()[0] if line.split() else b""
                if word == b"QUIT":
                    connection.sendall(b"221 bye\r\n")
                    return
                if word == b"EHLO" and tls is not None:
                    connection.sendall(b"250-here\r\n250 " + (b"AUTH PLAIN\r\n" if is_safe else b"STARTTLS\r\n"))
                elif word == b"STARTTLS":
                    connection.sendall(b"220 go on\r\n")
                    connection, is_safe = tls.wrap_socket(connection, server_side=True), True
                    lines = connection.makefile("rb")
                elif word == b"AUTH":
                    connection.sendall(b"235 welcome\r\n")
                else:
                    in_data = word == b"DATA"
                    connection.sendall(b"354 go on\r\n" if in_data else b"250 yes\r\n")

    with serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)) as server:
        # A client that does not trust the certificate ends the handshake: that is the test, no error of the server.
        server.handle_error = lambda request, address: None
        yield server.server_address[1], heard


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 that signs itself, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail")])
    now = datetime.now(tz=UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("mail") / "mail.pem"
    without_password = serialization.NoEncryption()
    as_text = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, without_password)
    path.write_bytes(key.private_bytes(*as_text) + signed.public_bytes(serialization.Encoding.PEM))
    return path


def run(home, notify, listeners=(), say=lambda text: None, **changes):
    settings = Settings(home=home, notify=notify, SEARCH_SERVICE_NOTIFY_SECRET=SECRET)
    study = wiring.prepare(parse(SPEC | changes), settings=settings)
    return wiring.run(study, settings=settings, runner="inline", record=False, say=say, listeners=listeners)


def test_e1_a_hook_and_a_mail_say_how_a_study_ended(tmp_path):
    with hook(503) as (url, heard), mail_server() as (port, mails):
        mail = f"smtp://127.0.0.1:{port}/?to=ada@example.org&from=search@example.org"
        said = []
        done = run(tmp_path, f"{url} {mail}", say=said.append)
    assert said == []
    # What was refused for a while is told again.
    assert len(heard) == 2
    headers, body = heard[-1]
    document, final = json.loads(body), done.result.finalists
    assert document["event"] == "study_ended"
    assert (document["study_id"], document["status"]) == (done.result.study_id, "completed")
    assert (document["test_score"], document["worth"]) == (final.model_test_score, worth(final))
    assert document["places"]["folder"] == done.places["folder"]
    assert document["text"].startswith(f"small completed: test accuracy {final.model_test_score:.4g}.")
    at, signature = (part.partition("=")[2] for part in headers["X-Search-Service-Signature"].split(","))
    assert abs(int(at) - time.time()) < 60
    expected = hmac.new(SECRET.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(signature, expected)
    assert "rcpt TO:<ada@example.org>" in mails
    assert "mail FROM:<search@example.org>" in [line.partition(" size")[0] for line in mails]
    assert f"study: {done.result.study_id}" in mails
    assert any(line.startswith("Subject: [search-service] small completed") for line in mails)


def test_e1_a_study_that_fails_says_why(tmp_path):
    with hook() as (url, heard):
        checks = {"on_fail": "stop", "overfit_small_sample": {"max_steps": 1}}
        done = run(tmp_path, url, checks=checks)
    assert done.result.status is StudyStatus.FAILED
    document = json.loads(heard[0][1])
    assert (document["status"], document["test_score"]) == ("failed", None)
    assert document["text"] == f"small failed: {done.result.reason}"


def test_e1_a_study_that_breaks_from_outside_is_told_too(tmp_path):
    def breaks(event):
        if isinstance(event, TrialFinished):
            raise OutsideError("the disk is full")

    with hook() as (url, heard), pytest.raises(OutsideError, match="the disk is full"):
        run(tmp_path, url, [breaks])
    document = json.loads(heard[0][1])
    assert (document["event"], document["reason"]) == ("study_broke", "the disk is full")
    assert (tmp_path / "studies" / document["study_id"]).is_dir()


def test_e1_nobody_who_hears_changes_nothing_and_is_said_without_secrets(tmp_path, monkeypatch):
    monkeypatch.setattr(notifying, "WAITS_S", (0.01,))
    said = []
    with hook(404, 404) as (url, heard), mail_server() as (port, mails):
        written = url.replace("http://127.0.0.1", "HTTP://LocalHost")  # As httpx does not.
        nobody = "http://127.0.0.1:9/hooks/T0KEN"
        mail = f"smtp://ada:passw0rd@127.0.0.1:{port}/?to=ada@example.org"
        # SMTP's login takes ASCII alone, and raises what is no error of the network.
        umlaut = f"smtp://ada:p%C3%A4ssw0rd@127.0.0.1:{port}/?to=ada@example.org"
        done = run(tmp_path, f"{written} {nobody} {mail} {umlaut}", say=said.append)
    assert done.result.status is StudyStatus.COMPLETED
    # A refusal is final; a login that the server does not have is none either.
    assert len(heard) == 1
    assert len(said) == 4
    assert all("nobody was told at" in sentence for sentence in said)
    assert "404" in said[0]
    assert not any(secret in sentence for secret in ("T0KEN", "passw0rd", "ssw0rd") for sentence in said)
    assert not any(line.upper().startswith("MAIL FROM") for line in mails)


def test_e1_a_password_goes_nowhere_without_tls(monkeypatch):
    monkeypatch.setattr(notifying, "_LOCAL", ())
    said = []
    with mail_server() as (port, mails):
        settings = Settings(notify=f"smtp://ada:passw0rd@127.0.0.1:{port}/?to=ada@example.org")
        notifying._send(settings, {"text": "x", "study_id": "y"}, said.append)
    assert "no TLS" in said[0]
    assert not any("AUTH" in line for line in mails)


@pytest.fixture
def tls(certificate):
    """What a server with that certificate speaks."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_e1_a_mail_and_its_password_go_over_tls(scheme, tls, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    said = []
    with mail_server(tls, from_the_start=scheme == "smtps") as (port, heard):
        settings = Settings(notify=f"{scheme}://ada:pass%2Fw0rd@127.0.0.1:{port}/?to=ada@example.org")
        notifying._send(settings, {"text": "it is over", "study_id": "y"}, said.append)
    assert said == []
    login = base64.b64encode(b"\0ada\0pass/w0rd").decode()
    assert f"safe AUTH PLAIN {login}" in heard
    assert "safe it is over" in heard
    assert {line for line in heard if not line.startswith("safe ")} <= {*heard[:1], "STARTTLS"}


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_e1_a_server_that_nobody_vouches_for_gets_neither_password_nor_mail(scheme, tls):
    said = []
    with mail_server(tls, from_the_start=scheme == "smtps") as (port, heard):
        settings = Settings(notify=f"{scheme}://ada:passw0rd@127.0.0.1:{port}/?to=ada@example.org")
        notifying._send(settings, {"text": "it is over", "study_id": "y"}, said.append)
    assert "certificate verify failed" in said[0]
    assert not any(line.startswith("safe ") for line in heard)


@pytest.mark.parametrize(
    ("address", "rule"),
    [
        ("ftp://example.org/x", "begin with https://"),
        ("ada@example.org", "begin with https://"),
        ("smtp://mail.example.org", r"\?to="),
        ("https://example.org:port/T0KEN", "https://….*a port from 0"),
        ("http://[::1/T0KEN", "http://….*a host"),
        ("smtp://mail.example.org:port/?to=ada@example.org", "smtp://….*a port from 0"),
        ("smtp://mail.example.org/?to=ada%0A@example.org", "without line breaks"),
    ],
)
def test_e1_an_address_that_cannot_be_one_is_refused_before_anything_starts(tmp_path, address, rule):
    with pytest.raises(DataError, match=f"(?s)SEARCH_SERVICE_NOTIFY.*{rule}") as caught:
        run(tmp_path / "home", address)
    assert "T0KEN" not in str(caught.value)
    assert not (tmp_path / "home").exists()


def test_d4_jobs_of_a_service_tell_the_same(tmp_path):
    settings = Settings(
        home=tmp_path, notify="https://a.example/x smtp://b/?to=c@d", SEARCH_SERVICE_NOTIFY_SECRET=SECRET
    )
    assert settings.notify_environment == {
        "SEARCH_SERVICE_NOTIFY": "https://a.example/x smtp://b/?to=c@d",
        "SEARCH_SERVICE_NOTIFY_SECRET": SECRET,
    }
    assert SECRET not in repr(settings)
    assert Settings(home=tmp_path).notify_environment == {}
