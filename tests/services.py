"""A service for tests: its app in this process, and jobs that end as a test says."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import uvicorn
from fastapi import FastAPI

from search_service.errors import RunnerError
from search_service.folder import layout
from search_service.service.app import make_app
from search_service.service.jobs import Job, JobStatus, LocalJobs
from search_service.service.settings import ServiceSettings

ADMIN = "an-admin-token-for-tests-0123456789"


class ScriptedJobs:
    """Jobs that do nothing by themselves; what becomes of them is said by ``end``, ``forget`` and ``break_off``."""

    def __init__(self) -> None:
        self.submitted: list[Job] = []
        self.cancelled: list[str] = []
        self.killed: list[str] = []
        self._ended: dict[str, JobStatus] = {}
        self._unreachable = False

    def submit(self, job: Job) -> None:
        self._reach()
        if all(job.job_id != known.job_id for known in self.submitted):
            self.submitted.append(job)

    def status(self, job_id: str, folder: Path) -> JobStatus:
        self._reach()
        if all(job_id != known.job_id for known in self.submitted):
            return JobStatus("unknown")
        return self._ended.get(job_id, JobStatus("running"))

    def cancel(self, job_id: str, folder: Path, *, at_once: bool = False) -> None:
        self._reach()
        (self.killed if at_once else self.cancelled).append(job_id)

    def end(self, job_id: str, code: int | None = 0, message: str = "") -> None:
        """It is over."""
        self._ended[job_id] = JobStatus("ended", code, message or f"exit code {code}")

    def forget(self) -> None:
        """The cluster's head is lost, and all it knew."""
        self.submitted, self._ended = [], {}

    def break_off(self, *, unreachable: bool) -> None:
        """Whether the cluster answers."""
        self._unreachable = unreachable

    def _reach(self) -> None:
        if self._unreachable:
            raise RunnerError("the cluster does not answer")


def until(holds: Callable[[], bool], seconds: float = 20, every: float = 0.02) -> None:
    """Wait for what another thread or process does; generous, against hanging only."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(every)


def end_jobs(home: Path) -> None:
    """Kill what a test that failed has left: jobs outlive their service."""
    for folder in home.glob("studies/*"):
        for note in folder.glob(f"{folder.name}-*.json"):
            LocalJobs().cancel(note.stem, folder, at_once=True)


def write_events(folder: Path, *entries: dict) -> None:
    """As a study's job does."""
    with (folder / layout.EVENTS).open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(entry) + "\n" for entry in entries)


@contextmanager
def running(app: FastAPI) -> Iterator[str]:
    """The address of an app that answers over HTTP, on a free port of this machine."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server ended before it began"
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=60)


@contextmanager
def serving(home: Path, own_jobs: object = None, **changes: object) -> Iterator[httpx.Client]:
    """An app that answers, on loopback without tokens unless ``admin_token`` is given."""
    settings = ServiceSettings(**{"home": home, "runner": "inline", "restart_delay_s": 0} | changes)
    headers = {"Authorization": f"Bearer {ADMIN}"} if "admin_token" in changes else {}
    app = make_app(settings, own_jobs)
    with running(app) as url, httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        # For those who want to look behind it.
        client.app = app
        yield client
