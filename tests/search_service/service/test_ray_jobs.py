"""D6: jobs on a Ray cluster, as far as it takes none; tests/end_to_end/test_service_on_ray.py has one."""

from __future__ import annotations

import json
import os

import ray
from ray.experimental.internal_kv import _internal_kv_initialized

from search_service.service.ray_jobs import RayJobs
from tests.answering import answering

VERSION = json.dumps({"version": "4", "ray_version": ray.__version__, "ray_commit": ""})


def test_d6_the_dashboard_that_the_service_was_given_is_asked_and_no_cluster_of_the_environment(tmp_path, monkeypatch):
    # As on a cluster's node. Ray's client prefers it, and connects the process to its control store: a minute after
    # that is lost, the process ends, be it a service or the tests.
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    before = _internal_kv_initialized()
    with answering({"/api/version": (200, VERSION)}) as place:
        assert RayJobs(f"http://{place}").status("a-1", tmp_path).state == "unknown"
    assert _internal_kv_initialized() == before
    assert "RAY_API_SERVER_ADDRESS" not in os.environ
