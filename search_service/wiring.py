"""Joins a runner and recorders and runs a study: the only file that knows both.

``prepare`` does everything that can find a mistake of the user's, before anything is started or written; ``run``
then runs the study, and ``compare`` a comparison of optimisers.
"""

from __future__ import annotations

import importlib.metadata
import math
import os
import platform
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

import torch

from search_service.comparison import compare as compare_optimizers
from search_service.errors import InvalidSpecError, Problem
from search_service.folder import disk, journals, private_addresses, study_folder
from search_service.folder.study_folder import StudyFolder
from search_service.recipe import packing, warm_start
from search_service.recipe.planning import StudyPlan
from search_service.recipe.planning import plan as plan_study
from search_service.recorders.background import BackgroundRecorder, Backlog
from search_service.recorders.base import Recorder
from search_service.recorders.event_journal import RESULT_FILE, EventJournal
from search_service.records.comparison_results import ComparisonResult
from search_service.records.earlier import EarlierStudy
from search_service.records.events import ComparisonFinished, Event, Listener, StudyFinished
from search_service.records.results import StudyResult
from search_service.report import comparison_report
from search_service.report.study_report import as_document
from search_service.runners import replaying
from search_service.runners.base import Runner
from search_service.runners.interrupts import Interrupts, catch_interrupts
from search_service.runners.replaying import Replay, Replayed
from search_service.runners.sizing import RAY_REPORT_S, most_members, place_of
from search_service.runners.stopping import CANCEL_FILE
from search_service.settings import Settings
from search_service.spec.search_space import ChoicesSpec, RangeSpec
from search_service.spec.study_spec import StudySpec, for_task, grace_period, parse
from search_service.study import run_study, summarize
from trainables import population_size, timing
from trainables.data import dataset as datasets
from trainables.data.dataset import Dataset, Loaded, TestRows
from trainables.errors import DataError
from trainables.process import device_for, prepare_process
from trainables.redaction import shown

RunnerName = Literal["inline", "ray"]
# Seconds in which nothing could be recorded, after which a study that is over does not wait for its record any longer:
# a server that is started again takes half of that. And of one that was cut short, whose user wants to be gone.
RECORD_PATIENCE_S, HURRIED_PATIENCE_S = 60.0, 5.0
# Seconds of waiting for the record that need no word.
SILENT_WAIT_S = 10.0
# Below a study's folder: temporary files of the process that works on it.
SCRATCH_FOLDER = "tmp"
_RECORDED_VERSIONS = ("search-service", "torch", "ray", "optuna", "mlflow", "numpy", "scikit-learn")


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


@dataclass(frozen=True)
class FinishedComparison:
    """A comparison that is over.

    Attributes:
        result: What was found.
        places: Where to look, by name, as in ``FinishedStudy``.
        backlog: What is not in the record.
    """

    result: ComparisonResult
    places: dict[str, str]
    backlog: Backlog


@dataclass(frozen=True)
class PreparedStudy:
    """A valid spec with its table read: nothing can be wrong with what the user gave any more.

    Attributes:
        spec: With the loss that follows from the table, and of its tables' addresses what others may see: it is what is
            recorded.
        table: Rows and their preparation.
        addresses: Of the tables, whole, by config key, where something of one is secret.
        folder: Of a study which is to go on; None for a new one.
        earlier: The study that ``search.warm_start`` names.
    """

    spec: StudySpec
    table: Loaded
    folder: StudyFolder | None = None
    earlier: EarlierStudy | None = None
    addresses: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def dataset(self) -> Dataset:
        """Training and validation rows."""
        return self.table.dataset

    @property
    def test_rows(self) -> TestRows:
        """For the winner only."""
        return self.table.test_rows


def prepare(spec: StudySpec, *, settings: Settings | None = None) -> PreparedStudy:
    """Read the table and check the spec against it.

    Args:
        spec: What was asked. A loss that it leaves open follows from the target column.
        settings: Which folders may be read; by default all.

    Raises:
        InvalidSpecError: The table cannot be used, or does not fit the spec, or the study of a warm start does not.
        RecorderError: That study cannot be read.
    """
    study = _read_table(spec, settings)
    return replace(study, earlier=_earlier(study.spec, settings or Settings()))


def _read_table(spec: StudySpec, settings: Settings | None) -> PreparedStudy:
    try:
        table = datasets.read(
            spec.data,
            spec.task_given,
            folds=spec.finalists.folds,
            allowed=settings.allowed_sources if settings else None,
        )
    except DataError as error:
        raise InvalidSpecError(error.problems) from error
    spec = for_task(spec, table.dataset.task, table.task_reason)
    problems = _against_data(spec, table.dataset)
    if problems:
        raise InvalidSpecError(problems)
    public, addresses = private_addresses.taken_out(spec)
    return PreparedStudy(public, table, addresses=addresses)


def _earlier(spec: StudySpec, settings: Settings) -> EarlierStudy | None:
    """The study of a warm start, if one is asked for and can teach this one."""
    study_id = spec.search.warm_start
    if study_id is None:
        return None
    from search_service.recorders.mlflow import history as mlflow_history

    earlier = mlflow_history.read_study(settings.record_uri, study_id)
    if earlier is None:
        where = settings.shown_record
        rule, fix = f"the id of a study in the record at {where}", "check the id, --home or the server"
        raise InvalidSpecError([Problem(warm_start.KEY, study_id, rule, fix)])
    if problems := warm_start.problems(earlier, space=spec.space(), base=spec.trial, metric=spec.metric):
        raise InvalidSpecError(problems)
    return earlier


def prepare_again(study_id: str, *, settings: Settings) -> PreparedStudy:
    """Read a study that has been begun, or whose folder holds its spec only, to go on with it.

    Args:
        study_id: Of a study under ``settings.home``.
        settings: Where studies are.

    Raises:
        DataError: There is no such study, it has ended, or its table is not what it was.
        InvalidSpecError: The table cannot be used any more.
    """
    folder = study_folder.find(settings.home.absolute() / "studies", study_id)
    _require_unfinished(folder)
    study = _read_again(folder, settings)
    return replace(study, earlier=_earlier(study.spec, settings))


def _read_again(folder: StudyFolder, settings: Settings) -> PreparedStudy:
    """A study's spec and the table that it began with."""
    raw = private_addresses.put_back(study_folder.load_spec(folder), folder.path, settings.whole_addresses)
    study = _read_table(parse(raw), settings)
    began = folder.beginning
    if began is not None and began.fingerprint != study.dataset.fingerprint:
        source = shown(str(study.spec.data.source or study.spec.data.train))
        rule = f"the table that study {began.study_id} began with (fingerprint {began.fingerprint}, now "
        rule += f"{study.dataset.fingerprint})"
        raise DataError([Problem("data.source", source, rule, "bring the old file back, or start a new study")])
    return replace(study, folder=folder)


def _require_unfinished(folder: StudyFolder) -> None:
    if folder.ending is not None:
        rule, fix = f"a study that has not ended; this one has {folder.ending}", "start a new study, with its config"
        raise DataError([Problem(study_folder.OPTION, folder.path.name, rule, fix)])


def inspect(spec: StudySpec, *, settings: Settings) -> Loaded:
    """Read the table and look at every column; what is suspicious is said and no error, even if ``strict``.

    Raises:
        InvalidSpecError: The table cannot be used.
    """
    config = spec.data.model_copy(update={"strict": False})
    try:
        return datasets.read(config, spec.task_given, allowed=settings.allowed_sources, profiled=True)
    except DataError as error:
        raise InvalidSpecError(error.problems) from error


def plan(study: PreparedStudy, *, runner: RunnerName = "ray") -> StudyPlan:
    """What a run of the study would do, with the pace of its trial on this machine; nothing is written.

    Args:
        study: From ``prepare``.
        runner: Says how many populations train at once.
    """
    prepare_process()
    spec, search = study.spec, study.spec.search
    concurrency = _concurrency(spec, runner)
    size = search.population_size
    if size == "auto":
        most = most_members(search.coarse.max_trials, concurrency)
        size = population_size.choose(
            spec.trial,
            study.dataset,
            most=most,
            **place_of(search.gpus_per_trial, concurrency),
            epochs=min(grace_period(search, search.coarse.max_epochs), search.coarse.max_epochs),
            report_s=RAY_REPORT_S if runner == "ray" else 0.0,
        ).size
    measure = partial(timing.measure, metric=spec.metric, device=device_for(search.gpus_per_trial))
    pace = measure([spec.trial] * size, study.dataset)
    # The finalists train in this process, the seeds of each as one population.
    last = measure([spec.trial] * spec.finalists.seeds, study.dataset)
    return plan_study(spec, concurrency=concurrency, pace=pace, finalists_pace=last)


def _concurrency(spec: StudySpec, runner: RunnerName) -> int:
    """Populations that train at once on this machine."""
    search = spec.search
    if runner == "inline":
        return 1
    # Those that this process may use, where the system can say it.
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    slots = cpus // search.cpus_per_trial
    if search.gpus_per_trial > 0:
        slots = min(slots, torch.cuda.device_count() // search.gpus_per_trial)
    return max(1, int(min(slots, search.max_concurrent_trials or slots)))


def run(
    study: PreparedStudy,
    *,
    settings: Settings,
    runner: RunnerName = "ray",
    ray_address: str | None = None,
    listeners: Sequence[Listener] = (),
    say: Callable[[str], None] = lambda text: None,
) -> FinishedStudy:
    """Run a study and record it, or go on with one.

    Args:
        study: From ``prepare`` or ``prepare_again``.
        settings: Where things live.
        runner: ``inline`` (this process) or ``ray``.
        ray_address: An existing cluster; None starts Ray here for the time of the study.
        listeners: Hear every event after the journal and the recorder.
        say: Hears what takes long when the study is over, in a sentence.

    Returns:
        The result, where everything is, and what the record still lacks.

    Raises:
        DataError: Another process has finished it.
        StudyBusyError: Another process is running it.
        OutsideError: Ray broke, or MLflow cannot be reached when it begins.
        KeyboardInterrupt: After everything was stopped.
    """
    # Steps 1 to 3 and the finalists train in this process, beside Ray's workers.
    prepare_process()
    with ExitStack() as stack:
        interrupts = stack.enter_context(catch_interrupts())
        if study.folder is not None:
            # Before anything is opened: a study that is being run is left alone.
            stack.enter_context(study.folder.lock())
            _require_unfinished(study.folder)
        recorder = stack.enter_context(_recording(settings, study.spec))
        made = _make_runner(runner, ray_address)
        interrupts.rearm()
        stack.callback(made.close)
        files = study.folder
        if files is None:
            files = StudyFolder(_make_folder(settings, "studies", _new_id(study.spec), study.spec))
            private_addresses.keep(files.path, study.addresses)
            stack.enter_context(files.lock())
        stack.enter_context(_scratch(files.path))
        # Of the last time, that is.
        (files.path / CANCEL_FILE).unlink(missing_ok=True)
        # The journal first: what the record is told stands in the folder, whatever becomes of this process.
        everybody = [EventJournal(files.path, recorder.page).record, recorder.record, *listeners]
        result = run_study(
            study.spec,
            study.table,
            made,
            _listener(everybody, interrupts, files.path / CANCEL_FILE),
            study_id=files.path.name,
            folder=files.path,
            versions=_versions(study.spec.search.gpus_per_trial),
            earlier=study.earlier,
            deliver=partial(_deliver, settings, files, recorder, study.spec),
        )
        # The study is over; the record may not be, and needs no workers for it.
        made.close()
        return _finish_record(settings, files, recorder, study.spec, result, say)


def sync(study_id: str, *, settings: Settings, say: Callable[[str], None] = lambda text: None) -> FinishedStudy:
    """Complete the record of a study that is over: tell it everything again; what it has stays as it is.

    Args:
        study_id: Of a study under ``settings.home``.
        settings: Where studies are, and the record.
        say: Hears what takes long, in a sentence.

    Raises:
        DataError: There is no such study, it is not over, or its table is not what it was.
        InvalidSpecError: The table cannot be used any more.
        StudyBusyError: Another process works on it.
        RecorderError: MLflow cannot be reached.
        KeyboardInterrupt: Before everything was written.
    """
    prepare_process()
    files = study_folder.find(settings.home.absolute() / "studies", study_id)
    if files.ending is None:
        rule, fix = (
            "a study that is over",
            f"search-service run --study {study_id}, which goes on with it and records it",
        )
        raise DataError([Problem("STUDY", study_id, rule, fix)])
    study = _read_again(files, settings)
    with ExitStack() as stack:
        interrupts = stack.enter_context(catch_interrupts())
        stack.enter_context(files.lock())
        recorder = stack.enter_context(_recording(settings, study.spec))
        stack.enter_context(_scratch(files.path))
        result = run_study(
            study.spec,
            study.table,
            _make_runner("inline", None),
            _listener([recorder.record], interrupts),
            study_id=study_id,
            folder=files.path,
            versions=files.beginning.versions if files.beginning else {},
        )
        return _finish_record(settings, files, recorder, study.spec, result, say)


def unrecorded(settings: Settings) -> list[str]:
    """Ids of the studies under ``settings.home`` that are over and not wholly in the record, oldest first."""
    folders = (StudyFolder(path.parent) for path in settings.home.absolute().glob("studies/*/ended.json"))
    left = [files for files in folders if not files.is_recorded]
    return [files.path.name for files in sorted(left, key=lambda files: (files.path / "ended.json").stat().st_mtime)]


def _deliver(
    settings: Settings, files: StudyFolder, recorder: Recorder, spec: StudySpec, result: StudyResult
) -> dict[str, str]:
    """Write the result of a study into its folder; returns where everything is."""
    places = _places(settings, files.path, recorder)
    journals.write_whole(files.path / RESULT_FILE, as_document(spec, result, places))
    return places


def _finish_record(
    settings: Settings,
    files: StudyFolder,
    recorder: BackgroundRecorder,
    spec: StudySpec,
    result: StudyResult,
    say: Callable[[str], None],
) -> FinishedStudy:
    """Wait for the record of a study that is over, and write its result again, with what only the record knew."""
    backlog = _wait(recorder, say)
    if backlog.is_complete:
        files.note_recorded(settings.shown_record)
    places = _deliver(settings, files, recorder, spec, result)
    if not backlog.is_complete:
        places["sync"] = f"search-service sync {files.path.name}"
    return FinishedStudy(result, places, backlog)


def _wait(recorder: BackgroundRecorder, say: Callable[[str], None]) -> Backlog:
    """Wait until everything is recorded; Ctrl-C, or a record that is away, ends only the waiting."""
    try:
        backlog = recorder.wait(RECORD_PATIENCE_S, most_s=SILENT_WAIT_S)
        if backlog.waiting:
            trouble = f" ({backlog.trouble})" if backlog.trouble else ""
            say(f"Everything is trained. Writing the rest of the record{trouble}; Ctrl-C leaves it for later ...")
            backlog = recorder.wait(RECORD_PATIENCE_S)
    except KeyboardInterrupt:
        backlog = recorder.backlog
    return backlog


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
        study_id: Of a study under ``settings.home``.
        settings: Where studies are.
        trials: Which; by default all.
        tolerance: Up to which a difference agrees.
        listen: Hears of each trial as it is compared.

    Raises:
        DataError: There is no such study or trial, nothing was trained in it, or its table is not what it was.
        InvalidSpecError: The table cannot be used any more.
    """
    prepare_process()
    folder = study_folder.find(settings.home.absolute() / "studies", study_id)
    began = folder.beginning
    if began is None:
        rule, fix = "a study that was run", f"search-service run --study {study_id}"
        raise DataError([Problem("STUDY", study_id, rule, fix)])
    study = _read_again(folder, settings)
    compared, device = [], device_for(study.spec.search.gpus_per_trial)
    for trial in replaying.replay(folder, study.dataset, trials, device=device):
        compared.append(trial)
        listen(trial)
    now = _versions(study.spec.search.gpus_per_trial)
    differing = {name: (then, now.get(name, "none")) for name, then in began.versions.items() if now.get(name) != then}
    return Replay(study_id, tuple(compared), tolerance, differing)


def compare(
    study: PreparedStudy,
    *,
    settings: Settings,
    listeners: Sequence[Listener] = (),
    say: Callable[[str], None] = lambda text: None,
) -> FinishedComparison:
    """Compare optimisers on a study's trial, in this process, and record it; test rows stay unseen.

    Args:
        study: From ``prepare``; of its spec, ``comparison`` says what is compared.
        settings: Where things live.
        listeners: Hear every event after the recorder.
        say: Hears what takes long when everything is compared, in a sentence.

    Returns:
        The result, where everything is, and what the record still lacks.

    Raises:
        OutsideError: MLflow cannot be reached.
        KeyboardInterrupt: After everything was recorded.
    """
    prepare_process()
    comparison_id = _new_id(study.spec)
    with ExitStack() as stack:
        interrupts = stack.enter_context(catch_interrupts())
        recorder = stack.enter_context(_recording(settings, study.spec))
        from search_service.recorders.figures import comparison as figures

        folder = _make_folder(settings, "comparisons", comparison_id, study.spec)
        stack.enter_context(_scratch(folder))
        result = compare_optimizers(
            study.spec,
            study.dataset,
            summarize(study.spec, study.table),
            _listener([recorder.record, *listeners], interrupts),
            figures.write,
            comparison_id=comparison_id,
            folder=folder,
            versions=_versions(),
        )
        backlog, places = _wait(recorder, say), _places(settings, folder, recorder)
        journals.write_whole(folder / RESULT_FILE, comparison_report.as_document(study.spec, result, places))
        return FinishedComparison(result, places, backlog)


def _new_id(spec: StudySpec) -> str:
    return f"{spec.name}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


def _make_folder(settings: Settings, kind: str, name: str, spec: StudySpec) -> Path:
    """The folder of a study or comparison, with what was asked."""
    folder = settings.home.absolute() / kind / name
    folder.mkdir(parents=True)
    journals.write_whole(folder / "spec.json", spec.model_dump(mode="json", exclude_unset=True))
    return folder


def _listener(listeners: Sequence[Listener], interrupts: Interrupts, cancel_file: Path | None = None) -> Listener:
    """One listener for all, which also looks whether somebody asked to stop, by a signal or by making a file."""

    def listen(event: Event) -> None:
        # Ray may have started since the last event, and taken SIGTERM for itself.
        interrupts.rearm()
        for listener in listeners:
            listener(event)
        if not isinstance(event, (StudyFinished, ComparisonFinished)):
            interrupts.check()
            if cancel_file is not None and cancel_file.exists():
                raise KeyboardInterrupt

    return listen


@contextmanager
def _scratch(folder: Path) -> Iterator[None]:
    """Keep temporary files in a study's folder: what a killed process leaves, the next one takes away."""
    scratch, before = folder / SCRATCH_FOLDER, tempfile.tempdir
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    tempfile.tempdir = str(scratch)
    try:
        yield
    finally:
        tempfile.tempdir = before
        shutil.rmtree(scratch, ignore_errors=True)


def _places(settings: Settings, folder: Path, recorder: Recorder) -> dict[str, str]:
    places = {
        "folder": str(folder),
        "record": settings.shown_record,
        "page": settings.ui_address + recorder.page,
    }
    if (folder / packing.FOLDER).exists():
        places["model"] = str(folder / packing.FOLDER)
    if recorder.registered:
        places["registered"] = recorder.registered
    if settings.ui_command:
        places["open_record"] = settings.ui_command
    return places


def _require_folder(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        rule, fix = "a folder that can be written", f"choose another folder ({error.strerror})"
        raise InvalidSpecError([Problem("--home", str(home), rule, fix)]) from error


def _against_data(spec: StudySpec, dataset: Dataset) -> list[Problem]:
    """What the config says of rows and classes must be true of this table."""
    rows = len(dataset.train)
    return _batches_too_large(spec, rows) + _warmup_too_long(spec, rows) + _wrong_classes(spec, dataset)


def _batches_too_large(spec: StudySpec, rows: int) -> list[Problem]:
    """Batches that the user asks for must fit into the training rows; the default's are cut to them."""
    asked: dict[str, object] = {}
    if "batch_size" in spec.trial.model_fields_set:
        asked["trial.batch_size"] = spec.trial.batch_size
    searched = spec.search_space.get("batch_size")
    if isinstance(searched, RangeSpec):
        asked["search_space.batch_size.high"] = searched.high
    elif isinstance(searched, ChoicesSpec):
        asked |= {f"search_space.batch_size.choices.{i}": value for i, value in enumerate(searched.choices)}
    fix = "lower it, or use full for all rows in one batch"
    return [
        Problem(path, value, f"at most {rows}, the training rows of this table", fix)
        for path, value in asked.items()
        if isinstance(value, (int, float)) and value > rows
    ]


def _warmup_too_long(spec: StudySpec, rows: int) -> list[Problem]:
    """Warm-up in steps; how long a training is follows from the table. In epochs, the spec itself finds it."""
    schedule, batch = spec.trial.schedule, spec.trial.batch_size
    steps = spec.search.coarse.max_epochs * (1 if batch == "full" else math.ceil(rows / batch))
    if schedule.unit != "steps" or schedule.warmup < steps:
        return []
    rule = f"fewer than the {steps} steps that a training of the coarse search has"
    return [Problem("trial.schedule.warmup", schedule.warmup, rule, "lower it, or train longer")]


def _wrong_classes(spec: StudySpec, dataset: Dataset) -> list[Problem]:
    """Binary cross-entropy is for two classes, and class weights are one per class."""
    if dataset.task != "classification":
        return []
    n, first = dataset.n_outputs, dataset.class_names[:8]
    names = ", ".join(first) + (", …" if n > len(first) else "")
    problems = []
    if spec.trial.loss == "binary_cross_entropy" and n != 2:
        rule = f"a loss for {n} classes, which this table has ({names})"
        problems.append(Problem("trial.loss", spec.trial.loss, rule, "use cross_entropy"))
    asked: dict[str, object] = {"trial.class_weights": spec.trial.class_weights}
    searched = spec.search_space.get("class_weights")
    if isinstance(searched, ChoicesSpec):
        asked |= {f"search_space.class_weights.choices.{i}": value for i, value in enumerate(searched.choices)}
    rule, fix = f"{n} weights, one for each class in this order: {names}", "give as many, or use balanced"
    problems += [
        Problem(path, list(value), rule, fix)
        for path, value in asked.items()
        if isinstance(value, tuple) and len(value) != n
    ]
    return problems


def _make_runner(name: RunnerName, ray_address: str | None) -> Runner:
    if name == "inline":
        from search_service.runners.inline import InlineRunner

        return InlineRunner()
    from search_service.runners.ray_tune import RayTuneRunner

    return RayTuneRunner(ray_address)


@contextmanager
def _recording(settings: Settings, spec: StudySpec) -> Iterator[BackgroundRecorder]:
    """The recorder, in a home folder that exists; a record that is not there says so before anything starts."""
    _require_folder(settings.home)
    disk.require_room(settings.home)
    from search_service.recorders.mlflow.recorder import MlflowRecorder

    written = MlflowRecorder(settings.record_uri, settings.artifacts)
    written.open_experiment(spec.experiment or spec.name)
    recorder = BackgroundRecorder(written)
    try:
        yield recorder
    except BaseException:
        # What goes on later is recorded then. This is for those who only look at what was finished.
        recorder.wait(HURRIED_PATIENCE_S)
        raise
    finally:
        recorder.close()


def _versions(gpus: float = 0) -> dict[str, str]:
    """What numbers depend on beside the config and the table; of ``gpus``, whose there are here."""
    versions = {name: importlib.metadata.version(name) for name in _RECORDED_VERSIONS}
    versions["python"] = platform.python_version()
    if device_for(gpus) == "cuda":
        versions["gpu"] = torch.cuda.get_device_name()
    return versions
