"""E1: MLflow may be away, broken or lose answers while a study runs: nothing is lost, and nothing is double."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from search_service import wiring
from search_service.recorders import background
from search_service.records.events import FinalistsFinished, RoundStarted
from search_service.settings import Settings
from search_service.spec import config_file
from search_service.wiring import record
from tests.chaos.invariants import content, violations
from tests.chaos.proxy import Proxy
from tests.chaos.variants import VARIANTS
from tests.servers import RestartingServer

TRIALS = (8, 5)


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """Pauses between tries are for servers that are gone for long; here they would only take time."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    monkeypatch.setattr(background, "LONGEST_PAUSE_S", 0.5)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """MLflow's own, which takes no whole runs: every run is several requests."""
    with RestartingServer(tmp_path_factory.mktemp("server"), whole_runs=False) as running:
        yield running


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    """The study under a name: its experiment and model are its own, since the server is shared."""
    path = tmp_path_factory.mktemp("config") / "chaos.yaml"
    path.write_text(replace(VARIANTS["inline-random-4"], trials=TRIALS).spec)
    return lambda name: config_file.load(path, [f"name={name}"])


@pytest.fixture(scope="module")
def calm(spec, tmp_path_factory):
    """What the study holds whose record was always there."""
    finished = run(spec("calm"), Settings(home=tmp_path_factory.mktemp("calm")))
    return content(Path(finished.places["folder"]))


def run(spec, settings, *listeners):
    return wiring.run(wiring.prepare(spec), settings=settings, runner="inline", listeners=listeners)


def test_e1_answers_that_are_lost_make_nothing_double(spec, calm, server, tmp_path):
    with Proxy(server.url, seed=3) as proxy:
        proxy.mode = "lossy"
        finished = run(spec("lossy"), Settings(home=tmp_path, tracking_uri=proxy.url))
        # A tenth of what a study sends, at least.
        assert proxy.lost > 10
    assert finished.backlog.is_complete
    assert violations(tmp_path, server.url, calm, "lossy", TRIALS) == []


@pytest.mark.parametrize("mode", ["away", "broken"])
def test_e1_a_study_ends_without_its_record_which_sync_completes(spec, calm, server, tmp_path, monkeypatch, mode):
    monkeypatch.setattr(record, "RECORD_PATIENCE_S", 1.0)

    def leave(event):
        if isinstance(event, RoundStarted):
            proxy.mode = mode

    with Proxy(server.url) as proxy:
        settings = Settings(home=tmp_path, tracking_uri=proxy.url)
        finished = run(spec(mode), settings, leave)
        assert finished.backlog.waiting > 0
        study = Path(finished.places["folder"]).name
        assert finished.places["sync"] == f"search-service sync {study}"
        assert wiring.unrecorded(settings) == [study]
        proxy.mode = "well"
        monkeypatch.undo()
        assert wiring.sync(study, settings=settings).backlog.is_complete
        assert wiring.unrecorded(settings) == []
    assert violations(tmp_path, server.url, calm, mode, TRIALS) == []


def test_e1_a_record_that_comes_back_before_the_end_is_complete_at_the_end(spec, calm, server, tmp_path):
    def leave_and_return(event):
        if isinstance(event, RoundStarted):
            proxy.mode = "away" if event.plan.number == 1 else "broken"
        if isinstance(event, FinalistsFinished):
            proxy.mode = "well"

    with Proxy(server.url) as proxy:
        finished = run(spec("back"), Settings(home=tmp_path, tracking_uri=proxy.url), leave_and_return)
    assert finished.backlog.is_complete
    assert violations(tmp_path, server.url, calm, "back", TRIALS) == []
