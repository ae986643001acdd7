"""Which configuration to try next: Optuna by ask and tell. The only file that imports Optuna.

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
        self._method, self._seed = method, seed
        self._next = 0
        self._study = optuna.create_study(direction="maximize" if mode == "max" else "minimize")

    def ask(self, members: int) -> list[Suggestion]:
        """Suggest the configurations of a cohort, all of one structure.

        Args:
            members: How many.
        """
        leader = self._suggest(self._first.pop(0) if self._first else {})
        structure = {leaf: leader.values[leaf] for leaf in self._structural if leaf in leader.values}
        return [leader, *(self._suggest(self._next_first(structure)) for _ in range(members - 1))]

    def learn(self, values: Mapping[str, Any], state: Literal["completed", "pruned"], score: float, epoch: int) -> None:
        """Take a trial of an earlier study for one's own; before anything is asked for.

        Args:
            values: Of every leaf that applies.
            state: As in ``tell``.
            score: As in ``tell``.
            epoch: As in ``tell``.
        """
        suggestion = self._suggest(values)
        self.tell(suggestion.number, state, score, epoch)
        # It is none of this round's.
        self._next = 0

    def recall(self, values: Mapping[str, Any]) -> Suggestion:
        """Take up the next suggestion as an earlier process made it; it can then be told like any other.

        Args:
            values: Its leaves, as they were drawn.
        """
        for index, point in enumerate(self._first):
            if point.items() <= values.items():
                del self._first[index]
                break
        return self._suggest(values)

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

    def _sampler_of(self, number: int) -> optuna.samplers.BaseSampler:
        """Optuna's sampler for one suggestion: seeded by its number, so that it does not matter who made the others."""
        # Optuna takes 32-bit seeds.
        seed = derive_seed(self._seed, "sampler", number) % 2**32
        if self._method == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        # Univariate: with trials that end at different epochs the multivariate model (Optuna's default) finds
        # random search's final best in 44 % of runs on learning-curve benchmarks, the univariate one in all.
        return optuna.samplers.TPESampler(seed=seed, multivariate=False, constant_liar=True)

    def _next_first(self, structure: Mapping[str, Any]) -> Mapping[str, Any]:
        """A waiting first point of this structure, or the structure alone."""
        for index, point in enumerate(self._first):
            if all(point.get(leaf) == value for leaf, value in structure.items()):
                return self._first.pop(index)
        return structure

    def _suggest(self, fixed: Mapping[str, Any]) -> Suggestion:
        if fixed:
            self._study.enqueue_trial({leaf: _encode(self._space[leaf], value) for leaf, value in fixed.items()})
        number = self._next
        self._next += 1
        self._study.sampler = self._sampler_of(number)
        trial = self._study.ask()
        values: dict[str, Any] = {}
        for leaf, range_ in self._space.items():
            if applies(leaf, values, self._base):
                values[leaf] = _draw(trial, leaf, range_)
        self._trials[number] = trial
        return Suggestion(number, values)

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
