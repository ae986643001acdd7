"""What training costs in seconds, and what of the last act a study pays for with them; measured in pace.py."""

from __future__ import annotations

from dataclasses import dataclass, replace

# A refit of a shorter length is tried by the winner's seeds: their best epochs lie at about this share in the mean.
SHORTER = 0.6
# Of the finalists' networks about so many are averaged, and trained once more, where several may be.
AVERAGED = 5
# Pieces of the finalists end at different times, and workers wait for the last one.
UNEVEN = 1.15


@dataclass(frozen=True)
class Costs:
    """What things cost, in seconds.

    Attributes:
        epoch: Of the clock, for each epoch that a round is expected to train (planned_rounds.py) before its first rung,
            with every worker.
        network_epoch: Of one worker, for an epoch of a finalist's network among others of its shape.
        single_epoch: Of one worker, for an epoch of the winner's network alone.
        baselines: Of one worker, for the simpler models.
        slots: Workers.
        task: Of one worker, for what a task takes beside its training.
        alone: Seconds of a round's epoch of a network that is trained alone, by those of its share of a population's.
    """

    epoch: float
    network_epoch: float
    single_epoch: float
    baselines: float
    slots: int
    task: float = 0.0
    alone: float = 1.0

    def times(self, factor: float) -> Costs:
        """The same where trainings cost so many times as much."""
        return replace(
            self,
            epoch=factor * self.epoch,
            network_epoch=factor * self.network_epoch,
            single_epoch=factor * self.single_epoch,
        )


@dataclass(frozen=True)
class LastActSize:
    """The last act.

    Attributes:
        top: Finalists.
        seeds: Of each.
        folds: Of a cross-validation; 0 without one.
        epochs: Of each training.
        refit: Whether the winner is trained once more.
        length: Whether a shorter refit is tried.
        baselines: Whether simpler models are fitted.
        averaged: Networks that the model is made of at most, each of which is trained once more.
    """

    top: int
    seeds: int
    folds: int
    epochs: int
    refit: bool = True
    length: bool = True
    baselines: bool = True
    averaged: int = 1

    def seconds_of_finalists(self, costs: Costs) -> float:
        """Seconds of the finalists' trainings."""
        networks = self.top * self.seeds * (1 + self.folds)
        # A task for each configuration on each division, at least.
        tasks = self.top * (1 + self.folds) * costs.task
        return (UNEVEN * networks * self.epochs * costs.network_epoch + tasks) / costs.slots

    def seconds_after(self, costs: Costs) -> float:
        """Seconds of the refit and the simpler models, which are fitted beside the search for its length."""
        length = SHORTER * self.seeds * self.epochs * costs.network_epoch if self.refit and self.length else 0.0
        beside = (length + costs.baselines * self.baselines) / costs.slots
        networks = min(self.averaged, AVERAGED, self.top * self.seeds)
        refit = max(self.epochs * costs.single_epoch, networks * self.epochs * costs.network_epoch / costs.slots)
        return beside + (refit + costs.task) * self.refit

    def seconds(self, costs: Costs) -> float:
        """Seconds of all of it."""
        return self.seconds_of_finalists(costs) + self.seconds_after(costs)
