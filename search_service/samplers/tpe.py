"""The tree-structured Parzen estimator for a round: parzen.py on an ``optuna.Study`` in memory.

Ranges are Optuna's own distributions, and a leaf that does not apply is absent. Scores at rungs are intermediate
values, by the number of the rung, from 1. A configuration that diverged or crashed is one that failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
from optuna.trial import TrialState

from search_service.samplers.base import SamplingTask
from search_service.samplers.distributions import distribution_of, from_optuna, suggest, to_optuna
from search_service.samplers.parzen import RungParzenSampler
from search_service.space.ranges import Range, drawn_leaves
from trainables.seeds import derive_seed


class _Sampler(RungParzenSampler):
    """Draws each configuration by its number in the round, and so what a round of an earlier version goes on with."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._of_round, self.number = seed, 0

    def _generator(self, number: int) -> np.random.Generator:
        return np.random.default_rng(derive_seed(self._of_round, self.number))


class TreeParzen:
    """Draws configurations, and learns from their scores."""

    learns = True
    may_run_out = False

    def __init__(self, task: SamplingTask) -> None:
        self._space, self._base = task.space, task.base
        self._distributions = {leaf: distribution_of(range_) for leaf, range_ in task.space.items()}
        self._trials: dict[int, optuna.Trial] = {}
        self._rungs: dict[int, int] = {}
        direction = "maximize" if task.mode == "max" else "minimize"
        self._sampler = _Sampler(task.seed)
        self.study = optuna.create_study(direction=direction, sampler=self._sampler)

    def draw(self, number: int, fixed: Mapping[str, Any]) -> dict[str, Any]:
        """A configuration's leaves, of which ``fixed`` are given."""
        if fixed:
            given = {leaf: to_optuna(self._space[leaf], value) for leaf, value in fixed.items()}
            self.study.enqueue_trial(given)
        trial = self.study.ask()
        self._sampler.number = number

        def draw(leaf: str, range_: Range) -> Any:
            value = from_optuna(range_, suggest(trial, leaf, self._distributions[leaf]))
            # A given value is kept as it is: it may lie between the steps of its range.
            return fixed.get(leaf, value)

        values = drawn_leaves(self._space, self._base, draw)
        self._trials[number], self._rungs[number] = trial, 0
        return values

    def observe(self, number: int, score: float) -> None:
        """A configuration has a score at a rung, and goes on."""
        self._rungs[number] += 1
        self._trials[number].report(score, self._rungs[number])

    def end(self, number: int, score: float | None) -> None:
        """A configuration has ended, at its last score, or without one that counts."""
        trial = self._trials.pop(number)
        if score is None:
            self.study.tell(trial, state=TrialState.FAIL)
        else:
            # As one more rung: equal scores at two rungs are two observations.
            self._rungs[number] += 1
            trial.report(score, self._rungs[number])
            self.study.tell(trial, score)
        del self._rungs[number]

    def has(self, structure: Mapping[str, Any]) -> bool:
        """There is always another one."""
        return True
