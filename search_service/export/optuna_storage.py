"""A study's trials as studies of Optuna's in a SQLite file: for optuna-dashboard, optuna.visualization and importance.

Each round is a study of its own, since ranges change between rounds. It is read from the round's journals, so a study
that is running, or was killed, is exported as far as it is written down. Parameters have Optuna's own distributions,
and a leaf that does not apply is absent. Intermediate values are the scores at rungs, and after a trial's last epoch.

    completed   COMPLETE, with its best score
    pruned      PRUNED, with the score after its last epoch
    diverged    FAIL, with the constraint ``diverged`` violated
    failed      FAIL
    not ended   RUNNING
"""

from __future__ import annotations

import datetime
import math
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from search_service.errors import DataError, Problem
from search_service.folder import journals, layout
from search_service.folder.study_folder import StudyFolder
from search_service.records import curves
from search_service.records.rounds import TrialStatus
from search_service.runners import plan_file
from search_service.samplers.distributions import distribution_of, to_optuna
from search_service.space.ranges import Choices, NumericRange, Range
from trainables.metrics import METRICS
from trainables.records import EpochPoint

OPTION = "--optuna"
_STATES = {
    TrialStatus.COMPLETED: TrialState.COMPLETE,
    TrialStatus.PRUNED: TrialState.PRUNED,
    TrialStatus.DIVERGED: TrialState.FAIL,
    TrialStatus.FAILED: TrialState.FAIL,
}


def export(folder: StudyFolder, to: Path) -> list[str]:
    """Write the file, whole or not at all.

    Args:
        folder: The study's folder.
        to: The file, which must not exist.

    Returns:
        Names of the studies in it, one per round.

    Raises:
        DataError: The file exists or cannot be written, or no round has begun.
    """
    if to.exists():
        raise DataError([Problem(OPTION, str(to), "a file that does not exist", "choose another, or remove it")])
    plans = _rounds(folder)
    if not plans:
        raise DataError([Problem(OPTION, folder.path.name, "a study with a round", "wait until its search has begun")])
    try:
        with tempfile.TemporaryDirectory(dir=to.absolute().parent, prefix=".search-service-") as scratch:
            written = Path(scratch) / "optuna.db"
            backend = optuna.storages.RDBStorage(f"sqlite:///{written}")
            names = []
            for path, plan in plans:
                made = _study(backend, folder.path.name, path, plan)
                made.add_trials(trials_of(path, plan))
                names.append(made.study_name)
            # Or its connections would keep the file open.
            backend.remove_session()
            backend.engine.dispose()
            written.replace(to)
    except OSError as error:
        fix = f"choose another place ({error.strerror})"
        raise DataError([Problem(OPTION, str(to), "a file that can be written", fix)]) from error
    return names


class Mirror:
    """A study's trials in a storage of this process, which follows a study that is running.

    Args:
        folder: The study's folder.

    Attributes:
        storage: For Optuna's tools; what they write there changes nothing of the study.
    """

    def __init__(self, folder: StudyFolder) -> None:
        self.storage = optuna.storages.InMemoryStorage()
        self._folder = folder
        self._studies: dict[str, optuna.Study] = {}

    def update(self) -> int:
        """Take over what has been written down since the last time.

        Returns:
            Trials that there are now.
        """
        total = 0
        for path, plan in _rounds(self._folder):
            if path.name not in self._studies:
                self._studies[path.name] = _study(self.storage, self._folder.path.name, path, plan)
            trials = trials_of(path, plan)
            self._take_over(self._studies[path.name]._study_id, trials)
            total += len(trials)
        return total

    def _take_over(self, study: int, trials: Sequence[FrozenTrial]) -> None:
        known = self.storage.get_all_trials(study, deepcopy=False)
        for trial in trials[len(known) :]:
            self.storage.create_new_trial(study, template_trial=trial)
        for before, trial in zip(known, trials, strict=False):
            if before.state.is_finished():
                continue
            own = before._trial_id
            for epoch in trial.intermediate_values.keys() - before.intermediate_values.keys():
                self.storage.set_trial_intermediate_value(own, epoch, trial.intermediate_values[epoch])
            if trial.state.is_finished():
                for key, value in trial.user_attrs.items():
                    self.storage.set_trial_user_attr(own, key, value)
                for key, value in trial.system_attrs.items():
                    self.storage.set_trial_system_attr(own, key, value)
                self.storage.set_trial_state_values(own, trial.state, trial.values)


def _rounds(folder: StudyFolder) -> list[tuple[Path, Mapping[str, Any]]]:
    """Folders of the rounds that have begun, in their order, and what was planned of each."""
    rounds = sorted(folder.path.glob("round-*"), key=lambda path: int(path.name.removeprefix("round-")))
    return [(path, plan) for path in rounds if (plan := plan_file.read(path / layout.PLAN)) is not None]


def _study(backend: BaseStorage, study_id: str, path: Path, plan: Mapping[str, Any]) -> optuna.Study:
    """A round's, without trials yet."""
    direction = "maximize" if METRICS[plan["metric"]].mode == "max" else "minimize"
    study = optuna.create_study(storage=backend, study_name=f"{study_id} {path.name}", direction=direction)
    with warnings.catch_warnings():
        # "Experimental", says Optuna of names.
        warnings.simplefilter("ignore")
        study.set_metric_names([plan["metric"]])
    return study


def trials_of(path: Path, plan: Mapping[str, Any]) -> list[FrozenTrial]:
    """A round's trials, in the order of their numbers.

    Args:
        path: The round's folder.
        plan: What ``plan_file.read`` says of it.
    """
    space = {leaf: _range(raw) for leaf, raw in plan["space"].items()}
    told = {entry["trial"]: entry for entry in journals.read(path / layout.ENDED_TRIALS)}
    rungs: dict[str, dict[int, float]] = {}
    for journal in sorted(path.glob("rungs*.jsonl")):
        for entry in journals.read(journal):
            if entry["score"] is not None:
                rungs.setdefault(entry["trial"], {})[entry["rung"]] = entry["score"]
    # Scores in that journal are larger for better.
    sign = 1.0 if METRICS[plan["metric"]].mode == "max" else -1.0
    return [
        _trial(
            entry,
            told.get(entry["trial"]),
            {rung: sign * score for rung, score in rungs.get(entry["trial"], {}).items()},
            space,
            plan,
        )
        for entry in journals.read(path / layout.SUGGESTED)
    ]


def _trial(
    asked: Mapping[str, Any],
    told: Mapping[str, Any] | None,
    rungs: Mapping[int, float],
    space: Mapping[str, Range],
    plan: Mapping[str, Any],
) -> FrozenTrial:
    curve = tuple(EpochPoint(**point) for point in told["curve"]) if told else ()
    reported = dict(rungs)
    if curve and math.isfinite(curve[-1].validation_score):
        reported[curve[-1].epoch] = curve[-1].validation_score
    state, value = _end(told, curve, reported, plan)
    params = {leaf: to_optuna(space[leaf], drawn) for leaf, drawn in asked["values"].items() if leaf in space}
    about = {"trial_id": asked["trial"], "cohort": asked["cohort"]}
    if told:
        about |= {"status": told["status"], "reason": told["reason"], "epochs": len(curve)}
    trial = optuna.trial.create_trial(
        state=state,
        value=value,
        params=params,
        distributions={leaf: distribution_of(space[leaf]) for leaf in params},
        user_attrs=about,
        intermediate_values=dict(sorted(reported.items())),
        constraints={"diverged": 1.0} if told and told["status"] == TrialStatus.DIVERGED else None,
    )
    if told and (times := told.get("times")):
        trial.datetime_start, trial.datetime_complete = (
            datetime.datetime.fromtimestamp(times[when]) for when in ("began_at", "ended_at")
        )
    return trial


def _end(
    told: Mapping[str, Any] | None, curve: Sequence[EpochPoint], reported: Mapping[int, float], plan: Mapping[str, Any]
) -> tuple[TrialState, float | None]:
    """State and value; a trial that was completed without any score has failed."""
    if told is None:
        return TrialState.RUNNING, None
    state = _STATES[TrialStatus(told["status"])]
    if state is TrialState.COMPLETE:
        best = curves.best_score(curve, plan["metric"])
        return (state, best) if math.isfinite(best) else (TrialState.FAIL, None)
    return state, reported[max(reported)] if state is TrialState.PRUNED and reported else None


def _range(raw: Mapping[str, Any]) -> Range:
    when = tuple((leaf, tuple(allowed)) for leaf, allowed in raw.get("when", ()))
    if "choices" in raw:
        return Choices(tuple(raw["choices"]), when)
    return NumericRange(**{**raw, "when": when})
