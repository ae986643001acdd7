"""What a study runs in: its folder, its listeners, temporary files and versions."""

from __future__ import annotations

import importlib.metadata
import platform
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from search_service.folder import journals, layout
from search_service.records.events import ComparisonFinished, Event, Listener, StudyFinished
from search_service.runners.interrupts import Interrupts
from search_service.settings import Settings
from search_service.spec.study_spec import StudySpec
from trainables.process import device_for

# Below a study's folder: temporary files of the process that works on it.
SCRATCH_FOLDER = "tmp"
_RECORDED_VERSIONS = ("search-service", "torch", "ray", "optuna", "mlflow", "numpy", "scikit-learn")


@contextmanager
def scratch_folder(folder: Path) -> Iterator[None]:
    """Keep temporary files in a study's folder: what a killed process leaves, the next one takes away."""
    scratch = folder / SCRATCH_FOLDER
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    _SCRATCHES.enter(scratch)
    try:
        yield
    finally:
        _SCRATCHES.leave(scratch)


class _Scratches:
    """The folders for temporary files of all studies of this process, which has one setting for them (``tempfile``).

    Studies in several threads may end in any order, and have files in one another's folder. So it goes back to one
    that is in use, and all are removed with the last.
    """

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._in_use: list[Path] = []
        self._left: list[Path] = []
        self._usual: str | None = None

    def enter(self, scratch: Path) -> None:
        """Have temporary files made there from now on."""
        with self._changing:
            if not self._in_use:
                self._usual = tempfile.tempdir
            self._in_use.append(scratch)
            tempfile.tempdir = str(scratch)

    def leave(self, scratch: Path) -> None:
        """Its study is over."""
        with self._changing:
            self._in_use.remove(scratch)
            self._left.append(scratch)
            if self._in_use:
                tempfile.tempdir = str(self._in_use[-1])
                return
            tempfile.tempdir = self._usual
            for folder in self._left:
                shutil.rmtree(folder, ignore_errors=True)
            self._left.clear()


_SCRATCHES = _Scratches()


def one_listener(listeners: Sequence[Listener], interrupts: Interrupts, cancel_file: Path | None = None) -> Listener:
    """One listener for all, which also looks whether somebody asked to stop, by a signal or by making a file."""

    def listen(event: Event) -> None:
        # Ray may have started since the last event, and taken SIGTERM for itself.
        interrupts.rearm()
        for listener in listeners:
            listener(event)
        if not isinstance(event, (StudyFinished, ComparisonFinished)):
            interrupts.check()
            if cancel_file is not None and cancel_file.exists():
                raise KeyboardInterrupt("somebody cancelled it")

    return listen


def new_id(spec: StudySpec) -> str:
    """The id of a study or comparison that begins now."""
    return f"{spec.name}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


def make_folder(settings: Settings, kind: str, name: str, spec: StudySpec) -> Path:
    """The folder of a study or comparison, with what was asked."""
    folder = settings.home.absolute() / kind / name
    folder.mkdir(parents=True)
    write_spec(folder, spec)
    return folder


def write_spec(folder: Path, spec: StudySpec) -> None:
    """Write down what is asked, in place of what may stand there."""
    journals.write_whole(folder / layout.SPEC, spec.model_dump(mode="json", exclude_unset=True))


def installed_versions(gpus: float = 0) -> dict[str, str]:
    """What numbers depend on beside the config and the table; of ``gpus``, whose there are here."""
    versions = {name: importlib.metadata.version(name) for name in _RECORDED_VERSIONS}
    versions["python"] = platform.python_version()
    if device_for(gpus) == "cuda":
        versions["gpu"] = torch.cuda.get_device_name()
    return versions
