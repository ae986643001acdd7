"""How much of the last act there is time for: seeds of the finalists, the refit and its length, simpler models.

``LastAct`` has time for everything that the config says. ``LastActInMinutes`` goes by the clock: the finalists are
trained from two seeds first, and how long that took says how many more seeds, of all of them, there is time for; once
the winner is known, what the refit is, and whether simpler models are fitted. What is decided is written down.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from search_service.folder.study_folder import StudyFolder
from search_service.recipe import averaging, pace, qualifying, refitting, tasks
from search_service.recipe.averaging import Choice
from search_service.recipe.costs import AVERAGED, UNEVEN, Costs
from search_service.recipe.finalist_training import FinalistTraining
from search_service.recipe.refitting import Lengths
from search_service.recipe.tasks import RunTasks
from search_service.records.finalists import Finalist
from search_service.runners.base import Task, TaskListener, TaskTimes
from search_service.spec.sections import FinalistsSpec
from trainables.config import TrialConfig
from trainables.data.dataset import Dataset
from trainables.metrics import MetricName

# What names of the tasks that fit simpler models begin with: they take other times than trainings do.
BASELINE_TASK = "baseline-"


@dataclass(frozen=True)
class MoreSeeds:
    """Seeds that the finalists are trained from beside those before; 0 for no more."""

    seeds: int


@dataclass(frozen=True)
class Extras:
    """What follows on the winner.

    Attributes:
        refit: Whether it is trained once more, where the config wants that.
        length: Whether two lengths of the refit are compared.
        baselines: Whether simpler models are fitted, where the config wants them.
        whole: Where they are not, whether it is as long as the winner's seeds were trained, and not the shorter one.
    """

    refit: bool = True
    length: bool = True
    baselines: bool = True
    whole: bool = True

    @property
    def lengths(self) -> Lengths:
        """What the refit's length may be."""
        if self.length:
            return "both"
        return "whole" if self.whole else "shorter"


class LastAct:
    """All that the config says."""

    def timed(self, run_tasks: RunTasks) -> RunTasks:
        """Who runs tasks, with a look at how long they take."""
        return run_tasks

    def more_seeds(self, training: FinalistTraining, trained: Sequence[Finalist]) -> int:
        """How many more seeds the finalists are trained from; 0 ends it.

        Args:
            training: What was trained until now.
            trained: What became of it, on the study's own division.
        """
        return 0

    def extras(self, winner: Finalist, averaged: Choice | None, baselines: Sequence[Task]) -> Extras:
        """What follows.

        Args:
            winner: The winner.
            averaged: The networks that predict together, which are trained once more with it.
            baselines: Tasks of the simpler models.
        """
        return Extras()

    @property
    def said(self) -> str:
        """What was decided, in a sentence; empty where nothing was."""
        return ""


class LastActInMinutes(LastAct):
    """What there is time for.

    Args:
        dataset: Training and validation rows.
        costs: What was measured before.
        files: The study's folder, where decisions are written.
        metric: The study's.
        left: Seconds that are left.
        most_seeds: No finalist has more.
        slack_s: Seconds by which the end may be missed for what would else be left out.
    """

    # Two tell something of noise, and soon.
    FIRST_SEEDS: ClassVar[int] = 2
    # Without simpler models nobody knows whether the network is worth it: for them the end may be missed by so many
    # times the slack.
    SLACK_OF_BASELINES: ClassVar[float] = 2.5
    # More seeds than usual are worth less than anything that follows: they are taken where all of it would
    # fit if it took a quarter longer than measured.
    SPARE_OF_MORE: ClassVar[float] = 1.25

    def __init__(
        self,
        dataset: Dataset,
        costs: Costs,
        files: StudyFolder,
        *,
        metric: MetricName,
        left: Callable[[], float],
        most_seeds: int,
        slack_s: float,
    ) -> None:
        self._dataset, self._costs, self._files, self._metric = dataset, costs, files, metric
        self._noise = qualifying.noise_of(metric, dataset)
        self._left, self._most_seeds, self._slack_s = left, most_seeds, slack_s
        # Of the finalists' tasks that were done here: what they should have taken, and what they took.
        self._effort, self._seconds = 0.0, 0.0
        self._said: list[str] = []

    def timed(self, run_tasks: RunTasks) -> RunTasks:
        """See ``LastAct``."""

        def run(to_do: Sequence[Task], listen: TaskListener) -> list[Any]:
            def hear(task: Task, result: Any, times: TaskTimes) -> None:
                if not task.name.startswith(BASELINE_TASK):
                    self._effort += task.effort
                    self._seconds += times.seconds
                listen(task, result, times)

            return run_tasks(to_do, hear)

        return run

    def more_seeds(self, training: FinalistTraining, trained: Sequence[Finalist]) -> int:
        """See ``LastAct``."""
        done = len(training.seeds)

        def decide() -> MoreSeeds:
            return MoreSeeds(self._affordable(training, trained, self._most_seeds - done))

        more = self._files.once(f"minutes-seeds-{len(training.waves)}", MoreSeeds, decide).seeds
        if not more and done < self._most_seeds:
            self._said.append(f"Each was trained from {done} seeds, as many as there was time for.")
        return more

    def _affordable(self, training: FinalistTraining, trained: Sequence[Finalist], most: int) -> int:
        """The most further seeds that leave time for what follows."""
        left, folds, usual = self._left() + self._slack_s, training.folds, FinalistsSpec().seeds
        for more in range(most, 0, -1):
            wave = training.with_wave(more)
            own = self._time_for(wave, wave.tasks()[len(training.tasks()) :])
            of_folds = folds * self._time_for(wave, wave.tasks())
            spare = 1.0 if len(wave.seeds) <= usual else self.SPARE_OF_MORE
            if spare * (own + of_folds + self._after(wave, trained)) <= left:
                return more
        return 0

    def _after(self, training: FinalistTraining, trained: Sequence[Finalist]) -> float:
        """Seconds of the refit, of its length and of simpler models, after such a training.

        Whoever wins: what takes longest. Of the refit's lengths, the one that seeds which were trained make likely.
        """
        spec, factor, slots = training.spec, self._factor(training), self._costs.slots
        seeds, refit, length = len(training.seeds), 0.0, 0.0
        averaged = min(averaging.at_most(spec), AVERAGED, len(trained) * seeds)
        for finalist in trained if spec.model.refit else ():
            if any(map(math.isfinite, finalist.scores)):
                epochs = refitting.likely_length(finalist, self._metric, self._noise)
                refit = max(refit, self._refit_s([finalist.config] * averaged, epochs, factor))
                length = max(length, factor * sum(self._of_length(finalist, seeds)))
        return refit + UNEVEN * (length + self._costs.baselines) / slots

    def _of_length(self, finalist: Finalist, seeds: int) -> list[float]:
        """Effort of the trainings by which the refit's lengths are compared; none where there is only one."""
        epochs = refitting.shorter_length(finalist, self._metric)
        if epochs == len(finalist.curves[0]):
            return []
        pieces = tasks.pieces_of([finalist.config] * seeds, self._dataset)
        return [tasks.effort(piece, self._dataset, epochs) for piece in pieces]

    def extras(self, winner: Finalist, averaged: Choice | None, baselines: Sequence[Task]) -> Extras:
        """See ``LastAct``."""
        found = self._files.once("minutes-extras", Extras, lambda: self._decide(winner, averaged, baselines))
        missing = {
            "no other length of the refit was tried": found.refit and not found.length and found.whole,
            "the refit was as long as the winner's seeds took to their best, and nothing else was tried": found.refit
            and not found.length
            and not found.whole,
            "the winner was not trained once more": not found.refit,
            "no simpler models were fitted": not found.baselines and bool(baselines),
        }
        if said := [text for text, is_so in missing.items() if is_so]:
            self._said.append(f"For want of time: {', '.join(said)}.")
        return found

    def _decide(self, winner: Finalist, averaged: Choice | None, baselines: Sequence[Task]) -> Extras:
        left = self._left() + self._slack_s
        factor, slots = self._measured or self._prior([winner.config]), self._costs.slots
        # One of the averaged may be the winner's own.
        others = [] if averaged is None else [member.finalist.config for member in averaged.members]
        refit_s = partial(self._refit_s, others or [winner.config], factor=factor)
        length = [factor * effort for effort in self._of_length(winner, len(winner.seeds))]
        simpler = [pace.LEAST_BASELINE_S + task.effort for task in baselines]
        epochs = len(winner.curves[0])
        if refit_s(epochs) + pace.seconds_of([*length, *simpler], 1.0, slots) <= left:
            return Extras()
        likely = refitting.likely_length(winner, self._metric, self._noise)
        refit, whole = refit_s(likely), likely == epochs
        if refit + pace.seconds_of(simpler, 1.0, slots) <= left + (self.SLACK_OF_BASELINES - 1) * self._slack_s:
            return Extras(length=False, whole=whole)
        if refit <= left:
            return Extras(length=False, whole=whole, baselines=False)
        return Extras(refit=False, length=False, baselines=pace.seconds_of(simpler, 1.0, slots) <= left)

    def _refit_s(self, configs: Sequence[TrialConfig], epochs: int, factor: float) -> float:
        """Seconds until networks are trained on training and validation rows."""
        rows = 1 + len(self._dataset.validation) / len(self._dataset.train)
        by_structure: dict[tuple[object, ...], list[TrialConfig]] = {}
        for config in configs:
            by_structure.setdefault(config.structure, []).append(config)
        cut = itertools.chain.from_iterable(tasks.pieces_of(own, self._dataset) for own in by_structure.values())
        efforts = [tasks.effort(piece, self._dataset, epochs) for piece in cut]
        return rows * pace.seconds_of(efforts, factor, self._costs.slots)

    def _time_for(self, training: FinalistTraining, to_do: Sequence[Task]) -> float:
        """Seconds until tasks of the finalists are done."""
        return pace.seconds_of([task.effort for task in to_do], self._factor(training), self._costs.slots)

    def _factor(self, training: FinalistTraining) -> float:
        """Seconds here for each of effort."""
        return self._measured or self._prior([trial.config for trial in training.candidates])

    def _prior(self, configs: Sequence[TrialConfig]) -> float:
        """The same before any of it was trained here."""
        return self._costs.single_epoch / max(tasks.effort([config], self._dataset, 1) for config in configs)

    @property
    def _measured(self) -> float:
        """Seconds for each of effort, of the tasks that were done here; 0 where none was."""
        return self._seconds / self._effort if self._effort > 0 else 0.0

    @property
    def said(self) -> str:
        """See ``LastAct``."""
        return " ".join(self._said)
