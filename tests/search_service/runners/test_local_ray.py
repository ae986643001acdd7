"""E1: of Ray's processes that have died, the one is named without which the other ends by itself."""

from __future__ import annotations

import shutil
import subprocess

import psutil
import pytest

from search_service.runners.local_ray import LocalRay


@pytest.fixture
def processes(tmp_path):
    """Two below this one that are called as Ray's are, the raylet first, as the system may list them."""
    started = {}
    for name in ("raylet", "gcs_server"):
        link = tmp_path / name
        link.symlink_to(shutil.which("sleep"))
        started[name] = subprocess.Popen(["sleep", "600"], executable=str(link))
    yield started
    for process in started.values():
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("killed", "named"),
    [((), None), (("raylet",), "raylet"), (("gcs_server",), "GCS"), (("raylet", "gcs_server"), "GCS")],
)
def test_e1_the_process_that_died_first_is_named(processes, killed, named):
    ray = LocalRay()
    for name in killed:
        processes[name].kill()
        processes[name].wait()
    assert (ray.lost or "").partition(" ")[0] == (named or "")
    ray.end()
    assert not any(psutil.pid_exists(process.pid) for process in processes.values())
