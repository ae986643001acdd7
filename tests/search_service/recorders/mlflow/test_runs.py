"""E1: two recorders of one study, of which the first is still in the middle of a request, leave no run twice."""

from __future__ import annotations

from collections import Counter

import pytest

from search_service.errors import RecorderError
from search_service.recorders.mlflow.runs import Runs
from search_service.recorders.mlflow.store import open_client


@pytest.fixture
def client(tmp_path):
    return open_client(f"sqlite:///{tmp_path / 'mlflow.db'}")


@pytest.fixture
def opened(client):
    """Opens the runs of one study."""
    experiment = client.create_experiment("wine")

    def open_runs() -> Runs:
        runs = Runs(client)
        runs.experiment = experiment
        runs.of("study_id", "wine-1")
        return runs

    return open_runs


def names(client) -> Counter[str]:
    return Counter(
        run.info.run_name for run in client.search_runs([client.get_experiment_by_name("wine").experiment_id])
    )


def test_e1_what_is_closed_writes_no_more(client, opened):
    left = opened()
    run = left.start("study", "study", parent=None)
    left.close()
    for write in (
        lambda: left.start("1 initial loss", "check", parent=run),
        lambda: left.batch(run, params={"lr": 0.1}),
        lambda: left.end(run),
    ):
        with pytest.raises(RecorderError, match="closed"):
            write()
    assert names(client) == {"study": 1}
    assert client.get_run(run).info.status == "RUNNING"


def test_e1_a_run_that_an_earlier_process_began_last_is_there_once_at_the_end(client, opened):
    killed = opened()
    run = killed.start("study", "study", parent=None)
    later = opened()
    # The request of the first arrives after the second has looked which runs there are.
    killed.start("1 initial loss", "check", parent=run)
    stays = later.start("1 initial loss", "check", parent=later.start("study", "study", parent=None))
    assert names(client) == {"study": 1, "1 initial loss": 2}
    later.check()
    assert names(client) == {"study": 1, "1 initial loss": 1}
    assert client.get_run(stays).info.lifecycle_stage == "active"
