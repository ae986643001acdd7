"""What messages tell people to set has to exist: every dotted key in a text of ours is a key of the spec."""

from __future__ import annotations

import ast
import re
from typing import get_args

from pydantic import BaseModel

from search_service.spec.study_spec import StudySpec
from tests.conftest import REPOSITORY

SECTIONS = ("data", "trial", "objective", "checks", "search", "finalists", "comparison", "model")
# A key, unless it goes on as a file's name or as something in braces.
KEY = re.compile(rf"(?<![\w/.])(?:{'|'.join(SECTIONS)})(?:\.[a-z_0-9]+)+(?![\w./{{(])")
# Names of the record (MLflow's parameters and tags, see recorders/mlflow.py) and of a file's suffix.
NOT_KEYS = re.compile(
    r"^data\.(rows|features|outputs|is|columns\.of_kind|described|suspicious|fingerprint)|\.(py|js|json|md|png)$"
)


def texts(path):
    tree = ast.parse(path.read_text())
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def exists(key: str) -> bool:
    known = StudySpec
    for part in key.split("."):
        if not (isinstance(known, type) and issubclass(known, BaseModel)):
            # Below data.columns come names of columns.
            return True
        if part not in known.model_fields:
            return False
        known = known.model_fields[part].annotation
        known = next((inner for inner in get_args(known) if isinstance(inner, type)), known)
    return True


def test_d2_every_key_that_a_message_names_exists():
    found = {}
    for package in ("search_service", "trainables"):
        for path in sorted((REPOSITORY / package).rglob("*.py")):
            # A package's own file says in which modules its names are; it has no messages.
            for text in texts(path) if path.name != "__init__.py" else ():
                for key in KEY.findall(text):
                    if not NOT_KEYS.search(key):
                        found.setdefault(key, path.relative_to(REPOSITORY))
    assert len(found) > 30
    assert {key: path for key, path in found.items() if not exists(key)} == {}
