"""The journals of a round: what the book writes down, and what it reads when it goes on.

plan.json is written and compared by ``plan_file.py``, rungs.jsonl by ``early_stopping/halving.py``. Entries are found
by their ids, never by their places: a line that is lost cannot give a result to another configuration.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from search_service.errors import DamagedFileError
from search_service.folder import journals, layout
from search_service.records.round_plan import RoundPlan
from search_service.records.rounds import TrialResult
from search_service.runners.base import Cohort, Member
from search_service.runners.cohort import CohortTraining
from search_service.runners.paused import Part, Paused, Training
from search_service.space.ranges import Choices
from trainables.records import EpochPoint, PopulationSize


class RoundJournals:
    """The journals in a round's folder.

    Args:
        plan: The round's plan, which names the folder.
    """

    def __init__(self, plan: RoundPlan) -> None:
        self._plan, self._folder = plan, plan.folder

    def trial_id(self, number: int) -> str:
        """Id of the trial with a number, from 0."""
        return f"r{self._plan.number}-{number:03d}"

    def append(self, journal: str, entries: Iterable[object]) -> None:
        """Write entries down, whatever becomes of this process."""
        # What a process knows of a trial must not be more than what the next one can read.
        journals.append(self._folder / journal, entries, durable=True)

    def write_suggested(self, cohorts: Sequence[Cohort]) -> None:
        """Cohorts that are to be trained."""
        entries = [
            {
                "trial": member.trial_id,
                "cohort": cohort.cohort_id,
                "members": len(cohort.members),
                "values": dict(member.values),
                "config": member.config.to_plain(),
                **({} if cohort.wave is None else {"wave": cohort.wave}),
            }
            for cohort in cohorts
            for member in cohort.members
        ]
        self.append(layout.SUGGESTED, entries)

    def write_ended(self, trial: TrialResult, cohort_id: str, seconds: float) -> None:
        """A trial has ended, so many seconds after the round began."""
        entry = {
            "trial": trial.trial_id,
            "status": trial.status,
            "reason": trial.reason,
            "cohort": cohort_id,
            "worker": trial.worker,
            "seconds": seconds,
            "config": trial.config.to_plain(),
            "curve": [point.to_plain() for point in trial.curve],
            **({} if trial.times is None else {"times": asdict(trial.times)}),
        }
        self.append(layout.ENDED_TRIALS, [entry])

    def write_paused(self, part: Part, curves: Mapping[str, Any], times: Mapping[str, Training]) -> None:
        """A cohort that was saved, with what was reported of those who are left, and how long they were trained."""
        trained = {trial: asdict(training) for trial, training in times.items()}
        entry = {"cohort": part.cohort_id, "epoch": part.epoch, "curves": curves, "times": trained}
        self.append(layout.PAUSES, [entry])

    def write_ending(self, stop_reason: str, seconds: float, sizes: Iterable[PopulationSize]) -> None:
        """The round is over."""
        ending = {"stop_reason": stop_reason, "seconds": seconds, "sizes": [asdict(size) for size in sizes]}
        journals.write_whole(self._folder / layout.ROUND_ENDING, ending)

    def write_merged(self, cohort: Cohort, parts: Sequence[Part]) -> None:
        """A cohort that is made of what others have left."""
        entry = {
            "cohort": cohort.cohort_id,
            "of": [part.cohort_id for part in parts],
            "epoch": parts[0].epoch,
            "trials": [member.trial_id for member in cohort.members],
        }
        self.append(layout.MERGES, [entry])

    def suggested(self) -> list[dict[str, Any]]:
        """What was asked, without a last cohort of which not every member was written: it was never trained."""
        path = self._folder / layout.SUGGESTED
        asked = journals.mend(path)
        # By their ids and not by their places: a configuration is that of its own trial, or of none.
        for number, entry in enumerate(asked):
            if entry["trial"] != self.trial_id(number):
                raise self._damaged(layout.SUGGESTED, f"{entry['trial']} stands where {self.trial_id(number)} is due")
        if asked:
            last = [entry for entry in asked if entry["cohort"] == asked[-1]["cohort"]]
            if len(last) < last[0]["members"]:
                asked = asked[: -len(last)]
                journals.keep(path, len(asked))
        return asked

    def find(self, members: Mapping[str, Member], trials: Iterable[str], journal: str) -> tuple[Member, ...]:
        """The members that a journal names.

        Raises:
            DamagedFileError: One of them was never suggested.
        """
        if missing := [trial for trial in trials if trial not in members]:
            raise self._damaged(layout.SUGGESTED, f"it lacks {missing[0]}, which {journal} has")
        return tuple(members[trial] for trial in trials)

    def _damaged(self, name: str, problem: str) -> DamagedFileError:
        folder = self._folder
        remedy = f"bring it back from a backup, or remove {folder} and what came after it: that is done again"
        return DamagedFileError(folder / name, problem, remedy)

    def paused(self, members: Mapping[str, Member], waiting: Paused) -> dict[str, Part]:
        """What was saved of cohorts and is still there, by their ids, in the order in which it was."""
        parts: dict[str, Part] = {}
        for entry in journals.mend(self._folder / layout.PAUSES):
            name, folder = entry["cohort"], waiting.folder_of(entry["cohort"])
            parts.pop(name, None)
            if CohortTraining.is_saved(folder):
                left = self.find(members, entry["curves"], layout.PAUSES)
                curves = {trial: points_of(curve) for trial, curve in entry["curves"].items()}
                times = {trial: Training.read(raw) for trial, raw in entry.get("times", {}).items()}
                parts[name] = Part(name, entry["epoch"], left, folder, curves, times)
        return parts

    def merged(self, members: Mapping[str, Member], waiting: Paused) -> list[Cohort]:
        """Cohorts that were made of such, in the order in which they were."""
        entries = journals.mend(self._folder / layout.MERGES)
        return [
            Cohort(
                entry["cohort"],
                self.find(members, entry["trials"], layout.MERGES),
                tuple(map(waiting.folder_of, entry["of"])),
            )
            for entry in entries
        ]

    def drawn(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values as they were drawn: a choice that is a list in JSON is a tuple in the space."""
        space = self._plan.space
        return {
            leaf: range_.restore(value) if isinstance(range_ := space.get(leaf), Choices) else value
            for leaf, value in values.items()
        }


def points_of(curve: Sequence[Mapping[str, Any]]) -> list[EpochPoint]:
    """A curve as it was before it became plain data."""
    return [EpochPoint(**point) for point in curve]
