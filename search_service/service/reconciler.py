"""Compares what is wanted with what is there, and starts, stops and restarts jobs until they agree.

One loop for every cause: a submission, a job that died, a service that was killed, a cluster whose head was lost. It
holds no state of its own: whatever it is killed in the middle of, the next round finds in the store and in the folders.

- An attempt is entered first, then its job submitted under an id made of study and attempt: a job is never started
  twice, and one that was entered and not submitted is submitted in the next round.
- Of replicas, the one that has the lease works; the others look on.
- How an attempt ended is noted once, by whoever comes first: a replica whose round took so long that it lost the lease
  changes nothing.
- A job that dies is started again, after a while, and goes on where it was. A study whose jobs died ``max_attempts``
  times without a trial being finished in between is ``interrupted``.
"""

from __future__ import annotations

import logging
import secrets
import socket
import threading
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from search_service.errors import InvalidSpecError, OutsideError
from search_service.folder import journals, layout, private_addresses
from search_service.folder.study_folder import StudyFolder
from search_service.service.jobs import Job, Jobs, JobStatus, command_of
from search_service.service.settings import ServiceSettings
from search_service.service.states import State, Wanted
from search_service.service.store import Store, now
from search_service.service.submissions import without_secrets
from search_service.service.tables import AttemptRow, StudyRow

# Seconds between two looks; a submission wakes it at once.
INTERVAL_S = 0.5
# Seconds that a replica may be silent before another takes over.
LEASE_S = 15.0
LEASE = "reconciler"
# Seconds to wait for a round when the service ends.
CLOSE_WAIT_S = 5.0
# Seconds without a round, after which something hangs.
STUCK_S = 120.0
# Bytes of events.jsonl entered in one transaction.
CHUNK_BYTES = 1_000_000
# Lines of a job's output that say why it died, and the bytes in which they are looked for.
LAST_LINES, LAST_BYTES = 5, 8_000
# Seconds for a job to end once it was asked to; then it is killed. Ray's own wait (ray_jobs.py), and a little.
CANCEL_WAIT_S = 75
# Seconds before a job that died is started again: restart_delay_s, twice as long after each that follows, up to this.
LONGEST_RESTART_DELAY_S = 300

_log = logging.getLogger(__name__)


class Reconciler:
    """The loop.

    Args:
        store: What is wanted.
        jobs: What is there.
        settings: Folders and limits.
    """

    def __init__(self, store: Store, jobs: Jobs, settings: ServiceSettings) -> None:
        self._store, self._jobs, self._settings = store, jobs, settings
        self._holder = f"{socket.gethostname()}-{secrets.token_hex(4)}"
        self._wake, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._loop, name="reconciler", daemon=True)
        self.trouble = ""
        self._looked_at = time.monotonic()

    def start(self) -> None:
        """Begin, in a thread."""
        self._thread.start()

    def wake(self) -> None:
        """Look now: something was asked for."""
        self._wake.set()

    def close(self) -> None:
        """End the loop; jobs go on."""
        self._ended.set()
        self._wake.set()
        if self._thread.is_alive():
            # Not for ever: it may be waiting for a cluster that does not answer.
            self._thread.join(CLOSE_WAIT_S)
        try:
            self._store.give_up_lease(LEASE, self._holder)
        except SQLAlchemyError as error:
            _log.warning("the lease could not be given back: %s", error)

    @property
    def is_alive(self) -> bool:
        """Whether the loop runs, and hangs nowhere."""
        return self._thread.is_alive() and time.monotonic() - self._looked_at < STUCK_S

    def _loop(self) -> None:
        while not self._ended.is_set():
            self._wake.wait(INTERVAL_S)
            self._wake.clear()
            if not self._ended.is_set():
                self._look()
            self._looked_at = time.monotonic()

    def _look(self) -> None:
        try:
            if self._store.lease(LEASE, self._holder, LEASE_S):
                self.reconcile()
            self.trouble = ""
        except (OutsideError, SQLAlchemyError) as error:
            self._note_trouble(str(error))
        # Whatever else it is: one study must not end the service for all. It is tried again, and in the log.
        except Exception as error:
            _log.exception("a round of the reconciler failed")
            self._note_trouble(f"{type(error).__name__}: {error}")

    def _note_trouble(self, trouble: str) -> None:
        if trouble != self.trouble:
            _log.warning("%s", trouble)
        self.trouble = trouble

    def reconcile(self) -> None:
        """One round: look at every running study, then begin those that may.

        Raises:
            Exception: The first trouble with a study, once all others were looked after.
        """
        troubles: list[Exception] = []
        for study in self._store.active():
            # What is wrong with one study is no reason to leave the others alone.
            try:
                self._look_after(study, troubles)
            except Exception as error:
                troubles.append(error)
            # Looking may have taken long.
            if not self._store.lease(LEASE, self._holder, LEASE_S):
                return
        try:
            while (begun := self._begin_next()) is not None:
                self._submit(*begun)
        except OutsideError as error:
            troubles.append(error)
        if troubles:
            raise troubles[0]

    def _begin_next(self) -> tuple[StudyRow, AttemptRow] | None:
        return self._store.begin_next(self._settings.max_running, LONGEST_RESTART_DELAY_S)

    def _look_after(self, study: StudyRow, troubles: list[Exception]) -> None:
        """Bring one study that is under way forward; what its events are wrong with is a trouble and no obstacle."""
        attempt, folder = self._store.attempt(study.id), self._settings.study_folder(study.id)
        self._read_events(study, troubles)
        if not attempt.submitted:
            if study.wanted != Wanted.CANCEL:
                self._submit(self._store.study(study.id, whole=True), attempt)
                return
            if self._jobs.status(attempt.job_id, folder).state == "unknown":
                self._store.end_attempt(attempt, "never submitted", **_cancelled())
                return
            self._store.note_attempt(attempt, submitted=True)
        if study.wanted == Wanted.STOP:
            (folder / layout.STOP).touch()
        status = self._jobs.status(attempt.job_id, folder)
        if status.state != "running":
            self._read_events(study, troubles)
            # As it is now that its last events are known.
            self._settle(self._store.study(study.id), attempt, status)
        elif study.wanted == Wanted.CANCEL:
            self._cancel(attempt, folder)

    def _cancel(self, attempt: AttemptRow, folder: Path) -> None:
        """Ask a job to end, once; what does not end is made to."""
        if attempt.cancelled_at is None:
            (folder / layout.CANCEL).touch()
            self._jobs.cancel(attempt.job_id, folder)
            self._store.note_attempt(attempt, cancelled_at=now())
        elif (waited := now() - attempt.cancelled_at) < timedelta(0):
            # The clock was set back: its time begins again.
            self._store.note_attempt(attempt, cancelled_at=now())
        elif waited > timedelta(seconds=CANCEL_WAIT_S):
            self._jobs.cancel(attempt.job_id, folder, at_once=True)

    def _submit(self, study: StudyRow, attempt: AttemptRow) -> None:
        settings, folder = self._settings, self._settings.study_folder(study.id)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / layout.SPEC).exists():
            # One that was submitted to an earlier version may still have what is secret in it.
            spec, addresses = without_secrets(study.spec)
            private_addresses.keep(folder, addresses)
            journals.write_whole(folder / layout.SPEC, spec)
        (folder / layout.CANCEL).unlink(missing_ok=True)
        if study.wanted != Wanted.STOP:
            (folder / layout.STOP).unlink(missing_ok=True)
        environment = {"SEARCH_SERVICE_DATA_FOLDERS": ",".join(settings.sources), "PYTHONUNBUFFERED": "1"}
        environment |= settings.record_environment | settings.notify_environment
        on_ray = ["--ray-address", "auto"] if settings.jobs == "ray" else ["--runner", settings.runner]
        command = command_of(study.id, settings.home.absolute(), on_ray)
        self._jobs.submit(Job(attempt.job_id, command, folder, environment))
        self._store.note_attempt(attempt, submitted=True)

    def _settle(self, study: StudyRow, attempt: AttemptRow, status: JobStatus) -> None:
        """A job is over: its study has ended, or goes on with another."""
        folder = self._settings.study_folder(study.id)
        outcome = status.message or status.state
        ending = journals.read_whole(folder / layout.ENDING)
        if ending is not None:
            state = State.COMPLETED if ending["status"] == "completed" else State.FAILED
            ended = {"state": state, "reason": ending["reason"], "finished_at": now(), **_results(folder)}
            self._store.end_attempt(attempt, outcome, **ended)
        elif StudyFolder(folder).is_locked:
            # Its cluster has forgotten a job that is still there, or another was begun beside it: it is let finish.
            if study.wanted == Wanted.CANCEL:
                (folder / layout.CANCEL).touch()
        elif study.wanted == Wanted.CANCEL:
            self._store.end_attempt(attempt, outcome, **_cancelled())
        elif status.exit_code == InvalidSpecError.exit_code:
            # The config or its table is not usable any more: no restart mends that.
            reason = f"the job could not begin: {self._last_words(attempt, folder)}"
            self._store.end_attempt(attempt, outcome, state=State.FAILED, reason=reason, finished_at=now())
        elif study.fruitless + 1 >= self._settings.max_attempts:
            n = study.fruitless + 1
            reason = (
                f"its job died {n} times without finishing a trial ({outcome}): {self._last_words(attempt, folder)}"
            )
            ended = {"state": State.INTERRUPTED, "reason": reason, "finished_at": now(), "fruitless": n}
            self._store.end_attempt(attempt, outcome, **ended)
        else:
            _log.warning("job %s is over before its study (%s): it is started again", attempt.job_id, outcome)
            # What it died of (a server that is starting, a node that is lost) may take a while.
            wait_s = min(self._settings.restart_delay_s * 2**study.fruitless, LONGEST_RESTART_DELAY_S)
            again = {"state": State.PENDING, "fruitless": study.fruitless + 1}
            self._store.end_attempt(attempt, outcome, **again, not_before=now() + timedelta(seconds=wait_s))

    def _last_words(self, attempt: AttemptRow, folder: Path) -> str:
        """The end of what a job printed, without what only whoever runs the service can make something of."""
        log = folder / f"{attempt.job_id}.log"
        if not log.exists():
            return "it printed nothing"
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - LAST_BYTES))
            said = _without_tracebacks(file.read().decode("utf-8", errors="replace"))
        home = str(self._settings.home.absolute())
        return " | ".join(said[-LAST_LINES:]).replace(f"{home}/", "").replace(home, "the home") or "it printed nothing"

    def _read_events(self, study: StudyRow, troubles: list[Exception]) -> None:
        """Enter what the study's job has written since the last time."""
        try:
            self._enter_events(study)
        except Exception as error:
            error.add_note(f"in the events of study {study.id}")
            troubles.append(error)

    def _enter_events(self, study: StudyRow) -> None:
        path = self._settings.study_folder(study.id) / layout.EVENTS
        begin = self._store.study(study.id).read_bytes
        if begin and (not path.exists() or path.stat().st_size < begin):
            raise ValueError(f"{path} is shorter than what was read of it, {begin} bytes")
        while path.exists() and path.stat().st_size > begin:
            with path.open("rb") as file:
                file.seek(begin)
                # A last line without its end is being written; one that is longer than a chunk is read whole.
                chunk = file.read(CHUNK_BYTES) + file.readline()
            whole = chunk[: chunk.rfind(b"\n") + 1]
            if not whole:
                return
            entries = journals.entries_of(whole)
            self._store.take_in(study.id, entries, begin=begin, end=begin + len(whole))
            begin += len(whole)


# What Python prints between two tracebacks.
_LINKS = ("During handling of the above exception", "The above exception was the direct cause")


def _results(folder: Path) -> dict[str, Any]:
    """The result and the report of a study that has ended, as columns of it."""
    report = folder / layout.REPORT
    found: dict[str, Any] = {"report": report.read_text(encoding="utf-8") if report.exists() else None}
    result: Mapping[str, Any] | None = journals.read_whole(folder / layout.RESULT)
    return found if result is None else found | {"result": result}


def _cancelled() -> dict[str, Any]:
    """Columns of a study that was cancelled."""
    reason = "cancelled; what was finished is kept, and resume goes on with it"
    return {"state": State.CANCELLED, "reason": reason, "finished_at": now()}


def _without_tracebacks(text: str) -> list[str]:
    """Lines of what a program printed, of each traceback only the sentence in which it ends."""
    kept, inside = [], False
    for line in text.split("\n"):
        if line.startswith("Traceback (most recent call last)"):
            inside = True
        elif not inside or (line.strip() and not line[0].isspace()):
            inside = False
            if line.strip() and not line.startswith(_LINKS):
                kept.append(line.strip())
    return kept
