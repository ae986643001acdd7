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


def test_e1_whoever_had_something_trained_has_its_threads_again():
    code = (
        "import torch; from trainables.process import prepared_process as prepared; torch.set_num_threads(3)\n"
        "with prepared(): print(torch.get_num_threads())\n"
        "@prepared()\ndef fails(): raise ValueError(torch.get_num_threads())\n"
        "try: fails()\nexcept ValueError as error: print(error, torch.get_num_threads())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "1", "3"]


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_other_systems_are_left_alone(platform, monkeypatch):
    monkeypatch.setattr(process.sys, "platform", platform)
    monkeypatch.setattr(process.ctypes, "CDLL", lambda name: pytest.fail("no libc to call here"))
    process.prepare_process()
    assert torch.get_num_threads() == 1
