"""What a runner needs to run one round of steps 4 and 5: what is searched, how, for how long, and with what.

Each part is made once (recipe/rounds.py), validated where it is made, and carried whole: nothing copies its numbers.
How a plan is written to plan.json and compared there: runners/plan_file.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from search_service.records.asha_rules import AshaRules
from search_service.records.steps import Step
from search_service.space.ranges import Space
from search_service.spec.sections import SamplerName, SearchSpec
from trainables.config import TrialConfig
from trainables.metrics import MetricName


@dataclass(frozen=True)
class PastTrial:
    """A trial of an earlier study that teaches a round's sampler.

    Attributes:
        trial_id: The trial's id in that study.
        values: Values of the leaves that the round searches.
        state: Trained to the end, or stopped at a rung.
        score: Best validation score.
        epochs: Trained.
    """

    trial_id: str
    values: Mapping[str, Any]
    state: Literal["completed", "pruned"]
    score: float
    epochs: int


@dataclass(frozen=True)
class Sampling:
    """How the configurations of a round are drawn.

    Attributes:
        sampler: Name of the sampler.
        first: Points that are tried first, by leaf.
        past: Trials of an earlier study that the sampler learns from.
        ends: Inputs and outputs of a network, where the size of networks is an objective of the search, too.
    """

    sampler: SamplerName
    first: tuple[Mapping[str, Any], ...] = ()
    past: tuple[PastTrial, ...] = ()
    ends: tuple[int, int] | None = None


@dataclass(frozen=True)
class Limits:
    """When a round ends: whichever limit is reached first keeps further trials from being started.

    Attributes:
        max_trials: Configurations of the round.
        max_epochs: Epochs of a trial that is not stopped.
        epochs_left: Epochs of the study's budget that are left for this round; none or less than none ends it at once,
            None is no limit.
        target: Score that is good enough.
        best_before: Best score of the round before, where it counts towards the target.
        patience_trials: Ended trials without a better score.
        patience_minutes: Minutes without a better score.
        deadline: Instant of ``time.monotonic()``, in this process.
        deadline_of: Whose time is over then: the study's, the round's share of the minutes, or of the time budget.
        stop_file: File whose existence asks for an end.

    Raises:
        ValueError: A number is outside of its bounds; the message says which.
    """

    max_trials: int
    max_epochs: int
    epochs_left: int | None = None
    target: float | None = None
    best_before: float | None = None
    patience_trials: int | None = None
    patience_minutes: float | None = None
    deadline: float | None = None
    deadline_of: Literal["study", "round", "budget"] = "study"
    stop_file: Path | None = None

    def __post_init__(self) -> None:
        if self.max_trials < 1:
            raise ValueError(f"max_trials is {self.max_trials}, and has to be 1 or more")
        if self.max_epochs < 1:
            raise ValueError(f"max_epochs is {self.max_epochs}, and has to be 1 or more")
        if self.patience_trials is not None and self.patience_trials < 1:
            raise ValueError(f"patience_trials is {self.patience_trials}, and has to be 1 or more, or None")
        if self.patience_minutes is not None and self.patience_minutes <= 0:
            raise ValueError(f"patience_minutes is {self.patience_minutes}, and has to be above 0, or None")


@dataclass(frozen=True)
class Resources:
    """What a round is run with; it may be another one when a round goes on in another process.

    Attributes:
        max_concurrent_trials: Cohorts at once; None for as many as the machine holds.
        cpus_per_trial: CPUs of one cohort.
        gpus_per_trial: GPUs of one cohort, fractions included.

    Raises:
        ValueError: A number is outside of its bounds; the message says which.
    """

    max_concurrent_trials: int | None = None
    cpus_per_trial: float = 1
    gpus_per_trial: float = 0

    @classmethod
    def of(cls, search: SearchSpec) -> Resources:
        """What the user says of them."""
        return cls(search.max_concurrent_trials, search.cpus_per_trial, search.gpus_per_trial)

    def __post_init__(self) -> None:
        if self.max_concurrent_trials is not None and self.max_concurrent_trials < 1:
            raise ValueError(f"max_concurrent_trials is {self.max_concurrent_trials}, and has to be 1 or more, or None")
        if self.cpus_per_trial <= 0:
            raise ValueError(f"cpus_per_trial is {self.cpus_per_trial}, and has to be above 0")
        if self.gpus_per_trial < 0:
            raise ValueError(f"gpus_per_trial is {self.gpus_per_trial}, and has to be 0 or more")


@dataclass(frozen=True)
class RoundPlan:
    """One round: which it is, what it searches, and by which rules.

    Attributes:
        number: Number of the round in the study, from 1.
        step: The coarse or the refined search.
        cycle: Number of the repetition of steps 3 to 5, from 1.
        space: Ranges that are sampled.
        base: Every leaf that is not in ``space``.
        metric: What is optimised.
        sampling: How configurations are drawn.
        population_size: Configurations per cohort; ``auto`` for what is measured.
        asha: How trials are stopped early; None for not at all.
        limits: When the round ends.
        seed: The study's.
        folder: Journals of this round are written here.
        resources: What it is run with.
        wave: Cohorts that begin together once all before them have ended, so that it is the same round whoever is
            quicker; None: one as soon as there is a worker for it.

    Raises:
        ValueError: A number is outside of its bounds; the message says which.
    """

    number: int
    step: Step
    cycle: int
    space: Space
    base: TrialConfig
    metric: MetricName
    sampling: Sampling
    population_size: int | Literal["auto"]
    asha: AshaRules | None
    limits: Limits
    seed: int
    folder: Path
    resources: Resources = field(default_factory=Resources)
    wave: int | None = None

    def __post_init__(self) -> None:
        if self.number < 1 or self.cycle < 1:
            raise ValueError(f"round {self.number} of cycle {self.cycle}: both are counted from 1")
        if self.step not in (Step.COARSE_SEARCH, Step.REFINED_SEARCH):
            raise ValueError(f"step is {self.step}, and has to be {Step.COARSE_SEARCH} or {Step.REFINED_SEARCH}")
        if self.population_size != "auto" and self.population_size < 1:
            raise ValueError(f"population_size is {self.population_size}, and has to be 1 or more, or auto")
        if self.wave is not None and (self.wave < 1 or self.population_size == "auto"):
            raise ValueError(f"waves of {self.wave} cohorts have 1 or more, of a population_size that is a number")

    @property
    def name(self) -> str:
        """What the recipe calls it."""
        return f"{self.step} {self.step.title}"

    @property
    def rungs(self) -> tuple[int, ...]:
        """Epochs at which trials are judged, ascending; none without early stopping."""
        return () if self.asha is None else self.asha.rungs(self.limits.max_epochs)

    @property
    def first_report(self) -> int:
        """Epochs until a cohort reports for the first time: at the first rung, or at the end."""
        return min((*self.rungs, self.limits.max_epochs))
