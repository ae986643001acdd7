"""D1: what a container may use of its host is what a study is made for."""

from __future__ import annotations

import os

import psutil
import pytest

from trainables import machine

HERE = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def test_d1_without_limits_it_is_the_machine(tmp_path):
    assert machine.usable_cpus(tmp_path) == HERE
    assert machine.usable_memory_bytes(tmp_path) == psutil.virtual_memory().total


@pytest.mark.parametrize(
    ("files", "cpus", "memory"),
    [
        ({"cpu.max": "150000 100000", "memory.max": "1048576"}, 1, 2**20),
        ({"cpu.max": "max 100000", "memory.max": "max"}, HERE, None),
        ({"cpu.max": "50000 100000"}, 1, None),
        ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1, None),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, HERE, None),
        ({"memory/memory.limit_in_bytes": "2097152"}, HERE, 2**21),
        # What version 1 writes where there is no limit.
        ({"memory/memory.limit_in_bytes": "9223372036854771712"}, HERE, None),
    ],
)
def test_d1_limits_of_a_container_are_heeded(tmp_path, files, cpus, memory):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    assert machine.usable_cpus(tmp_path) == cpus
    assert machine.usable_memory_bytes(tmp_path) == (memory or psutil.virtual_memory().total)


def test_d1_so_are_those_of_a_group_that_it_is_part_of(tmp_path, monkeypatch):
    own = tmp_path / "own"
    own.write_text("0::/team.slice/study.scope\n")
    monkeypatch.setattr(machine, "_OWN_CGROUP", own)
    (tmp_path / "team.slice" / "study.scope").mkdir(parents=True)
    (tmp_path / "team.slice" / "cpu.max").write_text("100000 100000\n")
    (tmp_path / "team.slice" / "study.scope" / "memory.max").write_text("4096\n")
    assert (machine.usable_cpus(tmp_path), machine.usable_memory_bytes(tmp_path)) == (1, 4096)
