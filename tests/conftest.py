"""Fixtures of the whole suite: one Ray for all tests that need it, tables read once."""

from __future__ import annotations

import atexit
import functools
import gc
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Before Ray is imported anywhere: its own token, so that nobody's ~/.ray/auth_token decides how tests run.
os.environ["RAY_AUTH_MODE"] = "token"
os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
# Before numpy and scikit-learn are, for which several processes test at once: threads that wait for one another took a
# quarter of the CPU time of tests that fit boosted trees.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"

import pytest

# It looks for each of numpy's functions in whatever was imported before it, which will be much.
import skops.io  # noqa: F401
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

from search_service.cli.commands import COLLECT_AFTER
from tests import made_once
from trainables.data.config import DataConfig
from trainables.data.dataset import Dataset, TestRows, load
from trainables.process import prepare_process

if TYPE_CHECKING:
    from search_service.runners.ray_tune import RayTuneRunner

REPOSITORY = Path(__file__).parent.parent
# Tests do not fail because another process has the processor.
settings.register_profile("ours", deadline=None)
settings.load_profile("ours")

# Folders of tests, and what is in them, that wait for processes and servers: begun last, they would be waited for.
LONG = ("end_to_end", "faults", "contracts", "attacks", "export", "service", "cli")
# Folders whose files are quick unless they have a word of the second: of what starts processes, Ray, MLflow, studies,
# comparisons or rounds, draws pictures, fits boosted trees or replays recorded steps.
UNITS = ("search_service", "trainables")
LASTS = re.compile(
    r"\b(subprocess|multiprocessing|concurrent|mlflow|ray|ray_runner|run_study|wiring\.run|run_round|figures"
    r"|HistGradientBoosting\w+|search_service\.comparison|tests\.(services|servers|tapes))\b"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--quick``, of ``make test-quick``, and ``--browser``, of ``make test-browser``."""
    parser.addoption("--quick", action="store_true", help="unit tests only: no Ray, MLflow, processes or whole studies")
    parser.addoption("--browser", action="store_true", help="the tests in a browser, and no others; it takes Chromium")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """What is not quick is not even imported; None lets others decide."""
    in_browser = "browser" in collection_path.relative_to(REPOSITORY / "tests").parts
    if collection_path.suffix == ".py" and in_browser != bool(config.getoption("browser")):
        return True
    if not config.getoption("quick") or not collection_path.name.startswith("test_"):
        return None
    parts = collection_path.relative_to(REPOSITORY / "tests").parts
    is_quick = parts[0] in UNITS and not LASTS.search(collection_path.read_text(encoding="utf-8"))
    return None if is_quick else True


def pytest_sessionstart() -> None:
    """Nothing of what is imported is ever thrown away: a fifth of the time of collecting was looking for it.

    Later it is looked for as seldom as by the command line, and at the end not at all.
    """
    gc.disable()
    gc.set_threshold(COLLECT_AFTER, 10, 10)
    atexit.register(gc.freeze)


def pytest_collection_finish() -> None:
    """And nobody looks there again."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest files first; a sort keeps the order of what is alike."""
    items.sort(key=_rank)
    if config.getoption("quick"):
        # One property is dozens of tests.
        properties = [item for item in items if getattr(getattr(item, "obj", None), "is_hypothesis_test", False)]
        items[:] = [item for item in items if item not in properties]
        config.hook.pytest_deselected(items=properties)


def _rank(item: pytest.Item) -> int:
    return next((rank for rank, folder in enumerate(LONG) if folder in item.path.parts), len(LONG))


class ByFile(LoadFileScheduling):
    """A file at a time to each process, and those that use the one Ray to the same, since starting it takes seconds.

    Not where it is killed anyway. Those with a Ray of their own go with them, so that not all run at once: each is
    half a dozen processes.
    """

    def _split_scope(self, nodeid: str) -> str:
        scope = super()._split_scope(nodeid)
        return "ray" if _uses_ray(REPOSITORY / scope) else scope


@functools.cache
def _uses_ray(file: Path) -> bool:
    if file.name == "test_killed.py":
        return False
    return file.stem.endswith("_on_ray") or re.search(r"\bray_runner\b", file.read_text(encoding="utf-8")) is not None


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    """What ``--dist`` would choose, as above."""
    return ByFile(config, log)


@pytest.fixture(scope="session", autouse=True)
def trains_as_trials_do() -> None:
    """One thread, as in every trial."""
    prepare_process()


@pytest.fixture(scope="session", autouse=True)
def what_takes_seconds_is_made_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """For all workers and for the processes that tests fork (made_once.py)."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "made-once"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(made_once.FOLDER, str(folder))
        made_once.share(patch)
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
    from search_service.runners.ray_tune import RayTuneRunner

    runner = RayTuneRunner(num_cpus=2)
    yield runner
    runner.close()


@pytest.fixture
def repository() -> Path:
    return REPOSITORY


@pytest.fixture
def called(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command line in this process: the same entry point, without the seconds of a start."""
    from search_service.cli import commands as cli

    def call(*arguments: object) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["search-service", *map(str, arguments)])
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return subprocess.CompletedProcess(sys.argv, int(stop.value.code or 0), *capsys.readouterr())

    return call
