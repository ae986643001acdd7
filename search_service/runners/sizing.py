"""How many configurations a cohort has: what the plan says, or what was measured for its shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from search_service.records.round_plan import RoundPlan
from search_service.space.layers import in_config
from search_service.spec.sections import SearchSpec
from trainables.config import TrialConfig
from trainables.data.dataset import Dataset
from trainables.population_size import choose
from trainables.process import device_for
from trainables.records import PopulationSize

# Of a round's trials, one in this many is in training at once at most: the sampler and ASHA learn from those before.
IN_TRAINING = 4
# Cohorts of a wave in a deterministic round, where the config does not say how many train at once.
WAVE = 4
# Members of a cohort of a deterministic round: nothing is measured there, and more are of use to small networks alone.
MOST_UNMEASURED = 16
# Members of a cohort at most, however many a round has: more are hardly faster (bench/step_throughput.py), and a
# worker that is lost takes all of them with it.
MOST_MEMBERS = 256


def most_members(max_trials: int, slots: int) -> int:
    """Members of a cohort at most, of a round on so many workers."""
    return max(1, min(MOST_MEMBERS, max_trials // (IN_TRAINING * slots)))


def wave_of(search: SearchSpec) -> int | None:
    """Cohorts that begin together in a deterministic study; None in any other."""
    return (search.max_concurrent_trials or WAVE) if search.deterministic else None


def size_of_population(search: SearchSpec, max_trials: int) -> int | Literal["auto"]:
    """Configurations of a cohort: a number, or ``auto`` where it is to be measured.

    Args:
        search: What was asked.
        max_trials: Of the round.
    """
    wave = wave_of(search)
    if search.population_size != "auto" or wave is None:
        return search.population_size
    return min(MOST_UNMEASURED, most_members(max_trials, wave))


def place_of(gpus: float, slots: int) -> dict[str, Any]:
    """Where a population of a cohort is timed, and its share of the memory there.

    Args:
        gpus: That a cohort may use, fractions included.
        slots: Cohorts that train at once. They share this machine's memory, and each has a part of a GPU.
    """
    device = device_for(gpus)
    return {"device": device, "share": 1 / slots if device == "cpu" else min(1.0, gpus)}


class MeasuredSizes:
    """Sizes by shape, each measured when a shape is first seen; kept by a runner for all rounds of a study."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], PopulationSize] = {}

    def of(self, config: TrialConfig, dataset: Dataset, **how: Any) -> PopulationSize:
        """For networks of the shape of ``config``; ``how`` is as in ``trainables.population_size.choose``."""
        key = (config.structure, dataset.fingerprint, len(dataset.train), *how.items())
        if key not in self._known:
            self._known[key] = choose(config, dataset, **how)
        return self._known[key]


class CohortSizes:
    """Answers for one round.

    Args:
        plan: The round's plan.
        dataset: Its rows.
        measured: What is known so far.
        slots: Cohorts that train at once.
        report_s: What a report takes beside training, in seconds.
    """

    def __init__(
        self,
        plan: RoundPlan,
        dataset: Dataset,
        measured: MeasuredSizes,
        *,
        slots: int = 1,
        report_s: float = 0.0,
    ) -> None:
        self._plan, self._dataset, self._measured = plan, dataset, measured
        self._slots, self._report_s = slots, report_s
        size = plan.population_size
        self.most = most_members(plan.limits.max_trials, slots) if size == "auto" else size
        self._chosen: dict[tuple[int, ...], PopulationSize] = {}

    @property
    def chosen(self) -> tuple[PopulationSize, ...]:
        """What was measured for the shapes of this round, in the order in which they were met."""
        return tuple(self._chosen.values())

    def recall(self, chosen: Sequence[Mapping[str, Any]]) -> None:
        """Take up what an earlier process chose, as plain data."""
        for choice in chosen:
            layer_sizes = tuple(choice["layer_sizes"])
            measured = tuple((size, gain) for size, gain in choice["measured"])
            changes = {"layer_sizes": layer_sizes, "measured": measured}
            self._chosen[layer_sizes] = PopulationSize(**(dict(choice) | changes))

    def of(self, values: Mapping[str, Any]) -> int:
        """Members of a cohort whose first one has these values."""
        if self._plan.population_size != "auto":
            return self._plan.population_size
        config = self._plan.base.replace(in_config(values, self._plan.base))
        choice = self._measured.of(
            config,
            self._dataset,
            most=self.most,
            **place_of(self._plan.resources.gpus_per_trial, self._slots),
            epochs=self._plan.first_report,
            report_s=self._report_s,
        )
        self._chosen[choice.layer_sizes] = choice
        return choice.size
