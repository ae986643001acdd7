"""What a round would do: trials, epochs, rungs. Arithmetic only.

Epochs of a round, of n trials, rungs r₁ < r₂ < … < rₘ and R epochs for those that are not stopped:

    at most      n · R
    expected     n · (r₁ + (r₂ - r₁)/η + (r₃ - r₂)/η² + … + (R - rₘ)/ηᵐ)

since ASHA lets about one trial in η go on at each rung; with several brackets, the mean over them. The first trials at
a rung have nobody to be compared with, so short rounds stop fewer than that.

>>> expected_epochs((3, 9), 27, 3.0)
7.0
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from search_service.early_stopping.brackets import shares
from search_service.early_stopping.defaults import asha_rules
from search_service.records.steps import Step
from search_service.spec.sections import RoundSpec, SearchSpec


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

    def epochs_as_of_many(self, alone: float) -> float:
        """Epochs expected, where those after the first rung count for more: few are left to be trained together.

        Args:
            alone: What a network's epoch costs alone, as a multiple of that among others. Who goes on does so with
                some, and is not alone: half of the difference.

        >>> PlannedRound(Step.COARSE_SEARCH, 10, 9, (3,), 90, 40.0).epochs_as_of_many(2.0)
        45.0
        """
        first = self.trials * min((*self.rungs, self.epochs))
        return first + max(0.0, self.epochs_expected - first) * (1 + alone) / 2

    @property
    def name(self) -> str:
        """What the recipe calls it."""
        return self.step.title


def planned_round(search: SearchSpec, step: Step, budget: RoundSpec) -> PlannedRound:
    """A round by its budget.

    Args:
        search: What the user says of early stopping.
        step: The coarse or the refined search.
        budget: Trials and epochs.
    """
    trials, epochs = budget.max_trials, budget.max_epochs
    rules = asha_rules(search, budget)
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
