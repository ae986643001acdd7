"""Collects what tests make this project say about mistakes, into docs/errors.md and docs/errors_of_tables.md.

    make errors

Of each place in the code that finds a mistake, the shortest message that a test has provoked there: where, what was
written, the rule, what to do. Whoever writes one can read it beside all others; whoever meets one finds it.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from search_service.errors import OutsideError, SearchServiceError
from trainables.errors import Problem

REPOSITORY = Path(__file__).parent.parent
# In the environment: the folder in which the processes of one run of pytest leave what they heard.
FOLDER = "TESTS_MESSAGES"
ORIGIN = "One example of each; `make errors` collects them from what tests provoke."
# Characters of a value that are shown.
MOST_OF_A_VALUE = 40
PAGES = {
    "errors.md": (
        "Messages about configs, studies and services",
        "What is said of a mistake in a config or on the command line, and of what fails outside.",
        "search_service",
    ),
    "errors_of_tables.md": (
        "Messages about tables",
        "What is said of a table that cannot be used, or that deserves a second look.",
        "trainables",
    ),
}


class Said(NamedTuple):
    """A message, and the line of the code that made it."""

    file: str
    line: int
    path: str
    value: str
    rule: str
    fix: str


_heard: dict[tuple[str, int], Said] = {}


def pytest_configure(config: pytest.Config) -> None:
    """Listen, in every process of this run."""
    os.environ.setdefault(FOLDER, tempfile.mkdtemp())
    check, begin = Problem.__post_init__, SearchServiceError.__init__

    def noting(self: Problem) -> None:
        check(self)
        _hear(self.path, str(self.value), self.rule, self.fix)

    def noting_errors(self: SearchServiceError, *arguments: object) -> None:
        begin(self, *arguments)
        if isinstance(self, OutsideError):
            _hear(type(self).__name__, "", str(self), "")

    Problem.__post_init__ = noting  # type: ignore[method-assign]
    SearchServiceError.__init__ = noting_errors  # type: ignore[method-assign]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Leave what was heard; the process that began the others writes the pages."""
    Path(os.environ[FOLDER], f"{os.getpid()}.json").write_text(json.dumps(list(_heard.values())))
    if not hasattr(session.config, "workerinput"):
        left = [json.loads(file.read_text()) for file in Path(os.environ[FOLDER]).glob("*.json")]
        for name, text in pages([Said(*each) for own in left for each in own]):
            (REPOSITORY / "docs" / name).write_text(text, encoding="utf-8")


def _hear(path: str, value: str, rule: str, fix: str) -> None:
    frame = sys._getframe(2)
    # What is generated for a dataclass, and the modules of errors, are not where it is said.
    while frame.f_back is not None and not _says(frame.f_code.co_filename):
        frame = frame.f_back
    if not _says(frame.f_code.co_filename):
        return
    file = str(Path(frame.f_code.co_filename).relative_to(REPOSITORY))
    new = Said(file, frame.f_lineno, path, value, rule, fix)
    old = _heard.get((file, frame.f_lineno))
    _heard[file, frame.f_lineno] = new if old is None else min(old, new, key=_rank)


def _says(file: str) -> bool:
    own = any(file.startswith(f"{REPOSITORY}/{package}/") for package in ("search_service", "trainables"))
    return own and not file.endswith("/errors.py")


def _rank(said: Said) -> tuple[int, Said]:
    return len("".join(said[2:])), said


def pages(said: list[Said]) -> Iterator[tuple[str, str]]:
    """The pages by name."""
    best: dict[tuple[str, int], Said] = {}
    for each in said:
        key = each.file, each.line
        best[key] = min(best.get(key, each), each, key=_rank)
    for name, (title, about, package) in PAGES.items():
        lines = [
            f"# {title}",
            "",
            f"{about} {ORIGIN}",
            "",
        ]
        by_file: dict[str, list[Said]] = defaultdict(list)
        for each in best.values():
            if each.file.startswith(package):
                by_file[each.file].append(each)
        lines += ["| where | what stands there | rule | what to do | said by |", "| --- | --- | --- | --- | --- |"]
        for file, own in sorted(by_file.items(), key=lambda item: (Path(item[0]).stem, item[0])):
            # Several lines may say the same.
            rows = {_row(each): None for each in sorted(own, key=lambda each: each.line)}
            lines += [f"{row} `{Path(file).stem}` |" for row in rows]
        yield name, "\n".join(lines) + "\n"


def _row(said: Said) -> str:
    value = _cell(said.value)
    value = value if len(value) <= MOST_OF_A_VALUE else value[: MOST_OF_A_VALUE - 3] + "..."
    cells = (f"`{_cell(said.path)}`", f"`{value}`" if value else "", _cell(said.rule), _cell(said.fix))
    return "| " + " | ".join(cells) + " |"


def _cell(text: str) -> str:
    """Without what is only of this machine and this run, and what would end a cell."""
    text = text.replace(str(REPOSITORY), "…")
    # The environment may be another clone's.
    text = re.sub(r"/\S*/\.venv/", "…/.venv/", text)
    text = re.sub(r"(/tmp|/var)/[^\s'\",]*/(?=[^\s'\",/]+)", "…/", text)
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:…", text)
    text = re.sub(r"-\d{8}-\d{6}-[0-9a-f]{4}\b", "-…", text)
    text = "".join(c if c.isprintable() else " " for c in text)
    return text.replace("|", "\\|").replace("`", "'").replace("<", "&lt;").strip()
