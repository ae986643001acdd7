"""The record of a study while it runs and when it is over: opened, waited for, named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from search_service.errors import InvalidSpecError, Problem
from search_service.folder import disk, layout
from search_service.recorders.background import BackgroundRecorder, Backlog, BulkRecorder
from search_service.recorders.base import Recorder
from search_service.recorders.unrecorded import Unrecorded
from search_service.settings import Settings
from search_service.spec.study_spec import StudySpec

# Seconds in which nothing could be recorded, after which a study that is over does not wait for its record any longer:
# a server that is started again takes half of that. And of one that was cut short, whose user wants to be gone.
RECORD_PATIENCE_S, HURRIED_PATIENCE_S = 60.0, 5.0
# Seconds of waiting for the record that need no word.
SILENT_WAIT_S = 10.0


@contextmanager
def recording(settings: Settings, spec: StudySpec, *, record: bool = True) -> Iterator[BackgroundRecorder]:
    """The recorder, in a home folder that exists; a record that is not there says so before anything starts.

    Args:
        settings: Where the home and the record are.
        spec: The study's.
        record: False: nothing is written into the record.
    """
    _require_folder(settings.home)
    disk.require_room(settings.home)
    recorder = BackgroundRecorder(_record_of(settings, spec) if record else Unrecorded())
    try:
        yield recorder
    except BaseException:
        # What goes on later is recorded then. This is for those who only look at what was finished.
        recorder.wait(HURRIED_PATIENCE_S)
        raise
    finally:
        recorder.close()


def wait_for_record(recorder: BackgroundRecorder, say: Callable[[str], None]) -> Backlog:
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


def places_of(settings: Settings, folder: Path, recorder: Recorder) -> dict[str, str]:
    """Where to look, by name: see ``FinishedStudy``."""
    places = {"folder": str(folder)}
    if recorder.page:
        places |= {"record": settings.shown_record, "page": settings.ui_address + recorder.page}
    if (folder / layout.PAGE).exists():
        places["report"] = str(folder / layout.PAGE)
    if (folder / layout.MODEL).exists():
        places["model"] = str(folder / layout.MODEL)
    if recorder.registered:
        places["registered"] = recorder.registered
    if recorder.page and settings.ui_command:
        places["open_record"] = settings.ui_command
    return places


def _record_of(settings: Settings, spec: StudySpec) -> BulkRecorder:
    # MLflow takes seconds to import.
    from search_service.recorders.mlflow.recorder import MlflowRecorder

    written = MlflowRecorder(settings.record_uri, settings.artifacts)
    written.open_experiment(spec.experiment or spec.name)
    return written


def _require_folder(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        rule, fix = "a folder that can be written", f"choose another folder ({error.strerror})"
        raise InvalidSpecError([Problem("--home", str(home), rule, fix)]) from error
