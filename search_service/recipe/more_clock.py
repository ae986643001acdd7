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
from search_service.recipe.budget_clock import BudgetClock
from search_service.recipe.clock import Clock, Minutes, MinutesClock
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
        trials, epochs = self._coarse_trials(place.spec), self._epochs(place)
        return self.deciding(place).searching(coarse=CoarseSpec(max_trials=trials, max_epochs=epochs))

    def refined(self, place: Place, coarse: RoundResult) -> Place:
        """See ``Clock``."""
        trials, epochs = self._trials - self._coarse_trials(place.spec), self._epochs(place)
        return self.deciding(place).searching(refined=RefinedSpec(max_trials=trials, max_epochs=epochs))

    def deciding(self, place: Place) -> Place:
        """See ``Clock``."""
        return _without_limits(place).searching(max_cycles=self._cycle)

    def _coarse_trials(self, spec: StudySpec) -> int:
        """Trials of the coarse round, which leave one at least to the refined round."""
        coarse, refined = spec.search.coarse.max_trials, spec.search.refined.max_trials
        return min(max(round(self._trials * coarse / (coarse + refined)), 1), self._trials - 1)

    @staticmethod
    def _epochs(place: Place) -> int:
        """Of the last round of the kind that is next, since coarse and refined rounds take turns."""
        return place.rounds[-2].plan.limits.max_epochs


class MoreMinutesClock(MinutesClock):
    """Further cycles within so many minutes more.

    Args:
        spec: What was asked.
        minutes: All of the study's time.
        files: Decisions are written here.
    """

    def __init__(self, spec: StudySpec, minutes: Minutes, files: StudyFolder) -> None:
        super().__init__(spec, minutes, files)
        if spec.search.time_budget_s is not None:
            # Its rounds were trained for as long as there was time for.
            self._asked = self._asked.of_shorter()

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
        return _without_limits(place).searching(minutes=self._minutes.seconds / 60)

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


def clock_for(spec: StudySpec, minutes: Minutes | None, files: StudyFolder) -> Clock:
    """The clock of a study as it was begun.

    Args:
        spec: What was asked.
        minutes: Its time, if it has any.
        files: The study's folder.
    """
    if minutes is not None and spec.search.minutes is not None:
        return MinutesClock(spec, minutes, files)
    if minutes is not None and spec.search.time_budget_s is not None:
        return BudgetClock(spec, minutes, files)
    return Clock()


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


def _without_limits(place: Place) -> Place:
    """The place without what may have ended the study."""
    return replace(place, deadline=None).searching(time_budget_s=None, max_total_epochs=None, minutes=None)
