"""Several brackets of successive halving: trials that are first judged later than others.

An early rung stops what learns slowly, whatever it would have become. With n brackets, trials of bracket s have their
first rung at grace_period · η^s (s = 0 … n-1) and are compared with trials of their own bracket alone; a bracket whose
first rung lies at the end or beyond stops nobody. A trial is of bracket s with a probability in proportion to e to the
number of its rungs, as in Ray Tune's ``ASHAScheduler``, so most trials are of bracket 0. Where Tune draws, here the
seed of the study and the trial's id say which: the same after a restart, and in every runner.

Each bracket is a ``halving.Halving`` with a journal of its own: rungs.jsonl, rungs-1.jsonl, and so on.

>>> rules = AshaRules(grace_period=3, reduction_factor=3, rung_spacing=3, brackets=3)
>>> [round(share, 2) for share in shares(rules.rungs_by_bracket(81))]
[0.67, 0.24, 0.09]
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal

from search_service.early_stopping.halving import Halving
from search_service.folder import layout
from search_service.records.asha_rules import AshaRules
from trainables.seeds import derive_seed

# derive_seed gives numbers below this.
_SEEDS = 2**63


class Brackets:
    """The rungs of one round, in all its brackets; ``Halving``'s interface.

    Args:
        rules: The numbers of ASHA; None for a round in which nobody is judged.
        max_epochs: Where trials end by themselves.
        mode: Whether larger or smaller scores are better.
        seed: The study's; it decides which bracket a trial belongs to.
        folder: The folder of the journals; None for no journals.

    Attributes:
        rungs: Epochs at which trials of any bracket are judged, ascending.
    """

    def __init__(
        self,
        rules: AshaRules | None,
        *,
        max_epochs: int,
        mode: Literal["max", "min"],
        seed: int,
        folder: Path | None = None,
    ) -> None:
        self.rungs: tuple[int, ...] = ()
        self._seed = seed
        self._brackets: list[Halving] = []
        self._shares: tuple[float, ...] = ()
        if rules is not None:
            self.rungs, self._shares = rules.rungs(max_epochs), shares(rules.rungs_by_bracket(max_epochs))
            journals = (None if folder is None else folder / layout.rungs(index) for index in range(rules.brackets))
            self._brackets = [
                Halving(rules, max_epochs=max_epochs, mode=mode, bracket=index, journal=journal)
                for index, journal in enumerate(journals)
            ]

    def report(self, rung: int, scores: Mapping[str, float], beside: Collection[str] = ()) -> set[str]:
        """Judge the members of a cohort, each in its own bracket.

        Args:
            rung: Epoch, one of ``rungs``.
            scores: Scores by trial, in the metric's own direction.
            beside: See ``Halving.report``.

        Returns:
            The trials that go on: of a bracket without a rung here all whose score is finite.
        """
        go_on: set[str] = set()
        for index, bracket in enumerate(self._brackets):
            own = {trial: score for trial, score in scores.items() if self.bracket_of(trial) == index}
            if rung not in bracket.rungs:
                go_on |= {trial for trial, score in own.items() if math.isfinite(score)}
            elif own:
                go_on |= bracket.report(rung, own, beside)
        return go_on

    def bracket_of(self, trial: str) -> int:
        """Which bracket a trial belongs to, whoever asks and whenever."""
        drawn = derive_seed(self._seed, "bracket", trial) / _SEEDS
        return next((i for i, end in enumerate(itertools.accumulate(self._shares)) if drawn < end), 0)


def shares(rungs: Sequence[Sequence[int]]) -> tuple[float, ...]:
    """Which share of the trials each bracket gets: softmax of the numbers of rungs."""
    most = max(len(own) for own in rungs)
    weights = [math.exp(len(own) - most) for own in rungs]
    return tuple(weight / sum(weights) for weight in weights)
