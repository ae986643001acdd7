"""Checkpoints of cohorts as files in a folder: written whole or not at all. Needs no torch.

A cohort's checkpoint is its population (trainables/checkpoint.py), who of its trials are its members, and what its
worker was about to report: a worker may be lost when its checkpoint is there and nobody has heard the report.
``cohort.py`` and the workers make the files; here they are written and read, by whoever is on the machine whose disk
holds the round's folder.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

POPULATION, MEMBERS, REPORT = "population.pt", "members.json", "report.json"
# What the files of a checkpoint hold, by their names.
Files = Mapping[str, bytes]


def write(files: Files, folder: Path) -> None:
    """Write a checkpoint into a folder in the place of what is there.

    Raises:
        OSError: There is no room; what was there before still is.
    """
    unfinished, before = folder.with_name(f"{folder.name}.unfinished"), folder.with_name(f"{folder.name}.before")
    for left in (unfinished, before):
        shutil.rmtree(left, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        for name, content in files.items():
            (unfinished / name).write_bytes(content)
    except OSError:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    if folder.exists():
        folder.rename(before)
    unfinished.rename(folder)
    shutil.rmtree(before, ignore_errors=True)


def read(folder: Path) -> Files | None:
    """What ``write`` wrote; None if there is nothing."""
    try:
        files = {name: (folder / name).read_bytes() for name in (POPULATION, MEMBERS)}
    except FileNotFoundError:
        return None
    report = folder / REPORT
    return files | ({REPORT: report.read_bytes()} if report.exists() else {})
