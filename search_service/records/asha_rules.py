"""The numbers of ASHA, typed once: built from a spec (defaults.py) and carried whole to whoever judges or shows trials.

>>> rules = AshaRules(grace_period=3, reduction_factor=3, rung_spacing=3, brackets=3)
>>> rules.rungs_by_bracket(81), rules.rungs(81)
(((3, 9, 27), (9, 27), (27,)), (3, 9, 27))
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AshaRules:
    """How trials of a round are stopped early.

    Attributes:
        grace_period: First rung of the first bracket, in epochs.
        reduction_factor: η; about one trial in η goes on at each rung.
        rung_spacing: Each rung lies this many times as many epochs in as the one before; η is Ray Tune's.
        standing: Share of the trials at each earlier rung, the best first, that a trial must still be among when it
            reaches the next rung; None for not asking again, as in Ray Tune.
        brackets: Number of brackets; trials of bracket s have their first rung at grace_period · ηˢ.

    Raises:
        ValueError: A number is outside of its bounds; the message says which.
    """

    grace_period: int
    reduction_factor: float
    rung_spacing: float
    standing: float | None = None
    brackets: int = 1

    def __post_init__(self) -> None:
        if self.grace_period < 1:
            raise ValueError(f"grace_period is {self.grace_period}, and has to be 1 epoch or more")
        if self.reduction_factor <= 1:
            raise ValueError(f"reduction_factor is {self.reduction_factor}, and has to be above 1")
        if self.rung_spacing <= 1:
            raise ValueError(f"rung_spacing is {self.rung_spacing}, and has to be above 1")
        if self.standing is not None and not 0 < self.standing <= 1:
            raise ValueError(f"standing is {self.standing}, and has to be above 0 and at most 1, or None")
        if self.brackets < 1:
            raise ValueError(f"brackets is {self.brackets}, and has to be 1 or more")

    def why_stopped(self, rung: int) -> str:
        """Why a trial is stopped at a rung, in words."""
        why = f"below the best {1 / self.reduction_factor:.0%} at epoch {rung}"
        if self.standing is None:
            return why
        return f"{why}, or by now below the best {self.standing:.0%} at an earlier rung"

    def rungs_of(self, bracket: int, max_epochs: int) -> tuple[int, ...]:
        """Epochs at which trials of a bracket are judged, ascending, all below ``max_epochs``.

        Args:
            bracket: Index of the bracket, from 0.
            max_epochs: Epochs after which a trial ends by itself.
        """
        rungs = []
        rung = float(self.grace_period * self.reduction_factor**bracket)
        while round(rung) < max_epochs:
            rungs.append(round(rung))
            rung *= self.rung_spacing
        # A spacing close to 1 rounds several rungs to one epoch.
        return tuple(sorted(set(rungs)))

    def rungs_by_bracket(self, max_epochs: int) -> tuple[tuple[int, ...], ...]:
        """The rungs of each bracket, for trials of ``max_epochs`` epochs."""
        return tuple(self.rungs_of(bracket, max_epochs) for bracket in range(self.brackets))

    def rungs(self, max_epochs: int) -> tuple[int, ...]:
        """The rungs of all brackets together, ascending, for trials of ``max_epochs`` epochs."""
        return tuple(sorted({rung for own in self.rungs_by_bracket(max_epochs) for rung in own}))
