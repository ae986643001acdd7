"""Tables by URL and by name: fetched by the real loaders from servers on this machine, and where nobody may look."""

from __future__ import annotations

import gzip
import ipaddress
import json
import socket
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer

import fsspec
import pyarrow as pa
import pyarrow.parquet
import pytest

from trainables.data import locations
from trainables.data.config import DataConfig
from trainables.data.dataset import read
from trainables.errors import DataError

CSV = "a,town,y\n" + "1,Bonn,x\n2,Kiel,z\n3,,x\n" * 10


class Quiet(SimpleHTTPRequestHandler):
    """Serves files without a word."""

    def log_message(self, *_):
        """Nothing."""


@pytest.fixture
def server(tmp_path):
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "table.csv").write_text(CSV)
    yield from _serve(partial(Quiet, directory=tmp_path / "served"))


def _serve(handler):
    running = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    thread.join()


def refused(source, allowed=None):
    with pytest.raises(DataError) as error:
        read(DataConfig(source=str(source), target="y"), allowed=allowed)
    return str(error.value)


def test_a_table_by_http(server, tmp_path):
    (tmp_path / "served" / "table.csv").write_text(CSV.replace(",", ";"))
    loaded = read(DataConfig(source=f"{server}/table.csv?token=secret", target="y"))
    by_url = loaded.dataset
    assert loaded.notes == (f"{server}/table.csv: columns separated by ';'",)  # A query may hold a secret.
    by_path = read(DataConfig(source=str(tmp_path / "served" / "table.csv"), target="y")).dataset
    assert by_url.fingerprint == by_path.fingerprint


def test_a_file_and_a_folder_by_any_other_protocol_of_fsspec():
    store = fsspec.filesystem("memory")
    table = pa.table({"a": range(30), "y": ["x", "z", "w"] * 10})
    for place, part in (("/t/parts/0.parquet", table.slice(0, 15)), ("/t/parts/1.parquet", table.slice(15))):
        with store.open(place, "wb") as opened:
            pyarrow.parquet.write_table(part, opened)
    with store.open("/t/table.parquet", "wb") as opened:
        pyarrow.parquet.write_table(table, opened)
    folder, file = (
        read(DataConfig(source=f"memory://t/{name}", target="y")).dataset for name in ("parts", "table.parquet")
    )
    assert folder.fingerprint == file.fingerprint


def test_d2_an_address_that_does_not_answer(server):
    missing = refused(f"{server}/nowhere.csv?token=secret")
    assert "an address that answers" in missing
    assert "secret" not in missing
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert "check the address, the network" in refused(f"http://127.0.0.1:{port}/table.csv")


@pytest.mark.parametrize(
    "source",
    [
        "file:///etc/hosts.csv",
        "local:///etc/hosts.csv",
        "zip::file:///t.zip",
        "simplecache::http://x/t.csv",
        "x://y.csv",
    ],
)
def test_d7_protocols_that_lead_back_to_this_machine_are_refused(source):
    assert "a path, or a URL of http" in refused(source)


def test_a_protocol_that_is_not_installed_says_what_to_install():
    assert "pip install s3fs" in refused("s3://bucket/table.csv")


def test_d7_permitted_by_the_protocol_alone_only_public_addresses_are_read(server, tmp_path):
    source = f"{server}/table.csv"
    words = "127.0.0.1 is an address of a private network"
    assert words in refused(source, allowed=["http://"])
    assert words in refused(source.replace("127.0.0.1", "localhost"), allowed=["http://", "http://example.org/"])
    # A prefix that names the host is the operator's word for it.
    assert len(read(DataConfig(source=source, target="y"), allowed=["http://", f"{server}/"]).dataset.train) == 18


def test_d7_every_address_of_a_name_that_leads_to_this_machine_is_refused(server):
    """Also as IPv6, and where IPv4 is written within IPv6."""
    port = server.rsplit(":", maxsplit=1)[1]
    for host in ("[0:0:0:0:0:0:0:1]", "[0:0:0:0:0:ffff:7f00:1]", "0.0.0.0"):
        assert "private network" in refused(f"http://{host}:{port}/table.csv", allowed=["http://"]), host


@pytest.fixture
def elsewhere(server):
    """A server that sends everybody to the other one."""

    class Elsewhere(Quiet):
        def do_GET(self):
            self.send_response(302)
            self.send_header("Location", f"{server}/table.csv")
            self.end_headers()

    yield from _serve(Elsewhere)


def test_d7_a_proxy_may_be_gone_to_and_nothing_beside_it(server, elsewhere, monkeypatch):
    """Also where the environment says which hosts need no proxy: those are the ones within."""
    monkeypatch.setenv("http_proxy", "http://192.0.2.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert "private network" in refused(f"{server}/table.csv", allowed=["http://"])
    monkeypatch.delenv("http_proxy")
    monkeypatch.setenv("https_proxy", "http://192.0.2.1:9")
    assert "private network" in refused(f"{elsewhere}/x.csv", allowed=["http://"])


def test_d7_a_fetch_that_is_too_large_ends(server, monkeypatch):
    monkeypatch.setattr(locations, "MOST_FETCHED_BYTES", 10)
    monkeypatch.setattr(locations, "_is_public", lambda host: True)
    assert "it has more than" in refused(f"{server}/table.csv", allowed=["http://"])


@pytest.mark.parametrize("host", ["8.8.8.8", "2606:4700::1111"])
def test_d7_public_addresses(host):
    assert locations._is_public(ipaddress.ip_address(host))


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "10.1.2.3",
        "169.254.169.254",
        "::1",
        "fe80::1",
        "fec0::1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "224.0.0.1",
        "::ffff:10.0.0.1",
    ],
)
def test_d7_addresses_that_are_not_public(host):
    assert not locations._is_public(ipaddress.ip_address(host))


def test_d7_a_prefix_that_ends_with_a_host_is_that_host_alone():
    for source in ("https://files.internal.evil.org/t.csv", "https://files.internal@evil.org/t.csv"):
        assert "a table within" in refused(source, allowed=["https://files.internal"])
        assert not locations._begins_with(source, "https://files.internal")
    assert locations._begins_with("https://files.internal/t.csv", "https://files.internal")


def test_d7_only_permitted_places_are_read(tmp_path, server):
    inside, outside = tmp_path / "in", tmp_path / "out"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / "t.csv").write_text(CSV)
    allowed = [str(inside), f"{server}/"]
    assert len(read(DataConfig(source=str(inside / "t.csv"), target="y"), allowed=allowed).dataset.train) == 18
    assert read(DataConfig(source="wine"), allowed=[]).dataset.n_inputs == 13
    assert read(DataConfig(source=f"{server}/table.csv", target="y"), allowed=allowed).dataset.n_inputs > 0
    (inside / "link.csv").symlink_to(outside / "t.csv")
    (inside / "parts").mkdir()
    (inside / "parts" / "0.parquet").symlink_to(outside / "t.csv")
    for source in (
        outside / "t.csv",
        inside / ".." / "out" / "t.csv",
        inside / "link.csv",
        inside / "parts",
        "https://elsewhere.example/t.csv",
        f"{server}/../t.csv",
        f"{server}/%2e%2e/t.csv",
        "openml:iris",
    ):
        assert "SEARCH_SERVICE_DATA_FOLDERS" in refused(source, allowed)


class OpenMl(BaseHTTPRequestHandler):
    """The five answers of OpenML's API that scikit-learn's loader asks for, for one small table."""

    ARFF = "@RELATION small\n@ATTRIBUTE a REAL\n@ATTRIBUTE town {Bonn,Kiel}\n@ATTRIBUTE class {x,z}\n@DATA\n" + (
        "1.5,Bonn,x\n2.5,Kiel,z\n?,Bonn,x\n" * 10
    )
    COLUMNS = (("a", "numeric", "false"), ("town", "nominal", "false"), ("class", "nominal", "true"))

    def do_GET(self):
        import hashlib

        text = self.ARFF.encode()
        described = {
            "id": "7", "name": "small", "version": "1", "format": "ARFF", "status": "active", "description": "d",
            "file_id": "9", "url": f"http://127.0.0.1:{self.server.server_port}/file/9/small.arff",
            "default_target_attribute": "class", "md5_checksum": hashlib.md5(text).hexdigest(),
        }  # fmt: skip
        features = [
            {"index": str(i), "name": name, "data_type": kind, "is_target": target, "is_ignore": "false",
             "is_row_identifier": "false", "number_of_missing_values": "0",
             **({"nominal_value": ["Bonn", "Kiel"] if name == "town" else ["x", "z"]} if kind == "nominal" else {})}
            for i, (name, kind, target) in enumerate(self.COLUMNS)
        ]  # fmt: skip
        answers = {
            "/list/small/status/active/": {
                "data": {"dataset": [{"did": 7, "name": "small", "version": 1, "status": "active"}]}
            },
            "/data/7": {"data_set_description": described},
            "/features/7": {"data_features": {"feature": features}},
            "/qualities/7": {"data_qualities": {"quality": [{"name": "NumberOfInstances", "value": "30"}]}},
        }
        if self.path.endswith(".arff"):
            body = text
        elif self.path in answers:
            body = json.dumps(answers[self.path]).encode()
        else:
            self.send_error(412)
            return
        zipped = gzip.compress(body)
        self.send_response(200)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(zipped)))
        self.end_headers()
        self.wfile.write(zipped)

    def log_message(self, *_):
        """Nothing."""


@pytest.fixture
def openml(monkeypatch, tmp_path):
    import sklearn.datasets._openml as loader

    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "cache"))
    served = _serve(OpenMl)
    address = next(served)
    for name, path in (
        ("_SEARCH_NAME", "/list/{}"),
        ("_DATA_INFO", "/data/{}"),
        ("_DATA_FEATURES", "/features/{}"),
        ("_DATA_QUALITIES", "/qualities/{}"),
    ):
        monkeypatch.setattr(loader, name, address + path)
    yield
    next(served, None)


@pytest.mark.parametrize("source", ["openml:small", "openml:7"])
def test_a_table_of_openml_by_name_and_by_id(openml, source):
    loaded = read(DataConfig(source=source))
    assert loaded.target == "class"
    assert loaded.dataset.class_names == ("x", "z")
    assert [(c.name, c.kind) for c in loaded.preparation.schema.columns] == [("a", "numeric"), ("town", "categorical")]
    assert read(DataConfig(source=source, target="town")).dataset.class_names == ("Bonn", "Kiel")


def test_d2_openml_says_what_it_does_not_have(openml):
    assert "a table that OpenML answers with" in refused("openml:nothing")
    assert "openml:NAME@VERSION" in refused("openml:small@new")
    with pytest.raises(DataError, match="data.target"):
        read(DataConfig(source="openml:small", target="nothing"))
