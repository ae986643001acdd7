"""What a sampler is: the protocol, and what it is made for. sampler.py makes cohorts of what it draws.

A new sampler is a class in a file of its own and a line in registry.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from search_service.space.ranges import Space
from trainables.config import TrialConfig


@dataclass(frozen=True)
class SamplingTask:
    """What the configurations of one round are drawn for.

    Attributes:
        space: Ranges by leaf, choices before what depends on them (``space.ranges.drawn_leaves`` draws in this order).
        base: Says which choices hold where ``space`` does not sample them.
        mode: Whether larger or smaller scores are better.
        seed: It decides, with a configuration's number, what is drawn.
        most: Configurations that are asked for at most.
        cost: A second objective of a configuration, by its leaves: the less, the better. None where there is none.
    """

    space: Space
    base: TrialConfig
    mode: Literal["max", "min"]
    seed: int
    most: int
    cost: Callable[[Mapping[str, Any]], float] | None = None


class ConfigurationSampler(Protocol):
    """Draws the configurations of one round, one after the other; made anew for each round.

    The methods are called by one thread, in this order: ``draw`` with the next number; for a configuration that goes on
    after a rung ``observe`` with its score there, any number of times; ``end`` once. Others may be drawn in between. A
    round that goes on after a kill calls ``draw`` again for what it had, with every leaf in ``fixed``, and tells again
    what had been told.

    Attributes:
        learns: Whether what is told changes what is drawn. Trials of an earlier study (a warm start) are told only to
            one that learns: ``draw`` with a negative number and every leaf in ``fixed``, then ``end``.
        may_run_out: Whether there is an end of its configurations. Only then ``draw`` may return None, and ``has`` is
            asked before another member of a cohort is drawn.
    """

    @property
    def learns(self) -> bool: ...  # noqa: D102 (above)

    @property
    def may_run_out(self) -> bool: ...  # noqa: D102 (above)

    def draw(self, number: int, fixed: Mapping[str, Any]) -> dict[str, Any] | None:
        """Draw a configuration.

        Args:
            number: The configuration's number in the round, from 0. With the seed, it decides what is drawn, so
                that a round that goes on after a kill draws the same.
            fixed: Leaves that are given, in their own values: a cohort's shared structure, or a point tried first.

        Returns:
            The values of all leaves that apply; None if there are no more.
        """
        ...

    def observe(self, number: int, score: float) -> None:
        """Hear the score of a configuration at a rung after which it goes on.

        Args:
            number: The configuration's number.
            score: Validation score, finite.
        """
        ...

    def end(self, number: int, score: float | None) -> None:
        """Hear that a configuration has ended.

        Args:
            number: The configuration's number.
            score: Its best validation score; None if it diverged or crashed.
        """
        ...

    def has(self, structure: Mapping[str, Any]) -> bool:
        """Say whether there is another configuration.

        Args:
            structure: Leaves that it has to have.
        """
        ...


class NonAdaptive:
    """What samplers have in common that ignore scores and never run out."""

    learns = False
    may_run_out = False

    def observe(self, number: int, score: float) -> None:
        """Nothing is learnt."""

    def end(self, number: int, score: float | None) -> None:
        """Nothing is learnt."""

    def has(self, structure: Mapping[str, Any]) -> bool:
        """There is always another one."""
        return True
