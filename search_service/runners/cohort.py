"""A cohort's training from rung to rung, the same in every runner.

``advance`` trains to the next rung, drops members that diverged, asks ASHA who goes on, drops those who don't, and
returns one report with everything that happened.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from search_service.records.round_plan import RoundPlan
from search_service.records.rounds import TrialStatus
from search_service.runners.base import Cohort, CohortReport, MemberReport, this_process
from search_service.runners.checkpoints import MEMBERS, POPULATION, Files
from trainables import checkpoint
from trainables.data.dataset import Dataset
from trainables.records import EpochPoint
from trainables.training import PopulationTraining

# (rung, scores by trial) -> trials that go on
Judge = Callable[[int, Mapping[str, float]], set[str]]


class CohortTraining:
    """Trains one cohort.

    Args:
        cohort: Its trials.
        plan: The round's plan.
        dataset: Training and validation rows.
        judge: ASHA's answer at a rung, wherever that rule runs.
        device: torch device.
        read: Reads a file of a cohort that was paused; by default from the folder, which may be on another machine.
    """

    def __init__(
        self,
        cohort: Cohort,
        plan: RoundPlan,
        dataset: Dataset,
        judge: Judge,
        *,
        device: str = "cpu",
        read: Callable[[Path], bytes] = Path.read_bytes,
    ) -> None:
        self.cohort = cohort
        self._plan, self._dataset, self._judge, self._device = plan, dataset, judge, device
        self._rungs = plan.rungs
        # Trials still in training, in the order of the population's members.
        self._alive = [member.trial_id for member in cohort.members]
        if cohort.parts:
            parts = [read(part / POPULATION) for part in cohort.parts]
            self._training = checkpoint.merge(parts, dataset, device=device)
            return
        self._training = PopulationTraining(
            [member.config for member in cohort.members],
            dataset,
            order_seed=plan.seed,
            max_epochs=plan.limits.max_epochs,
            metric=plan.metric,
            device=device,
        )

    def advance(self) -> CohortReport:
        """Train to the next rung or to the end, and report."""
        goal = next((rung for rung in self._rungs if rung > self._training.epoch), self._plan.limits.max_epochs)
        points: dict[str, list[EpochPoint]] = {trial: [] for trial in self._alive}
        ended: dict[str, tuple[TrialStatus, str]] = {}
        epochs, began = self._training.epochs(), time.perf_counter()
        while self._alive and self._training.epoch < goal:
            record = next(epochs)
            for member, trial in enumerate(self._alive):
                point = record.of(member)
                points[trial].append(point)
                if not (math.isfinite(point.train_loss) and math.isfinite(point.validation_loss)):
                    ended[trial] = (TrialStatus.DIVERGED, f"the loss was not finite in epoch {record.epoch}")
            self._keep({trial for trial in self._alive if trial not in ended})
        seconds = time.perf_counter() - began
        if goal == self._plan.limits.max_epochs:
            ended |= dict.fromkeys(self._alive, (TrialStatus.COMPLETED, f"trained for {goal} epochs"))
            self._keep(set())
        elif self._alive:
            go_on = self._judge(goal, {trial: points[trial][-1].validation_score for trial in self._alive})
            assert self._plan.asha is not None, "without rules there are no rungs"
            pruned = (TrialStatus.PRUNED, self._plan.asha.why_stopped(goal))
            ended |= {trial: pruned for trial in self._alive if trial not in go_on}
            self._keep(go_on)
        running = (TrialStatus.RUNNING, "")
        return CohortReport(
            cohort_id=self.cohort.cohort_id,
            epoch=goal,
            members=tuple(MemberReport(trial, tuple(new), *ended.get(trial, running)) for trial, new in points.items()),
            worker=this_process(),
            seconds=seconds,
        )

    def packed(self) -> Files:
        """A checkpoint: what its files hold, by their names."""
        return {POPULATION: checkpoint.packed(self._training), MEMBERS: json.dumps(self._alive).encode()}

    @staticmethod
    def is_saved(folder: Path) -> bool:
        """Whether a folder holds a checkpoint, whole."""
        return checkpoint.is_whole(folder / POPULATION)

    def go_on(self, files: Files) -> None:
        """Go on from a checkpoint of the same cohort."""
        self._training = checkpoint.load(files[POPULATION], self._dataset, device=self._device)
        self._alive = json.loads(files[MEMBERS])

    def _keep(self, trials: set[str]) -> None:
        kept = [index for index, trial in enumerate(self._alive) if trial in trials]
        self._alive = [self._alive[index] for index in kept]
        if self._alive:
            self._training.keep(kept)
