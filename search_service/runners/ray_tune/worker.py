"""What Ray Tune calls in a worker: a cohort comes, is trained from rung to rung, and its reports go."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ray
from ray import tune

from search_service.records.round_plan import RoundPlan
from search_service.records.rounds import TrialStatus
from search_service.runners.base import Cohort, CohortReport, MemberReport
from search_service.runners.cohort import CohortTraining
from trainables.process import device_for, prepare_process
from trainables.records import EpochPoint

# Key of a cohort's report in a Tune result.
REPORT = "report"


class PackedCohort:
    """A cohort for its worker. Tune copies, prints, pickles and hashes a trial's config, which is cheap for bytes."""

    def __init__(self, cohort: Cohort) -> None:
        self._name, self._bytes = cohort.cohort_id, pickle.dumps(cohort)

    def __repr__(self) -> str:
        return self._name

    def unpack(self) -> Cohort:
        """The cohort as it was."""
        cohort: Cohort = pickle.loads(self._bytes)
        return cohort


class CohortTrainable(tune.Trainable):
    """A worker: trains one cohort from rung to rung, then, reused, the next one."""

    def setup(
        self, config: dict[str, Any], plan: RoundPlan, rows: list[Any], halving: Any, train: type[CohortTraining]
    ) -> None:
        """Take up the rows, and the first cohort."""
        prepare_process()
        # In a list: Ray would otherwise fetch what a reference stands for into this worker's own parameters.
        self._plan, self._dataset, self._halving, self._train = plan, ray.get(rows[0]), halving, train
        self._device = device_for(plan.resources.gpus_per_trial)
        self._begin(config["cohort"].unpack())

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take up the next cohort."""
        self._begin(new_config["cohort"].unpack())
        return True

    def step(self) -> dict[str, Any]:
        """Train to the next rung."""
        report = self._training.advance()
        return {REPORT: encode(report), "done": report.finished}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """See ``CohortTraining.save``."""
        self._training.save(Path(checkpoint_dir))

    def load_checkpoint(self, checkpoint: dict[str, Any] | str) -> None:
        """See ``CohortTraining.load``."""
        self._training.load(Path(str(checkpoint)))

    def _begin(self, cohort: Cohort) -> None:
        self._training = self._train(cohort, self._plan, self._dataset, self._judge, device=self._device)

    def _judge(self, rung: int, scores: Mapping[str, float]) -> set[str]:
        go_on: set[str] = ray.get(self._halving.report.remote(rung, scores))
        return go_on


def encode(report: CohortReport) -> str:
    """A report as text: Tune flattens, copies and writes results, and should see one value."""
    return json.dumps(asdict(report))


def decode(text: str) -> CohortReport:
    """A report as it was before ``encode``."""
    raw = json.loads(text)
    members = tuple(
        MemberReport(
            member["trial_id"],
            tuple(EpochPoint(**point) for point in member["points"]),
            TrialStatus(member["status"]),
            member["reason"],
        )
        for member in raw["members"]
    )
    return CohortReport(raw["cohort_id"], raw["epoch"], members, raw["worker"], raw["seconds"])
