"""What recording costs a round: its wall time with everything in an MLflow server on the same machine, over without.

    trials    500 of about one second on one CPU, 27 epochs, three metrics each, one by one, none stopped
    digits    512 of a few milliseconds, as populations: whatever the ratio is

Each trial's parameters, tags and curves are written, as a study writes them; a round is over when its answer is there
and all of it is recorded. The pairs alternate, and the server keeps a SQLite file.

    python bench/tracking.py                    # about fifteen minutes on two cores
    python bench/tracking.py --trials 100 --repeats 1
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from search_service.recorders.background import BackgroundRecorder
from search_service.recorders.mlflow.recorder import MlflowRecorder
from search_service.records.asha_rules import AshaRules
from search_service.records.events import RoundFinished, RoundStarted, StudyStarted, TrialFinished
from search_service.records.round_plan import Limits, RoundPlan, Sampling
from search_service.records.steps import Step
from search_service.runners.ray_tune import RayTuneRunner
from search_service.space.ranges import NumericRange
from search_service.spec.study_spec import parse
from search_service.study import summarize
from search_service.wiring import PreparedStudy, prepare
from trainables.config import TrialConfig
from trainables.process import prepare_process

EPOCHS = 27
# Wide enough that 27 epochs on digits take about a second of one core; narrow enough for populations.
SLOW, QUICK = (200, 200), (64, 64)


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """A server as the stack runs it; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--app-name=search-service",
        "--workers",
        "1",
        "--port",
        str(port),
    ]
    command += [
        "--backend-store-uri",
        f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination",
        str(folder / "files"),
    ]
    server = subprocess.Popen(
        command, env=os.environ | quiet, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{address}/health", timeout=1).close()
                break
            except OSError:
                time.sleep(0.5)
        yield address
    finally:
        os.killpg(server.pid, 15)
        server.wait()


def round_seconds(study: PreparedStudy, runner: RayTuneRunner, plan: RoundPlan, uri: str | None) -> float:
    """One round, recorded where ``uri`` says."""
    started = time.perf_counter()
    recorder = BackgroundRecorder(MlflowRecorder(uri)) if uri else None
    if recorder is not None:
        recorder.record(StudyStarted("tracking", study.spec, summarize(study.spec, study.table), {}))
        recorder.record(RoundStarted(plan, ()))

    def listen(event: object) -> None:
        if recorder is not None and isinstance(event, TrialFinished):
            recorder.record(event)

    result = runner.run_round(plan, study.dataset, listen)
    if recorder is not None:
        recorder.record(RoundFinished(result))
        assert recorder.wait(60).is_complete
        recorder.close()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=2, help="pairs of rounds")
    asked = parser.parse_args()
    prepare_process()
    study = prepare(parse({"name": "tracking", "data": {"source": "digits"}}))
    runner = RayTuneRunner()
    cases = {
        "trials of a second": (asked.trials, SLOW, 1, False),
        "digits": (512, QUICK, "auto", True),
    }
    with tempfile.TemporaryDirectory() as name, mlflow_server(Path(name)) as server:
        for case, (trials, hidden, population, stops) in cases.items():
            base = TrialConfig(batch_size=64).replace({"network.hidden_sizes": hidden, "schedule.name": "none"})
            pairs = []
            for repeat in range(asked.repeats):
                pair = []
                for uri in (None, server):
                    folder = Path(name, f"{case}-{repeat}-{uri is not None}")
                    plan = RoundPlan(
                        number=1, step=Step.COARSE_SEARCH, cycle=1,
                        space={"optimizer.lr": NumericRange(1e-4, 1e-2, log=True)},
                        base=base, metric="accuracy", sampling=Sampling("tpe"), population_size=population,
                        asha=AshaRules(3, 3.0, 3.0) if stops else None, limits=Limits(trials, EPOCHS), seed=0,
                        folder=folder,
                    )  # fmt: skip
                    pair.append(round_seconds(study, runner, plan, uri))
                pairs.append(pair)
                print(
                    f"{case}: {trials} trials, {pair[0]:.1f} s recording nothing, {pair[1]:.1f} s recorded", flush=True
                )
            print(f"{case}: recorded / nothing {statistics.median(r / n for n, r in pairs):.3f}", flush=True)
    runner.close()


if __name__ == "__main__":
    main()
