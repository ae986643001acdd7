"""What a store refuses, each with its exit code and HTTP status."""

from __future__ import annotations

from search_service.errors import SearchServiceError


class NotFoundError(SearchServiceError):
    """There is no such thing in the store."""

    exit_code = 2
    http_status = 404


class ConflictError(SearchServiceError):
    """Not as things stand: the study has ended, runs, or the key was used for something else."""

    exit_code = 2
    http_status = 409


class NotYoursError(SearchServiceError):
    """It is somebody else's."""

    exit_code = 2
    http_status = 403


class QuotaError(SearchServiceError):
    """There is no room for more of this owner's."""

    exit_code = 2
    http_status = 413
