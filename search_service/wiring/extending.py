"""A study that is over, given more."""

from __future__ import annotations

from dataclasses import replace

from search_service.folder import extending, private_addresses, study_folder
from search_service.settings import Settings
from search_service.wiring.preparing import PreparedStudy, read_again, taught
from search_service.wiring.surroundings import new_id


def extend(
    study_id: str, *, settings: Settings, trials: int | None = None, minutes: float | None = None
) -> PreparedStudy:
    """Give a study that is over more: a new study, to be run, that goes on from where it ended.

    The study itself stays as it is. The new one has all its trials, none of which is trained again, and chooses its
    finalists among these and its own.

    Args:
        study_id: Id of a study under ``settings.home`` that has found a model.
        settings: Where studies are.
        trials: Of another cycle, 2 at least; or
        minutes: For further cycles and finalists, beside what the study has taken.

    Raises:
        DataError: There is no such study, it is not over or has found nothing, or its table is not what it was.
        InvalidSpecError: The table cannot be used any more.
        RecorderError: The study of its warm start cannot be read.
        StudyBusyError: Another process works on it.
    """
    ended = study_folder.find(settings.studies, study_id)
    extending.require_extendable(ended, trials, minutes)
    study = read_again(ended, settings)
    # What it taught the rounds so far stands; those to come learn from it, too.
    study = replace(study, earlier=taught(ended, study.spec, settings))
    with ended.lock():
        folder = settings.studies.absolute() / new_id(study.spec)
        files = extending.extend(ended, folder, trials=trials, minutes=minutes)
    private_addresses.keep(files.path, study.addresses)
    return replace(study, folder=files)
