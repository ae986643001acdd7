"""What is left of a study's minutes while it runs, and what is decided by it.

Without ``search.minutes`` there is nothing to decide (``Clock``): rounds and last act are what the config says. With
minutes (``MinutesClock``), each round is sized just before it begins, by what those before it have cost: before the
first, a few steps of the config's trial are timed. Another cycle is begun where one fits in; what the last act needs is
left for it. ``search.time_budget_s`` is kept in the same way, with less freedom (budget_clock.py). Every decision that
followed from a measured time is written into ``done/``, so that a study that goes on in another process goes on with
it, however quick that process is.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ClassVar

from search_service.errors import CheckFailedError
from search_service.folder.study_folder import StudyFolder
from search_service.recipe import pace, qualifying, second_objective
from search_service.recipe.asked import LENGTHS, AskedSize
from search_service.recipe.budgeting import LAST_SHARE, RoundSize, Sizing, least_seconds, size
from search_service.recipe.costs import Costs, LastActSize
from search_service.recipe.last_act import LastAct, LastActInMinutes
from search_service.recipe.planning import duration
from search_service.recipe.rounds import Place, by_place
from search_service.records.rounds import RoundResult, TrialResult
from search_service.runners.sizing import most_members
from search_service.space.ranges import Space
from search_service.spec.sections import CoarseSpec, RefinedSpec
from search_service.spec.study_spec import StudySpec
from trainables import timing
from trainables.process import device_for

# A cycle with less of the minutes is not worth its overhead. And that share of the last act's time is kept beside its
# estimate before another cycle is begun.
LEAST_SHARE_OF_CYCLE, LAST_SLACK = 0.1, 0.2
# That share of the minutes the end may be missed by, for what of the last act would else be left out.
SLACK = 0.02
# Seconds of the record for each trial.
RECORD_S_PER_TRIAL = 0.02
# And of comparing models on the test rows, for each of their outputs (4 000 rows of 26 classes: 5 seconds).
JUDGING_S = 5e-5
# What was timed before the first round, beside Ray's start, is slower than it will be, and the round ends by the clock
# if it is not; a round that is over too soon has wasted its chance.
OPTIMISM = 0.5
# Times the minutes that the least of a study may take before it is refused: what was timed for a moment
# may be half as much. Shorter times than these seconds are kept as well as can be: a start alone may be a quarter.
TOO_LONG, LEAST_EXACT_S = 2.0, 120.0


@dataclass(frozen=True)
class Minutes:
    """A study's time, as the process that runs it knows it.

    Attributes:
        seconds: From the command to its last line, those of earlier processes included.
        began_at: Instant of ``time.monotonic()`` at which the first of them would have begun, without the pauses.
        start_s: That this process has taken until the study began: how quick this machine is with what trains nothing.
        workers_s: Until the first round's workers are at it, which start beside steps 1 to 3.
        end_s: From the study's end to the last line.
        slots: Populations that train at once.
        beside: What reports and tasks take beside training.
        spent_s: Of ``seconds``, those that an earlier study took which this one goes on from.
    """

    seconds: float
    began_at: float
    start_s: float = 0.0
    workers_s: float = 0.0
    end_s: float = 0.0
    slots: int = 1
    beside: pace.Beside = field(default_factory=pace.Beside)
    spent_s: float = 0.0


@dataclass(frozen=True)
class Sized:
    """What was decided, and by what.

    Attributes:
        sizing: What there is time for.
        at_s: When, in seconds since the study began.
        left_s: Seconds that there were for it.
        costs: What was measured.
    """

    sizing: Sizing
    costs: Costs
    at_s: float
    left_s: float


class Clock:
    """Rounds and last act as the config has them."""

    def coarse(self, place: Place, space: Space) -> Place:
        """The place with the size of the coarse round that is next.

        Args:
            place: Where it would be run.
            space: Its ranges.
        """
        return place

    def refined(self, place: Place, coarse: RoundResult) -> Place:
        """The place with the size of the refined round that is next.

        Args:
            place: Where it would be run.
            coarse: The coarse round before it.
        """
        return place

    def another_fits(self, place: Place) -> bool | None:
        """Whether there is time for another cycle; None where that is not for the clock to say."""
        return None

    def deciding(self, place: Place) -> Place:
        """The place whose limits step 6 goes by."""
        return place

    def last_act(self, place: Place) -> tuple[Place, LastAct]:
        """The place with as many finalists as there is time for, and who decides the rest of the last act."""
        return place, LastAct()


class MinutesClock(Clock):
    """Decides by what is left of the minutes.

    Args:
        spec: What was asked.
        minutes: The study's time.
        files: Decisions are written here.
    """

    # What rounds and finalists are said to be decided by.
    BY: ClassVar[str] = "the minutes"

    def __init__(self, spec: StudySpec, minutes: Minutes, files: StudyFolder) -> None:
        self._minutes, self._files = minutes, files
        self._asked = AskedSize.of(spec)
        self._costs: Costs | None = None
        # That the last act may take.
        self._last_s = LAST_SHARE * (minutes.seconds - minutes.spent_s - minutes.start_s - minutes.end_s)

    def coarse(self, place: Place, space: Space) -> Place:
        """See ``Clock``."""
        number, is_first = len(place.rounds) + 1, not place.rounds

        def decide() -> Sized:
            if (ending := self._files.ending) is not None:
                # It is over, and told again: nothing is decided any more.
                raise CheckFailedError(ending.partition(": ")[2])
            left = self._left(place)
            if is_first:
                costs = self._first_costs(place, space)
                self._require_enough(costs)
                costs = costs.times(OPTIMISM)
                return Sized(size(left, costs, self._asked), costs, self._now, left)
            return Sized(*self._cycle(place), self._now, left)

        sized = self._files.once(f"minutes-{number}", Sized, decide)
        self._costs = sized.costs
        coarse = sized.sizing.coarse
        assert coarse is not None
        slack = self._minutes.workers_s if is_first else 0.0
        return self._sized(place, sized, coarse, slack)

    def refined(self, place: Place, coarse: RoundResult) -> Place:
        """See ``Clock``."""

        def decide() -> Sized:
            left, costs = self._left(place), self._costs_after(place, coarse)
            sizing = size(left, costs, self._asked, last_s=self._last_s, with_coarse=False)
            return Sized(sizing, costs, self._now, left)

        sized = self._files.once(f"minutes-{len(place.rounds) + 1}", Sized, decide)
        self._costs = sized.costs
        # Refined trainings of later cycles that were shorter would come behind these, however good.
        self._asked = replace(self._asked, least_epochs=sized.sizing.refined.epochs)
        place = self._sized(place, sized, sized.sizing.refined, 0.0)
        if sized.sizing.fits:
            return place
        # What time there is belongs to the last act, on what the coarse round has found.
        return replace(place, deadline=self._minutes.began_at, sentences=("there is no time for this round",))

    def another_fits(self, place: Place) -> bool | None:
        """See ``Clock``; what is decided by it is written down by who asks."""
        refined = place.rounds[-1]
        if refined.best is None:
            return False
        following, _ = self._cycle(place)
        assert following.coarse is not None
        fewest = min(following.coarse.trials, following.refined.trials)
        time_for_rounds = self._left(place) - following.seconds_of_last
        return (
            following.fits
            and fewest >= self._asked.fewest_of_cycle
            and time_for_rounds >= LEAST_SHARE_OF_CYCLE * (self._minutes.seconds - self._minutes.spent_s)
        )

    def _cycle(self, place: Place) -> tuple[Sizing, Costs]:
        """The rounds of another cycle, and what they cost."""
        left, costs = self._left(place), self._costs_after(place, place.rounds[-1])
        # The last act's estimate may be too low, and it comes last.
        left -= LAST_SLACK * min(self._last_s, max(left, 0.0))
        return size(left, costs, self._asked, last_s=self._last_s), costs

    def _require_enough(self, costs: Costs) -> None:
        """See to it that the least that is worth anything does not take much longer than the minutes.

        Raises:
            CheckFailedError: It does.
        """
        seconds = self._minutes.seconds
        least = self._now + least_seconds(costs, self._asked) + self._minutes.end_s
        # Who asks for less than two minutes gets as little as there is.
        if least - self._now > TOO_LONG * max(seconds, LEAST_EXACT_S):
            raise CheckFailedError(self._too_short(least))

    def _too_short(self, least: float) -> str:
        """What is said where even the least takes much longer.

        Args:
            least: Seconds of the least.
        """
        return (
            f"search.minutes: {self._minutes.seconds / 60:g} are too few for this table: a few trials of {LENGTHS[-1]} "
            "epochs and a winner of two seeds, without a refit or simpler models, take about "
            f"{least / 60:.2g}; give it as many, or fewer rows"
        )

    def last_act(self, place: Place) -> tuple[Place, LastAct]:
        """See ``Clock``."""
        return self._in_time(place, self._sized_last_act(place))

    def _sized_last_act(self, place: Place) -> Sized:
        """What there is time for when the rounds are over."""
        rounds = place.rounds

        def decide() -> Sized:
            left = self._left(place)
            over = next((done for done in reversed(rounds) if done.best is not None), rounds[-1])
            epochs = max(trial.epochs for done in rounds for trial in done.ranked)
            options = list(self._last_acts(place, over, epochs))
            fitting = (option for option in options if option[0].seconds(option[1]) <= left + self._slack_s)
            last, costs = next(fitting, options[-1])
            seconds, nothing = last.seconds(costs), RoundSize(0, epochs, 0.0)
            fits = seconds <= left + self._slack_s
            sizing = Sizing(None, nothing, last, fits=fits, seconds_of_last=seconds)
            return Sized(sizing, costs, self._now, left)

        return self._files.once("minutes-last-act", Sized, decide)

    def _last_acts(self, place: Place, over: RoundResult, epochs: int) -> Iterator[tuple[LastActSize, Costs]]:
        """Last acts, the best first, and what they cost: who would be a finalist in each is known by now."""
        spec, dataset = place.spec, place.dataset
        pareto = second_objective.run(spec, place.rounds, dataset)
        known: dict[int, tuple[int, Costs]] = {}
        for act in self._asked.last_acts(epochs):
            if act.top not in known:
                update = {"finalists": spec.finalists.model_copy(update={"top": act.top})}
                candidates, _ = qualifying.choose(spec.model_copy(update=update), place.rounds, dataset, pareto)
                longest = max(trial.epochs for trial in candidates)
                known[act.top] = longest, self._costs_after(place, over, candidates)
            longest, costs = known[act.top]
            yield replace(act, epochs=longest), costs

    def _in_time(self, place: Place, sized: Sized) -> tuple[Place, LastAct]:
        """The place with as many finalists, and who decides the rest by how long they take."""
        spec, last, seeds = place.spec, sized.sizing.last, self._asked.seeds
        # A few seeds first: how long these take says how many more there is time for.
        update = {"top": last.top, "seeds": seeds or min(LastActInMinutes.FIRST_SEEDS, last.seeds)}
        finalists = spec.finalists.model_copy(update=update)
        act = LastActInMinutes(
            place.dataset,
            sized.costs,
            self._files,
            metric=spec.metric,
            left=partial(self._left, place),
            most_seeds=seeds or self._asked.most_seeds,
            slack_s=self._slack_s,
        )
        return replace(place, spec=spec.model_copy(update={"finalists": finalists}), deadline=None), act

    @property
    def _now(self) -> float:
        """Seconds since the study began."""
        return time.monotonic() - self._minutes.began_at

    @property
    def _slack_s(self) -> float:
        """Seconds by which the end may be missed for more of the last act."""
        return SLACK * self._minutes.seconds

    def _left(self, place: Place) -> float:
        """Seconds that are left for rounds and last act."""
        trials, rows = sum(len(done.trials) for done in place.rounds), len(place.dataset.validation)
        judging = JUDGING_S * self._minutes.beside.load * rows * place.dataset.n_outputs
        end_s = self._minutes.end_s + RECORD_S_PER_TRIAL * trials + judging
        return self._minutes.seconds - end_s - self._now

    def _first_costs(self, place: Place, space: Space) -> Costs:
        spec, slots = place.spec, self._minutes.slots
        members = most_members(CoarseSpec().max_trials, slots)
        measured = timing.measure(
            [spec.trial] * members, place.dataset, metric=spec.metric, device=device_for(spec.search.gpus_per_trial)
        )
        return pace.before_rounds(spec, place.dataset, space, measured, slots, self._minutes.beside)

    def _costs_after(self, place: Place, done: RoundResult, finalists: Sequence[TrialResult] = ()) -> Costs:
        """What things cost, of the round that has just ended; as before where it tells nothing.

        Args:
            place: Where the study is.
            done: The round.
            finalists: The trials that will be trained again; without any, they will be like the round's best.
        """
        best = finalists or by_place(done)[: self._asked.top or 3]
        if best and done.seconds > 0:
            found = pace.after_round(place.spec, place.dataset, done, best, self._minutes.slots, self._minutes.beside)
            if pace.finite(found):
                return found
        return self._costs or self._first_costs(place, done.plan.space)

    def _sized(self, place: Place, sized: Sized, round_: RoundSize, slack_s: float) -> Place:
        """The place with a round's size and time."""
        trials = round_.most_trials
        place = place.searching(
            coarse=CoarseSpec(max_trials=trials, max_epochs=round_.epochs),
            refined=RefinedSpec(max_trials=trials, max_epochs=round_.epochs),
        )
        deadline = self._deadline(sized, round_, round_.seconds) + slack_s
        sentence = self._sentence(sized, round_, f"{self._minutes.seconds / 60:g}")
        return replace(place, deadline=deadline, deadline_of="round", sentences=(sentence,))

    def _deadline(self, sized: Sized, round_: RoundSize, seconds: float) -> float:
        """Instant after which a round that has so many seconds starts no more trials."""
        # Whoever is started last still has to be trained, in the worst case to its end.
        tail = round_.epochs * sized.costs.epoch * sized.costs.slots
        return self._minutes.began_at + sized.at_s + max(seconds - tail, seconds / 2)

    def _sentence(self, sized: Sized, round_: RoundSize, most: str) -> str:
        last = sized.sizing.last
        text = (
            f"by {self.BY} ({most}): about {round_.trials} trials of up to {round_.epochs} "
            f"epochs in {duration(round_.seconds)}, then {last.top} × {last.seeds} seeds as finalists and the model in "
            f"{duration(sized.sizing.seconds_of_last)}"
        )
        if sized.sizing.left_out:
            text += f"; for want of time: {', '.join(sized.sizing.left_out)}"
        if sized.sizing.fits:
            return text
        beyond = max(sized.sizing.seconds - sized.left_s, 0.0)
        return f"{text}; that is the least, and takes {duration(beyond)} longer than {self.BY}"
