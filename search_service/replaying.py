"""Train a study's trials again from its record, and compare: is what was written down what comes out?

A trial's curve depends on its configuration, the rows, their order, and with dropout on who is trained beside it, since
masks are drawn for a whole population. So cohorts are trained as they were, and a member leaves where its recorded
curve ends, whatever rule had ended it. On the same machine with the same versions every number has the same bits; other
kernels sum in another order, and small differences grow with the epochs.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from search_service import journals
from search_service.errors import DataError, Problem
from search_service.results import EpochPoint
from search_service.study_folder import StudyFolder
from trainables.config import TrialConfig
from trainables.data.dataset import Dataset
from trainables.training import EpochRecord, PopulationTraining

# What a trial of a study is called in messages.
OPTION = "--trials"
# Relative to the recorded value, or absolute for values below 1: float32's rounding, summed over a few steps.
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Replayed:
    """A trial that was trained again.

    Attributes:
        trial_id: Which.
        epochs: Compared.
        difference: The largest, of any loss or score in any epoch, as a share of the recorded value (absolute below 1);
            0 if every number has the same bits, infinity if only one of the two is a number.
        where: The value that differs most, such as ``validation_loss in epoch 3``; empty if none does.
    """

    trial_id: str
    epochs: int
    difference: float
    where: str = ""


@dataclass(frozen=True)
class Replay:
    """A study that was replayed.

    Attributes:
        study_id: Which.
        trials: In the order trained.
        tolerance: Up to which a difference agrees.
        versions: Of libraries that are not what they were: then and now.
    """

    study_id: str
    trials: tuple[Replayed, ...]
    tolerance: float
    versions: Mapping[str, tuple[str, str]]

    @property
    def largest(self) -> float:
        """Difference of the trial that differs most."""
        return max((trial.difference for trial in self.trials), default=0.0)

    @property
    def agrees(self) -> bool:
        """Whether all trials do, within the tolerance."""
        return self.largest <= self.tolerance


@dataclass(frozen=True)
class _Member:
    """One trial of a cohort as it is recorded; no curve if it had not ended."""

    trial_id: str
    config: TrialConfig
    curve: tuple[EpochPoint, ...] | None


def replay(folder: StudyFolder, dataset: Dataset, only: Collection[str] = ()) -> Iterator[Replayed]:
    """Train the trials of every round again, as each is compared.

    Args:
        folder: Of the study.
        dataset: The rows that it was trained on.
        only: Trials to compare; by default all that have ended. Those of their cohorts are trained with them.

    Raises:
        DataError: The study has no such trial.
    """
    rounds = [(plan, cohort) for path in _rounds(folder) for plan, cohort in _cohorts(path)]
    ended = [member.trial_id for _, cohort in rounds for member in cohort if member.curve is not None]
    unknown = sorted(set(only) - set(ended))
    if unknown:
        some = f"{ended[0]} to {ended[-1]}" if ended else "it has none"
        raise DataError([Problem(OPTION, unknown[0], "a trial of this study that has ended", f"choose from {some}")])
    wanted = set(only or ended)
    for plan, cohort in rounds:
        if any(member.trial_id in wanted for member in cohort):
            curves = _train(plan, cohort, dataset)
            yield from (_compare(m, curves[m.trial_id]) for m in cohort if m.trial_id in wanted)


def _rounds(folder: StudyFolder) -> list[Path]:
    return sorted(folder.path.glob("round-*"), key=lambda path: int(path.name.removeprefix("round-")))


def _cohorts(path: Path) -> Iterator[tuple[Mapping[str, Any], list[_Member]]]:
    """The cohorts of a round, and its plan as it is recorded."""
    plan = journals.read_whole(path / "plan.json")
    told = {entry["trial"]: entry for entry in journals.read(path / "told.jsonl")}
    for _, entries in itertools.groupby(journals.read(path / "asked.jsonl"), key=lambda entry: entry["cohort"]):
        yield (
            plan,
            [
                _Member(
                    entry["trial"],
                    TrialConfig.model_validate(entry["config"]),
                    tuple(EpochPoint(**point) for point in told[entry["trial"]]["curve"])
                    if entry["trial"] in told
                    else None,
                )
                for entry in entries
            ],
        )


def _train(plan: Mapping[str, Any], cohort: Sequence[_Member], dataset: Dataset) -> dict[str, list[EpochPoint]]:
    """Curves of a cohort in which everybody leaves where the record says; those that had not ended stay."""
    last = max(len(member.curve) for member in cohort if member.curve is not None)
    alive = list(cohort)
    curves: dict[str, list[EpochPoint]] = {member.trial_id: [] for member in cohort}
    training = PopulationTraining(
        [member.config for member in cohort],
        dataset,
        order_seed=plan["seed"],
        max_epochs=plan["max_epochs"],
        metric=plan["metric"],
    )
    for record in itertools.islice(training.epochs(), last):
        for index, member in enumerate(alive):
            curves[member.trial_id].append(_point(record, index))
        staying = [i for i, m in enumerate(alive) if m.curve is None or len(m.curve) > record.epoch]
        alive = [alive[index] for index in staying]
        if not alive:
            break
        training.keep(staying)
    return curves


def _point(record: EpochRecord, member: int) -> EpochPoint:
    losses = record.train_loss[member], record.validation_loss[member]
    return EpochPoint(record.epoch, *losses, record.validation_score[member])


def _compare(member: _Member, again: Sequence[EpochPoint]) -> Replayed:
    recorded = member.curve or ()
    differences = [
        (_difference(then, asdict(now)[name]), f"{name} in epoch {point.epoch}")
        for point, now in zip(recorded, again, strict=True)
        for name, then in asdict(point).items()
    ]
    largest, where = max(differences, key=lambda found: found[0], default=(0.0, ""))
    return Replayed(member.trial_id, len(recorded), largest, where if largest else "")


def _difference(then: float, now: float) -> float:
    if then == now or (math.isnan(then) and math.isnan(now)):
        return 0.0
    difference = abs(then - now) / max(1.0, abs(then))
    return difference if math.isfinite(difference) else math.inf
