"""What a study would do, before it does it: trials, epochs, and how long, from the command to its last line.

Arithmetic only; nothing is run. Rounds are as in planned_rounds.py, what things cost as in pace.py. Steps 3 to 5 are
done once if the first repetition brings no improvement, and ``search.max_cycles`` times at most; nobody knows before,
so what is expected has half of a second cycle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from search_service.recipe.asked import AskedSize
from search_service.recipe.costs import Costs, LastActSize
from search_service.recipe.planned_rounds import PlannedRound, planned_round
from search_service.records.steps import Step
from search_service.spec.sections import SearchSpec
from search_service.spec.study_spec import StudySpec
from trainables.records import Pace

# Of the second cycle: some studies have one, and some have not.
SECOND_CYCLE = 0.5


@dataclass(frozen=True)
class PlannedFinalists:
    """The last act; ``folds`` is 0 without a cross-validation.

    Attributes:
        configurations: Trained again.
        seeds: Seeds of each finalist.
        folds: Divisions on which each is trained beside the study's own.
        epochs: Epochs of each training.
        refit: Whether the winner is trained once more, at most as long, to be the model.
        averaged: Networks that the model may be made of; each is trained once more.
    """

    configurations: int
    seeds: int
    folds: int
    epochs: int
    refit: bool
    averaged: int = 1

    @property
    def trainings(self) -> int:
        """Networks trained to be compared."""
        return self.configurations * self.seeds * (1 + self.folds)


@dataclass(frozen=True)
class Around:
    """Seconds that a study takes beside rounds and last act.

    Attributes:
        start: From the command to step 1: imports, the table, the record.
        checks: Steps 1 to 3.
        workers: Until the workers of the first round are at it.
        end: From the model to the last line: the rest of the record, the report.
    """

    start: float
    checks: float
    workers: float
    end: float


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
        costs: What trainings cost, by that pace.
        around: What is not training.
        baselines: Whether simpler models are fitted.
        noise_seeds: Trainings that measure the noise before another cycle.
        time_budget_s: Within which all of it is to end; None for no limit.
        max_total_epochs: Epochs of all trials after which none is started; None for no limit.
        minutes: That the study sizes itself by; None where the config says how large it is.
        left_out: What of the last act there is no time for.
    """

    rounds: tuple[PlannedRound, ...]
    max_cycles: int
    finalists: PlannedFinalists
    population: int
    concurrency: int
    pace: Pace | None = None
    costs: Costs | None = None
    around: Around | None = None
    baselines: bool = True
    noise_seeds: int = 0
    time_budget_s: float | None = None
    max_total_epochs: int | None = None
    minutes: float | None = None
    left_out: tuple[str, ...] = ()

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
    def parts(self) -> dict[str, float] | None:
        """Seconds of each part of a study, in the order of the parts; None if nothing was measured."""
        return self._parts(self._rounds_s, self._second_cycle * SECOND_CYCLE)

    @property
    def seconds_expected(self) -> float | None:
        """Seconds from the command to its last line; None if nothing was measured."""
        return None if self.parts is None else sum(self.parts.values())

    @property
    def seconds_at_most(self) -> float | None:
        """The same with all cycles, and nothing stopped early, at the measured pace."""
        costs = self.costs
        if costs is None:
            return None
        parts = self._parts(sum(round_.epochs_at_most for round_ in self.rounds) * costs.epoch, 0.0)
        if parts is None:
            return None
        again = (self.max_cycles - 1) * (parts.get("rounds", 0.0) + parts["checks"] + self._noise)
        at_most = sum(parts.values()) + min(again, max(0.0, self._budget - sum(parts.values())))
        # Few at the last rungs cost more than their epochs among many, which is expected and not counted here.
        return max(at_most, self.seconds_expected or 0.0)

    @property
    def _rounds_s(self) -> float:
        """Seconds of the rounds of a cycle, whose workers are there."""
        costs = self.costs
        if costs is None:
            return 0.0
        return costs.epoch * sum(round_.epochs_as_of_many(costs.alone) for round_ in self.rounds)

    def _parts(self, rounds_s: float, second_cycle: float) -> dict[str, float] | None:
        """Seconds by part, with so many of the rounds of the first cycle."""
        costs, around = self.costs, self.around
        if costs is None or around is None:
            return None
        last = self.finalists
        act = LastActSize(
            last.configurations, last.seeds, last.folds, last.epochs, last.refit, last.refit, False, last.averaged
        )
        parts = {
            "start": around.start,
            "checks": around.checks,
            "rounds": around.workers + rounds_s,
            "second cycle": second_cycle,
            "finalists": act.seconds_of_finalists(costs),
            "refit": act.seconds_after(costs),
            "baselines": costs.baselines / costs.slots * self.baselines,
            "report": around.end,
        }
        # The search has what the rest leaves of a budget.
        left = self._budget - sum(seconds for name, seconds in parts.items() if name not in ("rounds", "second cycle"))
        for name in ("rounds", "second cycle"):
            parts[name] = max(0.0, min(parts[name], left))
            left -= parts[name]
        return {name: seconds for name, seconds in parts.items() if seconds > 0}

    @property
    def _budget(self) -> float:
        """Seconds within which all of it is to end."""
        return math.inf if self.time_budget_s is None else self.time_budget_s

    @property
    def _second_cycle(self) -> float:
        """Seconds of a second cycle, if there may be one."""
        if self.costs is None or self.around is None or self.max_cycles == 1:
            return 0.0
        return self.around.checks + self._rounds_s + self._noise

    @property
    def _noise(self) -> float:
        """Seconds of the trainings that measure the noise."""
        if self.costs is None or self.minutes is not None:
            return 0.0
        return self.noise_seeds * self.finalists.epochs * self.costs.network_epoch / self.costs.slots


def plan(
    spec: StudySpec,
    *,
    concurrency: int,
    pace: Pace | None = None,
    costs: Costs | None = None,
    around: Around | None = None,
    left_out: tuple[str, ...] = (),
) -> StudyPlan:
    """What a study of ``spec`` would do.

    Args:
        spec: What was asked; with minutes, after it was sized.
        concurrency: Populations that the runner trains at once.
        pace: Pace of a population as the rounds train them.
        costs: What trainings cost by it.
        around: What is not training.
        left_out: What there is no time for.
    """
    search, last = spec.search, spec.finalists
    rounds = (
        planned_round(search, Step.COARSE_SEARCH, search.coarse),
        planned_round(search, Step.REFINED_SEARCH, search.refined),
    )
    available = search.max_cycles * sum(round_.trials for round_ in rounds)
    return StudyPlan(
        rounds=rounds,
        max_cycles=search.max_cycles,
        # They are trained as long as the trials that went furthest.
        finalists=PlannedFinalists(
            min(last.top, available),
            last.seeds,
            last.folds or 0,
            search.refined.max_epochs,
            spec.model.refit,
            AskedSize.of(spec).averaged,
        ),
        population=_population(search, pace),
        concurrency=concurrency,
        pace=pace,
        costs=costs,
        around=around,
        baselines=last.baselines,
        noise_seeds=search.noise_seeds,
        time_budget_s=search.time_budget_s,
        max_total_epochs=search.max_total_epochs,
        minutes=search.minutes,
        left_out=left_out,
    )


def _population(search: SearchSpec, pace: Pace | None) -> int:
    """Configurations trained together: as they were timed, if they were."""
    if pace is not None:
        return pace.size
    return 1 if search.population_size == "auto" else search.population_size


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
