"""Fixtures of the whole suite: one Ray for all tests that need it, tables read once."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
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


@pytest.fixture(scope="session", autouse=True)
def mlflows_tables_are_made_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """MLflow's migrations take seconds for each new store: every one but the first is a copy of that.

    Other processes make their own, and what kills them meanwhile is shown there (test_store.py).
    """
    store = sys.modules.get("search_service.recorders.mlflow.store")
    if store is None:
        # None of the tests that were collected has anything to do with MLflow.
        yield
        return
    template, make = tmp_path_factory.mktemp("mlflow") / "fresh.db", store._make_tables

    def copy(path: Path) -> None:
        if path.exists():
            make(path)
            return
        if not template.exists():
            make(template)
        shutil.copyfile(template, path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "_make_tables", copy)
        yield


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
