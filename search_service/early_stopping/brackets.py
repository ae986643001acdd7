"""Several brackets of successive halving: trials that are first judged later than others.

An early rung stops what learns slowly, whatever it would have become. With n brackets, trials of bracket s have their
first rung at grace_period · η^s (s = 0 … n-1) and are compared with trials of their own bracket alone; a bracket whose
first rung lies at the end or beyond stops nobody. A trial is of bracket s with a probability in proportion to e to the
number of its rungs, as in Ray Tune's ``ASHAScheduler``, so most trials are of bracket 0. Where Tune draws, here the
seed of the study and the trial's id say which: the same after a restart, and in every runner.

Each bracket is a ``halving.Halving`` with a journal of its own: rungs.jsonl, rungs-1.jsonl, and so on.

>>> rungs = rungs_by_bracket(3, grace_period=3, max_epochs=81, reduction_factor=3, spacing=3)
>>> rungs, union(rungs)
(((3, 9, 27), (9, 27), (27,)), (3, 9, 27))
>>> [round(share, 2) for share in shares(rungs)]
[0.67, 0.24, 0.09]
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from search_service.early_stopping.halving import Halving, rung_epochs
from trainables.seeds import derive_seed

if TYPE_CHECKING:
    # The process that judges has no use for torch, which plans and metrics bring with them: seconds and 200 MB.
    from search_service.records.rounds import RoundPlan

# derive_seed gives numbers below this.
_SEEDS = 2**63


@dataclass(frozen=True)
class Rules:
    """How the trials of a round are judged; see ``RoundPlan``.

    Attributes:
        seed: Decides which bracket a trial belongs to.
        mode: Whether larger or smaller scores are better.
        brackets: Their number.
        grace_period: First rung of the first, in epochs.
        max_epochs: Of a trial that is not stopped.
        reduction_factor: η.
        spacing: Each rung lies this many times as far as the one before.
        standing: Share at each earlier rung that a trial must still be among; None for not asking again.
    """

    seed: int
    mode: Literal["max", "min"]
    brackets: int
    grace_period: int
    max_epochs: int
    reduction_factor: float
    spacing: float
    standing: float | None

    @property
    def by_bracket(self) -> tuple[tuple[int, ...], ...]:
        """Rungs of each bracket."""
        return rungs_by_bracket(
            self.brackets,
            grace_period=self.grace_period,
            max_epochs=self.max_epochs,
            reduction_factor=self.reduction_factor,
            spacing=self.spacing,
        )


def rules_of(plan: RoundPlan) -> Rules:
    """Those of a round."""
    from trainables.metrics import METRICS

    return Rules(
        seed=plan.seed,
        mode=METRICS[plan.metric].mode,
        brackets=plan.brackets,
        grace_period=plan.grace_period,
        max_epochs=plan.max_epochs,
        reduction_factor=plan.reduction_factor,
        spacing=plan.rung_spacing,
        standing=plan.standing,
    )


class Brackets:
    """The rungs of one round, in all its brackets; ``Halving``'s interface.

    Args:
        rules: Of the round.
        folder: For the journals; None for none.

    Attributes:
        rungs: Epochs at which trials of any bracket are judged, ascending.
    """

    def __init__(self, rules: Rules, folder: Path | None) -> None:
        self.rungs = union(rules.by_bracket)
        self._shares, self._seed = shares(rules.by_bracket), rules.seed
        self._brackets = [
            Halving(
                grace_period=rules.grace_period * rules.reduction_factor**bracket,
                max_epochs=rules.max_epochs,
                reduction_factor=rules.reduction_factor,
                spacing=rules.spacing,
                standing=rules.standing,
                mode=rules.mode,
                journal=None if folder is None else folder / journal_of(bracket),
            )
            for bracket in range(rules.brackets)
        ]

    def report(self, rung: int, scores: Mapping[str, float]) -> set[str]:
        """Judge the members of a cohort, each in its own bracket.

        Args:
            rung: Epoch, one of ``rungs``.
            scores: By trial, in the metric's own direction.

        Returns:
            The trials that go on: of a bracket without a rung here all whose score is finite.
        """
        go_on: set[str] = set()
        for index, bracket in enumerate(self._brackets):
            own = {trial: score for trial, score in scores.items() if self.bracket_of(trial) == index}
            if rung not in bracket.rungs:
                go_on |= {trial for trial, score in own.items() if math.isfinite(score)}
            elif own:
                go_on |= bracket.report(rung, own)
        return go_on

    def bracket_of(self, trial: str) -> int:
        """Which bracket a trial belongs to, whoever asks and whenever."""
        drawn = derive_seed(self._seed, "bracket", trial) / _SEEDS
        return next((i for i, end in enumerate(itertools.accumulate(self._shares)) if drawn < end), 0)


def journal_of(bracket: int) -> str:
    """Name of a bracket's journal in the round's folder."""
    return f"rungs-{bracket}.jsonl" if bracket else "rungs.jsonl"


def rungs_of(plan: RoundPlan) -> tuple[int, ...]:
    """Epochs at which trials of a round are judged, ascending; none without early stopping."""
    return union(rules_of(plan).by_bracket) if plan.early_stopping else ()


def rungs_by_bracket(
    brackets: int, *, grace_period: int, max_epochs: int, reduction_factor: float, spacing: float
) -> tuple[tuple[int, ...], ...]:
    """The rungs of each bracket."""
    firsts = (grace_period * reduction_factor**bracket for bracket in range(brackets))
    return tuple(rung_epochs(first, max_epochs, spacing) for first in firsts)


def union(rungs: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """The rungs of all brackets, ascending."""
    return tuple(sorted({rung for own in rungs for rung in own}))


def shares(rungs: Sequence[Sequence[int]]) -> tuple[float, ...]:
    """Which share of the trials each bracket gets: softmax of the numbers of rungs."""
    most = max(len(own) for own in rungs)
    weights = [math.exp(len(own) - most) for own in rungs]
    return tuple(weight / sum(weights) for weight in weights)
