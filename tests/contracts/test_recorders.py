"""One contract for every recorder, and what a reviewer finds in MLflow (D3)."""

from __future__ import annotations

import concurrent.futures
import csv
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

from search_service import wiring
from search_service.comparison import compare
from search_service.errors import RecorderError
from search_service.folder import layout
from search_service.recorders.background import BackgroundRecorder
from search_service.recorders.base import Recorder
from search_service.recorders.event_journal import EventJournal
from search_service.recorders.figures import comparison as figures
from search_service.recorders.memory import MemoryRecorder
from search_service.recorders.mlflow import bulk as mlflow_bulk
from search_service.recorders.mlflow.recorder import MlflowRecorder
from search_service.records.events import (
    CheckFinished,
    ComparisonFinished,
    CycleDecided,
    FinalistsFinished,
    ModelPacked,
    OptimizerCompared,
    RoundFinished,
    RoundStarted,
    StudyFinished,
    StudyStarted,
    TrialFinished,
)
from search_service.records.finalists import SeedNoise
from search_service.records.numbers import score_text
from search_service.records.pareto import ParetoPoint, ParetoSet
from search_service.records.rounds import TrialStatus
from search_service.report.importance import importance
from search_service.report.worth import worth
from search_service.runners.inline import InlineRunner
from search_service.spec import config_file
from search_service.spec.study_spec import parse
from search_service.study import run_study, summarize
from tests import made_once
from tests.contracts.opening import open_store
from tests.processes import imported
from tests.servers import mlflow_server

SPEC = {
    "name": "wine",
    "experiment": "recorded",
    "data": {"source": "wine"},
    "trial": {"network": {"hidden_sizes": [8]}, "optimizer": {"lr": 0.01}, "batch_size": 16},
    "search_space": {
        "optimizer.weight_decay": {"low": 1e-3, "high": 1.0, "log": True},
        "network.activation": {"choices": ["relu", "tanh"]},
    },
    "search": {
        "coarse": {"max_trials": 6, "max_epochs": 4},
        "refined": {"max_trials": 4, "max_epochs": 6},
        "max_cycles": 1,
    },
    "finalists": {"top": 2, "seeds": 2, "calibration": "temperature"},
}


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """The events of a whole study, recorded once and played to every recorder."""
    memory = MemoryRecorder()
    spec = parse(SPEC)
    study = wiring.prepare(spec)
    folder = tmp_path_factory.mktemp("study")
    run_study(
        spec, study.table, InlineRunner(), memory.record, study_id="wine-1", folder=folder,
        versions={"torch": "x"},
    )  # fmt: skip
    # As if step 6 had measured the noise, which it does where there would be another cycle.
    place = next(i for i, event in enumerate(memory.events) if isinstance(event, CycleDecided))
    decision = dataclasses.replace(memory.events[place].decision, measured=SeedNoise("r2-000", (0.9, math.nan, 0.95)))
    memory.events[place] = CycleDecided(decision)
    return memory


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    """The events of a whole comparison of optimisers, likewise."""
    memory = MemoryRecorder()
    asked = {"optimizers": ["sgd", "adam"], "seeds": 2, "epochs": 3, "sweep_seeds": 1, "sweep_epochs": 2}
    spec = parse(SPEC | {"comparison": asked})
    study = wiring.prepare(spec)
    compare(
        spec, study.dataset, summarize(spec, study.table), memory.record, figures.write,
        comparison_id="optimisers-1", folder=tmp_path_factory.mktemp("comparison"), versions={"torch": "x"},
    )  # fmt: skip
    return memory


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


# ---- what a reviewer finds in MLflow ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def record(story, tmp_path_factory):
    folder = tmp_path_factory.mktemp("record")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    recorder = MlflowRecorder(uri, folder / "artifacts")
    # Its pictures are looked at: they are of this story.
    with made_once.afresh():
        for event in story.events:
            recorder.record(event)
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("recorded")
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    return client, experiment, {run.data.tags["part"]: run for run in runs}


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


def parent_of(run):
    return run.data.tags.get("mlflow.parentRunId")


def test_d3_the_tree_is_study_then_steps_and_rounds_then_trials(record, story):
    _, experiment, runs = record
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    study = runs["wine-1"]
    assert parent_of(study) is None
    steps = [
        "1 initial loss", "2 overfit a small sample", "3 learning rates", "4 coarse search", "5 refined search",
        "6 repeat", "finalists",
    ]  # fmt: skip
    assert all(parent_of(runs[name]) == study.info.run_id for name in steps)
    trials = [event.trial for event in story.of(TrialFinished)]
    for trial in trials:
        parent = runs["4 coarse search" if trial.trial_id.startswith("r1") else "5 refined search"]
        assert parent_of(runs[trial.trial_id]) == parent.info.run_id
    below = {name for name, run in runs.items() if parent_of(run) == runs["finalists"].info.run_id}
    finalists = {f"finalist {finalist.trial_id}" for finalist in story.of(FinalistsFinished)[0].result.finalists}
    assert below == finalists | {"baseline linear", "baseline boosting", "refit"}
    assert len(runs) == 1 + len(steps) + len(trials) + len(below)
    assert all(run.info.status == "FINISHED" for run in runs.values())


def test_c4_step_6_has_its_numbers(record, story):
    (client, _, runs), (event,) = record, story.of(CycleDecided)
    run = runs["6 repeat"]
    # The seeds by which noise was measured; one diverged.
    history = client.get_metric_history(run.info.run_id, "score_by_seed")
    assert [(one.step, one.value) for one in history] == [(0, 0.9), (2, 0.95)]
    assert run.data.tags["measured_on"] == "r2-000"
    assert run.data.metrics == {
        "score_by_seed": 0.95,
        "gain": event.decision.gain,
        "expected_gain": event.decision.expected_gain,
        "noise": event.decision.noise,
    }


def test_d3_checks_have_measured_expected_and_verdict(record, story):
    _, _, runs = record
    for event in story.of(CheckFinished):
        check = event.check
        run = runs[f"{check.step} {check.name}"]
        assert run.data.tags["verdict"] == ("passed" if check.passed else "failed")
        assert run.data.tags["summary"] == check.summary
        assert check.summary in run.data.tags["mlflow.note.content"]
        for name, value in check.measured.items():
            assert run.data.metrics[f"measured.{name}"] == pytest.approx(value)
        for name, value in check.expected.items():
            assert run.data.metrics[f"expected.{name}"] == pytest.approx(value)


def test_d3_loss_curves_of_a_check_have_the_parameter_update_as_step(record, story):
    client, _, runs = record
    check = next(event.check for event in story.of(CheckFinished) if event.check.step == 2)
    rate, losses = check.curves[0]
    history = client.get_metric_history(runs["2 overfit a small sample"].info.run_id, f"loss.lr_{rate:.3g}")
    assert [(m.step, m.value) for m in history] == list(zip(check.steps, losses, strict=True))


def test_a12_a13_layers_have_metrics_by_step_and_finalists_their_verdicts(record, story):
    client, _, runs = record
    check = next(event.check for event in story.of(CheckFinished) if event.check.step == 2)
    run = runs["2 overfit a small sample"]
    assert run.data.tags["gradient_health"] == check.health.verdict.name
    history = client.get_metric_history(run.info.run_id, "layer_1/gradient_norm")
    expected = [(look.step, look.layers[0].gradient_norm) for look in check.health.history]
    assert [(m.step, m.value) for m in history] == expected
    for finalist in story.of(FinalistsFinished)[0].result.finalists:
        run = runs[f"finalist {finalist.trial_id}"]
        assert run.data.tags["fit"] == finalist.fit.name
        assert run.data.tags["gradient_health"] == finalist.health.verdict.name
        rates = client.get_metric_history(run.info.run_id, "learning_rate")
        assert tuple(m.value for m in rates) == finalist.learning_rates
        assert "gradient_health.png" in [file.path for file in client.list_artifacts(run.info.run_id)]


def test_e1_a_trials_run_lasts_as_long_as_the_trial(record, story):
    _, _, runs = record
    for event in story.of(TrialFinished):
        run, times = runs[event.trial.trial_id], event.trial.times
        assert (run.info.start_time, run.info.end_time) == (round(times.began_at * 1000), round(times.ended_at * 1000))
        assert run.data.metrics["training_seconds"] == pytest.approx(times.seconds)


def test_d3_trials_have_dotted_parameters_and_metrics_with_the_epoch_as_step(record, story):
    client, _, runs = record
    for event in story.of(TrialFinished):
        trial = event.trial
        run = runs[trial.trial_id]
        assert run.data.params["network.activation"] == trial.config.network.activation
        assert float(run.data.params["optimizer.lr"]) == trial.config.optimizer.lr  # To the last digit.
        assert run.data.tags["status"] == trial.status
        history = client.get_metric_history(run.info.run_id, "validation_accuracy")
        assert [(m.step, m.value) for m in history] == [(p.epoch, p.validation_score) for p in trial.curve]
        assert run.data.metrics["score"] == trial.score


@pytest.mark.parametrize(
    ("name", "figure"),
    [
        ("1 initial loss", "activations.png"),
        ("2 overfit a small sample", "small_sample_loss.png"),
        ("3 learning rates", "learning_rates.png"),
        ("4 coarse search", "search_map.png"),
        ("5 refined search", "search_map.png"),
        ("finalists", "finalists.png"),
        ("2 overfit a small sample", "gradient_health.png"),
        ("finalists", "learning_rates.png"),
        *[("5 refined search", f"{name}.png") for name in ("history", "slices", "parallel", "rungs", "importance")],
        *[("wine-1", f"{name}.png") for name in ("search_map", "history", "slices", "parallel", "importance")],
    ],
)
def test_d3_each_step_has_its_figure(record, tmp_path, name, figure):
    client, _, runs = record
    run = runs[name].info.run_id
    assert figure in [file.path for file in client.list_artifacts(run)]
    content = Path(client.download_artifacts(run, figure, str(tmp_path))).read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) > 5_000


def test_d3_the_study_has_its_config_its_answer_and_what_it_takes_to_run_it_again(record, story, tmp_path):
    client, _, runs = record
    run = runs["wine-1"]
    started, final = story.of(StudyStarted)[0], story.of(FinalistsFinished)[0].result
    assert run.data.params["trial.optimizer.lr"] == "0.01"
    assert run.data.params["data.rows.train"] == str(started.data.n_train)
    assert run.data.tags["data.fingerprint"] == started.data.fingerprint
    assert run.data.tags["version.torch"] == "x"
    assert run.data.metrics["test_accuracy"] == pytest.approx(final.model_test_score)
    files = {
        name: Path(client.download_artifacts(run.info.run_id, name, str(tmp_path))).read_text()
        for name in ("spec.json", "report.md", "result.json")
    }
    again = client.download_artifacts(run.info.run_id, "config.yaml", str(tmp_path))
    assert config_file.load(Path(again)) == started.spec
    assert json.loads(files["result.json"])["best"]["trial_id"] == final.winner.trial_id
    assert parse(json.loads(files["spec.json"])) == started.spec
    report = files["report.md"]
    assert "# wine: completed" in report
    assert run.data.tags["reason"] in report
    networks = {file.path for file in client.list_artifacts(run.info.run_id, "winner")}
    assert networks == {"winner/winner.pt", "winner/refit.pt", "winner/average-1.pt"}


def test_d3_every_metric_stands_beside_those_of_simpler_models(record, story):
    _, _, runs = record
    final = story.of(FinalistsFinished)[0].result
    study = runs["wine-1"].data
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "log_loss"):
        assert study.metrics[f"seeds/test_{name}"] == pytest.approx(final.test_metrics[name])
        # Of the mean of networks that is the model.
        assert study.metrics[f"model/test_{name}"] == pytest.approx(final.average.test_metrics[name])
        assert study.metrics[f"ignoring_inputs/test_{name}"] == pytest.approx(final.trivial_test_metrics[name])
        for baseline in final.baselines:
            own = runs[f"baseline {baseline.name}"].data.metrics
            assert study.metrics[f"baseline/{baseline.name}/test_{name}"] == pytest.approx(baseline.test[name])
            assert own[f"test_{name}"] == pytest.approx(baseline.test[name])
            assert own[f"model_is_better_by/{name}"] == pytest.approx(baseline.leads[name].difference)
        for finalist in final.finalists:
            metrics = runs[f"finalist {finalist.trial_id}"].data.metrics
            assert metrics[f"validation_mean_{name}"] == pytest.approx(finalist.validation_metrics[name])
    assert study.metrics["model/networks"] == len(final.average.networks) > 1
    assert study.metrics["model/alone_test_accuracy"] == pytest.approx(final.network_test_score)
    assert {baseline.name for baseline in final.baselines} == {"linear", "boosting"}
    assert study.tags["worth"] == worth(final)
    assert study.tags["worth"].split(":")[0] in ("Yes", "No", "It cannot be told")
    assert study.metrics["calibration/temperature"] == final.calibration.temperature
    assert study.metrics["calibration/log_loss_after"] == pytest.approx(final.calibration.log_loss_after)


def test_d3_the_study_has_a_dozen_headline_numbers_and_the_rest_in_groups(record, story):
    _, _, runs = record
    final, metrics = story.of(FinalistsFinished)[0].result, runs["wine-1"].data.metrics
    headline = {name: value for name, value in metrics.items() if "/" not in name}
    assert headline == {
        "test_accuracy": pytest.approx(final.model_test_score),
        "test_low": pytest.approx(final.test_interval[0]),
        "test_high": pytest.approx(final.test_interval[1]),
        "baseline": pytest.approx(max(baseline.test["accuracy"] for baseline in final.baselines)),
        "ignoring_inputs": pytest.approx(final.trivial_test_score),
        "score_mean": pytest.approx(final.winner.mean),
        "trials": len(story.of(TrialFinished)),
        "checks_passed": 3,
        "seconds": pytest.approx(story.of(StudyFinished)[0].result.seconds),
    }


def test_d3_the_studys_name_and_the_first_lines_of_its_note_are_the_answer(record, story):
    client, experiment, runs = record
    study, final = runs["wine-1"], story.of(FinalistsFinished)[0].result
    assert study.info.run_name.startswith(f"{final.model_test_score:.4g} wine · worth it: ")
    note = study.data.tags["mlflow.note.content"].splitlines()
    assert note[0].startswith(f"**Test accuracy {final.model_test_score:.4g}** (the model, 95 % interval ")
    assert note[2].startswith(
        "✓ 1 initial loss · ✓ 2 overfit a small sample · ✓ 3 learning rates · 10 trials in 2 rounds"
    )
    keys = re.findall(r"viewStateShareKey=([\w.-]+)", note[2])
    assert keys == ["trials-wine-1", "checks-wine-1", "studies"]
    kinds = dict(zip(keys, ("trial", "check", "study"), strict=True))
    for key, kind in kinds.items():
        state = json.loads(json.loads(experiment.tags[f"mlflow.sharedViewState.{key}"])["state"])
        # The view's filter and order are those of MLflow's own search.
        found = client.search_runs(
            [experiment.experiment_id], state["searchFilter"],
            order_by=[f"{state['orderByKey']} {'ASC' if state['orderByAsc'] else 'DESC'}"],
        )  # fmt: skip
        assert {run.data.tags["kind"] for run in found} == {kind}
        if kind == "trial":
            scores = [run.data.metrics["score"] for run in found]
            assert scores == sorted(scores, reverse=True)
            assert {f"params.`{leaf}`" for leaf in SPEC["search_space"]} <= set(state["selectedColumns"])


def test_d3_the_note_of_a_study_that_runs_says_where_it_is(story, tmp_path):
    recorder = MlflowRecorder(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path / "artifacts")
    client, notes = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}"), []
    for event in story.events:
        if isinstance(event, FinalistsFinished):
            break
        recorder.record(event)
        run = client.get_run(recorder._study.run)
        notes.append(run.data.tags.get("mlflow.note.content", ""))
    assert run.info.run_name == "running wine"
    assert any(note.startswith("**Running.** Step 4, coarse search: 6 trials of at most 4 epochs.") for note in notes)
    assert notes[-1].startswith("**Running.** Finalists.\n\n✓ 1 initial loss · ✓ 2 overfit a small sample")
    best = max((event.trial for event in story.of(TrialFinished)), key=lambda trial: trial.score)
    assert f" · 10 trials in 2 rounds, best {score_text(best.score)} ({best.trial_id})" in notes[-1]
    assert re.search(r"last news 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC$", notes[-1])


def test_d3_the_run_of_the_finalists_says_who_won_by_what_rule(record, story):
    _, _, runs = record
    final, data = story.of(FinalistsFinished)[0].result, runs["finalists"].data
    assert data.tags["winner"] == final.winner.trial_id
    note = data.tags["mlflow.note.content"]
    assert note.startswith(
        f"**{final.winner.trial_id} won**. Test accuracy {final.model_test_score:.4g}, 95 % interval "
    )
    assert final.rule
    assert final.rule in note
    winner = runs[f"finalist {final.winner.trial_id}"].data
    assert (winner.tags["won"], winner.tags["seeds"].split()) == ("true", [str(seed) for seed in final.winner.seeds])


def test_d3_the_table_is_the_data_set_of_the_run(record, story):
    _, _, runs = record
    data = story.of(StudyStarted)[0].data
    (found,) = runs["wine-1"].inputs.dataset_inputs
    assert (found.dataset.name, found.dataset.digest) == ("wine", data.fingerprint[:36])
    assert json.loads(found.dataset.source) == {"source": "wine", "target": data.target}


def test_d3_rounds_have_their_ranges_counts_and_sentences(record, story):
    _, _, runs = record
    for event in story.of(RoundFinished):
        result = event.result
        run = runs[result.plan.name]
        assert run.data.params["range.optimizer.lr"] == str(result.plan.space["optimizer.lr"])
        assert run.data.metrics["trials.completed"] == result.count(TrialStatus.COMPLETED)
        assert run.data.tags["best_trial"] == result.best.trial_id
    assert "where step 3 saw the loss fall" in runs["4 coarse search"].data.tags["mlflow.note.content"]


def test_b_finalists_say_how_sure_their_means_are_and_which_are_as_good(record, story):
    _, _, runs = record
    final = story.of(FinalistsFinished)[0].result
    for finalist in final.finalists:
        data = runs[f"finalist {finalist.trial_id}"].data
        ends = (data.metrics["score_interval_low"], data.metrics["score_interval_high"])
        assert ends == pytest.approx(finalist.interval)
        assert data.metrics["parameters"] == finalist.parameters
        assert data.tags["contender"] == str(finalist.trial_id in final.contenders).lower()
    study = runs["wine-1"].data
    assert study.metrics["winner/parameters"] == final.winner.parameters
    assert study.tags.get("alike", "") == " ".join(final.alike)


def test_b_the_trials_by_both_objectives_are_a_table_and_a_picture_of_the_study(story, tmp_path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    recorder = MlflowRecorder(uri, tmp_path / "artifacts")
    points = (ParetoPoint("r2-000", 0.95, 900.0, True), ParetoPoint("r2-001", 0.9, 950.0, False))
    final = dataclasses.replace(
        story.of(FinalistsFinished)[0].result, pareto=ParetoSet("parameters", points), contenders=("r2-000", "r2-001")
    )
    recorder.record(story.of(StudyStarted)[0])
    recorder.record(FinalistsFinished(final))
    client = MlflowClient(tracking_uri=uri)
    found = client.search_runs([client.get_experiment_by_name("recorded").experiment_id])
    (study,) = [run.info.run_id for run in found if run.data.tags["part"] == "wine-1"]
    files = {name: Path(client.download_artifacts(study, name, str(tmp_path))) for name in ("pareto.csv", "pareto.png")}
    assert files["pareto.csv"].read_text().splitlines() == [
        "trial_id,accuracy,parameters,optimal", "r2-000,0.95,900.0,true", "r2-001,0.9,950.0,false",
    ]  # fmt: skip
    assert files["pareto.png"].read_bytes().startswith(b"\x89PNG")


def test_c6_trials_and_what_mattered_are_on_the_rounds_and_on_the_study(story, tmp_path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    recorder = MlflowRecorder(uri, tmp_path / "artifacts")
    done = story.of(RoundFinished)[0].result
    # The fixture's rounds are too short to tell what mattered.
    longer = dataclasses.replace(done, trials=done.trials * 3)
    for event in story.events:
        if not isinstance(event, FinalistsFinished | ModelPacked):
            recorder.record(RoundFinished(longer) if isinstance(event, RoundFinished) else event)
    client = MlflowClient(tracking_uri=uri)
    found = client.search_runs([client.get_experiment_by_name("recorded").experiment_id])
    runs = {run.data.tags["part"]: run for run in found}
    shares = importance(longer).shares
    assert set(shares) == set(done.plan.space)
    for leaf, share in shares.items():
        assert runs["4 coarse search"].data.metrics[f"importance.{leaf}"] == pytest.approx(share)
    for name, trials in (("4 coarse search", longer.trials), ("wine-1", [e.trial for e in story.of(TrialFinished)])):
        table = client.download_artifacts(runs[name].info.run_id, "trials.csv", str(tmp_path))
        with Path(table).open() as file:
            rows = list(csv.DictReader(file))
        assert [row["trial_id"] for row in rows] == [trial.trial_id for trial in trials]
        assert [float(row["score"]) for row in rows] == [trial.score for trial in trials]


def test_a14_a_comparison_is_a_run_with_a_run_per_optimiser(comparison, tmp_path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    recorder = MlflowRecorder(uri, tmp_path / "artifacts")
    for event in comparison.events:
        recorder.record(event)
    client = MlflowClient(tracking_uri=uri)
    found = client.search_runs([client.get_experiment_by_name("recorded").experiment_id])
    runs = {run.data.tags["part"]: run for run in found}
    assert set(runs) == {"optimisers-1", "sgd", "adam"}
    assert all(run.info.status == "FINISHED" for run in found)
    finished = comparison.of(ComparisonFinished)[0]
    result, run = finished.result, runs["optimisers-1"]
    assert run.data.params["comparison.epochs"] == "3"
    assert run.data.params["trial.network.hidden_sizes"] == "[8]"
    assert not [name for name in run.data.params if name.startswith(("search.", "finalists.", "checks."))]
    assert run.data.tags["mlflow.note.content"] == finished.report
    assert run.data.metrics["best_drop"] == pytest.approx(result.best_drop)
    files = ["config.yaml", "loss_curves.png", "loss_slice.png", "paths.html", "report.md", "spec.json"]
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == files
    page = Path(client.download_artifacts(run.info.run_id, "paths.html", str(tmp_path))).read_text()
    assert page == finished.files[2].read_text()
    for outcome in result.outcomes:
        child = runs[outcome.name]
        assert parent_of(child) == run.info.run_id
        assert float(child.data.params["optimizer.lr"]) == outcome.config.optimizer.lr
        for name in ("train_loss", "validation_loss"):
            history = client.get_metric_history(child.info.run_id, name)
            assert [(m.step, m.value) for m in history] == [(p.epoch, getattr(p, name)) for p in outcome.mean_curve]
        metrics = child.data.metrics
        assert metrics["best_score_mean"] == pytest.approx(outcome.best_mean)
        assert metrics["best_score_std"] == pytest.approx(outcome.best_std)
        assert (metrics["divergences"], metrics["divergences_sweep"]) == (0, outcome.diverged_in_sweep)
        assert metrics.get("epochs_to_95") == result.epochs_to_arrive(outcome)
        assert "validation_accuracy" in metrics


def test_diverged_trials_and_open_rounds_have_their_status(story, tmp_path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    recorder = MlflowRecorder(uri, tmp_path / "artifacts")
    for event in story.events:
        if isinstance(event, TrialFinished):
            broken = dataclasses.replace(event.trial, status=TrialStatus.DIVERGED, reason="the loss was not finite")
            recorder.record(TrialFinished(broken))
            break
        recorder.record(event)
    result = dataclasses.replace(story.of(StudyFinished)[0].result, status="interrupted")
    recorder.record(StudyFinished(result, ""))
    client = MlflowClient(tracking_uri=uri)
    runs = client.search_runs([client.get_experiment_by_name("recorded").experiment_id])
    status = {run.data.tags["part"]: run.info.status for run in runs}
    assert status["r1-000"] == "FAILED"
    assert status["4 coarse search"] == status["wine-1"] == "KILLED"


def test_a_second_study_joins_the_same_experiment(story, tmp_path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    for name in ("wine-1", "wine-2"):
        recorder = MlflowRecorder(uri, tmp_path / "artifacts")
        recorder.record(dataclasses.replace(story.of(StudyStarted)[0], study_id=name))
    client = MlflowClient(tracking_uri=uri)
    assert len(client.search_runs([client.get_experiment_by_name("recorded").experiment_id])) == 2


def everything(client, name):
    """What the record holds of each run but when it was written."""
    runs = client.search_runs([client.get_experiment_by_name(name).experiment_id], max_results=1000)
    return sorted(
        (
            run.info.run_name,
            run.info.status,
            sorted(run.data.params.items()),
            sorted((m.key, m.step, m.value) for k in run.data.metrics for m in history(client, run, k)),
            sorted(file.path for file in client.list_artifacts(run.info.run_id)),
        )
        for run in runs
    )


def history(client, run, key):
    return client.get_metric_history(run.info.run_id, key)


def test_studies_started_together_in_a_fresh_home_do_not_break_it(tmp_path):
    """Two processes that made the tables at once left a store that nothing could open again."""
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    forked = multiprocessing.get_context("forkserver")
    with imported("tests.contracts.opening"), concurrent.futures.ProcessPoolExecutor(2, forked) as processes:
        assert list(processes.map(open_store, [uri] * 2)) == [True] * 2
    assert open_store(uri)


def test_names_of_metrics_are_those_that_mlflow_takes(story, tmp_path):
    recorder = MlflowRecorder(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path / "artifacts")
    recorder.record(story.of(StudyStarted)[0])
    check = next(event.check for event in story.of(CheckFinished) if event.check.step == 2)
    large = dataclasses.replace(check, steps=(0, 10), curves=((1e3, (1.0, 0.5)), (1e300, (1.0, 2.0))))
    recorder.record(CheckFinished(large))
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("recorded").experiment_id])
    names = {name for run in runs for name in run.data.metrics if name.startswith("loss.lr_")}
    # A plus sign, as in 1e+03, is none of its characters.
    assert names == {"loss.lr_1e03", "loss.lr_1e300"}


def test_a_store_that_cannot_be_reached_is_an_outside_error(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(RecorderError, match="cannot record"):
        MlflowRecorder(f"sqlite:///{tmp_path / 'file' / 'mlflow.db'}")
    with pytest.raises(RecorderError, match="cannot record"):
        MlflowRecorder("http://127.0.0.1:9")  # The discard port: nobody listens.
