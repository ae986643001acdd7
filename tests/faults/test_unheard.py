"""D6: a worker that is lost between leaving its checkpoint and its report being heard takes nothing with it."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import signal
from pathlib import Path

from search_service.runners.base import CohortReport
from search_service.runners.cohort import CohortTraining
from tests.plans import make_plan
from trainables.data.config import DataConfig
from trainables.data.dataset import load


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


def run_round(folder: Path) -> None:
    """In a process of its own, with a Ray of its own."""
    from search_service.runners.ray_tune import RayTuneRunner

    runner = RayTuneRunner(num_cpus=2, train=Unheard)
    plan = make_plan(folder, max_trials=12, population_size=6, max_epochs=9)
    runner.run_round(plan, load(DataConfig(source="digits"))[0], lambda event: None)
    runner.close()


def test_d6_a_worker_that_is_lost_before_anybody_has_heard_its_report_takes_nothing_with_it(tmp_path):
    """Trials that ended at that rung were told by nobody, and those that went on lacked its epochs."""
    process = multiprocessing.get_context("spawn").Process(target=run_round, args=(tmp_path / "round",))
    process.start()
    process.join(240)
    assert process.exitcode == 0
    assert (tmp_path / "round" / "killed").exists()
    told = [json.loads(line) for line in (tmp_path / "round" / "told.jsonl").open(encoding="utf-8")]
    assert sorted(trial["trial"] for trial in told) == [f"r1-{number:03d}" for number in range(12)]
    assert {trial["status"] for trial in told} == {"completed", "pruned"}
    for trial in told:
        epochs = [point["epoch"] for point in trial["curve"]]
        assert epochs == list(range(1, len(epochs) + 1))
        assert epochs
