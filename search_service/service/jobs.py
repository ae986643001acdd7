"""Where a study's job runs: the interface, and the processes of this machine. ``ray_jobs.py`` is the other.

A job is this package's own command, ``search-service run --study ID``, with its output in the study's folder. Whoever
submits a job twice under one id gets one job.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from search_service.folder import journals

# What a job gets that must not begin a study of its own or call the service.
_SECRETS = ("SEARCH_SERVICE_ADMIN_TOKEN", "SEARCH_SERVICE_DATABASE_URL", "SEARCH_SERVICE_TOKEN")


@dataclass(frozen=True)
class Job:
    """What is to run.

    Attributes:
        job_id: Unique; from the study and its attempt.
        command: Program and arguments.
        folder: The study's folder; output goes to ``log`` in it.
        environment: Beside that of the place where it runs.
    """

    job_id: str
    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str]

    @property
    def log(self) -> Path:
        """What it prints."""
        return self.folder / f"{self.job_id}.log"


@dataclass(frozen=True)
class JobStatus:
    """How a job is doing.

    Attributes:
        state: ``unknown`` where nobody has heard of it: never submitted, or forgotten with its cluster's head.
        exit_code: What its process exited with, where that is known.
        message: What the place says of it.
    """

    state: Literal["running", "ended", "unknown"]
    exit_code: int | None = None
    message: str = ""


class Jobs(Protocol):
    """A place that runs jobs. Methods raise OutsideError where it cannot be reached."""

    def submit(self, job: Job) -> None:
        """Start a job, unless one with its id was started."""
        ...

    def status(self, job_id: str, folder: Path) -> JobStatus:
        """How a job is doing."""
        ...

    def cancel(self, job_id: str, folder: Path, *, at_once: bool = False) -> None:
        """Interrupt a job as Ctrl-C would; it records what it has and ends. ``at_once``: it did not, so kill it."""
        ...


class LocalJobs:
    """Processes of this machine. They outlive the service, which finds them again by what they left in their folder."""

    def __init__(self) -> None:
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def submit(self, job: Job) -> None:
        """See ``Jobs.submit``."""
        if self.status(job.job_id, job.folder).state != "unknown":
            return
        kept = {name: value for name, value in os.environ.items() if name not in _SECRETS}
        with job.log.open("ab") as log:
            process = subprocess.Popen(
                list(job.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=kept | dict(job.environment),
                # A Ctrl-C for the service is none for its studies.
                start_new_session=True,
            )
        # Taken leave of as soon as it ends, whoever looks: it may outlive this object, and nobody is to call it lost.
        threading.Thread(target=process.wait, name=f"waits for {job.job_id}", daemon=True).start()
        self._processes[job.job_id] = process
        journals.write_whole(_note(job.folder, job.job_id), {"pid": process.pid})

    def status(self, job_id: str, folder: Path) -> JobStatus:
        """See ``Jobs.status``."""
        process = self._processes.get(job_id)
        if process is not None:
            code = process.poll()
            return JobStatus("running") if code is None else JobStatus("ended", code, f"exit code {code}")
        pid = _pid(folder, job_id)
        if pid is None:
            return JobStatus("unknown")
        if _is_running(pid, folder.name):
            return JobStatus("running")
        return JobStatus("ended", message="it ended while no service was looking")

    def cancel(self, job_id: str, folder: Path, *, at_once: bool = False) -> None:
        """See ``Jobs.cancel``."""
        pid = _pid(folder, job_id)
        if pid is None or self.status(job_id, folder).state != "running":
            return
        with contextlib.suppress(ProcessLookupError):
            if at_once:
                # With what it has started; it leads a session of its own.
                os.killpg(pid, signal.SIGKILL)
            else:
                os.kill(pid, signal.SIGINT)


def command_of(study_id: str, home: Path, options: Sequence[str]) -> list[str]:
    """The command of a study's job."""
    return [sys.executable, "-m", "search_service", "run", "--study", study_id, "--home", str(home), *options]


def shell_line(job: Job) -> str:
    """A job as one line for a shell: the shell becomes the program, which then gets the signals itself."""
    return f"exec {shlex.join(job.command)} >> {shlex.quote(str(job.log))} 2>&1"


def _note(folder: Path, job_id: str) -> Path:
    return folder / f"{job_id}.json"


def _pid(folder: Path, job_id: str) -> int | None:
    try:
        found = journals.read_whole(_note(folder, job_id))
    except json.JSONDecodeError:
        return None
    return None if found is None else int(found["pid"])


def _is_running(pid: int, study_id: str) -> bool:
    """Whether a process that is not our child runs, and is the one that we think it is."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    command = Path(f"/proc/{pid}/cmdline")
    # Numbers are used again; where the system does not say what runs under one, it is taken for ours.
    return not command.exists() or study_id.encode() in command.read_bytes()
