"""Which configuration to try next: Optuna by ask and tell. Only importance.py imports Optuna too.

A cohort's configurations share their structure (trainables.config.STRUCTURAL): the first one draws it, the others
are drawn with it fixed. Leaves that belong to a choice (momentum to the momentum optimiser) are drawn only where
they mean something.

A round has a Sampler of its own: changing a range inside an Optuna study would make its model of the past wrong.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import optuna

from search_service.space import Choices, Range, Space
from trainables.config import STRUCTURAL, TrialConfig, applies
from trainables.seeds import derive_seed

optuna.logging.set_verbosity(optuna.logging.WARNING)


@dataclass(frozen=True)
class Suggestion:
    """A sampled point: its number in the round, from 0, and its leaves."""

    number: int
    values: Mapping[str, Any]


class Sampler:
    """Samples one round.

    Args:
        space: Ranges by leaf.
        base: Says which choices hold where ``space`` does not sample them.
        method: ``tpe`` learns from what it is told; ``random`` does not.
        mode: Whether larger or smaller scores are better.
        seed: Decides the sequence of suggestions.
        first: Points suggested first; leaves outside the space, or values outside their range, are drawn instead.
    """

    def __init__(
        self,
        space: Space,
        base: TrialConfig,
        *,
        method: Literal["tpe", "random"],
        mode: Literal["max", "min"],
        seed: int,
        first: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        # Choices that others depend on are drawn before what depends on them.
        self._space = dict(sorted(space.items(), key=lambda item: (item[0] not in STRUCTURAL, item[0])))
        self._base = base
        self._structural = [leaf for leaf in self._space if leaf in STRUCTURAL]
        self._first = [self._inside(point) for point in first]
        self._trials: dict[int, optuna.Trial] = {}
        # Optuna takes 32-bit seeds.
        seed32 = derive_seed(seed, "sampler") % 2**32
        if method == "random":
            sampler: optuna.samplers.BaseSampler = optuna.samplers.RandomSampler(seed=seed32)
        else:
            # Univariate: with trials that end at different epochs the multivariate model (Optuna's default) finds
            # random search's final best in 44 % of runs on learning-curve benchmarks, the univariate one in all.
            sampler = optuna.samplers.TPESampler(seed=seed32, multivariate=False, constant_liar=True)
        self._study = optuna.create_study(direction="maximize" if mode == "max" else "minimize", sampler=sampler)

    def ask(self, members: int) -> list[Suggestion]:
        """Suggest the configurations of a cohort, all of one structure.

        Args:
            members: How many.
        """
        leader = self._suggest(self._first.pop(0) if self._first else {})
        structure = {leaf: leader.values[leaf] for leaf in self._structural if leaf in leader.values}
        return [leader, *(self._suggest(self._next_first(structure)) for _ in range(members - 1))]

    def tell(self, number: int, state: Literal["completed", "pruned", "failed"], score: float, epoch: int) -> None:
        """Say what became of a suggestion.

        Args:
            number: Of the suggestion.
            state: Trained to the end, stopped at a rung, or of no use (diverged, crashed).
            score: Best validation score, if there is one.
            epoch: Epochs trained.
        """
        trial = self._trials.pop(number)
        if state == "completed":
            self._study.tell(trial, score)
        elif state == "pruned":
            trial.report(score, step=epoch)
            self._study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)

    def _next_first(self, structure: Mapping[str, Any]) -> Mapping[str, Any]:
        """A waiting first point of this structure, or the structure alone."""
        for index, point in enumerate(self._first):
            if all(point.get(leaf) == value for leaf, value in structure.items()):
                return self._first.pop(index)
        return structure

    def _suggest(self, fixed: Mapping[str, Any]) -> Suggestion:
        if fixed:
            self._study.enqueue_trial({leaf: _encode(self._space[leaf], value) for leaf, value in fixed.items()})
        trial = self._study.ask()
        values: dict[str, Any] = {}
        for leaf, range_ in self._space.items():
            if applies(leaf, values, self._base):
                values[leaf] = _draw(trial, leaf, range_)
        self._trials[trial.number] = trial
        return Suggestion(trial.number, values)

    def _inside(self, point: Mapping[str, Any]) -> dict[str, Any]:
        return {
            leaf: value for leaf, value in point.items() if leaf in self._space and self._space[leaf].contains(value)
        }


def _encode(range_: Range, value: Any) -> Any:
    # Optuna's categories are scalars; hidden_sizes are lists. JSON text stands for any choice.
    return json.dumps(value) if isinstance(range_, Choices) else value


def _draw(trial: optuna.Trial, leaf: str, range_: Range) -> Any:
    if isinstance(range_, Choices):
        encoded = {_encode(range_, choice): choice for choice in range_.choices}
        return encoded[trial.suggest_categorical(leaf, list(encoded))]
    with warnings.catch_warnings():
        # A range of one value is allowed; Optuna notes it every time.
        warnings.simplefilter("ignore", UserWarning)
        if range_.integer:
            step = int(range_.step) if range_.step else 1
            return trial.suggest_int(leaf, int(range_.low), int(range_.high), step=step, log=range_.log)
        return trial.suggest_float(leaf, range_.low, range_.high, step=range_.step, log=range_.log)
