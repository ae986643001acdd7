"""The command line in a process of its own, which takes copies of what tests make once (made_once.py).

    python -m tests.command run config.yaml

`python -m search_service` otherwise: for tests of what happens to such a process, and not of what it draws.
"""

from __future__ import annotations

import sys

import pytest

from search_service.cli import commands as cli

# What it makes copies of has to be there before.
from search_service.recorders.mlflow import recorder
from tests import made_once

__all__ = ["recorder"]

if __name__ == "__main__":
    sys.argv[0] = "search-service"
    with pytest.MonkeyPatch.context() as patch:
        made_once.share(patch)
        cli.main()
