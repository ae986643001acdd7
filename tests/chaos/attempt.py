"""One attempt at a study, in a process that a fork server has imported everything for: there is more to kill in it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# What the command imports later by itself, which takes longer than such a study.
import alembic.command
import mlflow.pyfunc
import optuna.importance
import pytest
import rich.live
import rich.progress
import skops.io
import torch

from search_service.cli import commands as cli
from search_service.recorders.mlflow import recorder
from search_service.runners import inline
from search_service.wiring import running
from tests import made_once

__all__ = ["alembic", "inline", "mlflow", "optuna", "recorder", "rich", "run", "running", "skops", "torch"]


def run(arguments: list[str], log: Path, environment: dict[str, str]) -> None:
    """The command line, with what it prints in a file."""
    os.environ |= environment
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv = ["search-service", *arguments]
    with pytest.MonkeyPatch.context() as patch:
        made_once.share(patch)
        cli.main()
