"""What keeps the house one to live in: few rooms, short files and functions (docs/architecture.md)."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

PACKAGES = ("search_service", "trainables")
FILES = [path for package in PACKAGES for path in sorted((REPOSITORY / package).rglob("*.py"))]
# A page or two; a screen.
MOST_LINES, MOST_LINES_OF_A_FUNCTION = 400, 60
MOST_ENTRIES, MOST_LAYERS = 22, 14


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_files_and_functions_are_short(path: Path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno + 1 <= MOST_LINES_OF_A_FUNCTION, node.name


def test_the_rooms_fit_on_a_screen():
    entries = [path for path in (REPOSITORY / "search_service").iterdir() if path.name != "__pycache__"]
    assert len(entries) <= MOST_ENTRIES


def test_imports_run_through_few_layers():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    contracts = {contract["name"]: contract for contract in project["tool"]["importlinter"]["contracts"]}
    layers = contracts["Imports run one way through search_service"]["layers"]
    # ``__main__`` is the one line that calls the command line.
    assert len([layer for layer in layers if layer != "__main__"]) <= MOST_LAYERS
