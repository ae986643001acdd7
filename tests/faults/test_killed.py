"""D6 in the small: processes killed in the middle of a round, and a study interrupted from the keyboard.

tests/faults/test_resumed.py has the study that is killed at every point, without Ray.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import psutil
import pytest
from mlflow import MlflowClient

from search_service import wiring
from search_service.folder import journals, layout
from search_service.records.events import TrialFinished, TrialProgressed
from search_service.records.rounds import TrialStatus
from search_service.runners.inline import InlineRunner
from search_service.settings import Settings
from search_service.space.ranges import NumericRange
from tests.conftest import REPOSITORY
from tests.plans import make_plan
from tests.processes import kill, lives
from tests.services import until
from trainables.config import TrialConfig

# Until a study that was started as a command has its first trials: against hanging only, also on a busy machine.
PATIENCE_S = 300


def ray_processes(title: str) -> list[psutil.Process]:
    """Ray's worker processes below this one whose title begins so."""
    return [process for process in psutil.Process().children(recursive=True) if title_of(process).startswith(title)]


def title_of(process: psutil.Process) -> str:
    """Of a process that may end meanwhile; then it has none."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def test_d6_a_killed_worker_and_a_killed_coordinator_lose_nothing_and_repeat_nothing(ray_runner, digits, tmp_path):
    base = TrialConfig().replace({"network.hidden_sizes": (128, 128)})
    changes = {"base": base, "max_trials": 6, "max_epochs": 40, "grace_period": 10, "reduction_factor": 2.0}
    victims = ["ray::Worker", "ray::Coordinator"]
    finished: list[str] = []

    def listen(event):
        # The second dies at a later rung than the first.
        if isinstance(event, TrialProgressed) and victims and event.epoch > 10 * (2 - len(victims)):
            processes = ray_processes(victims.pop(0))
            assert processes, [title_of(process)[:60] for process in psutil.Process().children(recursive=True)]
            processes[0].kill()
        if isinstance(event, TrialFinished):
            finished.append(event.trial.trial_id)

    result = ray_runner.run_round(make_plan(tmp_path / "ray", **changes), digits[0], listen)
    assert not victims
    assert sorted(finished) == [f"r1-{i:03d}" for i in range(6)]
    assert result.count(TrialStatus.FAILED) == 0
    # Whatever was repeated after the restart gave the same numbers as a run that nobody disturbed.
    calm = InlineRunner().run_round(make_plan(tmp_path / "inline", **changes), digits[0], lambda event: None)
    for disturbed, reference in zip(result.trials, calm.trials, strict=True):
        epochs = [point.epoch for point in disturbed.curve]
        assert epochs == list(range(1, len(epochs) + 1))
        common = min(len(disturbed.curve), len(reference.curve))
        assert disturbed.curve[:common] == reference.curve[:common]


def test_d6_a_worker_that_is_lost_with_what_was_left_of_several_cohorts_loses_nothing(ray_runner, digits, tmp_path):
    base = TrialConfig().replace({"network.hidden_sizes": (128, 128), "network.dropout": 0.0})
    changes = {"base": base, "space": {"optimizer.lr": NumericRange(1e-4, 1e-1, log=True)}, "max_epochs": 30}
    # Many rungs: a merged cohort reports at several, and one report is enough to find its worker at work.
    plan = make_plan(tmp_path / "ray", **changes, max_trials=24, population_size=6, grace_period=1, rung_spacing=2.0)
    killed: list[int] = []

    def listen(event):
        merged = plan.folder / "merged.jsonl"
        if isinstance(event, TrialProgressed) and event.epoch >= 2 and not killed and merged.exists():
            processes = ray_processes("ray::Worker")
            killed.extend(process.pid for process in processes)
            kill(*processes)

    result = ray_runner.run_round(plan, digits[0], listen)
    assert killed
    assert len(result.trials) == 24
    assert result.count(TrialStatus.FAILED) == 0
    whole = make_plan(tmp_path / "alone", **changes, max_trials=24, early_stopping=False)
    alone = InlineRunner().run_round(whole, digits[0], lambda event: None)
    for trial, expected in zip(result.trials, alone.trials, strict=True):
        assert [point.epoch for point in trial.curve] == list(range(1, trial.epochs + 1))
        for point, other in zip(trial.curve, expected.curve, strict=False):
            assert point.validation_loss == pytest.approx(other.validation_loss, rel=1e-3, abs=1e-4)
    assert not (plan.folder / "paused").exists()


def test_e1_a_ray_that_dies_is_started_again_and_the_round_goes_on(ray_runner, digits, tmp_path, caplog):
    """Without its raylet, or 60 s without its GCS, Ray ended the driver from within, without an exception."""

    def own(name: str) -> psutil.Process:
        (found,) = (child for child in psutil.Process().children() if child.name() == name)
        return found

    ray_runner._start()
    agents, raylet = own("raylet").children(), own("raylet")
    raylet.kill()
    until(lambda: not lives(raylet))
    changes = {"base": TrialConfig().replace({"network.hidden_sizes": (128, 128)}), "max_trials": 6, "max_epochs": 40}
    changes |= {"grace_period": 10, "reduction_factor": 2.0}
    finished: list[str] = []

    def listen(event):
        if isinstance(event, TrialProgressed) and caplog.text.count("has died") == 1 and not finished:
            agents.extend(own("raylet").children())
            own("gcs_server").kill()
        if isinstance(event, TrialFinished):
            finished.append(event.trial.trial_id)

    result = ray_runner.run_round(make_plan(tmp_path / "ray", **changes), digits[0], listen)
    assert ["raylet" in caplog.text, "GCS" in caplog.text] == [True, True]
    trials = [f"r1-{i:03d}" for i in range(6)]
    # Each is trained to its end once. One that ended before its round knew of the GCS is heard of again, as promised.
    told = [entry["trial"] for entry in journals.read(tmp_path / "ray" / layout.ENDED_TRIALS)]
    assert sorted(told) == sorted(set(finished)) == trials
    assert [trial.trial_id for trial in result.trials] == trials
    assert result.count(TrialStatus.FAILED) == 0
    # Nothing is left of the two that died.
    assert agents
    assert not [agent for agent in agents if agent.is_running()]


def trials_told(home) -> int:
    return sum(len(path.read_text().splitlines()) for path in home.glob("studies/*/round-1/told.jsonl"))


def test_d6_a_signal_ends_with_130_records_what_was_finished_and_leaves_no_process(tmp_path):
    """SIGTERM, as schedulers and ``docker stop`` send it: Ray takes it for itself, and aborted the process."""
    command = [sys.executable, "-m", "tests.command", "run", str(REPOSITORY / "configs" / "01_digits.yaml")]
    slow = ["--set", "search.coarse={max_trials: 400, max_epochs: 40}", "--set", "search.refined.max_epochs=45"]
    with subprocess.Popen(
        [*command, "--home", str(tmp_path), *slow], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        until(lambda: trials_told(tmp_path) >= 3, seconds=PATIENCE_S)
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        shown, errors = process.communicate(timeout=90)
    assert process.returncode == 130, errors
    assert "nterrupted" not in shown  # Said once, below.
    (folder,) = (tmp_path / "studies").iterdir()
    go_on = f"search-service run --study {folder.name} --home {tmp_path}\n"
    assert f"Interrupted. What was finished is recorded. Go on with: {go_on}" in errors
    assert "Traceback" not in errors
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("digits").experiment_id], max_results=1000)
    status = {run.data.tags["kind"]: run.info.status for run in runs}
    assert status["study"] == status["round"] == "KILLED"
    assert status["trial"] in ("FINISHED", "FAILED")


def test_d6_a_study_on_ray_killed_in_a_round_goes_on_and_loses_and_repeats_nothing(tmp_path):
    command = [sys.executable, "-m", "tests.command", "run", "--home", str(tmp_path)]
    sizes = {
        "trial.network.hidden_sizes": "[128, 128]",
        "search_space": "{optimizer.weight_decay: {low: 1e-3, high: 1.0, log: true}}",
        "search.coarse": "{max_trials: 8, max_epochs: 40}",
        "search.refined": "{max_trials: 3, max_epochs: 40}",
        "search.max_cycles": "1",
        "finalists": "{top: 1, seeds: 2, baselines: false}",
        "model.register": "false",
    }
    options = [part for key, value in sizes.items() for part in ("--set", f"{key}={value}")]
    with subprocess.Popen(
        [*command, str(REPOSITORY / "configs" / "01_digits.yaml"), *options], stdout=subprocess.PIPE, text=True
    ) as process:
        until(lambda: trials_told(tmp_path) >= 3, seconds=PATIENCE_S)
        # Ray's own processes see by themselves that their driver is gone; nobody waits for them.
        process.kill()
    (folder,) = (tmp_path / "studies").iterdir()
    told = folder / "round-1" / "told.jsonl"
    before = told.read_text().splitlines()
    assert 3 <= len(before) < 8
    done = subprocess.run([*command, "--study", folder.name], capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    assert "which goes on" in done.stdout
    after = told.read_text().splitlines()
    assert after[: len(before)] == before
    assert sorted(json.loads(line)["trial"] for line in after) == [f"r1-{i:03d}" for i in range(8)]
    rungs = [json.loads(line) for line in (folder / "round-1" / "rungs.jsonl").open()]
    assert len({(entry["rung"], entry["trial"]) for entry in rungs}) == len(rungs)
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("digits").experiment_id], max_results=1000)
    trials = [run.info.run_name for run in runs if run.data.tags["kind"] == "trial"]
    assert sorted(trials) == [f"r1-{i:03d}" for i in range(8)] + [f"r2-{i:03d}" for i in range(3)]
    assert {run.info.status for run in runs} == {"FINISHED"}
    # Nothing depended on who trained what, and when.
    assert wiring.replay(folder.name, settings=Settings(home=tmp_path), tolerance=0.0).agrees
