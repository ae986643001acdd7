"""A study that kills its own process, with SIGKILL, at a given point.

The first call begins the study of a config; later ones go on with it.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import alembic.command
import mlflow.pyfunc
import pytest
import skops.io
from mlflow import MlflowClient

from search_service import wiring
from search_service.recorders.mlflow import bulk as mlflow_bulk
from search_service.recorders.mlflow import recorder
from search_service.records.events import (
    CycleDecided,
    Event,
    FinalistsFinished,
    ModelPacked,
    RoundFinished,
    StepStarted,
    TrialFinished,
    TrialProgressed,
)
from search_service.runners import inline
from search_service.settings import Settings
from search_service.spec import config_file
from search_service.wiring import running
from tests import made_once

# What a study imports when it gets there, and longer than it takes: imported once, for all who are forked.
__all__ = ["alembic", "inline", "mlflow", "recorder", "run_until", "running", "skops"]


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


# What they die of is in the folder; how much of it is in MLflow depends on how far the recorder's thread has come.
POINTS: dict[str, Callable[[Event], bool]] = {
    "step 3": lambda event: isinstance(event, StepStarted) and event.step == 3,
    "a rung of r1": lambda event: isinstance(event, TrialProgressed) and event.trial_id.startswith("r1"),
    "r1-003 told": lambda event: isinstance(event, TrialFinished) and event.trial.trial_id == "r1-003",
    "round 1 over": lambda event: isinstance(event, RoundFinished) and event.result.plan.number == 1,
    "r2-002 told": lambda event: isinstance(event, TrialFinished) and event.trial.trial_id == "r2-002",
    "decided": lambda event: isinstance(event, CycleDecided),
    "finalists": lambda event: isinstance(event, StepStarted) and event.step == 7,
    "tested": lambda event: isinstance(event, FinalistsFinished),
    "packed": lambda event: isinstance(event, ModelPacked),
}
# In the middle of a run's record: after its values, before it is closed.
RECORDED = {"recording a finalist": "finalist "}
# And of a transaction that writes trials.
WRITTEN = {"recording r1-001": "r1-001"}
# The study waits there for the recorder's thread, which may be a whole study behind on a busy machine.
WAITS: dict[str, Callable[[Event], bool]] = {
    "recording r1-001": POINTS["round 1 over"],
    "recording a finalist": POINTS["tested"],
}
# Seconds in which the thread gets there, with the imports that MLflow does at its first write.
LONGEST_WAIT_S = 100.0


def wait_to_die() -> None:
    threading.Event().wait(LONGEST_WAIT_S)
    raise AssertionError("the recorder's thread never got there")


def die_while_writing(trial: str) -> None:
    write, insert = mlflow_bulk.write, mlflow_bulk.insert

    def write_or_die(store: object, experiment: str, runs: Sequence[mlflow_bulk.WholeRun]) -> None:
        if any(run.name == trial for run in runs):
            # Its run, its tags and its parameters are inserted by then.
            mlflow_bulk.insert = lambda table: die() if table.__name__ == "SqlMetric" else insert(table)
        write(store, experiment, runs)

    mlflow_bulk.write = write_or_die


def die_while_recording(part: str) -> None:
    close = MlflowClient.set_terminated

    def close_or_die(client: MlflowClient, run_id: str, *arguments: object, **options: object) -> None:
        if client.get_run(run_id).info.run_name.startswith(part):
            die()
        close(client, run_id, *arguments, **options)

    MlflowClient.set_terminated = close_or_die


def run_until(home: Path, config: Path, point: str) -> None:
    settings = Settings(home=home)
    begun = list(home.glob("studies/*"))
    if begun:
        study = wiring.prepare_again(begun[0].name, settings=settings)
    else:
        study = wiring.prepare(config_file.load(config), settings=settings)
    if point in RECORDED:
        die_while_recording(RECORDED[point])
    if point in WRITTEN:
        die_while_writing(WRITTEN[point])

    def listen(event: Event) -> None:
        if point in POINTS and POINTS[point](event):
            die()
        if point in WAITS and WAITS[point](event):
            wait_to_die()

    with pytest.MonkeyPatch.context() as patch:
        made_once.share(patch)
        wiring.run(study, settings=settings, runner="inline", listeners=[listen])
