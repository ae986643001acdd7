"""One contract for every recorder, and what a server is told of whole runs (D3, D6)."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import math
import multiprocessing
import re
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path

import httpx
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from search_service.errors import RecorderError
from search_service.folder import layout
from search_service.recorders.background import BackgroundRecorder
from search_service.recorders.base import Recorder
from search_service.recorders.event_journal import EventJournal
from search_service.recorders.memory import MemoryRecorder
from search_service.recorders.mlflow import bulk as mlflow_bulk
from search_service.recorders.mlflow.recorder import MlflowRecorder
from search_service.records.events import (
    ComparisonFinished,
    OptimizerCompared,
    RoundStarted,
    StudyFinished,
    StudyStarted,
    TrialFinished,
)
from search_service.records.rounds import TrialStatus
from tests.chaos.proxy import Proxy
from tests.contracts.opening import open_store
from tests.processes import imported
from tests.servers import mlflow_server
from tests.stories import told_comparison, told_study


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    return told_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    return told_comparison(tmp_path_factory.mktemp("comparison"))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of an MLflow server that takes whole runs."""
    folder = tmp_path_factory.mktemp("server")
    with mlflow_server(f"sqlite:///{folder / 'mlflow.db'}", folder) as url:
        yield url


# ---- the contract ----------------------------------------------------------------------------------------------------


class Kept(ABC):
    """A recorder's storage: opened as often as one likes, each time by a fresh recorder, and what it holds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def open(self) -> Recorder:
        """A fresh recorder of the storage."""

    @abstractmethod
    def content(self) -> list:
        """What it holds but when it was written; sorted, so that two can be compared."""

    def tell(self, events) -> None:
        """As a process does that hears these events, and is gone."""
        recorder = self.open()
        for event in events:
            recorder.record(event)
        if isinstance(recorder, BackgroundRecorder):
            # Everything is written by then.
            assert recorder.wait(60).is_complete
        recorder.close()
        recorder.close()  # Closing twice is closing.


class Memory(Kept):
    """Has no storage but the recorder: who tells a story again begins anew."""

    def open(self):
        self.recorder = MemoryRecorder()
        return self.recorder

    def content(self):
        return [event for event in self.recorder.events if not isinstance(event, StudyFinished)]


class Journal(Kept):
    """``events.jsonl``; that a process begins and ends its work stands there for each of them."""

    def open(self):
        class Closing(EventJournal):
            page, registered = "", ""

            def close(self):
                """Nothing is held open."""

        return Closing(self.folder)

    def content(self):
        entries = [json.loads(line) for line in (self.folder / layout.EVENTS).read_text().splitlines()]
        of_story = [entry for entry in entries if entry["type"] not in ("study_started", "study_finished")]
        return [{key: value for key, value in entry.items() if key not in ("at", "crc")} for entry in of_story]


class InMlflow(Kept):
    """Runs, their metrics and files, models and versions of them."""

    @property
    def uri(self) -> str:
        return f"sqlite:///{self.folder / 'mlflow.db'}"

    def open(self):
        return MlflowRecorder(self.uri, self.folder / "artifacts")

    def content(self):
        client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
        experiment = client.get_experiment_by_name("recorded")
        models = client.search_logged_models([experiment.experiment_id])
        versions = client.search_model_versions("name = 'wine'")
        # A server gives a version's number as text.
        numbers = [str(version.version) for version in versions]
        return [*everything(client, "recorded"), len(models), numbers]


class InBackground(InMlflow):
    """The same in a thread."""

    def open(self):
        return BackgroundRecorder(super().open())


class OnAServer(InMlflow):
    """The same, over the network, of a server that takes whole runs."""

    uri = ""

    def open(self):
        return MlflowRecorder(self.uri)


@pytest.fixture(params=[Memory, Journal, InMlflow, InBackground])
def kept(request, tmp_path) -> Kept:
    return request.param(tmp_path)


@pytest.fixture(scope="module")
def told_once(story, tmp_path_factory):
    """What a storage holds of the story told once, by its kind."""
    found = {}

    def once(kept: Kept) -> list:
        kind = type(kept)
        if kind not in found:
            other = kind(tmp_path_factory.mktemp(kind.__name__))
            other.tell(story.events)
            found[kind] = other.content()
        return found[kind]

    return once


def test_d6_a_story_told_twice_is_recorded_once(kept, told_once, story):
    kept.tell(story.events)
    kept.tell(story.events)
    assert kept.content() == told_once(kept)


# Of the story, the share that the process that dies has told. Each is another part: a check, trials, finalists.
@pytest.mark.parametrize("share", [0.1, 0.45, 0.9])
def test_d6_a_story_cut_anywhere_and_told_again_from_its_beginning_is_complete(kept, told_once, story, share):
    before = story.events[: int(share * len(story.events))]
    kept.tell(before)
    if share == 0.45:
        # One of them had the time to say that it was interrupted.
        (finished,) = story.of(StudyFinished)
        result = dataclasses.replace(finished.result, status="interrupted", finalists=None)
        kept.tell([*before, StudyFinished(result, "cut short")])
    kept.tell(story.events)
    assert kept.content() == told_once(kept)


def test_d6_a_journal_cut_after_any_event_is_completed(story, tmp_path):
    whole = Journal(tmp_path / "whole")
    whole.folder.mkdir()
    whole.tell(story.events)
    for cut in range(1, len(story.events)):
        kept = Journal(tmp_path / str(cut))
        kept.folder.mkdir()
        kept.tell(story.events[:cut])
        kept.tell(story.events)
        assert kept.content() == whole.content(), cut


def test_d6_a_server_holds_of_a_story_told_one_and_a_half_times_what_a_file_does(server, told_once, story, tmp_path):
    kept = OnAServer(tmp_path)
    kept.uri = server
    kept.tell(story.events[: len(story.events) // 2])
    kept.tell(story.events)
    assert kept.content() == told_once(InMlflow(tmp_path))


def test_a14_a_comparison_that_is_cut_short_or_of_which_nothing_trains_is_recorded(kept, comparison):
    started, first, second, finished = comparison.events
    nothing = dataclasses.replace(first.outcome, config=None, curves=())
    # The second was compared and not yet told when Ctrl-C came.
    outcomes = (nothing, second.outcome)
    result = dataclasses.replace(finished.result, status="interrupted", outcomes=outcomes, slice=None)
    events = [started, OptimizerCompared(nothing), ComparisonFinished(result, "cut short")]
    kept.tell(events)
    if isinstance(kept, Memory):
        assert kept.content() == events
    elif isinstance(kept, Journal):
        # A comparison is no study: nobody follows it.
        assert not (kept.folder / layout.EVENTS).exists()
    else:
        # Runs by name, with the status of each.
        assert {run[0]: run[1] for run in kept.content()[:-2]}["optimisers-1"] == "KILLED"


def everything(client, name):
    """What the record holds of each run but when it was written."""
    runs = client.search_runs([client.get_experiment_by_name(name).experiment_id], max_results=1000)
    return sorted(
        (
            run.info.run_name,
            run.info.status,
            sorted(run.data.params.items()),
            sorted(
                (m.key, m.step, m.value)
                for k in run.data.metrics
                for m in client.get_metric_history(run.info.run_id, k)
            ),
            sorted(file.path for file in client.list_artifacts(run.info.run_id)),
        )
        for run in runs
    )


def test_studies_started_together_in_a_fresh_home_do_not_break_it(tmp_path):
    """Two processes that made the tables at once left a store that nothing could open again."""
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    forked = multiprocessing.get_context("forkserver")
    with imported("tests.contracts.opening"), concurrent.futures.ProcessPoolExecutor(2, forked) as processes:
        assert list(processes.map(open_store, [uri] * 2)) == [True] * 2
    assert open_store(uri)


def test_a_store_that_cannot_be_reached_is_an_outside_error(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(RecorderError, match="cannot record"):
        MlflowRecorder(f"sqlite:///{tmp_path / 'file' / 'mlflow.db'}")
    with pytest.raises(RecorderError, match="cannot record"):
        MlflowRecorder("http://127.0.0.1:9")  # The discard port: nobody listens.


def test_d3_a_run_is_begun_although_the_server_has_just_ended_the_connection(server, story):
    """No request for a new run is repeated by itself. A study's first one was refused so: "nothing answers there"."""
    (started,) = story.of(StudyStarted)
    with Proxy(server) as proxy:
        recorder = MlflowRecorder(proxy.url)
        proxy.hang_up = "/runs/create"
        recorder.record(dataclasses.replace(started, study_id="hung-up"))
        assert proxy.hang_up == ""
    client = MlflowClient(server)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    assert len(client.search_runs(experiments, "tags.study_id = 'hung-up'")) == 1


# ---- whole runs ------------------------------------------------------------------------------------------------------


def written(recorder, story, experiment):
    """What a recorder's store has of the trials of the story and of two odd ones: by name, all that can be seen.

    Name, status, tags, parameters, the history of every metric, and where files would go.
    """
    started = story.of(StudyStarted)[0]
    spec = started.spec.model_copy(update={"experiment": experiment})
    recorder.record(dataclasses.replace(started, spec=spec))
    recorder.record(story.of(RoundStarted)[0])
    odd = story.of(TrialFinished)[0].trial
    nothing = dataclasses.replace(odd, trial_id="r9-000", curve=(), status=TrialStatus.FAILED, reason="ä" * 9_000)
    point = dataclasses.replace(odd.curve[0], train_loss=math.nan, validation_loss=math.inf)
    diverged = dataclasses.replace(odd, trial_id="r9-001", curve=(point,), status=TrialStatus.DIVERGED)
    at_ms = int(time.time() * 1000)
    trials = [*story.of(TrialFinished), TrialFinished(nothing), TrialFinished(diverged)]
    recorder.record_trials([(event, at_ms) for event in trials])
    client = MlflowClient(recorder._uri)
    of = client.get_experiment_by_name(experiment)
    found = client.search_runs([of.experiment_id], "tags.kind = 'trial'", max_results=1000)
    assert all(run.info.start_time <= run.info.end_time for run in found)
    assert all(run.info.artifact_uri.startswith(of.artifact_location) for run in found)
    return {
        run.info.run_name: (
            run.info.status,
            {key: value for key, value in run.data.tags.items() if key != "mlflow.parentRunId"},
            run.data.params,
            {key: repr(value) for key, value in run.data.metrics.items()},
            {
                key: sorted((m.step, repr(m.value)) for m in client.get_metric_history(run.info.run_id, key))
                for key in run.data.metrics
            },
            run.info.artifact_uri.removeprefix(of.artifact_location).replace(run.info.run_id, "RUN"),
            run.info.user_id,
            run.info.lifecycle_stage,
        )
        for run in found
    }


def no_writer(client):
    """As of a store that takes no whole runs."""


def test_d3_trials_written_together_are_as_the_client_writes_them(story, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(mlflow_bulk, "writer_of", no_writer)
        one_by_one = MlflowRecorder(f"sqlite:///{tmp_path / 'one.db'}", tmp_path / "one")
    together = MlflowRecorder(f"sqlite:///{tmp_path / 'together.db'}", tmp_path / "together")
    ours = written(together, story, "recorded")
    assert ours == written(one_by_one, story, "recorded")
    assert len(ours) == len(story.of(TrialFinished)) + 2


def test_d3_trials_sent_to_a_server_together_are_as_the_client_writes_them(story, server, monkeypatch):
    with monkeypatch.context() as patch:
        # A server of MLflow's own says 404.
        patch.setattr(mlflow_bulk, "PATH", "/api/2.0/mlflow/whole-runs")
        one_by_one = MlflowRecorder(server)
        assert mlflow_bulk.writer_of(MlflowClient(server)) is None
    # More than fit into one request.
    monkeypatch.setattr(mlflow_bulk, "MOST_RUNS", 3)
    together = MlflowRecorder(server)
    assert mlflow_bulk.writer_of(MlflowClient(server)) is not None
    ours, expected = written(together, story, "together"), written(one_by_one, story, "one by one")
    assert ours == expected
    assert len(ours) == len(story.of(TrialFinished)) + 2


def a_run(**changes):
    values = {"name": "r1-000", "status": "FINISHED", "tags": {"kind": "trial"}, "params": {"lr": "0.1"}}
    return mlflow_bulk.WholeRun(**values, metrics=[("loss", math.inf, 1_000, 1), ("loss", 0.5, 2_000, 2)], **changes)


def test_d3_what_is_sent_again_for_want_of_an_answer_is_not_written_twice(server):
    client = MlflowClient(server)
    experiment = client.create_experiment("sent again")
    write, first, second = mlflow_bulk.writer_of(client), a_run(), a_run()
    write(experiment, [first])
    write(experiment, [first, second])
    found = client.search_runs([experiment])
    assert {run.info.run_id for run in found} == {first.id, second.id}
    # MLflow has no infinity in its tables.
    assert [m.value for m in client.get_metric_history(first.id, "loss")] == [sys.float_info.max, 0.5]


def test_d3_of_metrics_that_are_told_twice_each_is_written_once(server):
    client = MlflowClient(server)
    experiment = client.create_experiment("told twice")
    twice = a_run().model_copy(update={"metrics": [mlflow_bulk.Value("loss", math.nan, 1, 1) for _ in range(2)]})
    mlflow_bulk.writer_of(client)(experiment, [twice])
    assert len(client.get_metric_history(twice.id, "loss")) == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"experiment_id": "no number"}, "experiment_id"),
        ({"experiment_id": "987654321"}, "987654321"),
        ({"runs": [{"name": "x"}]}, r"runs\.0\.status: Field required"),
        ({"name": ""}, r"runs\.0\.name"),
        ({"id": "../.."}, r"runs\.0\.id"),
        ({"status": "RUNNING"}, r"runs\.0\.status"),
        ({"tags": {"x": "y" * 8_001}}, r"runs\.0\.tags\.x"),
        ({"params": {"what?": "y"}}, r"what\?"),
        ({"tags": {"what?": "y"}}, r"what\?"),
        ({"metrics": [["what?", 1.0, 0, 0]]}, r"what\?"),
        ({"metrics": [["loss", "much", 0, 0]]}, r"runs\.0\.metrics\.0\.1"),
        ({"more": 1}, r"runs\.0\.more"),
    ],
)
def test_d3_a_server_takes_no_run_that_is_not_whole(server, changes, says):
    client = MlflowClient(server)
    known = client.get_experiment_by_name("refused")
    experiment = known.experiment_id if known else client.create_experiment("refused")
    run = json.loads(a_run().model_dump_json()) | {
        k: v for k, v in changes.items() if k not in ("runs", "experiment_id")
    }
    body = {"experiment_id": experiment, "runs": [run]}
    body |= {key: value for key, value in changes.items() if key in body}
    answer = httpx.post(f"{server}{mlflow_bulk.PATH}", json=body)
    assert answer.status_code in (400, 404)
    assert re.search(says, answer.json()["message"])
    assert not client.search_runs([experiment])


def test_d5_a_server_takes_runs_from_its_own_hosts_and_origins_only(server):
    url = f"{server}{mlflow_bulk.PATH}"
    assert httpx.get(url).json() == mlflow_bulk.FORM
    assert httpx.get(url, headers={"Host": "elsewhere.example"}).status_code == 403
    assert httpx.post(url, headers={"Origin": "https://elsewhere.example"}, content="{}").status_code == 403


def test_d3_a_deleted_experiment_takes_no_runs(server):
    client = MlflowClient(server)
    experiment = client.create_experiment("deleted")
    write = mlflow_bulk.writer_of(client)
    client.delete_experiment(experiment)
    with pytest.raises(MlflowException, match="deleted"):
        write(experiment, [a_run()])
