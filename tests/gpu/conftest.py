"""Tests of this folder need a GPU, and are skipped where torch sees none."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="torch sees no GPU here"))
