"""A study that is over is given more: the folder of a new study that goes on from where that one ended.

What a study has found stays as it is, with its record. The new one begins with a copy of its rounds and of what was
decided up to them, so that none of its trials is trained again; it goes on with another cycle, of so many trials or for
so many minutes. Its finalists are chosen among the trials of all rounds and are trained by its own process, together.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from search_service.errors import DataError, Problem
from search_service.folder import journals, layout
from search_service.folder.study_folder import StudyFolder
from search_service.spec.sections import MOST_MINUTES, MOST_TRIALS

# Of what is done, the parts that belong to rounds; what is left out belongs to the last act.
_OF_ROUNDS = re.compile(r"(step-\d+(-cycle-\d+)?|warm-start|noise-\d+|decision-\d+|minutes-\d+)\.json")
# In a round's folder, of use to the process that ran it only.
_OF_PROCESS = shutil.ignore_patterns(layout.CHECKPOINTS, layout.PAUSED)
# One trial of each of the two rounds of a cycle. At most what a config may ask of a round, and of its minutes.
LEAST_TRIALS = 2


@dataclass(frozen=True)
class Extension:
    """What a study was given more of: either trials or minutes.

    Attributes:
        of: Id of the study that was over.
        rounds: That it had, which stand.
        seconds: That it had taken.
        trials: Of another cycle, both rounds together.
        minutes: For further cycles and the last act.
    """

    of: str
    rounds: int
    seconds: float
    trials: int | None = None
    minutes: float | None = None

    @property
    def more(self) -> str:
        """What was given, as in "12 trials"."""
        return f"{self.trials} trials" if self.trials is not None else f"{self.minutes:g} minutes"


def extensions(files: StudyFolder) -> tuple[Extension, ...]:
    """What the study in a folder was given more of, the first time first; none for one that was begun from a config."""
    found = journals.read_whole(files.path / layout.EXTENSIONS) or []
    return tuple(Extension(**each) for each in found)


def extend(files: StudyFolder, folder: Path, *, trials: int | None = None, minutes: float | None = None) -> StudyFolder:
    """Make the folder of the study that goes on.

    Args:
        files: The study that is over; nobody works on it meanwhile.
        folder: That of the new study, which does not exist; it is there once it is whole.
        trials: Of another cycle; or
        minutes: For further cycles and the last act.

    Raises:
        DataError: The study has not ended, or has no rounds to go on from, or what is given is not one of the two.
    """
    decision = require_extendable(files, trials, minutes)
    more = Extension(files.path.name, 2 * decision["cycle"], files.seconds, trials, minutes)
    # Beside it, under a name that is no study's: a copy that was cut short is none.
    unfinished = folder.parent / f".{folder.name}-{secrets.token_hex(4)}"
    unfinished.mkdir(parents=True)
    try:
        _copy(files, unfinished, more.rounds)
        known = [*map(asdict, extensions(files)), asdict(more)]
        journals.write_whole(unfinished / layout.EXTENSIONS, known)
        reason = f"{decision['reason']}; study {files.path.name} was extended by {more.more}, so another cycle is begun"
        path = unfinished / layout.DONE / f"decision-{decision['cycle']}.json"
        journals.write_whole(path, decision | {"stop": False, "reason": reason})
        new, began = StudyFolder(unfinished), files.beginning
        if began is not None:
            new.begin(replace(began, study_id=folder.name))
        new.note_seconds(files.seconds, at_once=True)
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return StudyFolder(folder)


def _copy(files: StudyFolder, target: Path, rounds: int) -> None:
    # Not its time, by which the newest study is found.
    shutil.copyfile(files.path / layout.SPEC, target / layout.SPEC)
    (target / layout.DONE).mkdir()
    for part in (files.path / layout.DONE).iterdir():
        if _OF_ROUNDS.fullmatch(part.name):
            shutil.copy2(part, target / layout.DONE / part.name)
    for number in range(1, rounds + 1):
        source = layout.round_folder(files.path, number)
        shutil.copytree(source, layout.round_folder(target, number), ignore=_OF_PROCESS)


def require_extendable(files: StudyFolder, trials: int | None, minutes: float | None) -> dict[str, Any]:
    """See to it that a study can be given that; returns step 6's decision to stop, with which its rounds ended.

    Raises:
        DataError: The study has not ended, or has no rounds to go on from, or what is given is not one of the two.
    """
    _require_one_of(trials, minutes)
    name, ending = files.path.name, files.ending
    if ending is None:
        rule, fix = "a study that is over", f"go on with it: search-service run --study {name}"
        if files.is_locked:
            rule, fix = f"{rule}; a process is running this one", "wait for its end"
        raise DataError([Problem("STUDY", name, rule, fix)])
    found = [path for path in (files.path / layout.DONE).glob("decision-*.json") if path.stem.split("-")[1].isdigit()]
    if not found or not ending.startswith("completed"):
        rule = f"a study that has found a model; this one has ended, {ending}"
        raise DataError([Problem("STUDY", name, rule, "mend its config as the reason says, and run that")])
    last = max(found, key=lambda path: int(path.stem.split("-")[1]))
    decision: dict[str, Any] = json.loads(last.read_text(encoding="utf-8"))
    return decision


def _require_one_of(trials: int | None, minutes: float | None) -> None:
    """See to it that either trials or minutes are given, and enough.

    Raises:
        DataError: They are not.
    """
    if (trials is None) == (minutes is None):
        given = "both" if trials is not None else "neither"
        fix = "say how much more it is given: --trials 24, for example, or --minutes 10"
        raise DataError([Problem("trials, minutes", given, "one of the two: trials or minutes", fix)])
    if trials is not None and trials < LEAST_TRIALS:
        rule = f"{LEAST_TRIALS} or more: a coarse and a refined round of one trial each"
        raise DataError([Problem("trials", trials, rule, "give it more trials")])
    if trials is not None and trials > MOST_TRIALS:
        raise DataError([Problem("trials", trials, f"{MOST_TRIALS} at most", "extend it several times")])
    if minutes is not None and not 0 < minutes <= MOST_MINUTES:
        rule = f"a number above 0, at most {MOST_MINUTES} (a month)"
        raise DataError([Problem("minutes", minutes, rule, "give it as many minutes as it is to take")])
