"""How a study fits into its minutes (``search.minutes``): how large its rounds and its last act are, by what they cost.

Arithmetic only; what things cost is measured in pace.py, and who asks when is clock.py. Of the seconds that rounds and
last act have together:

    last act         at most two fifths: finalists × seeds, the winner once more, simpler models
    coarse round     a third of what is left
    refined round    the other two thirds

Trainings are as long as leaves the refined round a dozen trials and the last act two finalists with two seeds; they are
longer than usual only where there is time for many trials of that length, and three finalists with three seeds. What is
left when a cycle is over goes into another one. What the config says of epochs, finalists, seeds and folds holds as it
is, and the rest follows.

>>> from search_service.spec.study_spec import parse
>>> costs = Costs(epoch=0.02, network_epoch=0.03, single_epoch=0.03, baselines=2.0, slots=2)
>>> found = size(100.0, costs, Asked.of(parse({"name": "x", "data": {"source": "digits"}})))
>>> found.refined.epochs, found.last.top, found.last.seeds
(90, 3, 5)
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from search_service.recipe import averaging
from search_service.recipe.planned_rounds import planned_round
from search_service.records.steps import Step
from search_service.spec.sections import RoundSpec, SearchSpec
from search_service.spec.study_spec import StudySpec

# Shares of what rounds and last act have together: the last act's at most, and of the rest the coarse round's.
LAST_SHARE, COARSE_SHARE = 0.4, 1 / 3
# Lengths of the refined round's trainings, longest first; beyond the usual one only where MANY trials of it fit.
LENGTHS, USUAL_LENGTH, MANY = (90, 60, 45, 36, 27, 18, 12, 9, 6, 4, 3), 45, 36
# Coarse trials are trained for a fifth of that, and for no less than what says something (early_stopping/defaults.py).
COARSE_PART, LEAST_COARSE_EPOCHS = 5, 3
# Trials that a refined round should have at least, below which trainings are shortened; and the fewest of any round.
ENOUGH_TRIALS, FEWEST_TRIALS = 12, 4
# Beyond, another cycle with narrower ranges brings more than more trials.
MOST_COARSE, MOST_REFINED = 128, 96
# A round may start so many times the trials that it is planned for, where it turns out to be quicker.
ROOM = 1.25
# Finalists and seeds, the best first: who has fewer seeds than 2 cannot say anything of noise.
LAST_ACTS = ((3, 5), (3, 4), (3, 3), (3, 2), (2, 2), (1, 2))
# Those that trainings are shortened for, of the usual lengths and of longer ones.
ENOUGH, ENOUGH_OF_LONGER = (2, 2), (3, 3)
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
        alone: What an epoch of a round costs of a network alone, as a multiple of that among others.
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
class RoundSize:
    """A round: trials, epochs of those that are not stopped, and seconds that it is expected to take."""

    trials: int
    epochs: int
    seconds: float

    @property
    def most_trials(self) -> int:
        """Trials that are started at most, where they are quicker than thought."""
        return math.ceil(ROOM * self.trials)


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


@dataclass(frozen=True)
class Asked:
    """What the config says that minutes do not decide; None and empty where it says nothing.

    Attributes:
        search: Rules of early stopping, and how many points the coarse round has to try.
        coarse_epochs: Of a coarse trial.
        refined_epochs: Of a refined trial.
        top: Finalists.
        seeds: Of each finalist.
        folds: Of a cross-validation.
        refit: Whether a refit is wanted.
        baselines: Whether simpler models are.
        averaged: Networks that the model may be made of.
        least_epochs: Of a refined trial: those of later cycles are trained for no less than those before.
    """

    search: SearchSpec
    coarse_epochs: int | None = None
    refined_epochs: int | None = None
    top: int | None = None
    seeds: int | None = None
    folds: int = 0
    refit: bool = True
    baselines: bool = True
    averaged: int = 1
    least_epochs: int = 1

    @classmethod
    def of(cls, spec: StudySpec) -> Asked:
        """What stands in a config; defaults are nothing that was asked for."""
        search, finalists, model = spec.search, spec.finalists, spec.model
        coarse, refined = (
            round_.max_epochs if "max_epochs" in round_.model_fields_set else None
            for round_ in (search.coarse, search.refined)
        )
        top, seeds = (
            getattr(finalists, key) if key in finalists.model_fields_set else None for key in ("top", "seeds")
        )
        averaged = averaging.at_most(spec)
        if model.average == "auto":
            averaged = min(averaged, AVERAGED)
        return cls(
            search, coarse, refined, top, seeds, finalists.folds or 0, model.refit, finalists.baselines, averaged
        )

    @property
    def lengths(self) -> Sequence[int]:
        """Epochs that a refined training may have, longest first."""
        if self.refined_epochs is not None:
            return (self.refined_epochs,)
        least = max(self.coarse_epochs or 1, self.least_epochs)
        return [epochs for epochs in LENGTHS if epochs >= least] or [least]

    @property
    def fewest_coarse(self) -> int:
        """Trials of a coarse round at least: the config's own, and every point to try."""
        return max(FEWEST_TRIALS, len(self.search.points_to_evaluate) + 2)

    def coarse_length(self, epochs: int) -> int:
        """Epochs of a coarse trial beside refined ones of ``epochs``."""
        return self.coarse_epochs or min(epochs, max(LEAST_COARSE_EPOCHS, round(epochs / COARSE_PART)))

    def last_acts(self, epochs: int) -> list[LastActSize]:
        """Last acts with trainings of ``epochs``, the best first; the last of them is the least."""
        pairs = dict.fromkeys((self.top or top, self.seeds or seeds) for top, seeds in LAST_ACTS)
        most = [
            LastActSize(*pair, self.folds, epochs, self.refit, self.refit, self.baselines, self.averaged)
            for pair in pairs
        ]
        least = most[-1]
        cut = [
            replace(least, length=False),
            replace(least, length=False, baselines=False),
            replace(least, length=False, baselines=False, refit=False),
        ]
        return list(dict.fromkeys([*most, *cut]))


@dataclass(frozen=True)
class Sizing:
    """What a study has time for.

    Attributes:
        coarse: The coarse round; None where it is over.
        refined: The refined round.
        last: The last act.
        left_out: What of it there is no time for, in words.
        fits: Whether even the least does.
        seconds_of_last: That the last act is expected to take.
    """

    coarse: RoundSize | None
    refined: RoundSize
    last: LastActSize
    left_out: tuple[str, ...] = ()
    fits: bool = True
    seconds_of_last: float = 0.0

    @property
    def seconds(self) -> float:
        """Seconds of rounds and last act."""
        return (self.coarse.seconds if self.coarse else 0.0) + self.refined.seconds + self.seconds_of_last


def size(
    seconds: float, costs: Costs, asked: Asked, *, last_s: float | None = None, with_coarse: bool = True
) -> Sizing:
    """What fits into some time.

    Args:
        seconds: For the rounds of one cycle and the last act.
        costs: What they cost.
        asked: What the config says.
        last_s: That the last act may take; None: its share of ``seconds``.
        with_coarse: Whether the coarse round is still to come.
    """
    for_last = min(seconds, LAST_SHARE * seconds if last_s is None else last_s)
    for epochs in asked.lengths:
        trials, networks = _enough(epochs, asked)
        acts = asked.last_acts(epochs)
        last = next((act for act in acts if act.seconds(costs) <= for_last), acts[-1])
        left = (seconds - last.seconds(costs)) * ((1 - COARSE_SHARE) if with_coarse else 1)
        if last.top * last.seeds >= networks and _seconds(trials, epochs, Step.REFINED_SEARCH, costs, asked) <= left:
            return _rounds(seconds, costs, asked, last, with_coarse=with_coarse)
    poorest = _least(seconds, costs, asked, with_coarse=with_coarse)
    return _rounds(seconds, costs, asked, poorest.last, with_coarse=with_coarse) if poorest.fits else poorest


def least_seconds(costs: Costs, asked: Asked) -> float:
    """Seconds of the least rounds and the least last act that are worth anything."""
    return _least(math.inf, costs, asked, with_coarse=True).seconds


def _enough(epochs: int, asked: Asked) -> tuple[int, int]:
    """Refined trials that trainings of this length should leave room for, and finalists × seeds."""
    longer = epochs > USUAL_LENGTH and asked.refined_epochs is None
    trials, (top, seeds) = (MANY, ENOUGH_OF_LONGER) if longer else (ENOUGH_TRIALS, ENOUGH)
    return trials, (asked.top or top) * (asked.seeds or seeds)


def _rounds(seconds: float, costs: Costs, asked: Asked, last: LastActSize, *, with_coarse: bool) -> Sizing:
    """The rounds of a cycle that leave time for a last act which is settled."""
    own = last.seconds(costs)
    left, coarse = seconds - own, None
    if with_coarse:
        epochs = asked.coarse_length(last.epochs)
        coarse = _round(COARSE_SHARE * left, costs, asked, Step.COARSE_SEARCH, epochs, MOST_COARSE)
    rest = left - (coarse.seconds if coarse else 0.0)
    refined = _round(rest, costs, asked, Step.REFINED_SEARCH, last.epochs, MOST_REFINED)
    left_out = _left_out(last, asked.last_acts(last.epochs)[0])
    return Sizing(coarse, refined, last, left_out, fits=refined.seconds <= rest, seconds_of_last=own)


def _least(seconds: float, costs: Costs, asked: Asked, *, with_coarse: bool) -> Sizing:
    """The fewest trials of the shortest trainings, with the richest last act that fits; for ever, the least."""
    epochs, trials = asked.lengths[-1], asked.fewest_coarse
    coarse_epochs, acts = asked.coarse_length(epochs), asked.last_acts(epochs)
    coarse = RoundSize(trials, coarse_epochs, _seconds(trials, coarse_epochs, Step.COARSE_SEARCH, costs, asked))
    own = _seconds(FEWEST_TRIALS, epochs, Step.REFINED_SEARCH, costs, asked)
    options = [
        Sizing(
            coarse if with_coarse else None,
            RoundSize(FEWEST_TRIALS, epochs, own),
            act,
            _left_out(act, acts[0]),
            seconds_of_last=act.seconds(costs),
        )
        for act in acts
    ]
    if math.isinf(seconds):
        return options[-1]
    return next((option for option in options if option.seconds <= seconds), replace(options[-1], fits=False))


def _round(seconds: float, costs: Costs, asked: Asked, step: Step, epochs: int, most: int) -> RoundSize:
    """The largest round that fits, and no smaller one than the fewest trials."""
    fewest = asked.fewest_coarse if step is Step.COARSE_SEARCH else FEWEST_TRIALS
    sizes = ((trials, _seconds(trials, epochs, step, costs, asked)) for trials in range(fewest, max(most, fewest) + 1))
    fitting = list(itertools.takewhile(lambda entry: entry[1] <= seconds, sizes))
    trials, own = fitting[-1] if fitting else (fewest, _seconds(fewest, epochs, step, costs, asked))
    return RoundSize(trials, epochs, own)


def _seconds(trials: int, epochs: int, step: Step, costs: Costs, asked: Asked) -> float:
    """Seconds of a round; no shorter than one of its trials takes by itself, to its end."""
    budget = RoundSpec(max_trials=trials, max_epochs=epochs)
    together = planned_round(asked.search, step, budget).epochs_as_of_many(costs.alone) * costs.epoch
    return max(together, epochs * costs.epoch * costs.alone * costs.slots)


def _left_out(chosen: LastActSize, whole: LastActSize) -> tuple[str, ...]:
    """What of a whole last act another one does without."""
    parts = {
        f"{chosen.top} instead of {whole.top} finalists": chosen.top < whole.top,
        f"{chosen.seeds} instead of {whole.seeds} seeds": chosen.seeds < whole.seeds,
        "no other length of the refit is tried": chosen.length < whole.length,
        "no simpler models": chosen.baselines < whole.baselines,
        "no refit": chosen.refit < whole.refit,
    }
    return tuple(text for text, is_so in parts.items() if is_so)
