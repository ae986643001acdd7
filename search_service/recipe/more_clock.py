"""The clock of a study, also of one that was given more: its rounds so far as they were, further ones by that.

Further trials are one more cycle, divided between its rounds as those of the config's cycle are, each trial trained
for as long as those before. Further minutes are spent as ``search.minutes`` are (clock.py), by what the rounds before
have cost. Either takes the place of whatever had ended the study: cycles, seconds or epochs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from search_service.folder.extending import extensions
from search_service.folder.study_folder import StudyFolder
from search_service.recipe.clock import Clock, Minutes, MinutesClock, clock_for
from search_service.recipe.last_act import LastAct
from search_service.recipe.rounds import Place
from search_service.records.rounds import RoundResult
from search_service.space.ranges import Space
from search_service.spec.sections import CoarseSpec, RefinedSpec
from search_service.spec.study_spec import StudySpec


class TrialsClock(Clock):
    """Another cycle of so many trials.

    Args:
        trials: Of both rounds together, 2 at least.
        rounds: That the study had before.
    """

    def __init__(self, trials: int, rounds: int) -> None:
        self._trials, self._cycle = trials, rounds // 2 + 1

    def coarse(self, place: Place, space: Space) -> Place:
        """See ``Clock``."""
        return self._sized(place, place.rounds[-2].plan.limits.max_epochs, place.rounds[-1].plan.limits.max_epochs)

    def refined(self, place: Place, coarse: RoundResult) -> Place:
        """See ``Clock``."""
        return self._sized(place, place.rounds[-3].plan.limits.max_epochs, place.rounds[-2].plan.limits.max_epochs)

    def deciding(self, place: Place) -> Place:
        """See ``Clock``."""
        search = place.spec.search.model_copy(update=_without_limits() | {"max_cycles": self._cycle})
        return replace(place, spec=place.spec.model_copy(update={"search": search}), deadline=None)

    def _sized(self, place: Place, coarse_epochs: int, refined_epochs: int) -> Place:
        coarse, refined = self._shares(place.spec)
        place = self.deciding(place)
        update = {
            "coarse": CoarseSpec(max_trials=coarse, max_epochs=coarse_epochs),
            "refined": RefinedSpec(max_trials=refined, max_epochs=refined_epochs),
        }
        search = place.spec.search.model_copy(update=update)
        return replace(place, spec=place.spec.model_copy(update={"search": search}))

    def _shares(self, spec: StudySpec) -> tuple[int, int]:
        """Trials of the two rounds: each has one at least."""
        asked = spec.search.coarse.max_trials, spec.search.refined.max_trials
        coarse = round(self._trials * asked[0] / sum(asked))
        coarse = min(max(coarse, 1), self._trials - 1)
        return coarse, self._trials - coarse


class MoreMinutesClock(MinutesClock):
    """Further cycles within so many minutes more.

    Args:
        spec: What was asked.
        minutes: All of the study's time.
        files: Decisions are written here.
    """

    def coarse(self, place: Place, space: Space) -> Place:
        """See ``Clock``."""
        # Trials that were trained for less than those before would come behind them, however good.
        self._asked = replace(self._asked, least_epochs=place.rounds[-1].plan.limits.max_epochs)
        return super().coarse(self.deciding(place), space)

    def refined(self, place: Place, coarse: RoundResult) -> Place:
        """See ``Clock``."""
        return super().refined(self.deciding(place), coarse)

    def deciding(self, place: Place) -> Place:
        """See ``Clock``."""
        update = _without_limits() | {"minutes": self._minutes.seconds / 60}
        search = place.spec.search.model_copy(update=update)
        return replace(place, spec=place.spec.model_copy(update={"search": search}), deadline=None)

    def last_act(self, place: Place) -> tuple[Place, LastAct]:
        """See ``Clock``."""
        return super().last_act(self.deciding(place))


class ExtendedClock(Clock):
    """Whose turn it is, by the number of the round.

    Args:
        first: The clock of the study that was begun from a config.
        more: Each further clock, and the number of rounds that there were before it.
    """

    def __init__(self, first: Clock, more: Sequence[tuple[int, Clock]]) -> None:
        self._clocks = [(0, first), *more]

    def coarse(self, place: Place, space: Space) -> Place:
        """See ``Clock``."""
        return self._of(len(place.rounds) + 1).coarse(place, space)

    def refined(self, place: Place, coarse: RoundResult) -> Place:
        """See ``Clock``."""
        return self._of(len(place.rounds) + 1).refined(place, coarse)

    def another_fits(self, place: Place) -> bool | None:
        """See ``Clock``."""
        return self._of(len(place.rounds)).another_fits(place)

    def deciding(self, place: Place) -> Place:
        """See ``Clock``."""
        return self._of(len(place.rounds)).deciding(place)

    def last_act(self, place: Place) -> tuple[Place, LastAct]:
        """See ``Clock``."""
        return self._of(len(place.rounds)).last_act(place)

    def _of(self, number: int) -> Clock:
        return next(clock for rounds, clock in reversed(self._clocks) if rounds < number)


def clock_of(spec: StudySpec, minutes: Minutes | None, files: StudyFolder) -> Clock:
    """The clock of a study, which may go on from where an earlier one ended.

    Args:
        spec: What was asked.
        minutes: Its time, if it was asked to end in time or given minutes, which say themselves how many they are.
        files: Its folder.
    """
    first, more = clock_for(spec, minutes, files), list[tuple[int, Clock]]()
    for given in extensions(files):
        if given.trials is not None:
            more.append((given.rounds, TrialsClock(given.trials, given.rounds)))
        elif minutes is not None and given.minutes is not None:
            time = replace(minutes, seconds=given.seconds + 60 * given.minutes, spent_s=given.seconds)
            more.append((given.rounds, MoreMinutesClock(spec, time, files)))
    return ExtendedClock(first, more) if more else first


def _without_limits() -> dict[str, object]:
    """Of what had ended the study, the part that lies in the config."""
    return {"time_budget_s": None, "max_total_epochs": None, "minutes": None}
