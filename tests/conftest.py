"""Fixtures of the whole suite: one Ray for all tests that need it, tables read once."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

# Before Ray is imported anywhere: its own token, so that nobody's ~/.ray/auth_token decides how tests run.
os.environ["RAY_AUTH_MODE"] = "token"
os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)

import pytest

from search_service.runners.ray_tune import RayTuneRunner
from trainables.data.config import DataConfig
from trainables.data.dataset import Dataset, TestRows, load
from trainables.process import prepare_process

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(scope="session", autouse=True)
def trains_as_trials_do() -> None:
    """One thread, as in every trial."""
    prepare_process()


def _standard(name: str) -> tuple[Dataset, TestRows]:
    """A bundled set, standardised: what tests say of losses and gradients is then a matter of the network alone."""
    return load(DataConfig(source=name, preparation={"numeric": "standard"}))


@pytest.fixture(scope="session")
def digits() -> tuple[Dataset, TestRows]:
    return _standard("digits")


@pytest.fixture(scope="session")
def wine() -> tuple[Dataset, TestRows]:
    return _standard("wine")


@pytest.fixture(scope="session")
def diabetes() -> tuple[Dataset, TestRows]:
    return _standard("diabetes")


@pytest.fixture(scope="session")
def ray_runner() -> Iterator[RayTuneRunner]:
    """Ray with two CPUs, started once: it takes five seconds."""
    runner = RayTuneRunner(num_cpus=2)
    yield runner
    runner.close()


@pytest.fixture
def repository() -> Path:
    return REPOSITORY
