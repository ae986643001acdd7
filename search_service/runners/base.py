"""What every runner is: the protocol, and the records that travel between a cohort and the driver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from search_service.records.events import Listener
from search_service.records.round_plan import RoundPlan
from search_service.records.rounds import RoundResult, TrialStatus
from trainables.config import TrialConfig
from trainables.data.dataset import Dataset
from trainables.records import EpochPoint


class Runner(Protocol):
    """Runs rounds. One contract suite (tests/contracts/test_runners.py) holds for all of them."""

    def prepare(self) -> None:
        """Begin what takes time before the first round, beside whatever else is done; returns at once.

        What goes wrong is said by ``run_round``.
        """
        ...

    def run_round(self, plan: RoundPlan, dataset: Dataset, listen: Listener) -> RoundResult:
        """Run a round to its end.

        Args:
            plan: What to try, for how long.
            dataset: Training and validation rows.
            listen: Hears TrialProgressed and TrialFinished as they happen, in this process.

        Raises:
            RunnerError: The runner itself broke; a broken trial is a trial's result.
        """
        ...

    def close(self) -> None:
        """Stop whatever this runner started."""
        ...


@dataclass(frozen=True)
class Member:
    """One trial of a cohort."""

    trial_id: str
    number: int
    config: TrialConfig
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Cohort:
    """Trials of one structure that are trained as one population.

    Attributes:
        cohort_id: Unique in the round.
        members: Its trials.
        parts: Folders of the paused cohorts of which it is made, in the order of ``members``; none if they begin.
    """

    cohort_id: str
    members: tuple[Member, ...]
    parts: tuple[Path, ...] = ()


@dataclass(frozen=True)
class MemberReport:
    """What happened to one trial since the last report: its new epochs, and how it stands."""

    trial_id: str
    points: tuple[EpochPoint, ...]
    status: TrialStatus
    reason: str = ""


@dataclass(frozen=True)
class CohortReport:
    """One report of a cohort, at a rung or at its end.

    Attributes:
        cohort_id: Unique in the round.
        epoch: That it has reached.
        members: What happened to each that was in training.
        worker: Process that trained it.
        seconds: Seconds of training since its last report.
    """

    cohort_id: str
    epoch: int
    members: tuple[MemberReport, ...]
    worker: str
    seconds: float = 0.0

    @property
    def finished(self) -> bool:
        """Whether no member goes on."""
        return all(member.status is not TrialStatus.RUNNING for member in self.members)
