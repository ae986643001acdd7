"""D6: a worker that is lost between leaving its checkpoint and its report being heard takes nothing with it.

And its CPUs are given back with the others, although somebody keeps the exception that tells of its death.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from search_service.records.round_plan import Resources
from search_service.runners.base import CohortReport, Task
from search_service.runners.cohort import CohortTraining
from search_service.runners.ray_tune import RayTuneRunner
from tests.plans import make_plan
from tests.services import until


@dataclasses.dataclass(frozen=True)
class LastWords(CohortReport):
    """Kills when asked a second time whether it is the last: its checkpoint is kept then, and nobody has heard it."""

    once: str = ""

    @property
    def finished(self) -> bool:
        killed = Path(self.once)
        asked = killed.with_name(f"asked-{os.getpid()}-{id(self)}")
        if asked.exists() and not killed.exists():
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        asked.touch()
        return super().finished


class Unheard(CohortTraining):
    """The process of the first that has a report is lost with it, once in a round."""

    def __init__(self, cohort, plan, *others, **more):
        super().__init__(cohort, plan, *others, **more)
        self._once = plan.folder / "killed"

    def advance(self):
        return LastWords(**vars(super().advance()), once=str(self._once))


class Keeper(logging.Handler):
    """Keeps what Tune says of the worker's death, with the traceback and all that hangs on it, as Sentry does."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.kept.append(record)


@dataclasses.dataclass(frozen=True)
class Ended:
    """A round that is over: its folder, its runner, and who keeps what was said of it."""

    folder: Path
    runner: RayTuneRunner
    keeper: Keeper


@pytest.fixture(scope="module")
def ended_round(ray_runner, digits, tmp_path_factory) -> Iterator[Ended]:
    """On the one Ray, whose own workers have been given back."""
    ray_runner.run_tasks([Task("any", os.getpid)], Resources(), lambda *told: None)
    ray_runner.release()
    folder, keeper, runner = tmp_path_factory.mktemp("unheard") / "round", Keeper(), RayTuneRunner(train=Unheard)
    logging.getLogger("ray").addHandler(keeper)
    try:
        runner.run_round(make_plan(folder, max_trials=12, population_size=6, max_epochs=9), digits[0], [].append)
        yield Ended(folder, runner, keeper)
    finally:
        logging.getLogger("ray").removeHandler(keeper)
        runner.close()


def test_d6_a_worker_that_is_lost_before_anybody_has_heard_its_report_takes_nothing_with_it(ended_round):
    """Trials that ended at that rung were told by nobody, and those that went on lacked its epochs."""
    folder = ended_round.folder
    assert (folder / "killed").exists()
    told = [json.loads(line) for line in (folder / "told.jsonl").open(encoding="utf-8")]
    assert sorted(trial["trial"] for trial in told) == [f"r1-{number:03d}" for number in range(12)]
    assert {trial["status"] for trial in told} == {"completed", "pruned"}
    for trial in told:
        epochs = [point["epoch"] for point in trial["curve"]]
        assert epochs == list(range(1, len(epochs) + 1))
        assert epochs


def test_d6_the_cpus_of_a_lost_worker_are_given_back_whoever_keeps_its_exception(ended_round):
    """The next round of the same Ray waited for ever for the CPUs that Tune's controller, kept so, still held."""
    assert ended_round.keeper.kept
    ended_round.runner.release()
    until(lambda: ray.available_resources().get("CPU") == ray.cluster_resources()["CPU"], seconds=60)
