"""Tables that other people's configs name are read in a process of their own, whose memory and time are bounded.

What a table does while it is read (unpack to gigabytes, keep a CPU busy, crash a library) it does there: the service
stays as small as it was, and answers meanwhile. Such a process is forked from one that has imported everything already
(multiprocessing's fork server), which takes a twentieth of a second instead of five; it does one thing and ends.

A process that needs more memory than it may is refused some and fails, or dies; one that takes longer is ended by its
own alarm, also within a library. What it answers is JSON: nothing that was made of a table is ever unpickled here.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import resource
import shutil
import signal
import tempfile
import threading
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

from search_service.errors import InvalidSpecError, OutsideError, Problem
from search_service.service.settings import ServiceSettings
from trainables.data.limits import Limits, limited
from trainables.data.locations import MOST_FETCHED_BYTES

Work = Literal["check", "plan"]

# What such a process needs, imported once for all of them.
_PRELOADED = ["search_service.service.reading", "search_service.service.preloaded"]
# Less urgent than the service itself: it answers others meanwhile.
NICENESS = 5
# Seconds beyond its time after which a process that does not even hear its alarm is killed.
GRACE_S = 5.0
# Starting a process is not made for threads.
_starting = threading.Lock()


class ReaderLostError(OutsideError):
    """A process that read a table is gone, and not for its memory or its time."""


@dataclass(frozen=True)
class Bounds:
    """What reading a table may take.

    Attributes:
        memory_mb: Megabytes beside those of an idle process.
        seconds: Seconds by the clock.
        table: What the table may have.
    """

    memory_mb: int
    seconds: float
    table: Limits

    @classmethod
    def of(cls, settings: ServiceSettings) -> Bounds:
        """The bounds that the settings set."""
        table = Limits(settings.max_cells, settings.max_columns, settings.max_unpacked_mb)
        return cls(settings.read_memory_mb, settings.read_seconds, table)


def warm_up() -> None:
    """Have everything imported that reading needs, so that the first who asks does not wait for it."""
    context = multiprocessing.get_context("forkserver")
    with _starting:
        context.set_forkserver_preload(_PRELOADED)
        process = context.Process(target=_nothing, daemon=True)
        process.start()
    process.join(60)


def read(what: Work, raw: Any, settings: ServiceSettings) -> dict[str, Any]:
    """Check a config with its table, or plan a study of it, in a process of its own.

    Args:
        what: The one of the two that is asked for.
        raw: The config, with the places of its tables.
        settings: Where tables may be read from, and what reading may take.

    Returns:
        A plain document.

    Raises:
        InvalidSpecError: Every mistake found, or that the table is too large.
        OutsideError: The record, which has the study of a warm start, cannot be reached; or the process was lost.
    """
    bounds = Bounds.of(settings)
    context = multiprocessing.get_context("forkserver")
    scratch = tempfile.mkdtemp(prefix="search-service-")
    ours, theirs = context.Pipe(duplex=False)
    try:
        # Text, so that what a caller sent is not pickled either.
        given = json.dumps(raw, default=str)
        arguments = (theirs, what, given, settings.model_dump_json(include=_TOLD), bounds, scratch)
        with _starting:
            context.set_forkserver_preload(_PRELOADED)
            process = context.Process(target=_work, args=arguments, daemon=True)
            process.start()
        theirs.close()
        answer = _heard(ours, bounds.seconds + GRACE_S)
        if answer is None:
            process.kill()
        process.join(GRACE_S)
    finally:
        ours.close()
        # What was fetched is there still if it was killed.
        shutil.rmtree(scratch, ignore_errors=True)
    return _taken(answer, process.exitcode, bounds, raw)


# How a process ends for want of memory: the system kills it, or C++ that gets none aborts or looks where nothing is.
_WANT_OF_MEMORY = (signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV)
# Settings that reading depends on; the others, the tokens among them, are none of its business.
_TOLD = {"home", "tracking_uri", "data_folders", "runner"}


def _heard(ours: Connection, seconds: float) -> dict[str, Any] | None:
    """What a process answers; empty if it ended without a word, None if it takes too long."""
    try:
        if not ours.poll(seconds):
            return None
        answer: dict[str, Any] = json.loads(ours.recv_bytes())
    except (EOFError, OSError):
        return {}
    return answer


def _taken(answer: dict[str, Any] | None, exit_code: int | None, bounds: Bounds, raw: Any) -> dict[str, Any]:
    """The document of an answer, or the error that it tells of."""
    if answer is None or exit_code == -signal.SIGALRM:
        raise _too_much(raw, f"a table that can be read and checked in {bounds.seconds:g} s", "it takes longer")
    if not answer:
        if exit_code is not None and -exit_code not in _WANT_OF_MEMORY:
            how = f"exit code {exit_code}" if exit_code >= 0 else signal.Signals(-exit_code).name
            raise ReaderLostError(f"the process that reads tables ended with {how}; try again")
        answer = {"memory": True}
    if "memory" in answer:
        rule = f"a table that can be read and checked in {bounds.memory_mb:,} MB of memory"
        raise _too_much(raw, rule, "it needs more")
    if "problems" in answer:
        raise InvalidSpecError([Problem(**problem) for problem in answer["problems"]])
    if "outside" in answer:
        raise OutsideError(answer["outside"])
    if "defect" in answer:
        raise RuntimeError(answer["defect"])
    document: dict[str, Any] = answer["document"]
    return document


def _too_much(raw: Any, rule: str, found: str) -> InvalidSpecError:
    data: Mapping[str, Any] = raw.get("data", {}) if isinstance(raw, dict) else {}
    place = "train" if data.get("train") else "source"
    fix = f"{found}: take fewer rows or columns, or ask the operator for more"
    return InvalidSpecError([Problem(f"data.{place}", data.get(place), rule, fix)])


# ---- in the other process --------------------------------------------------------------------------------------------


def _nothing() -> None:
    """Be started, and have the fork server started."""


def _work(theirs: Connection, what: Work, given: str, told: str, bounds: Bounds, scratch: str) -> None:
    tempfile.tempdir = scratch
    _bound(bounds)
    settings = ServiceSettings.model_validate_json(told)
    try:
        with limited(bounds.table):
            answer: dict[str, Any] = {"document": _DO[what](json.loads(given), settings)}
    except InvalidSpecError as error:
        answer = {"problems": [asdict(problem) for problem in error.problems]}
    except OutsideError as error:
        answer = {"outside": str(error)}
    except MemoryError:
        answer = {"memory": True}
    except Exception:
        # Libraries wrap what happens to them: a thread that cannot be started, an array that cannot be made.
        said = traceback.format_exc()
        answer = {"memory": True} if "MemoryError" in said or "memory" in said.lower() else {"defect": said}
    theirs.send_bytes(json.dumps(answer, default=repr).encode())
    theirs.close()
    # Nothing of it is needed any more, and libraries' threads may take their time to end.
    os._exit(0)


def _bound(bounds: Bounds) -> None:
    """Let this process take no more than it may."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, bounds.seconds)
    os.nice(NICENESS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_FETCHED_BYTES * 2, MOST_FETCHED_BYTES * 2))
    with contextlib.suppress(OSError):
        # Where memory runs out all the same, the system ends this process first.
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    status = Path("/proc/self/status")
    if status.exists():
        # What it may write to, which is what it can fill: libraries reserve a lot more addresses than they use.
        lines = dict(line.partition(":")[::2] for line in status.read_text(encoding="ascii").splitlines())
        data = int(lines["VmData"].split()[0]) * 1024 + bounds.memory_mb * 2**20
        resource.setrlimit(resource.RLIMIT_DATA, (data, data))


def _check(raw: Any, settings: ServiceSettings) -> dict[str, Any]:
    from search_service import wiring
    from search_service.spec import study_spec as spec
    from trainables.errors import one_line

    prepared = wiring.prepare(spec.parse(raw), settings=settings)
    dataset = prepared.dataset
    return {
        "name": prepared.spec.name,
        "metric": prepared.spec.metric,
        "rows": {"train": len(dataset.train), "validation": len(dataset.validation), "test": len(prepared.test_rows)},
        "inputs": dataset.n_inputs,
        "outputs": dataset.n_outputs,
        "task": dataset.task,
        "warnings": [one_line(problem) for problem in prepared.table.warnings],
    }


def _plan(raw: Any, settings: ServiceSettings) -> dict[str, Any]:
    from search_service import wiring
    from search_service.recipe.plan_document import PlanDocument
    from search_service.spec import study_spec as spec

    prepared = wiring.prepare(spec.parse(raw), settings=settings)
    planned = wiring.plan(prepared, runner=settings.runner)
    return PlanDocument.of(prepared.spec, prepared.dataset, planned).plain()


_DO = {"check": _check, "plan": _plan}
