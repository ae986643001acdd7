"""D2: jobs as processes of this machine, which outlive the service that has started them."""

from __future__ import annotations

import gc
import json
import os
import sys
import warnings

import pytest

from search_service.service.jobs import Job, LocalJobs
from tests.services import until


@pytest.fixture
def job(tmp_path):
    """One that prints something and runs until it is killed."""
    code = "import sys, time; print('begun', flush=True); time.sleep(600)"
    # The study's id stands in its command, by which it is found again.
    job = Job(f"{tmp_path.name}-1", [sys.executable, "-c", code, tmp_path.name], tmp_path, {})
    yield job
    LocalJobs().cancel(job.job_id, tmp_path, at_once=True)


def pid_of(job: Job) -> int:
    return json.loads((job.folder / f"{job.job_id}.json").read_text())["pid"]


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_d2_a_job_outlives_who_has_started_it_and_is_no_process_that_was_lost(job):
    jobs = LocalJobs()
    jobs.submit(job)
    until(lambda: "begun" in job.log.read_text())
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        del jobs
        gc.collect()
    assert [str(each.message) for each in said if each.category is ResourceWarning] == []
    assert LocalJobs().status(job.job_id, job.folder).state == "running"


def test_d2_a_job_that_ends_leaves_no_zombie_whether_anybody_asks_or_not(job):
    jobs = LocalJobs()
    jobs.submit(job)
    jobs.cancel(job.job_id, job.folder, at_once=True)
    # A zombie still answers.
    until(lambda: not is_there(pid_of(job)))
    assert jobs.status(job.job_id, job.folder).exit_code == -9
    assert LocalJobs().status(job.job_id, job.folder).state == "ended"


def test_d2_a_job_that_is_submitted_twice_runs_once(job):
    jobs = LocalJobs()
    jobs.submit(job)
    first = pid_of(job)
    jobs.submit(job)
    LocalJobs().submit(job)
    assert pid_of(job) == first
