"""A process that trains has one thread; where memory cannot be tuned, nothing breaks."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from trainables import process


def test_one_thread_and_it_still_computes():
    code = (
        "import torch; from trainables.process import prepare_process; torch.set_num_threads(2); prepare_process(); "
        "print(torch.get_num_threads(), (torch.ones(512, 512) @ torch.ones(512, 512))[0, 0].item())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "512.0"]


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_other_systems_are_left_alone(platform, monkeypatch):
    monkeypatch.setattr(process.sys, "platform", platform)
    monkeypatch.setattr(process.ctypes, "CDLL", lambda name: pytest.fail("no libc to call here"))
    process.prepare_process()
    assert torch.get_num_threads() == 1
