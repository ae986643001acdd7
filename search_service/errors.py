"""Every error that a study can end with, as one tree: who mends it, what the shell and HTTP see.

    SearchServiceError
    ├── InvalidSpecError     the user: config or table        exit 2   HTTP 422
    ├── CheckFailedError     the user: the diagnosis says it  exit 3   HTTP 409
    └── OutsideError         the operator: retry may help     exit 4   HTTP 503
        ├── RunnerError      Ray cannot be reached, or broke
        ├── StudyBusyError   another process works on the study
        ├── NoRoomError      a disk is full: with room again, the study goes on
        ├── DamagedFileError a file of a study was changed or destroyed
        └── RecorderError    MLflow cannot be reached
            └── RecordRefusedError   MLflow refuses, and will again

What only a caller over HTTP meets (401, 403, 404, 409, 429, 503) stands in service/, where it is raised.

An interrupt (Ctrl-C) is Python's own KeyboardInterrupt and ends with exit code 130.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from trainables.errors import DataError, InvalidInputError, Problem
from trainables.redaction import redact

__all__ = [
    "CheckFailedError",
    "DamagedFileError",
    "DataError",
    "InvalidSpecError",
    "NoRoomError",
    "OutsideError",
    "Problem",
    "RecordRefusedError",
    "RecorderError",
    "RunnerError",
    "SearchServiceError",
    "StudyBusyError",
]

EXIT_INTERRUPTED = 130


class SearchServiceError(Exception):
    """Base of all errors that this package raises on purpose.

    Attributes:
        exit_code: What the command line exits with.
        http_status: What the service answers with.
        retryable: Whether the same call may succeed later without anybody changing the config.
    """

    exit_code: ClassVar[int] = 4
    http_status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(self, *arguments: object) -> None:
        # A message often has a library's own words in it, and those an address with all that is secret in it.
        super().__init__(*(redact(one) if isinstance(one, str) else one for one in arguments))


class InvalidSpecError(InvalidInputError, SearchServiceError):
    """The config or its table cannot be used; carries every mistake found."""

    exit_code = 2
    http_status = 422


class CheckFailedError(SearchServiceError):
    """A step of the recipe failed; the message is its diagnosis."""

    exit_code = 3
    http_status = 409


class OutsideError(SearchServiceError):
    """Something that is not ours failed."""

    exit_code = 4
    http_status = 503
    retryable = True


class RunnerError(OutsideError):
    """Trials cannot be run: Ray cannot be reached or started, or ended by itself."""


class StudyBusyError(OutsideError):
    """Another process works on the study."""


class NoRoomError(OutsideError):
    """A disk is full; nothing that was finished is lost, and with room again the study goes on."""


class DamagedFileError(OutsideError):
    """A file of a study is not what was written into it, and cannot be made again.

    Args:
        path: The file.
        problem: What is wrong with it, and in which line.
        remedy: What a person can do.
    """

    retryable = False

    def __init__(self, path: Path, problem: str, remedy: str) -> None:
        super().__init__(f"{path} is damaged: {problem}. To do: {remedy}.")
        self._given = path, problem, remedy

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._given


class RecorderError(OutsideError):
    """The study cannot be recorded: MLflow cannot be reached."""


class RecordRefusedError(RecorderError):
    """MLflow refuses what is to be recorded; the same request would be refused again."""

    retryable = False
