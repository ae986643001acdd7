"""A study's trials, trained again and compared with its journals."""

from __future__ import annotations

from collections.abc import Callable, Collection

from search_service.errors import Problem
from search_service.folder import study_folder
from search_service.runners import replaying
from search_service.runners.replaying import Replay, Replayed
from search_service.settings import Settings
from search_service.wiring.preparing import read_again
from search_service.wiring.surroundings import installed_versions
from trainables.errors import DataError
from trainables.process import device_for, prepared_process


@prepared_process()
def replay(
    study_id: str,
    *,
    settings: Settings,
    trials: Collection[str] = (),
    tolerance: float = replaying.TOLERANCE,
    listen: Callable[[Replayed], None] = lambda trial: None,
) -> Replay:
    """Train a study's trials again and compare them with its record, in this process; nothing is written.

    Args:
        study_id: Id of a study under ``settings.home``.
        settings: Where studies are.
        trials: Ids of the trials; by default all.
        tolerance: Up to which a difference agrees.
        listen: Hears of each trial as it is compared.

    Raises:
        DataError: There is no such study or trial, nothing was trained in it, or its table is not what it was.
        InvalidSpecError: The table cannot be used any more.
    """
    folder = study_folder.find(settings.studies, study_id)
    began = folder.beginning
    if began is None:
        rule, fix = "a study that was run", f"search-service run --study {study_id}"
        raise DataError([Problem("STUDY", study_id, rule, fix)])
    study = read_again(folder, settings)
    compared, device = [], device_for(study.spec.search.gpus_per_trial)
    for trial in replaying.replay(folder, study.dataset, trials, device=device):
        compared.append(trial)
        listen(trial)
    now = installed_versions(study.spec.search.gpus_per_trial)
    differing = {name: (then, now.get(name, "none")) for name, then in began.versions.items() if now.get(name) != then}
    return Replay(study_id, tuple(compared), tolerance, differing)
