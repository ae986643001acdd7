"""How a study fits into its time: how large its rounds and its last act are, by what they cost.

Arithmetic only; what things cost is measured in pace.py, and who asks when is clock.py. Of the seconds that rounds and
last act have together:

    last act         at most two fifths: finalists × seeds, the winner once more, simpler models
    coarse round     a third of what is left
    refined round    the other two thirds

Trainings are as long as leaves the refined round a dozen trials and the last act two finalists with two seeds; they are
longer than usual only where there is time for many trials of that length, and three finalists with three seeds. What is
left when a cycle is over goes into another one. Under ``search.minutes`` what the config says of epochs, finalists,
seeds and folds holds as it is, and the rest follows (``AskedSize.of``); under ``search.time_budget_s`` all that it says
is the most (``AskedSize.at_most``).

>>> from search_service.spec.study_spec import parse
>>> costs = Costs(epoch=0.02, network_epoch=0.03, single_epoch=0.03, baselines=2.0, slots=2)
>>> found = size(100.0, costs, AskedSize.of(parse({"name": "x", "data": {"source": "digits"}})))
>>> found.refined.epochs, found.last.top, found.last.seeds
(90, 3, 5)
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

from search_service.recipe.asked import USUAL_LENGTH, AskedSize
from search_service.recipe.costs import Costs, LastActSize
from search_service.recipe.planned_rounds import planned_round
from search_service.records.steps import Step
from search_service.spec.sections import RoundSpec

# Shares of what rounds and last act have together: the last act's at most, and of the rest the coarse round's.
LAST_SHARE, COARSE_SHARE = 0.4, 1 / 3
# Trials that a refined round should have at least, below which trainings are shortened; and MANY, for long ones.
ENOUGH_TRIALS, MANY = 12, 36
# Beyond, another cycle with narrower ranges brings more than more trials.
MOST_COARSE, MOST_REFINED = 128, 96
# A round may start so many times the trials that it is planned for, where it turns out to be quicker.
ROOM = 1.25
# Those that trainings are shortened for, of the usual lengths and of longer ones.
ENOUGH, ENOUGH_OF_LONGER = (2, 2), (3, 3)


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
    seconds: float, costs: Costs, asked: AskedSize, *, last_s: float | None = None, with_coarse: bool = True
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


def least_seconds(costs: Costs, asked: AskedSize) -> float:
    """Seconds of the least rounds and the least last act that are worth anything."""
    return _least(math.inf, costs, asked, with_coarse=True).seconds


def _enough(epochs: int, asked: AskedSize) -> tuple[int, int]:
    """Refined trials that trainings of this length should leave room for, and finalists × seeds."""
    longer = epochs > USUAL_LENGTH and asked.refined_epochs is None and asked.most_epochs is None
    trials, (top, seeds) = (MANY, ENOUGH_OF_LONGER) if longer else (ENOUGH_TRIALS, ENOUGH)
    networks = min((asked.top or top) * (asked.seeds or seeds), max(map(math.prod, asked.acts)))
    return min(trials, asked.most_refined or trials), networks


def _rounds(seconds: float, costs: Costs, asked: AskedSize, last: LastActSize, *, with_coarse: bool) -> Sizing:
    """The rounds of a cycle that leave time for a last act which is settled."""
    own = last.seconds(costs)
    left, coarse = seconds - own, None
    if with_coarse:
        epochs = asked.coarse_length(last.epochs)
        coarse = _round(COARSE_SHARE * left, costs, asked, Step.COARSE_SEARCH, epochs)
    rest = left - (coarse.seconds if coarse else 0.0)
    refined = _round(rest, costs, asked, Step.REFINED_SEARCH, last.epochs)
    if coarse is not None and asked.most_refined is not None:
        # What the refined round has no use for; without a limit of its own it goes into another cycle.
        coarse = _round(left - refined.seconds, costs, asked, Step.COARSE_SEARCH, coarse.epochs)
    left_out = _left_out(last, asked.last_acts(last.epochs)[0])
    return Sizing(coarse, refined, last, left_out, fits=refined.seconds <= rest, seconds_of_last=own)


def _least(seconds: float, costs: Costs, asked: AskedSize, *, with_coarse: bool) -> Sizing:
    """The fewest trials of the shortest trainings, with the richest last act that fits; for ever, the least."""
    epochs, trials = asked.lengths[-1], asked.fewest_coarse
    coarse_epochs, acts = asked.coarse_length(epochs), asked.last_acts(epochs)
    coarse = RoundSize(trials, coarse_epochs, _seconds(trials, coarse_epochs, Step.COARSE_SEARCH, costs, asked))
    refined = asked.fewest_refined
    own = _seconds(refined, epochs, Step.REFINED_SEARCH, costs, asked)
    options = [
        Sizing(
            coarse if with_coarse else None,
            RoundSize(refined, epochs, own),
            act,
            _left_out(act, acts[0]),
            seconds_of_last=act.seconds(costs),
        )
        for act in acts
    ]
    if math.isinf(seconds):
        return options[-1]
    return next((option for option in options if option.seconds <= seconds), replace(options[-1], fits=False))


def _round(seconds: float, costs: Costs, asked: AskedSize, step: Step, epochs: int) -> RoundSize:
    """The largest round that fits, and no smaller one than the fewest trials."""
    if step is Step.COARSE_SEARCH:
        fewest, most = asked.fewest_coarse, asked.most_coarse or MOST_COARSE
    else:
        fewest, most = asked.fewest_refined, asked.most_refined or MOST_REFINED
    sizes = ((trials, _seconds(trials, epochs, step, costs, asked)) for trials in range(fewest, max(most, fewest) + 1))
    fitting = list(itertools.takewhile(lambda entry: entry[1] <= seconds, sizes))
    trials, own = fitting[-1] if fitting else (fewest, _seconds(fewest, epochs, step, costs, asked))
    return RoundSize(trials, epochs, own)


def _seconds(trials: int, epochs: int, step: Step, costs: Costs, asked: AskedSize) -> float:
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
