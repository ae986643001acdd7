"""What a study would do, before it does it: trials, epochs, and how long. Arithmetic only; nothing is run.

Epochs of a round, of n trials, rungs r₁ < r₂ < … < rₘ and R epochs for those that are not stopped:

    at most      n · R
    expected     n · (r₁ + (r₂ - r₁)/η + (r₃ - r₂)/η² + … + (R - rₘ)/ηᵐ)

since ASHA lets about one trial in η go on at each rung; with several brackets, the mean over them. The first trials at
a rung have nobody to be compared with, so short rounds stop fewer than that. Steps 3 to 5 are done once if the first
repetition brings no improvement, and ``search.max_cycles`` times at most.

>>> expected_epochs((3, 9), 27, 3.0)
7.0
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from search_service.early_stopping.brackets import shares
from search_service.early_stopping.defaults import asha_rules
from search_service.records.steps import Step
from search_service.spec.sections import RoundSpec, SearchSpec
from search_service.spec.study_spec import StudySpec
from trainables.records import Pace


@dataclass(frozen=True)
class PlannedRound:
    """One round of a cycle.

    Attributes:
        step: The coarse or the refined search.
        trials: Configurations, at most.
        epochs: Epochs of a trial that is not stopped.
        rungs: Epochs at which trials are compared; none without early stopping.
        epochs_at_most: Epochs of all trials, if none is stopped.
        epochs_expected: Epochs of all trials, by the formula above.
    """

    step: Step
    trials: int
    epochs: int
    rungs: tuple[int, ...]
    epochs_at_most: int
    epochs_expected: float

    @property
    def name(self) -> str:
        """What the recipe calls it."""
        return self.step.title


@dataclass(frozen=True)
class PlannedFinalists:
    """The last act; ``folds`` is 0 without a cross-validation.

    Attributes:
        configurations: Trained again.
        seeds: Seeds of each finalist.
        folds: Divisions on which each is trained beside the study's own.
        epochs: Epochs of each training.
        refit: Whether the winner is trained once more, at most as long, to be the model.
    """

    configurations: int
    seeds: int
    folds: int
    epochs: int
    refit: bool

    @property
    def trainings(self) -> int:
        """Networks trained to be compared."""
        return self.configurations * self.seeds * (1 + self.folds)


@dataclass(frozen=True)
class StudyPlan:
    """What would run.

    Attributes:
        rounds: The rounds of one cycle.
        max_cycles: Times that steps 3 to 5 are done at most.
        finalists: The last act.
        population: Configurations trained together.
        concurrency: Populations at once.
        pace: Pace of a population of the config's trial; None if nothing was measured.
        finalists_pace: Pace of the config's trial from as many seeds as a finalist has.
        time_budget_s: After which no trial is started; None for no limit.
        max_total_epochs: Epochs of all trials after which none is started; None for no limit.
    """

    rounds: tuple[PlannedRound, ...]
    max_cycles: int
    finalists: PlannedFinalists
    population: int
    concurrency: int
    pace: Pace | None = None
    finalists_pace: Pace | None = None
    time_budget_s: float | None = None
    max_total_epochs: int | None = None

    @property
    def trials_at_most(self) -> int:
        """Trials of all cycles."""
        return self.max_cycles * sum(round_.trials for round_ in self.rounds)

    @property
    def epochs_at_most(self) -> int:
        """Epochs of the trials of all cycles, if none is stopped."""
        return self.max_cycles * sum(round_.epochs_at_most for round_ in self.rounds)

    @property
    def epochs_expected(self) -> float:
        """Epochs of the trials of one cycle."""
        return sum(round_.epochs_expected for round_ in self.rounds)

    @property
    def seconds_expected(self) -> float | None:
        """Seconds of the rounds of one cycle and the finalists; None if nothing was measured."""
        return self._seconds([round_.epochs_expected for round_ in self.rounds])

    @property
    def seconds_at_most(self) -> float | None:
        """Seconds of the rounds of all cycles, with nothing stopped, and the finalists, at the measured pace."""
        return self._seconds([self.max_cycles * round_.epochs_at_most for round_ in self.rounds])

    def _seconds(self, epochs: Sequence[float]) -> float | None:
        """Seconds of the finalists, and of rounds with so many epochs of their trials."""
        if self.pace is None or self.finalists_pace is None:
            return None
        # Trials of a population share its epochs; a round with few of them cannot use every worker.
        rounds = sum(
            total
            / self.pace.size
            * self.pace.seconds_per_epoch
            / min(self.concurrency, math.ceil(round_.trials / self.population))
            for total, round_ in zip(epochs, self.rounds, strict=True)
        )
        if self.time_budget_s is not None:
            rounds = min(rounds, self.time_budget_s)
        last = self.finalists
        # Its length is tried by the winner's seeds first; the network alone takes less than they do.
        populations = last.configurations * (1 + last.folds) + 2 * last.refit
        return rounds + populations * last.epochs * self.finalists_pace.seconds_per_epoch


def plan(
    spec: StudySpec, *, concurrency: int, pace: Pace | None = None, finalists_pace: Pace | None = None
) -> StudyPlan:
    """What a study of ``spec`` would do.

    Args:
        spec: What was asked.
        concurrency: Populations that the runner trains at once.
        pace: Pace of a population as the rounds train them.
        finalists_pace: Pace of the seeds of one finalist.
    """
    search, last = spec.search, spec.finalists
    rounds = (_round(spec, Step.COARSE_SEARCH, search.coarse), _round(spec, Step.REFINED_SEARCH, search.refined))
    available = search.max_cycles * sum(round_.trials for round_ in rounds)
    return StudyPlan(
        rounds=rounds,
        max_cycles=search.max_cycles,
        # They are trained as long as the trials that went furthest.
        finalists=PlannedFinalists(
            min(last.top, available), last.seeds, last.folds or 0, search.refined.max_epochs, spec.model.refit
        ),
        population=_population(search, pace),
        concurrency=concurrency,
        pace=pace,
        finalists_pace=finalists_pace,
        time_budget_s=search.time_budget_s,
        max_total_epochs=search.max_total_epochs,
    )


def _population(search: SearchSpec, pace: Pace | None) -> int:
    """Configurations trained together: as they were timed, if they were."""
    if pace is not None:
        return pace.size
    return 1 if search.population_size == "auto" else search.population_size


def _round(spec: StudySpec, step: Step, budget: RoundSpec) -> PlannedRound:
    trials, epochs = budget.max_trials, budget.max_epochs
    rules = asha_rules(spec.search, budget)
    if rules is None:
        return PlannedRound(step, trials, epochs, (), trials * epochs, float(trials * epochs))
    rungs = rules.rungs_by_bracket(epochs)
    expected = [expected_epochs(own, epochs, rules.reduction_factor) for own in rungs]
    mean = sum(share * of_one for share, of_one in zip(shares(rungs), expected, strict=True))
    return PlannedRound(step, trials, epochs, rules.rungs(epochs), trials * epochs, trials * mean)


def expected_epochs(rungs: Sequence[int], max_epochs: int, reduction_factor: float) -> float:
    """Epochs of a trial in the mean, if one in ``reduction_factor`` goes on at each rung."""
    stages = itertools.pairwise((0, *rungs, max_epochs))
    return sum((end - start) / reduction_factor**rung for rung, (start, end) in enumerate(stages))


def duration(seconds: float) -> str:
    """A time as exactly as an estimate knows it: ``about 40 seconds``, ``about 4 minutes``, ``about 3 hours``.

    >>> duration(3.2), duration(47), duration(250), duration(9000)
    ('about 3 seconds', 'about 50 seconds', 'about 4 minutes', 'about 2.5 hours')
    """
    if seconds < 1:
        return "about a second"
    # One digit that means something, two from ten minutes and hours on.
    for unit, size, least in (("hour", 3600, 1.5), ("minute", 60, 1.5), ("second", 1, 0)):
        amount = seconds / size
        if amount >= least:
            rounded = _round_to(amount, 10 if unit == "second" and amount >= 10 else 0.5 if unit == "hour" else 1)
            return f"about {rounded:g} {unit}{'' if rounded == 1 else 's'}"
    raise AssertionError(seconds)


def _round_to(amount: float, grain: float) -> float:
    return max(grain, math.floor(amount / grain + 0.5) * grain)
