"""D6: a study killed anywhere goes on where it was: nothing that was finished is done again, lost, or recorded twice.

The judge is the same study that nobody disturbed: the same trials with the same bits, rungs, decisions and winner.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import shutil
import signal
from pathlib import Path

import pytest
from mlflow import MlflowClient

from search_service import wiring
from search_service.errors import DataError, RunnerError, StudyBusyError
from search_service.folder.study_folder import StudyFolder
from search_service.records.events import TrialFinished
from search_service.runners.book import RoundBook
from search_service.runners.inline import InlineRunner
from search_service.runners.sizing import CohortSizes, MeasuredSizes
from search_service.settings import Settings
from search_service.spec import config_file
from search_service.spec.study_spec import parse
from tests.faults.victim import run_until
from tests.processes import imported

CONFIG = """
name: cut-short
data: {source: wine}
trial: {network: {hidden_sizes: [8], dropout: 0.2}, optimizer: {lr: 1e-2}, batch_size: 16}
search_space:
  optimizer.weight_decay: {low: 1e-3, high: 1.0, log: true}
  network.dropout: {low: 0.1, high: 0.4}
  network.hidden_sizes: {choices: [[8], [12, 8]]}
search:
  sampler: random
  coarse: {max_trials: 7, max_epochs: 4}
  refined: {max_trials: 5, max_epochs: 6}
  grace_period: 2
  max_cycles: 1
  population_size: POPULATION
finalists: {top: 2, seeds: 2, baselines: false}
"""

PROCESSES = multiprocessing.get_context("forkserver")


@pytest.fixture(scope="module", autouse=True)
def victims_have_their_imports():
    with imported("tests.faults.victim"):
        yield


def write_config(folder: Path, population: int) -> Path:
    path = folder / "cut-short.yaml"
    path.write_text(CONFIG.replace("POPULATION", str(population)))
    return path


def finish(home: Path, config: Path):
    """Begin the study of ``home``, or go on with it, to its end; of one that is over, complete the record."""
    settings = Settings(home=home)
    begun = list(home.glob("studies/*"))
    if begun and (begun[0] / "ended.json").exists():
        return wiring.sync(begun[0].name, settings=settings)
    study = (
        wiring.prepare_again(begun[0].name, settings=settings)
        if begun
        else wiring.prepare(config_file.load(config), settings=settings)
    )
    return wiring.run(study, settings=settings, runner="inline")


def kill(home: Path, config: Path, point: str) -> None:
    victim = PROCESSES.Process(target=run_until, args=(home, config, point))
    victim.start()
    victim.join(timeout=120)
    assert victim.exitcode == -signal.SIGKILL, f"{point} was not reached"


def journal(folder: str, name: str) -> list[dict]:
    """Entries of all rounds, without what is allowed to differ."""
    return [
        {key: value for key, value in json.loads(line).items() if key not in ("seconds", "times", "worker", "crc")}
        for path in sorted(Path(folder).glob(f"round-*/{name}.jsonl"))
        for line in path.read_text().splitlines()
    ]


def assert_same(disturbed, calm) -> None:
    one, two = disturbed.places["folder"], calm.places["folder"]
    for name in ("asked", "rungs", "told"):
        assert journal(one, name) == journal(two, name), name
    results = disturbed.result, calm.result
    for of in (
        lambda r: [(t.trial_id, t.config, t.values, t.status, t.reason, t.curve) for d in r.rounds for t in d.trials],
        lambda r: [(check.step, check.passed, check.summary) for check in r.checks],
        lambda r: r.decisions,
        lambda r: [d.stop_reason for d in r.rounds],
        lambda r: (r.status, r.reason, r.finalists.winner.config, r.finalists.winner.scores, r.finalists.winner.health),
        lambda r: (r.finalists.test_scores, r.finalists.test_metrics, r.finalists.model_test_score),
    ):
        assert of(results[0]) == of(results[1])


def recorded(home: Path) -> dict[str, tuple]:
    """What MLflow holds of each run: its kind, status, parameters, and every value of every metric but times."""
    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    (experiment,) = [e for e in client.search_experiments() if e.name == "cut-short"]
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    names = [run.info.run_name for run in runs if run.data.tags["kind"] != "study"]
    assert len(names) == len(set(names)), "a run was recorded twice"
    parents = {run.info.run_id: run.info.run_name for run in runs if run.data.tags["kind"] != "study"}
    return {
        run.data.tags["kind"] if run.data.tags["kind"] == "study" else run.info.run_name: (
            run.info.status,
            run.data.params,
            parents.get(run.data.tags.get("mlflow.parentRunId"), "the study"),
            {
                key: [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, key)]
                for key in run.data.metrics
                if key not in ("seconds", "training_seconds") and not key.endswith("_ms")
            },
        )
        for run in runs
    }


def home_of(finished) -> Path:
    return Path(finished.places["folder"]).parent.parent


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> Path:
    return write_config(tmp_path_factory.mktemp("config"), population=1)


@pytest.fixture(scope="module")
def calm(config, tmp_path_factory):
    """The study that nobody disturbs."""
    return finish(tmp_path_factory.mktemp("calm"), config)


@pytest.mark.parametrize(
    "points",
    [
        ("step 3", "a rung of r1", "recording r1-001", "round 1 over"),
        ("r2-002 told", "finalists", "tested", "recording a finalist", "packed"),
    ],
    ids=["early", "late"],
)
def test_d6_a_study_killed_again_and_again_ends_as_if_nobody_had_disturbed_it(calm, config, tmp_path, points):
    for point in points:
        kill(tmp_path, config, point)
    disturbed = finish(tmp_path, config)
    assert_same(disturbed, calm)
    assert recorded(tmp_path) == recorded(home_of(calm))


def test_d6_cohorts_begin_again_whole_so_that_their_masks_are_the_same(tmp_path):
    config = write_config(tmp_path, population=2)
    for point in ("a rung of r1", "r1-003 told"):
        kill(tmp_path / "disturbed", config, point)
    assert_same(finish(tmp_path / "disturbed", config), finish(tmp_path / "calm", config))


def test_d6_an_interrupted_study_goes_on_too(calm, config, tmp_path):
    settings, seen = Settings(home=tmp_path), []

    def interrupt(event):
        seen.append(event)
        if isinstance(event, TrialFinished) and event.trial.trial_id == "r1-004":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study = wiring.prepare(config_file.load(config))
        wiring.run(study, settings=settings, runner="inline", listeners=[interrupt])
    disturbed = finish(tmp_path, config)
    assert_same(disturbed, calm)
    assert recorded(tmp_path) == recorded(home_of(calm))
    # What is over is over; one that is not there is not.
    over = disturbed.result.study_id
    for name, words in ((over, "this one has completed"), ("nothing", "a study under"), ("../x", "a study under")):
        with pytest.raises(DataError, match=words):
            wiring.prepare_again(name, settings=settings)


def test_d6_a_folder_with_a_spec_only_is_a_study_to_begin(calm, config, tmp_path):
    """As whoever queues studies leaves it; afterwards it may even be moved."""
    folder = tmp_path / "before" / "studies" / "queued-1"
    folder.mkdir(parents=True)
    shutil.copy(Path(calm.places["folder"]) / "spec.json", folder)
    kill(tmp_path / "before", config, "tested")
    shutil.move(tmp_path / "before", tmp_path / "after")
    disturbed = finish(tmp_path / "after", config)
    assert disturbed.result.study_id == "queued-1"
    assert_same(disturbed, calm)


def test_d6_a_torn_line_is_no_entry_and_takes_none_with_it(calm, tmp_path):
    """Each journal as a kill may leave it: half of its last line was written."""
    before = Path(calm.places["folder"])
    spec = wiring.prepare(parse(json.loads((before / "spec.json").read_text())))
    for journal_name in ("asked", "rungs", "told"):
        folder = tmp_path / journal_name
        shutil.copytree(before / "round-1", folder / "round-1")
        (folder / "round-1" / "ended.json").unlink()
        torn = folder / "round-1" / f"{journal_name}.jsonl"
        lines = torn.read_bytes().splitlines(keepends=True)
        torn.write_bytes(b"".join(lines[:-1]) + lines[-1][: len(lines[-1]) // 2])
        if journal_name != "told":
            # The trial that was being asked for, or judged, had not been told.
            told = folder / "round-1" / "told.jsonl"
            told.write_bytes(b"".join(told.read_bytes().splitlines(keepends=True)[:-1]))
        plan = dataclasses.replace(calm.result.rounds[0].plan, folder=folder / "round-1")
        result = InlineRunner().run_round(plan, spec.dataset, lambda event: None)
        assert [t.curve for t in result.trials] == [t.curve for t in calm.result.rounds[0].trials]
        for name in ("asked", "rungs", "told"):
            mended = [json.loads(line) for line in (folder / "round-1" / f"{name}.jsonl").open()]
            assert [entry["trial"] for entry in mended] == [
                json.loads(line)["trial"] for line in (before / "round-1" / f"{name}.jsonl").open()
            ]


def test_d6_a_round_does_not_go_on_with_another_plan(calm, tmp_path):
    plan = calm.result.rounds[0].plan
    shutil.copytree(plan.folder, tmp_path / "round-1")
    asha = dataclasses.replace(plan.asha, reduction_factor=2.0)
    changed = dataclasses.replace(plan, folder=tmp_path / "round-1", asha=asha)
    with pytest.raises(RunnerError, match="its asha.reduction_factor would not be what it began with"):
        RoundBook(changed, CohortSizes(changed, None, MeasuredSizes()), lambda event: None)


def test_d6_a_study_that_somebody_runs_is_left_alone(config, tmp_path):
    settings = Settings(home=tmp_path)
    kill(tmp_path, config, "step 3")
    (folder,) = tmp_path.glob("studies/*")
    study = wiring.prepare_again(folder.name, settings=settings)
    with StudyFolder(folder).lock(), pytest.raises(StudyBusyError, match="no other process is running"):
        wiring.run(study, settings=settings, runner="inline")


def test_c4_the_time_budget_counts_the_time_of_earlier_processes(config, tmp_path):
    kill(tmp_path, config, "r1-003 told")
    (folder,) = tmp_path.glob("studies/*")
    spec = json.loads((folder / "spec.json").read_text())
    spec["search"]["time_budget_s"] = 1000
    (folder / "spec.json").write_text(json.dumps(spec))
    assert 0 < json.loads((folder / "elapsed.json").read_text())["seconds"] < 100
    (folder / "elapsed.json").write_text('{"seconds": 1001}')
    result = finish(tmp_path, config).result
    # Those under way are finished, and nothing is started any more.
    assert [len(done.trials) for done in result.rounds] == [4, 0]
    assert result.rounds[0].stop_reason == "the time budget is spent"
    assert result.seconds > 1001


def test_d6_a_study_does_not_go_on_with_another_table(tmp_path):
    config = tmp_path / "cut-short.yaml"
    text = CONFIG.replace("POPULATION", "1").replace("{source: wine}", "{source: t.csv, target: y}")
    config.write_text(text)
    rows = [f"{i},{i * 7919 % 101},{'ab'[i * 7919 % 101 > 50]}" for i in range(120)]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,y", *rows]))
    kill(tmp_path / "home", config, "step 3")
    (tmp_path / "t.csv").write_text("\n".join(["a,b,y", *rows[1:]]))
    (folder,) = (tmp_path / "home").glob("studies/*")
    with pytest.raises(DataError, match="the table that study .* began with") as refused:
        wiring.prepare_again(folder.name, settings=Settings(home=tmp_path / "home"))
    assert refused.value.problems[0].path == "data.source"
