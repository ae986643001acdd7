"""27: the client alone is a light installation that says what it lacks; requirements are declared once.

The light installation is a real one but for pip: a folder with what the package's own metadata require, and nothing
else that is installed here. ``make wheels`` has pip do it.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from search_service.cli.installed import what_is_missing
from tests.conftest import REPOSITORY

PACKAGE = "search-service"
# What pip install search-service[client] may take up, as asked for; without pip itself.
MOST_BYTES = 100e6


def required(name: str, extra: str = "") -> Iterator[Requirement]:
    for line in importlib.metadata.requires(name) or []:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield requirement


def closure(name: str) -> set[str]:
    """Names of all distributions that one requires, its own among them."""
    found: set[str] = set()
    waiting = [(name, "")]
    while waiting:
        one, extra = waiting.pop()
        for requirement in required(one, extra):
            extras = ["", *requirement.extras]
            waiting += [(requirement.name, extra) for extra in extras if requirement.name not in found]
            found.add(requirement.name)
    return {name, *found}


@pytest.fixture(scope="module")
def light(tmp_path_factory) -> Path:
    """A folder of links to the files of the client's requirements."""
    folder = tmp_path_factory.mktemp("light")
    for name in closure(PACKAGE):
        for file in importlib.metadata.files(name) or []:
            top = file.parts[0]
            if top == ".." or (folder / top).exists() or top == "__pycache__":
                continue
            path = Path(str(file.locate()))
            (folder / top).symlink_to(path.parents[len(file.parts) - 2] if len(file.parts) > 1 else path)
    return folder


@pytest.fixture(scope="module")
def command(light, tmp_path_factory) -> Callable[..., subprocess.CompletedProcess[str]]:
    home = tmp_path_factory.mktemp("home")

    def call(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{REPOSITORY}:{light}", "COLUMNS": "200", **variables}
        # -S: nothing of site-packages.
        return subprocess.run(
            [sys.executable, "-S", *arguments], cwd=home, env=environment, capture_output=True, text=True, check=False
        )

    return call


def test_27_a_client_is_small(light):
    paths = {path.resolve() for top in light.iterdir() for path in (top.rglob("*") if top.is_dir() else [top])}
    assert 1e6 < sum(path.stat().st_size for path in paths if path.is_file()) < MOST_BYTES


@pytest.mark.parametrize("module", ["torch", "ray", "mlflow", "numpy", "pandas", "sqlalchemy"])
def test_27_a_client_has_nothing_that_studies_need(light, module):
    assert not (light / module).exists()


def test_27_a_client_reads_configs_and_asks_a_service(command):
    done = command("-c", "import search_service as s; print(s.Client.__name__, s.StudySpec.__name__)")
    assert (done.returncode, done.stdout.split()) == (0, ["Client", "StudySpec"]), done.stderr
    config = str(REPOSITORY / "configs/04_csv.yaml")
    done = command("-m", "search_service", "submit", config, SEARCH_SERVICE_URL="http://127.0.0.1:9")
    assert done.returncode == 4, done.stdout + done.stderr
    assert "127.0.0.1:9" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", str(REPOSITORY / "configs/01_digits.yaml")],
        ["run", str(REPOSITORY / "configs/iris.csv"), "--target", "species"],
        ["validate", str(REPOSITORY / "configs/04_csv.yaml")],
        ["serve"],
        ["compare-studies", "a", "b"],
    ],
)
def test_27_what_a_client_cannot_do_it_says_with_the_fix(command, arguments):
    done = command("-m", "search_service", *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "pip install 'search-service[all]'" in done.stderr
    assert "rule:" in done.stderr


def test_27_a_module_that_nobody_promised_is_an_error_as_ever():
    """Somebody's own sampler lacks something: the traceback says where."""
    assert what_is_missing(ModuleNotFoundError("no", name="somebodys_own")) is None
    assert what_is_missing(ModuleNotFoundError("no", name="json")) is None
    assert what_is_missing(ModuleNotFoundError("no")) is None


def test_27_doctor_knows_a_client(command):
    done = command("-m", "search_service", "doctor")
    assert "the client alone" in done.stdout
    assert "cannot be looked at" not in done.stdout
    assert "Ray" not in done.stdout.replace("search-service", "")
    assert done.returncode == 0, done.stdout + done.stderr


def test_27_from_python_the_fix_is_said_too(command):
    done = command("-c", "import search_service as s; s.search")
    assert done.returncode == 1
    assert done.stderr.endswith("search_service.search needs more than the client: pip install 'search-service[all]'\n")


def test_27_where_there_is_more_than_the_client_what_is_missing_is_named_with_the_fix(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "skops" else found(name))
    problem = what_is_missing(ModuleNotFoundError("no", name="skops.io"))
    assert problem is not None and problem.value == "no skops"
    assert "search-service doctor" in problem.rule and problem.fix.endswith("-m pip install 'search-service[all]'")
