"""The clock of a study with ``search.time_budget_s``: all that the config says, as far as there is time for it.

Trials, epochs, cycles, finalists and seeds are the config's at most, and the time bounds them as it bounds a study with
minutes (clock.py): each round has what those after it and the last act do not need, by what was measured, trainings are
shortened where a dozen refined trials would not fit in, and no cycle is begun that does not. Where there is time for
all of it, nothing is decided here, and the study is the one without a budget.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar

from search_service.folder import layout
from search_service.folder.study_folder import StudyFolder
from search_service.recipe.asked import AskedSize
from search_service.recipe.budgeting import RoundSize
from search_service.recipe.clock import Minutes, MinutesClock, Sized
from search_service.recipe.last_act import LastAct
from search_service.recipe.rounds import Place
from search_service.records.rounds import RoundResult
from search_service.space.ranges import Space
from search_service.spec.sections import CoarseSpec, RefinedSpec
from search_service.spec.study_spec import StudySpec

# Times what the last act is expected to take, beyond which nobody looks at the clock meanwhile.
AMPLE = 2.0


class BudgetClock(MinutesClock):
    """Decides by what is left of the time budget.

    Args:
        spec: What was asked.
        minutes: The study's time.
        files: Decisions are written here.
    """

    BY: ClassVar[str] = "the time budget"

    def __init__(self, spec: StudySpec, minutes: Minutes, files: StudyFolder) -> None:
        super().__init__(spec, minutes, files)
        self._asked = AskedSize.at_most(spec)

    def coarse(self, place: Place, space: Space) -> Place:
        """See ``Clock``."""
        return self._at_the_end(place) if self._began_before(place) else super().coarse(place, space)

    def refined(self, place: Place, coarse: RoundResult) -> Place:
        """See ``Clock``."""
        return self._at_the_end(place) if self._began_before(place) else super().refined(place, coarse)

    def another_fits(self, place: Place) -> bool | None:
        """See ``Clock``: whether it is worth it is not for the clock to say."""
        return None if super().another_fits(place) else False

    def deciding(self, place: Place) -> Place:
        """See ``Clock``."""
        return self._at_the_end(place)

    def last_act(self, place: Place) -> tuple[Place, LastAct]:
        """See ``Clock``."""
        sized = self._sized_last_act(place)
        last = sized.sizing.last
        if last == self._asked.last_acts(last.epochs)[0] and AMPLE * last.seconds(sized.costs) <= sized.left_s:
            return replace(place, deadline=None), LastAct()
        return self._in_time(place, sized)

    def _began_before(self, place: Place) -> bool:
        """Whether an earlier version has begun the round, which knew of no share for it."""
        number, files = len(place.rounds) + 1, self._files
        begun = (layout.round_folder(files.path, number) / layout.PLAN).exists()
        return begun and files.read(f"minutes-{number}", Sized) is None

    def _at_the_end(self, place: Place) -> Place:
        return replace(place, deadline=self._minutes.began_at + self._minutes.seconds, deadline_of="study")

    def _sized(self, place: Place, sized: Sized, round_: RoundSize, slack_s: float) -> Place:
        """The place with a round's time, where the time that the rounds after it can use and the last act are kept."""
        sizing, search = sized.sizing, place.spec.search
        is_coarse = round_ is sizing.coarse
        follows = sizing.seconds_of_last + (sizing.refined.seconds if is_coarse else 0.0)
        deadline = self._deadline(sized, round_, max(round_.seconds, sized.left_s - follows)) + slack_s
        asked = search.coarse if is_coarse else search.refined
        place = self._at_the_end(place).searching(
            coarse=CoarseSpec(max_trials=search.coarse.max_trials, max_epochs=round_.epochs),
            refined=RefinedSpec(max_trials=search.refined.max_trials, max_epochs=round_.epochs),
        )
        assert place.deadline is not None
        if deadline < place.deadline:
            place = replace(place, deadline=deadline, deadline_of="budget")
        if round_.trials >= asked.max_trials and round_.epochs >= asked.max_epochs and sizing.fits:
            return place
        return replace(place, sentences=(self._sentence(sized, round_, f"{self._minutes.seconds:g} s"),))

    def _too_short(self, least: float) -> str:
        """See ``MinutesClock``."""
        epochs, own = self._asked.lengths[-1], self._minutes.seconds
        return (
            f"search.time_budget_s: {own:g} is too little for this table: a few trials of {epochs} epochs and a winner "
            f"of two seeds, without a refit or simpler models, take about {math.ceil(least)} s; give it as many, or "
            "use fewer rows"
        )
