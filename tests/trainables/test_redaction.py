"""E1: of an address nobody sees what may be a secret, wherever it stands."""

from __future__ import annotations

import logging

import pytest

from search_service.errors import DataError, OutsideError, Problem, RecorderError
from trainables import redaction
from trainables.redaction import has_secret, redact, shown

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (f"http://alice:{SECRET}@host:81/t.csv?sig={SECRET}#x", "http://host:81/t.csv"),
        (f"https://{SECRET}@host/t.csv", "https://host/t.csv"),
        (f"https://alice:{SECRET}@x@host/t.csv", "https://host/t.csv"),
        (f"https://alice:{SECRET}/x@host/t.csv?a=1", "https://host/t.csv"),
        (f"https://alice:{SECRET}?x@host/t.csv", "https://host/t.csv"),
        (f"https://alice:{SECRET}#x", "https://…"),
        (f"https://alice:{SECRET} x@host/t.csv", "https://host/t.csv"),
        (f"https://host/t.csv;v=1?{SECRET}", "https://host/t.csv;v=1"),
        (f"s3://KEY:{SECRET}@bucket/path/t.parquet", "s3://bucket/path/t.parquet"),
        (f"postgresql+psycopg://bob:{SECRET}@db:5432/name?password={SECRET}", "postgresql+psycopg://db:5432/name"),
        (f"HTTP://alice:{SECRET}@[::1]:80/t.csv", "HTTP://[::1]:80/t.csv"),
        (f"https://[/x.csv?{SECRET}", "https://[/x.csv"),
        (f"simplecache::http://alice:{SECRET}@host/t.csv", "simplecache::http://host/t.csv"),
    ],
)
def test_e1_an_address_is_shown_without_what_may_be_secret(address, expected):
    assert shown(address) == expected
    assert has_secret(address)
    for text in (redact(f"401, url='{address}' refused", address), str(Problem("p", address, "rule", "fix"))):
        assert SECRET not in text
    assert SECRET not in str(RecorderError(f"MLflow at {expected} says {address.partition(' ')[0]}")) or " " in address


@pytest.mark.parametrize(
    "address",
    ["digits", "openml:adult@2", "/data/t.csv", "https://host/a@b/t.csv", "sqlite:////home/a b#c?d/mlflow.db",
     "s3://bucket/t.parquet", "https://host:8443/", "http://[::1]/t.csv", "memory://t.csv"],
)  # fmt: skip
def test_e1_what_has_no_secret_is_shown_as_it_is(address):
    assert shown(address) == address
    assert not has_secret(address)
    assert redact(f"{address}: cannot be read.") == f"{address}: cannot be read."


def test_e1_what_libraries_say_is_shown_without_secrets_and_otherwise_as_it_is():
    said = f"HTTPConnectionPool(host='h', port=9): Max retries exceeded with url: /t.csv?sig={SECRET} (Caused by x)"
    assert redact(said) == "HTTPConnectionPool(host='h', port=9): Max retries exceeded with url: /t.csv (Caused by x)"
    assert redact(f"530 login {SECRET} is wrong", f"ftp://a:{SECRET}@h/t.csv") == "530 login … is wrong"
    assert redact("is it so? a=b, see https://sqlalche.me/e/20/e3q8.") == (
        "is it so? a=b, see https://sqlalche.me/e/20/e3q8."
    )


def test_e1_no_error_of_ours_carries_a_secret():
    address = f"http://bob:{SECRET}@127.0.0.1:9"
    error = DataError([Problem("data", {"source": address}, f"not {address}", f"see {address}")])
    assert SECRET not in str(error) + repr(error.problems)
    assert str(OutsideError(f"{address}/x cannot be reached")) == "http://127.0.0.1:9/x cannot be reached"


def test_e1_neither_logs_nor_tracebacks_carry_a_secret(monkeypatch, capsys):
    before = logging.getLogRecordFactory()
    monkeypatch.setattr("sys.excepthook", None)
    monkeypatch.setattr("threading.excepthook", None)
    address = f"http://bob:{SECRET}@127.0.0.1:9/t?sig={SECRET}"
    try:
        redaction.guard_process()
        record = logging.getLogger("x").makeRecord("x", logging.ERROR, "f", 1, "%s: %s", (ValueError(address), 1), None)
        parts = logging.getLogger("x").makeRecord(
            "x", logging.INFO, "f", 1, "at %s://%s:%d", ("http", "host", 80), None
        )
        plain = logging.getLogger("x").makeRecord("x", logging.INFO, "f", 1, f"at {address}", (), None)
        try:
            int(address)
        except ValueError as error:
            caught = (ValueError, error, error.__traceback__)
            logged = logging.getLogger("x").makeRecord("x", logging.ERROR, "f", 1, "failed", (), caught)
            redaction._say_uncaught(*caught)
    finally:
        logging.setLogRecordFactory(before)
    assert record.getMessage() == "http://127.0.0.1:9/t: 1"
    assert (parts.getMessage(), plain.getMessage()) == ("at http://host:80", "at http://127.0.0.1:9/t")
    texts = logging.Formatter().format(logged), capsys.readouterr().err
    for text in texts:
        assert "ValueError: invalid literal" in text
        assert SECRET not in text
