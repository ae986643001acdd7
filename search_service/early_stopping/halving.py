"""Asynchronous successive halving (ASHA): the only file that decides to stop a trial early.

A rung is an epoch at which trials are compared. When a trial reaches one, its score is compared with the scores that
others had there, whenever that was; below the best 1/η of them it stops. Nobody waits for anybody.
Source: Li et al., "A system for massively parallel hyperparameter tuning", 2020, in the stopping form that Ray
Tune's ``ASHAScheduler`` has. With rungs η apart and without ``standing``, the decisions are the same as that
scheduler's (it is the oracle of the tests), and:

- trials of a cohort report a rung together; each is judged against everyone else, its own cohort included;
- a score that is not finite stops at once and is no score to compare with;
- a report repeated after a restart gets the answer it had;
- in a deterministic round (runners/book.py) others of the same wave do not count, so that nobody's speed does;
- with a journal, the rungs outlive the process.

Two things are ours, since they find random search's best sooner (bench/early_stopping.py, docs/search.md). Rungs may
lie closer to each other than η apart (``rung_spacing``). And a trial does not live on the luck of having been first:
whoever reaches a rung must still be within a share of the trials at each rung before it (``standing``), with the scores
that have come in since.

>>> rules = AshaRules(grace_period=3, reduction_factor=3, rung_spacing=3)
>>> halving = Halving(rules, max_epochs=27, mode="max")
>>> halving.rungs
(3, 9)
>>> halving.report(3, {"a": 0.9}), halving.report(3, {"b": 0.5})
({'a'}, set())
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from search_service.folder import journals
from search_service.records.asha_rules import AshaRules


class Halving:
    """The rungs of one bracket of a round.

    Args:
        rules: The numbers of ASHA.
        max_epochs: Where trials end by themselves; no rung lies at or beyond it.
        mode: Whether larger or smaller scores are better.
        bracket: Index of the bracket, from 0.
        journal: File to append decisions to, and to read them back from if it exists.

    Attributes:
        rungs: Epochs, ascending.
    """

    def __init__(
        self,
        rules: AshaRules,
        *,
        max_epochs: int,
        mode: Literal["max", "min"],
        bracket: int = 0,
        journal: Path | None = None,
    ) -> None:
        self.rungs = rules.rungs_of(bracket, max_epochs)
        self._keep_share, self._standing = 1 / rules.reduction_factor, rules.standing
        self._sign = 1.0 if mode == "max" else -1.0
        # rung -> trial -> score, larger is better; and who was told to go on.
        self._scores: dict[int, dict[str, float]] = {rung: {} for rung in self.rungs}
        self._answers: dict[tuple[int, str], bool] = {}
        self._journal = journal
        if journal is not None and journal.exists():
            self._replay(journal)

    def report(self, rung: int, scores: Mapping[str, float], beside: Collection[str] = ()) -> set[str]:
        """Judge the members of a cohort at a rung.

        Args:
            rung: Epoch, one of ``rungs``.
            scores: Scores by trial, in the metric's own direction.
            beside: Trials that are under way beside them, with which they are not compared however quick these are.

        Returns:
            The trials that go on.
        """
        recorded = self._scores[rung]
        new = {
            trial: self._sign * score
            for trial, score in scores.items()
            if math.isfinite(score) and (rung, trial) not in self._answers
        }
        recorded.update(new)
        among = {known: self._without(known, beside) for known in self.rungs if known <= rung}
        entries: list[Mapping[str, object]] = []
        for trial in scores:
            if (rung, trial) in self._answers:
                continue
            goes_on = trial in new and self._goes_on(trial, rung, among)
            self._answers[rung, trial] = goes_on
            entries.append({"rung": rung, "trial": trial, "score": recorded.get(trial), "goes_on": goes_on})
        if self._journal is not None and entries:
            journals.append(self._journal, entries)
        return {trial for trial in scores if self._answers[rung, trial]}

    def _without(self, rung: int, beside: Collection[str]) -> Mapping[str, float]:
        """The scores at a rung that count."""
        recorded = self._scores[rung]
        return {trial: score for trial, score in recorded.items() if trial not in beside} if beside else recorded

    def _goes_on(self, trial: str, rung: int, among: Mapping[int, Mapping[str, float]]) -> bool:
        """Whether a trial is good enough at a rung, and still at those before it, by the scores there."""
        if not self._is_among(trial, among[rung], self._keep_share):
            return False
        standing = self._standing
        before = (recorded for earlier, recorded in among.items() if earlier < rung and trial in recorded)
        # Of two at a rung one is the worse: where nothing else is known, all that came further could be stopped so.
        judged = (recorded for recorded in before if len(recorded) > 2)
        return standing is None or all(self._is_among(trial, recorded, standing) for recorded in judged)

    @staticmethod
    def _is_among(trial: str, recorded: Mapping[str, float], share: float) -> bool:
        """Whether a trial is among the best ``share`` of those at a rung; alone, it is."""
        others = [score for name, score in recorded.items() if name != trial]
        if not others:
            return True
        # numpy's linear percentile, as in Tune: the two must agree to the last bit to decide alike.
        cutoff = np.nanpercentile(others, (1 - share) * 100)
        return bool(recorded[trial] >= cutoff)

    def _replay(self, journal: Path) -> None:
        # The last line of a process that was killed while writing it was never answered, so it is asked again.
        for entry in journals.mend(journal):
            if entry["score"] is not None:
                self._scores[entry["rung"]][entry["trial"]] = entry["score"]
            self._answers[entry["rung"], entry["trial"]] = entry["goes_on"]
