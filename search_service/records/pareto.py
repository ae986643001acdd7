"""What a search with two objectives found: the trials that no other beats in both."""

from __future__ import annotations

from dataclasses import dataclass

from search_service.spec.sections import SecondObjective


@dataclass(frozen=True)
class ParetoPoint:
    """A trial by both objectives.

    Attributes:
        trial_id: The trial's id.
        score: Its best validation score.
        second: Its second objective, in the unit of the set.
        is_optimal: Whether no other trial is at least as good in both and better in one.
    """

    trial_id: str
    score: float
    second: float
    is_optimal: bool


@dataclass(frozen=True)
class ParetoSet:
    """The trials that were trained to the end, by score and a second objective of which less is better.

    Attributes:
        second: The second objective.
        points: Best score first.
    """

    second: SecondObjective
    points: tuple[ParetoPoint, ...]

    @property
    def optimal(self) -> tuple[ParetoPoint, ...]:
        """Those that no other dominates, best score first."""
        return tuple(point for point in self.points if point.is_optimal)

    @property
    def name(self) -> str:
        """``parameters`` or ``prediction time``."""
        return self.second.replace("_", " ")

    @property
    def label(self) -> str:
        """With its unit."""
        return "parameters" if self.second == "parameters" else "prediction time (ms per 1 000 rows, one thread)"
