"""Train a study's trials again from its record, and compare: is what was written down what comes out?

A trial's curve depends on its configuration, the rows, their order, and with dropout on who is trained beside it, since
masks are drawn for a whole population. So cohorts are trained as they were, what was left of several goes on together
where it did, and a member leaves where its recorded curve ends, whatever rule had ended it. On the same machine with
the same versions every number has the same bits; other kernels sum in another order, and small differences grow with
the epochs.
"""

from __future__ import annotations

import itertools
import math
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from search_service.errors import DataError, Problem
from search_service.folder import journals, layout
from search_service.folder.study_folder import StudyFolder
from search_service.runners import plan_file
from trainables import checkpoint
from trainables.config import TrialConfig
from trainables.data.dataset import Dataset
from trainables.records import EpochPoint
from trainables.training import PopulationTraining

# What a trial of a study is called in messages.
OPTION = "--trials"
# Relative to the recorded value, or absolute for values below 1: float32's rounding, summed over a few steps.
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Replayed:
    """A trial that was trained again.

    Attributes:
        trial_id: The trial's id.
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
        study_id: The study's id.
        trials: The trials in the order in which they were trained.
        tolerance: Up to which a difference agrees.
        versions: Versions of libraries that are not what they were: then and now.
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
    """One trial as it is recorded; no curve if it had not ended."""

    trial_id: str
    config: TrialConfig
    curve: tuple[EpochPoint, ...] | None

    def ends_by(self, epoch: int) -> bool:
        """Whether it leaves then or had left."""
        return self.curve is not None and len(self.curve) <= epoch


@dataclass
class _Cohort:
    """Trials that were trained as one population.

    Attributes:
        members: The members in the population's order.
        of: Cohorts that it is made of; none if it began.
        start: Epoch from which on it trained.
        ended: Ids of those that ended in it.
        paused: Epochs at which it was saved for another cohort.
    """

    members: tuple[_Member, ...]
    of: tuple[str, ...] = ()
    start: int = 0
    ended: set[str] = field(default_factory=set)
    paused: set[int] = field(default_factory=set)

    @property
    def last(self) -> int:
        """Epoch up to which it has to be trained."""
        ended = [len(member.curve) for member in self.members if member.trial_id in self.ended and member.curve]
        return max([*ended, *self.paused], default=0)


def replay(
    folder: StudyFolder, dataset: Dataset, only: Collection[str] = (), *, device: str = "cpu"
) -> Iterator[Replayed]:
    """Train the trials of every round again, as each is compared.

    Args:
        folder: The study's folder.
        dataset: The rows that it was trained on.
        only: Trials to compare; by default all that have ended. Those of their cohorts are trained with them.
        device: torch device.

    Raises:
        DataError: The study has no such trial.
    """
    rounds = [(plan_file.read(path / layout.PLAN) or {}, _cohorts(path)) for path in _rounds(folder)]
    ended = sorted(trial for _, cohorts in rounds for cohort in cohorts.values() for trial in cohort.ended)
    unknown = sorted(set(only) - set(ended))
    if unknown:
        some = f"{ended[0]} to {ended[-1]}" if ended else "it has none"
        raise DataError([Problem(OPTION, unknown[0], "a trial of this study that has ended", f"choose from {some}")])
    wanted = set(only or ended)
    for plan, cohorts in rounds:
        with tempfile.TemporaryDirectory() as saved:
            yield from _replay_round(plan, cohorts, dataset, wanted, Path(saved), device)


def _replay_round(
    plan: Mapping[str, Any],
    cohorts: Mapping[str, _Cohort],
    dataset: Dataset,
    wanted: set[str],
    folder: Path,
    device: str,
) -> Iterator[Replayed]:
    needed: set[str] = set()
    # The later ones first: they are made of those before them.
    for name, cohort in reversed([*cohorts.items()]):
        if name in needed or wanted & cohort.ended:
            needed |= {name, *cohort.of}
    curves: dict[str, dict[str, list[EpochPoint]]] = {}
    for name, cohort in cohorts.items():
        if name not in needed:
            continue
        before = {trial: curve for part in cohort.of for trial, curve in curves[part].items()}
        curves[name] = _train(name, cohort, before, plan, dataset, folder, device)
        for member in cohort.members:
            if member.trial_id in cohort.ended and member.trial_id in wanted:
                yield _compare(member, curves[name][member.trial_id])


def _rounds(folder: StudyFolder) -> list[Path]:
    return sorted(folder.path.glob("round-*"), key=lambda path: int(path.name.removeprefix("round-")))


def _cohorts(path: Path) -> dict[str, _Cohort]:
    """The cohorts of a round, those that others are made of before them."""
    asked = journals.read(path / layout.SUGGESTED)
    told = {entry["trial"]: entry for entry in journals.read(path / layout.ENDED_TRIALS)}
    members = {
        entry["trial"]: _Member(
            entry["trial"],
            TrialConfig.model_validate(entry["config"]),
            tuple(EpochPoint(**point) for point in told[entry["trial"]]["curve"]) if entry["trial"] in told else None,
        )
        for entry in asked
    }
    cohorts = {
        name: _Cohort(tuple(members[entry["trial"]] for entry in entries))
        for name, entries in itertools.groupby(asked, key=lambda entry: entry["cohort"])
    }
    for entry in journals.read(path / layout.MERGES):
        for part in entry["of"]:
            cohorts[part].paused.add(entry["epoch"])
        own = tuple(members[trial] for trial in entry["trials"])
        cohorts[entry["cohort"]] = _Cohort(own, tuple(entry["of"]), entry["epoch"])
    for trial, entry in told.items():
        cohorts[entry["cohort"]].ended.add(trial)
    return cohorts


def _train(
    name: str,
    cohort: _Cohort,
    before: Mapping[str, Sequence[EpochPoint]],
    plan: Mapping[str, Any],
    dataset: Dataset,
    folder: Path,
    device: str,
) -> dict[str, list[EpochPoint]]:
    """Curves of a cohort in which everybody leaves where the record says; those that had not ended stay.

    They begin with what its members did before it. Where it was paused, what was left is saved in the folder.
    """
    alive = list(cohort.members)
    curves = {m.trial_id: list(before.get(m.trial_id, ())[: cohort.start]) for m in cohort.members}
    if cohort.of:
        parts = [folder / f"{part}-{cohort.start}.pt" for part in cohort.of]
        training = checkpoint.merge(parts, dataset, device=device)
    else:
        training = PopulationTraining(
            [member.config for member in cohort.members],
            dataset,
            order_seed=plan["seed"],
            max_epochs=plan["limits"]["max_epochs"],
            metric=plan["metric"],
            device=device,
        )
    for record in itertools.islice(training.epochs(), cohort.last - cohort.start):
        for index, member in enumerate(alive):
            curves[member.trial_id].append(record.of(index))
        staying = [index for index, member in enumerate(alive) if not member.ends_by(record.epoch)]
        alive = [alive[index] for index in staying]
        if not alive:
            break
        training.keep(staying)
        if record.epoch in cohort.paused:
            checkpoint.save(training, folder / f"{name}-{record.epoch}.pt")
    return curves


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
