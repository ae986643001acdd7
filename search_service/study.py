"""run_study(): the six steps in order. The page to read first.

``_six_steps`` reads like the recipe. Around it, ``run_study`` makes sure that however a study ends (done, a check
failed, something outside broke, Ctrl-C), its listener hears StudyFinished with everything learnt until then.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from search_service.errors import CheckFailedError, NoRoomError
from search_service.folder import disk, layout
from search_service.folder.extending import extensions
from search_service.folder.study_folder import Beginning, StudyFolder
from search_service.recipe import (
    finalists,
    packing,
    seed_noise,
    step1_initial_loss,
    step2_overfit_small_sample,
    step3_learning_rates,
    step4_coarse_search,
    step5_refined_search,
    step6_repeat,
)
from search_service.recipe.clock import Clock, Minutes
from search_service.recipe.more_clock import clock_of
from search_service.recipe.rounds import Place, scored
from search_service.records.checks import CheckResult, InitialLossResult, LearningRatesResult, OverfitResult
from search_service.records.earlier import EarlierStudy
from search_service.records.events import (
    CheckFinished,
    CycleDecided,
    Event,
    FinalistsFinished,
    Listener,
    ModelPacked,
    RoundFinished,
    StepStarted,
    StudyFinished,
    StudyStarted,
)
from search_service.records.finalists import Cycle, Decision, FinalistsResult, SeedNoise
from search_service.records.results import DataSummary, StudyResult, StudyStatus
from search_service.records.rounds import RoundResult
from search_service.records.steps import Step
from search_service.report.study_report import report
from search_service.runners.base import Runner
from search_service.space.narrowing import narrow
from search_service.spec.search_space import LEARNING_RATE
from search_service.spec.study_spec import StudySpec
from trainables import checkpoint
from trainables.data.dataset import Loaded
from trainables.data.preparation import RULES
from trainables.data.schema import KINDS
from trainables.errors import one_line
from trainables.metrics import effective_rows
from trainables.redaction import shown
from trainables.training import chance_scale


def run_study(
    spec: StudySpec,
    table: Loaded,
    runner: Runner,
    listen: Listener,
    *,
    study_id: str,
    folder: Path,
    versions: Mapping[str, str],
    earlier: EarlierStudy | None = None,
    minutes: Minutes | None = None,
    deliver: Callable[[StudyResult], object] = lambda result: None,
) -> StudyResult:
    """Run the whole recipe, or what is left of it.

    Args:
        spec: What to do.
        table: Rows to train and choose on, and those that only the winner sees.
        runner: Runs the rounds.
        listen: Hears every event, as it happens, in this process.
        study_id: Names the study.
        folder: Exists; everything is written here. What an earlier process has finished is told, and not done again.
        versions: The libraries' versions by name, for the record.
        earlier: The study of a warm start; what an earlier process took over stands.
        minutes: The time that there is, where ``search.minutes`` or ``search.time_budget_s`` says so.
        deliver: Writes the result of a study that is over for good, before the folder says that it is over.

    Returns:
        What was learnt; a failed check is a result with its diagnosis as the reason.

    Raises:
        OutsideError: Something that is not ours broke, after the listener was told.
        KeyboardInterrupt: Likewise.
    """
    files = StudyFolder(folder)
    story = _Story(spec, table, study_id, files, listen)
    try:
        story.begin(versions)  # Inside: an interrupt may come with the very first event.
        place = Place(spec, table.dataset, runner, story.tell, folder, story.deadline, _taken_over(files, earlier))
        _six_steps(place, table, versions, clock_of(spec, minutes, files))
    except CheckFailedError as failure:
        story.keep_its_ending(failure)
        result = story.finish(StudyStatus.FAILED, str(failure))
    except KeyboardInterrupt as interrupt:
        story.finish(StudyStatus.INTERRUPTED, str(interrupt) or "Ctrl-C or a signal ended it")
        raise
    except Exception as error:
        if disk.is_full(error) or isinstance(error, NoRoomError):
            raise story.paused() from error
        story.keep_its_ending(error)
        story.finish(StudyStatus.FAILED, f"{type(error).__name__}: {error}")
        raise
    else:
        result = story.finish(StudyStatus.COMPLETED, story.decisions[-1].reason)
    if not story.is_over:
        # In this order: a study that says it is over has its result, whenever its process is killed.
        files.note_seconds(result.seconds, at_once=True)
        deliver(result)
        files.end(result.status, result.reason)
    return result


def _taken_over(files: StudyFolder, earlier: EarlierStudy | None) -> EarlierStudy | None:
    """The study of a warm start as an earlier process took it over, whatever has become of it since."""
    if (found := files.read("warm-start", EarlierStudy)) is not None or earlier is None:
        return found
    return files.once("warm-start", EarlierStudy, lambda: earlier)


def _six_steps(place: Place, table: Loaded, versions: Mapping[str, str], clock: Clock) -> None:
    """The recipe."""
    spec, dataset, tell = place.spec, place.dataset, place.listen
    check, once = _Gate(spec, tell), StudyFolder(place.folder).once
    config, limits, space = spec.trial, spec.space(), spec.space()
    checks = spec.checks

    tell(StepStarted.of(Step.INITIAL_LOSS))
    initial_loss = partial(step1_initial_loss.run, config, dataset, checks.initial_loss)
    check(once("step-1", InitialLossResult, initial_loss))
    tell(StepStarted.of(Step.SMALL_SAMPLE))
    small_sample = step2_overfit_small_sample.task(config, dataset, checks.overfit_small_sample, spec)
    check(once("step-2", OverfitResult, partial(place.do, small_sample)))

    scale_of = partial(chance_scale, dataset=dataset)
    n_validation = effective_rows(dataset.validation.weights, len(dataset.validation))
    cycles: list[Cycle] = []
    while True:
        cycle = len(cycles) + 1
        tell(StepStarted.of(Step.LEARNING_RATES, cycle))
        allowed = limits.get(LEARNING_RATE)
        try_rates = step3_learning_rates.task(
            config, dataset, checks.learning_rates, spec, cycle=cycle, allowed=allowed
        )
        rates = once(f"step-3-cycle-{cycle}", LearningRatesResult, partial(place.do, try_rates))
        check(rates)
        # What is not searched in a trial is as in the user's, in every cycle.
        at = clock.coarse(place, space)
        coarse = step4_coarse_search.run(at, rates, number=2 * cycle - 1, space=space, base=spec.trial, best=config)
        at = clock.refined(place, coarse)
        refined = step5_refined_search.run(at, coarse, number=2 * cycle, limits=limits, base=spec.trial)
        cycles.append(Cycle(rates, coarse, refined))

        by, last = clock.deciding(place), cycles[-1].last
        narrowing = narrow(last.plan.space, scored(last), limits, step5_refined_search.kept_whole(last.plan))
        decide = partial(step6_repeat.run, by.spec, cycles, n_validation, scale_of=scale_of, time_is_up=by.time_is_up)
        decide = partial(decide, stop_requested=place.stop_file.exists(), shares=dataset.validation_shares)
        decision = once(f"decision-{cycle}", Decision, partial(_decide, place, refined, decide, clock))
        tell(CycleDecided(decision if decision.stop else replace(decision, narrowing=narrowing.sentences)))
        if decision.stop:
            break
        space, config = dict(narrowing.space), last.ranked[0].config

    _finalists_and_model(place, table, versions, cycles, clock)


def _finalists_and_model(
    place: Place, table: Loaded, versions: Mapping[str, str], cycles: Sequence[Cycle], clock: Clock
) -> None:
    """After the six steps: the best again from fresh seeds, and the model that the winner becomes."""
    place, act = clock.last_act(place)
    spec, dataset, tell, once = place.spec, place.dataset, place.listen, StudyFolder(place.folder).once
    tell(StepStarted.of(Step.FINALISTS))
    rounds = [result for cycle in cycles for result in (cycle.coarse, cycle.refined)]
    train_again = partial(
        finalists.run, spec, rounds, dataset, table.test_rows, place.folder,
        folds=table.folds or (), run_tasks=place.run_tasks, act=act, grids=table.grids,
    )  # fmt: skip
    final = once("finalists", FinalistsResult, train_again, lambda found: _has_networks(found, place.folder))
    shutil.rmtree(place.folder / layout.NETWORKS, ignore_errors=True)
    final = _in_folder(final, place.folder)
    tell(FinalistsFinished(final))
    pack = partial(packing.run, spec, final, table, place.folder, versions)
    packed = once("model", ModelPacked, pack)
    if not (place.folder / layout.MODEL).exists():
        pack()
    tell(replace(packed, folder=place.folder / layout.MODEL))


def _in_folder(final: FinalistsResult, folder: Path) -> FinalistsResult:
    """With its files where they are now: the folder may have been moved since."""
    final = replace(final, checkpoint=folder / final.checkpoint.name)
    if final.refit is not None and final.refit.checkpoint is not None:
        final = replace(final, refit=replace(final.refit, checkpoint=folder / final.refit.checkpoint.name))
    if final.average is not None:
        networks = [replace(each, checkpoint=folder / each.checkpoint.name) for each in final.average.networks]
        final = replace(final, average=replace(final.average, networks=tuple(networks)))
    return final


def _has_networks(final: FinalistsResult, folder: Path) -> bool:
    """Whether the networks that were trained are still there, and whole."""
    final = _in_folder(final, folder)
    return all(map(checkpoint.is_whole, final.checkpoints))


def _decide(place: Place, refined: RoundResult, decide: Callable[..., Decision], clock: Clock) -> Decision:
    """Step 6: noise is measured where it might change the decision, and nowhere else."""
    fits = clock.another_fits(place)
    decision = decide(another_fits=fits)
    if decision.stop or fits or not place.spec.search.noise_seeds:
        return decision
    measure = partial(seed_noise.measure, place.spec, refined, place.dataset, place.run_tasks)
    return decide(measured=StudyFolder(place.folder).once(f"noise-{decision.cycle}", SeedNoise, measure))


class _Gate:
    """Tells each verdict, and ends the study at the first that fails, unless the user said to go on.

    From the second cycle on there are results that a failed check must not throw away.
    """

    def __init__(self, spec: StudySpec, tell: Listener) -> None:
        self._goes_on = spec.checks.on_fail == "warn"
        self._tell = tell

    def __call__(self, check: CheckResult) -> None:
        self._tell(CheckFinished(check))
        if not check.passed and not self._goes_on and check.cycle == 1:
            raise CheckFailedError(f"step {check.step} ({check.name}): {check.summary}. To do: {check.advice}")


class _Story:
    """What has happened so far, told as it happens, for the result of a study that may end anywhere.

    Attributes:
        is_over: Whether the study has ended before: then it is only told again.
        deadline: Instant of ``time.monotonic()`` at which its time budget is spent; None without one.
    """

    def __init__(self, spec: StudySpec, table: Loaded, study_id: str, files: StudyFolder, listen: Listener) -> None:
        self._spec, self._table, self._study_id, self._files, self._listen = spec, table, study_id, files, listen
        self.is_over, self._started = files.ending is not None, time.monotonic() - files.seconds
        budget_s = spec.search.time_budget_s
        self.deadline = None if budget_s is None else self._started + budget_s
        self.decisions: list[Decision] = []
        self._checks: list[CheckResult] = []
        self._rounds: list[RoundResult] = []
        self._finalists: FinalistsResult | None = None

    def begin(self, versions: Mapping[str, str]) -> None:
        """Note in the folder what the study began with, and tell that it has begun, or goes on."""
        resumed = self._files.beginning is not None
        self._files.begin(
            Beginning(self._study_id, self._table.dataset.fingerprint, versions, RULES, self._table.notes)
        )
        data = summarize(self._spec, self._table)
        self.tell(StudyStarted(self._study_id, self._spec, data, versions, resumed=resumed, extends=self._extends))

    def tell(self, event: Event) -> None:
        """Keep what an event brings, and let the listener hear it."""
        if isinstance(event, CheckFinished):
            self._checks.append(event.check)
        elif isinstance(event, RoundFinished):
            self._rounds.append(event.result)
        elif isinstance(event, CycleDecided):
            self.decisions.append(event.decision)
        elif isinstance(event, FinalistsFinished):
            self._finalists = event.result
        self._listen(event)
        if not self.is_over:
            self._files.note_seconds(time.monotonic() - self._started)

    def keep_its_ending(self, error: Exception) -> None:
        """Raise what goes wrong where a study that is over is told again: its record and report stay as they are.

        One that a check has failed fails again.
        """
        has_failed = self.is_over and not str(self._files.ending).startswith(StudyStatus.COMPLETED)
        if self.is_over and not (has_failed and isinstance(error, CheckFailedError)):
            raise error

    @property
    def _extends(self) -> str:
        return next((each.of for each in reversed(extensions(self._files))), "")

    def paused(self) -> NoRoomError:
        """End for want of room on the disk; returns the error that says so."""
        paused = disk.paused(self._files.path)
        # Even that may not find room.
        with contextlib.suppress(OSError):
            self.finish(StudyStatus.INTERRUPTED, str(paused))
        return paused

    def finish(self, status: StudyStatus, reason: str) -> StudyResult:
        """The study's result, which the listener hears, too."""
        result = StudyResult(
            study_id=self._study_id,
            status=status,
            reason=reason,
            checks=tuple(self._checks),
            rounds=tuple(self._rounds),
            decisions=tuple(self.decisions),
            finalists=self._finalists,
            seconds=self._files.seconds if self.is_over else time.monotonic() - self._started,
            data=summarize(self._spec, self._table),
            extends=self._extends,
        )
        self._listen(StudyFinished(result, report(self._spec, result)))
        return result


def summarize(spec: StudySpec, table: Loaded) -> DataSummary:
    """What the record says about the table."""
    dataset = table.dataset
    return DataSummary(
        source=shown(str(spec.data.source or spec.data.train)),
        fingerprint=dataset.fingerprint,
        n_train=len(dataset.train),
        n_validation=len(dataset.validation),
        n_test=len(table.test_rows),
        n_inputs=dataset.n_inputs,
        n_outputs=dataset.n_outputs,
        task=dataset.task,
        class_names=dataset.class_names,
        target=table.target,
        task_reason=table.task_reason,
        columns={kind: len(names) for kind in KINDS if (names := table.preparation.schema.names(kind))},
        notes=table.notes,
        warnings=tuple(one_line(problem) for problem in table.warnings),
    )
