"""One study under faults: what is killed when follows from a seed."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.chaos.invariants import content, violations
from tests.chaos.variants import Variant
from tests.processes import kill, lives
from tests.servers import RestartingServer

# Faults of a study at most, and attempts to go on until it must have ended.
MOST_FAULTS, MOST_ATTEMPTS = 3, 8
# Seconds: of an attempt, against hanging; and for what a study started to be gone after it.
ATTEMPT_S, GONE_S = 240, 45
# Seconds until an MLflow server that was killed is started again, at most.
SERVER_AWAY_S = 8
DRIVER = {"driver KILL": signal.SIGKILL, "driver TERM": signal.SIGTERM, "driver INT": signal.SIGINT}
# Of Ray's processes, by what their command line begins with or holds.
OF_RAY = {"worker": "ray::Worker", "coordinator": "ray::Coordinator", "raylet": "/raylet ", "GCS": "gcs_server"}

# In the environment of everything that a study starts: its home.
MARK = "CHAOS_HOME"

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.chaos.attempt"])


@dataclass
class Outcome:
    """What became of a study."""

    variant: Variant
    seed: int
    faults: list[str] = field(default_factory=list)
    codes: list[int | None] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        ended = "all holds" if not self.violations else "; ".join(self.violations[:5])
        faults = ", ".join(self.faults) or "undisturbed"
        return f"{self.variant.name:22} seed {self.seed:<8} {faults:48} exit {self.codes}: {ended}"


class Ground:
    """Where studies lie, and what is known of those that nobody disturbed.

    Args:
        folder: Exists.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # The fork server's imports are not to be part of the first study's time.
        warm = PROCESSES.Process(target=int)
        warm.start()
        warm.join()
        self._calm: dict[str, tuple[dict[str, Any], float]] = {}

    def home(self, name: str) -> Path:
        """A fresh folder, with nothing in it."""
        home = self._folder / name
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        return home

    def calm(self, variant: Variant) -> tuple[dict[str, Any], float]:
        """What the undisturbed study holds, and how many seconds it takes."""
        if variant.name not in self._calm:
            home = self.home(f"{variant.name}-calm")
            with Study(variant, home) as study:
                began = time.monotonic()
                code = study.attempt(None)
                seconds = time.monotonic() - began
                assert code == 0, study.log.read_text()[-2000:]
                (folder,) = home.glob("studies/*")
                found = violations(home, study.record, None, trials=variant.trials)
                assert not found, found
                self._calm[variant.name] = (dict(content(folder)), seconds)
        return self._calm[variant.name]


class Study:
    """The study of a home: begun, gone on with, and looked after until it has ended."""

    def __init__(self, variant: Variant, home: Path) -> None:
        self._variant, self._home, self._stack = variant, home, ExitStack()
        self.log = home.parent / f"{home.name}.log"
        self.log.unlink(missing_ok=True)
        (home.parent / f"{variant.name}.yaml").write_text(variant.spec)
        self.server: RestartingServer | None = None

    def __enter__(self) -> Study:
        if self._variant.server:
            self.server = self._stack.enter_context(RestartingServer(self._home))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def record(self) -> str:
        """Address of MLflow's store."""
        return self.server.url if self.server else f"sqlite:///{self._home / 'mlflow.db'}"

    @property
    def folder(self) -> Path | None:
        """Of the study; None if it has not come to that."""
        return next((path for path in self._home.glob("studies/*") if (path / "spec.json").exists()), None)

    def attempt(self, fault: Callable[[int], None] | None) -> int | None:
        """Begin or go on, and have ``fault`` happen to it meanwhile; returns its exit code, None if it hung."""
        if (folder := self.folder) is None:
            what = [str(self._home.parent / f"{self._variant.name}.yaml")]
        elif (folder / "ended.json").exists():
            return self._execute(["sync", folder.name], fault)
        else:
            what = ["--study", folder.name]
        return self._execute(["run", *what, "--runner", self._variant.runner], fault)

    def _execute(self, command: list[str], fault: Callable[[int], None] | None) -> int | None:
        command = [*command, "--home", str(self._home)]
        environment = {MARK: str(self._home)}
        if self.server is not None:
            environment["MLFLOW_TRACKING_URI"] = self.server.url
        process = self._begin(command, environment)
        if fault is not None:
            fault(process.pid)
        process.join(ATTEMPT_S)
        if process.is_alive():
            process.kill()
            process.join(30)
            return None
        return process.exitcode

    def _begin(self, command: list[str], environment: dict[str, str]) -> Any:
        """A process of the command line: forked where there is no Ray, which wants one of its own."""
        if self._variant.runner == "ray":
            return _Command(command, self.log, environment)
        from tests.chaos import attempt

        process = PROCESSES.Process(target=attempt.run, args=(command, self.log, environment))
        process.start()
        return process


class _Command:
    """A process of the command line, with multiprocessing's words for what can be asked of it."""

    def __init__(self, command: list[str], log: Path, environment: dict[str, str]) -> None:
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.command", *command], stdout=file, stderr=file,
                env=os.environ | environment,
            )  # fmt: skip
        self.pid = self._process.pid

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def join(self, timeout: float) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout)

    @property
    def exitcode(self) -> int | None:
        return self._process.poll()


def disturb(variant: Variant, seed: int, ground: Ground) -> Outcome:
    """Run a study under faults that follow from a seed, and then to its end."""
    calm, seconds = ground.calm(variant)
    draw, outcome = random.Random(seed), Outcome(variant, seed)
    planned = draw.randint(1, MOST_FAULTS)
    # Every kind takes its turn as the first: some are rare otherwise, since their moment has to be right.
    first = kinds_of(variant)[seed % len(kinds_of(variant))]
    home = ground.home(f"{variant.name}-{seed}")
    with Study(variant, home) as study:
        while len(outcome.codes) < MOST_ATTEMPTS:
            fault = None
            if len(outcome.faults) < planned:
                kind = draw.choice(kinds_of(variant)) if outcome.faults else first
                fault = _fault(kind, draw, seconds, outcome, study)
            outcome.codes.append(study.attempt(fault))
            folder = study.folder
            if outcome.codes[-1] == 0 and folder is not None and (folder / "recorded.json").exists():
                break
        if outcome.codes[-1] is None:
            outcome.violations.append(f"it hung; see {study.log}")
        else:
            outcome.violations += violations(
                home, study.record, calm if variant.is_repeatable else None, trials=variant.trials
            )
        outcome.violations += _left(home)
    if not outcome.violations:
        shutil.rmtree(home)
    return outcome


def kinds_of(variant: Variant) -> tuple[str, ...]:
    """What can be killed of a study."""
    return (*DRIVER, *(OF_RAY if variant.runner == "ray" else ()), *(["MLflow"] if variant.server else []))


def _fault(kind: str, draw: random.Random, seconds: float, outcome: Outcome, study: Study) -> Callable[[int], None]:
    """What happens to an attempt, and when."""
    # Ray's processes live for a part of a study; what is not there yet is waited for.
    moment, away_s = draw.uniform(0, seconds / 2 if kind in OF_RAY else seconds), draw.uniform(0, SERVER_AWAY_S)

    def happen(pid: int) -> None:
        _wait(moment, pid)
        if not lives(pid):
            return
        if kind in DRIVER:
            with contextlib.suppress(ProcessLookupError):  # It may have ended this instant.
                os.kill(pid, DRIVER[kind])
                outcome.faults.append(kind)
        elif kind == "MLflow":
            assert study.server is not None
            outcome.faults.append(kind)
            study.server.kill()
            _wait(away_s, pid)
            study.server.start()
        else:
            while (victim := _process_of(pid, OF_RAY[kind])) is None and lives(pid):
                time.sleep(0.05)
            if victim is not None:
                outcome.faults.append(kind)
                kill(victim)

    return happen


def _wait(seconds: float, pid: int) -> None:
    """Until a moment, or until a process has ended."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and lives(pid):
        time.sleep(min(0.02, max(0.0, until - time.monotonic())))


def _process_of(pid: int, title: str) -> psutil.Process | None:
    """One of Ray's processes below the driver; None if there is none at the moment."""
    try:
        for process in psutil.Process(pid).children(recursive=True):
            try:
                if title in " ".join(process.cmdline()):
                    return process
            except psutil.Error:
                continue
    except psutil.Error:
        pass
    return None


def _left(home: Path) -> list[str]:
    """Processes that a study started and that are still there long after it."""
    deadline = time.monotonic() + GONE_S
    while True:
        left = [process for process in psutil.process_iter() if _home_of(process) == str(home)]
        if not left or time.monotonic() > deadline:
            return [f"{process.name()} ({process.pid}) is still there" for process in left]
        time.sleep(0.5)


def _home_of(process: psutil.Process) -> str | None:
    """What a process and all those that it starts have of their study in their environment."""
    try:
        return process.environ().get(MARK)
    except psutil.Error:
        return None
