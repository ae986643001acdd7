"""D6 in the small: processes killed in the middle of a round, and a study interrupted from the keyboard."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from mlflow import MlflowClient

from search_service.events import TrialFinished, TrialProgressed
from search_service.results import TrialStatus
from search_service.runners.inline import InlineRunner
from tests.conftest import REPOSITORY
from tests.plans import make_plan
from trainables.config import TrialConfig


def ray_processes(title: str) -> list[psutil.Process]:
    """Ray's worker processes below this one whose title begins so."""
    return [
        process
        for process in psutil.Process().children(recursive=True)
        if process.is_running() and " ".join(process.cmdline() or [""]).startswith(title)
    ]


@pytest.mark.parametrize("victim", ["ray::_CohortTrainable", "ray::Halving"])
def test_d6_a_killed_process_loses_nothing_and_repeats_nothing(ray_runner, digits, tmp_path, victim):
    base = TrialConfig().replace({"network.hidden_sizes": (128, 128)})
    changes = {"base": base, "max_trials": 6, "max_epochs": 40, "grace_period": 10, "reduction_factor": 2.0}
    killed: list[int] = []
    finished: list[str] = []

    def listen(event):
        if isinstance(event, TrialProgressed) and not killed:
            processes = ray_processes(victim)
            assert processes, [" ".join(p.cmdline())[:60] for p in psutil.Process().children(recursive=True)]
            killed.append(processes[0].pid)
            os.kill(processes[0].pid, signal.SIGKILL)
        if isinstance(event, TrialFinished):
            finished.append(event.trial.trial_id)

    result = ray_runner.run_round(make_plan(tmp_path / "ray", **changes), digits[0], listen)
    assert killed
    assert sorted(finished) == [f"r1-{i:03d}" for i in range(6)]
    assert result.count(TrialStatus.FAILED) == 0
    # Whatever was repeated after the restart gave the same numbers as a run that nobody disturbed.
    calm = InlineRunner().run_round(make_plan(tmp_path / "inline", **changes), digits[0], lambda event: None)
    for disturbed, reference in zip(result.trials, calm.trials, strict=True):
        epochs = [point.epoch for point in disturbed.curve]
        assert epochs == list(range(1, len(epochs) + 1))
        common = min(len(disturbed.curve), len(reference.curve))
        assert disturbed.curve[:common] == reference.curve[:common]


def trials_told(home) -> int:
    return sum(len(path.read_text().splitlines()) for path in home.glob("studies/*/round-1/told.jsonl"))


def test_d6_ctrl_c_ends_with_130_records_what_was_finished_and_leaves_no_process(tmp_path):
    command = [sys.executable, "-m", "search_service", "run", str(REPOSITORY / "configs" / "01_digits.yaml")]
    slow = ["--set", "search.coarse={max_trials: 400, max_epochs: 40}", "--set", "search.refined.max_epochs=45"]
    with subprocess.Popen(
        [*command, "--home", str(tmp_path), *slow], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 120
        while trials_told(tmp_path) < 3 and time.monotonic() < deadline:
            time.sleep(0.2)
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=90)
    assert process.returncode == 130, errors
    assert "Interrupted" in errors
    assert "Traceback" not in errors
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("digits").experiment_id], max_results=1000)
    status = {run.data.tags["kind"]: run.info.status for run in runs}
    assert status["study"] == status["round"] == "KILLED"
    assert status["trial"] in ("FINISHED", "FAILED")
