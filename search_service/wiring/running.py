"""A study: run, gone on with, and told to its record once more."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial

from search_service.errors import Problem
from search_service.folder import journals, layout, private_addresses, study_folder
from search_service.folder.extending import extensions
from search_service.folder.study_folder import StudyFolder
from search_service.recipe import packing
from search_service.recipe.clock import Minutes
from search_service.recorders.background import BackgroundRecorder, Backlog
from search_service.recorders.base import Recorder
from search_service.recorders.event_journal import EventJournal
from search_service.recorders.page_file import PageFile
from search_service.records.events import Listener
from search_service.records.results import StudyResult
from search_service.records.round_plan import Resources
from search_service.report.documents import StudyDocument
from search_service.runners.base import Runner
from search_service.runners.interrupts import catch_interrupts
from search_service.runners.registry import RUNNERS, RunnerKind, runner_kind
from search_service.settings import Settings
from search_service.spec.study_spec import StudySpec
from search_service.study import run_study
from search_service.wiring import notifying, times
from search_service.wiring.preparing import PreparedStudy, read_again, require_unfinished
from search_service.wiring.record import places_of, recording, wait_for_record
from search_service.wiring.surroundings import (
    installed_versions,
    make_folder,
    new_id,
    one_listener,
    scratch_folder,
    write_spec,
)
from trainables.errors import DataError
from trainables.process import prepared_process


@dataclass(frozen=True)
class FinishedStudy:
    """A study that is over.

    Attributes:
        result: What was learnt.
        places: Where to look, by name: ``folder`` (files), ``record`` (MLflow store), ``page`` (in the MLflow UI) and,
            where there are such, ``model`` (folder of the model), ``registered`` (which version it is in the registry,
            whether it is the champion, and why), ``open_record`` (the command that starts the UI) and ``sync`` (the
            command that completes the record).
        backlog: What is not in the record.
    """

    result: StudyResult
    places: dict[str, str]
    backlog: Backlog


@prepared_process()
def run(
    study: PreparedStudy,
    *,
    settings: Settings,
    runner: str = "ray",
    ray_address: str | None = None,
    listeners: Sequence[Listener] = (),
    say: Callable[[str], None] = lambda text: None,
    record: bool = True,
    began_at: float | None = None,
) -> FinishedStudy:
    """Run a study and record it, or go on with one; gives the result, where everything is, and what the record lacks.

    Args:
        study: What ``prepare`` or ``prepare_again`` gave.
        settings: Where things live.
        runner: Name of the runner: ``inline`` (this process), ``ray``, or one of your own (``RUNNERS``).
        ray_address: An existing cluster; None starts Ray here for the time of the study.
        listeners: Hear every event after the journal and the recorder.
        say: Hears what takes long when the study is over, in a sentence.
        record: False: the study is in its folder alone, until ``sync`` tells the record of it.
        began_at: Instant of ``time.monotonic()`` at which the study's time began to count; None: now.

    Raises:
        InvalidSpecError, DataError: There is no such runner; somebody has finished it; SEARCH_SERVICE_NOTIFY is wrong.
        StudyBusyError: Another process is running it.
        OutsideError: Ray broke, or MLflow cannot be reached when it begins.
        KeyboardInterrupt: After everything was stopped.
    """
    began_at = time.monotonic() if began_at is None else began_at
    kind = runner_kind(runner, ray_address)
    notifying.require_addresses(settings)
    with ExitStack() as stack:
        interrupts = stack.enter_context(catch_interrupts())
        # Before anything is opened: a study that is being run is left alone.
        _hold(study.folder, stack)
        made, recorder = _opened_both(stack, kind, ray_address, settings, study.spec, record=record)
        interrupts.rearm()
        files = _opened(settings, study, stack)
        # The journal first: what the record is told stands in the folder, whatever becomes of this process.
        everybody = [*_in_folder(files, recorder), recorder.record, *listeners]
        result = run_study(
            study.spec,
            study.table,
            made,
            one_listener(everybody, interrupts, files.path / layout.CANCEL),
            study_id=files.path.name,
            folder=files.path,
            versions=installed_versions(study.spec.search.gpus_per_trial),
            earlier=study.earlier,
            minutes=_minutes(study.spec, files, kind, ray_address, began_at, record=record),
            deliver=partial(_deliver, settings, files, recorder, study.spec),
        )
        # The study is over; the record may not be, and needs no workers for it.
        with _beside(made.close):
            finished = _finish_record(settings, files, recorder, study.spec, result, say, record=record)
    notifying.tell(settings, study.spec, result, finished.places, say)
    return finished


def _opened_both(
    stack: ExitStack, kind: RunnerKind, ray_address: str | None, settings: Settings, spec: StudySpec, *, record: bool
) -> tuple[Runner, BackgroundRecorder]:
    """The runner and the record, until the stack is left.

    Both take seconds, mostly each in processes and imports of its own. A record that is a file is there, so that the
    workers may begin to start meanwhile; a server is asked first.
    """

    def runner() -> Runner:
        made = stack.enter_context(closing(kind.make(ray_address)))
        made.prepare(Resources.of(spec.search))
        return made

    made = None if settings.tracking_uri else runner()
    # Before MLflow is imported, after which it takes four times as long.
    packing.prepare()
    recorder = stack.enter_context(recording(settings, spec, record=record))
    return runner() if made is None else made, recorder


@contextmanager
def _beside(function: Callable[[], None]) -> Iterator[None]:
    """Have a function called in another thread; what it raises is raised when both have ended."""
    with ThreadPoolExecutor(1) as pool:
        called = pool.submit(function)
        yield
    called.result()


def _minutes(
    spec: StudySpec, files: StudyFolder, kind: RunnerKind, ray_address: str | None, began_at: float, *, record: bool
) -> Minutes | None:
    """The study's time, if it has any."""
    search = spec.search
    seconds = search.time_budget_s if search.minutes is None else 60 * search.minutes
    if seconds is None and all(each.minutes is None for each in extensions(files)):
        return None
    resources = Resources.of(spec.search)
    start = time.monotonic() - began_at
    return Minutes(
        # Those of a study that was given more are known where it was (recipe/more_clock.py).
        seconds=seconds or 0.0,
        began_at=began_at - files.seconds,
        start_s=start,
        # What imports take now, MLflow's and Ray's end will take a part of.
        workers_s=kind.start_share * start,
        end_s=times.end_s(start, record=record),
        slots=(kind.concurrency if ray_address is None else kind.joined or kind.concurrency)(resources),
        beside=times.beside(start, kind),
    )


def _hold(files: StudyFolder | None, stack: ExitStack) -> None:
    """Lock the folder of a study that goes on."""
    if files is not None:
        stack.enter_context(files.lock())
        require_unfinished(files)


def _in_folder(files: StudyFolder, recorder: Recorder) -> tuple[Listener, Listener]:
    """Who writes into a study's folder what happens in it."""
    return EventJournal(files.path, lambda: recorder.page).record, PageFile(files.path).record


def _opened(settings: Settings, study: PreparedStudy, stack: ExitStack) -> StudyFolder:
    """The folder of a study that begins or goes on, until the stack is left."""
    files = study.folder or _new_folder(settings, study, stack)
    if files.beginning is None:
        # Who goes on reads what its table stood for, and not what a config that was submitted has left to its table.
        write_spec(files.path, study.spec)
    stack.enter_context(notifying.told_if_broken(settings, study.spec, files.path.name))
    stack.enter_context(scratch_folder(files.path))
    (files.path / layout.CANCEL).unlink(missing_ok=True)  # That of the last time.
    return files


def _new_folder(settings: Settings, study: PreparedStudy, stack: ExitStack) -> StudyFolder:
    """The folder of a study that begins, locked."""
    files = StudyFolder(make_folder(settings, "studies", new_id(study.spec), study.spec))
    private_addresses.keep(files.path, study.addresses)
    stack.enter_context(files.lock())
    return files


@prepared_process()
def sync(study_id: str, *, settings: Settings, say: Callable[[str], None] = lambda text: None) -> FinishedStudy:
    """Complete the record of a study that is over: tell it everything again; what it has stays as it is.

    Args:
        study_id: Id of a study under ``settings.home``.
        settings: Where studies are, and the record.
        say: Hears what takes long, in a sentence.

    Raises:
        DataError: There is no such study, it is not over, or its table is not what it was.
        InvalidSpecError: The table cannot be used any more.
        StudyBusyError: Another process works on it.
        RecorderError: MLflow cannot be reached.
        KeyboardInterrupt: Before everything was written.
    """
    files = study_folder.find(settings.studies, study_id)
    if files.ending is None:
        rule, fix = (
            "a study that is over",
            f"search-service run --study {study_id}, which goes on with it and records it",
        )
        raise DataError([Problem("STUDY", study_id, rule, fix)])
    began_at = time.monotonic()
    study = read_again(files, settings)
    inline = RUNNERS["inline"]
    with ExitStack() as stack:
        interrupts = stack.enter_context(catch_interrupts())
        stack.enter_context(files.lock())
        recorder = stack.enter_context(recording(settings, study.spec))
        stack.enter_context(scratch_folder(files.path))
        result = run_study(
            study.spec,
            study.table,
            inline.make(None),
            one_listener([PageFile(files.path).record, recorder.record], interrupts),
            study_id=study_id,
            folder=files.path,
            versions=files.beginning.versions if files.beginning else {},
            # What was decided by the clock stands in the folder, and is asked for by the one that decided it.
            minutes=_minutes(study.spec, files, inline, None, began_at, record=True),
        )
        return _finish_record(settings, files, recorder, study.spec, result, say)


def unrecorded(settings: Settings) -> list[str]:
    """Ids of the studies under ``settings.home`` that are over and not wholly in the record, oldest first."""
    folders = (StudyFolder(path.parent) for path in settings.home.absolute().glob("studies/*/ended.json"))
    left = [files for files in folders if not files.is_recorded]
    return [files.path.name for files in sorted(left, key=lambda files: (files.path / layout.ENDING).stat().st_mtime)]


def _deliver(
    settings: Settings, files: StudyFolder, recorder: Recorder, spec: StudySpec, result: StudyResult
) -> dict[str, str]:
    """Write the result of a study into its folder; returns where everything is."""
    places = places_of(settings, files.path, recorder)
    journals.write_whole(files.path / layout.RESULT, StudyDocument.of(spec, result, places).plain())
    return places


def _finish_record(
    settings: Settings,
    files: StudyFolder,
    recorder: BackgroundRecorder,
    spec: StudySpec,
    result: StudyResult,
    say: Callable[[str], None],
    *,
    record: bool = True,
) -> FinishedStudy:
    """Wait for the record of a study that is over, and write its result again, with what only the record knew."""
    backlog = wait_for_record(recorder, say)
    is_recorded = record and backlog.is_complete
    if is_recorded:
        files.note_recorded(settings.shown_record)
    places = _deliver(settings, files, recorder, spec, result)
    if not is_recorded:
        places["sync"] = f"search-service sync {files.path.name}"
    return FinishedStudy(result, places, backlog)
