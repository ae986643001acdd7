"""E1: of Ray's processes that have died, the one is named without which the other ends by itself."""

from __future__ import annotations

import shutil
import subprocess

import psutil
import pytest

from search_service.runners.local_ray import LocalRay, settings
from tests.services import until


@pytest.fixture
def parent(tmp_path):
    """A process with two below it that are called as Ray's are, the raylet first, as the system may list them.

    Below the process of the tests itself there may be the Ray of other tests, which must live on.
    """
    names = [tmp_path / name for name in ("raylet", "gcs_server")]
    for name in names:
        name.symlink_to(shutil.which("sleep"))
    with subprocess.Popen(["sh", "-c", '"$0" 600 & "$1" 600 & wait', *names]) as shell:
        parent = psutil.Process(shell.pid)
        until(lambda: {child.name() for child in parent.children()} == {"raylet", "gcs_server"})
        yield parent
        for child in parent.children():
            child.kill()


@pytest.mark.parametrize(
    ("killed", "named"),
    [((), None), (("raylet",), "raylet"), (("gcs_server",), "GCS"), (("raylet", "gcs_server"), "GCS")],
)
def test_e1_the_process_that_died_first_is_named(parent, killed, named):
    children = {child.name(): child for child in parent.children()}
    ray = LocalRay(parent)
    for name in killed:
        children[name].kill()
        children[name].wait()
    assert (ray.lost or "").partition(" ")[0] == (named or "")
    ray.end()
    until(lambda: not any(child.is_running() for child in children.values()))


def test_d1_how_much_workers_stand_back_can_be_said_in_rays_own_way(monkeypatch):
    assert settings() == {"worker_niceness": 0}
    monkeypatch.setenv("RAY_worker_niceness", "15")
    assert settings() == {}
