"""Jobs on a Ray cluster, through its Jobs API: the only file of the service that knows Ray.

What Ray does, and what follows:

- It forgets its jobs with its head: a job that it has not heard of has ended.
- A job's id given twice is refused with an error like any other: so the id is looked for first, and again after it.
- It stops a job with SIGTERM and kills it three seconds later, unless the job's environment says otherwise.
- Its client prefers RAY_ADDRESS of the environment to the address that it is given. Where that is ``host:port``, as on
  nodes of a cluster, it asks the cluster's control store, and a minute after that store is lost it ends this process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from search_service.errors import RunnerError
from search_service.service.jobs import Job, JobStatus, shell_line

# A study that is interrupted records what it has: seconds, with a slow MLflow more.
STOP_WAIT_S = 60
# Seconds to connect, and for an answer.
TIMEOUT_S = (5, 30)
_PREFERRED = "RAY_API_SERVER_ADDRESS"
_STOPS_LIKE_CTRL_C = {"RAY_JOB_STOP_SIGNAL": "SIGINT", "RAY_JOB_STOP_WAIT_TIME_S": str(STOP_WAIT_S)}


class RayJobs:
    """Jobs of one cluster.

    Args:
        address: Its dashboard's, such as http://ray-head:8265. Ray's own variables (RAY_AUTH_MODE, RAY_AUTH_TOKEN) say
            who we are.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._connection: Any = None

    def submit(self, job: Job) -> None:
        """See ``Jobs.submit``."""
        with self._reaching() as client:
            try:
                client.submit_job(
                    entrypoint=shell_line(job),
                    submission_id=job.job_id,
                    runtime_env={"env_vars": {**job.environment, **_STOPS_LIKE_CTRL_C}},
                    metadata={"study": job.folder.name},
                )
            except RuntimeError:
                # It answers an id that it has with the same error as a fault of its own.
                if self.status(job.job_id, job.folder).state == "unknown":
                    raise

    def status(self, job_id: str, folder: Path) -> JobStatus:
        """See ``Jobs.status``."""
        with self._reaching() as client:
            try:
                info = client.get_job_info(job_id)
            except RuntimeError as error:
                if str(error).startswith("Request failed with status code 404"):
                    return JobStatus("unknown")
                raise
        if not info.status.is_terminal():
            return JobStatus("running")
        return JobStatus("ended", info.driver_exit_code, info.message or str(info.status))

    def cancel(self, job_id: str, folder: Path, *, at_once: bool = False) -> None:
        """See ``Jobs.cancel``; what does not end by itself, Ray kills."""
        with self._reaching() as client:
            client.stop_job(job_id)

    @contextmanager
    def _reaching(self) -> Iterator[Any]:
        from ray.job_submission import JobSubmissionClient

        class Client(JobSubmissionClient):
            """Ray's own waits for ever where a dashboard hangs."""

            def _do_request(self, *arguments: Any, **options: Any) -> Any:
                return super()._do_request(*arguments, **{"timeout": TIMEOUT_S} | options)

        try:
            if self._connection is None:
                os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
                with _preferred(self._address):
                    self._connection = Client(self._address)
            yield self._connection
        except (RuntimeError, OSError) as error:
            self._connection = None
            reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
            raise RunnerError(f"Ray's Jobs API at {self._address} cannot be used: {reason}") from error


@contextmanager
def _preferred(address: str) -> Iterator[None]:
    """The variable that Ray's client prefers to all others holds our address."""
    before = os.environ.get(_PREFERRED)
    os.environ[_PREFERRED] = address
    try:
        yield
    finally:
        if before is None:
            del os.environ[_PREFERRED]
        else:
            os.environ[_PREFERRED] = before
