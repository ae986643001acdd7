"""What is the same every time and takes seconds: MLflow's tables and drawn pictures, made once for all tests.

The first process that needs one makes it for real; whoever comes later, in whichever process, gets a copy. Where that
is not to be, ``afresh`` makes everything anew: what pictures of a record show is looked at where they are drawn.

Processes that tests fork share what their parent has, by the environment. Commands that tests start make their own.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

# In the environment: where what was made lies. `make chaos` has none, and makes everything.
FOLDER = "TESTS_MADE_ONCE"


def share(patch: pytest.MonkeyPatch) -> None:
    """Have this process take copies of what it has the means to make, for as long as the patch lasts."""
    if FOLDER not in os.environ:
        return
    # What was not imported by any test that was collected, none of them makes.
    if (store := sys.modules.get("search_service.recorders.mlflow.store")) is not None:
        _share_tables(store, patch)
    if (pictures := sys.modules.get("search_service.recorders.mlflow.pictures")) is not None:
        _share_pictures(pictures, patch)
    if (figures := sys.modules.get("matplotlib.figure")) is not None:
        _share_files(figures.Figure, patch)


@contextmanager
def afresh() -> Iterator[None]:
    """Nothing is copied here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(FOLDER, raising=False)
        yield


def _share_tables(store: Any, patch: pytest.MonkeyPatch) -> None:
    """MLflow's 68 migrations. What kills them meanwhile is shown in processes of their own (test_store.py)."""
    make = store._make_tables

    def make_or_copy(path: Path) -> None:
        if path.exists():
            make(path)
        else:
            _made("mlflow.db", make, path)

    patch.setattr(store, "_make_tables", make_or_copy)


def _share_pictures(pictures: Any, patch: pytest.MonkeyPatch) -> None:
    """Those of a record, by the names of their files: making them is half of what the record of a small study costs."""
    make = pictures._write

    def make_or_copy(draw: Callable[[], Any], file: Path) -> None:
        _made(file.name, lambda path: make(draw, path), file)

    patch.setattr(pictures, "_write", make_or_copy)


def _share_files(figure: Any, patch: pytest.MonkeyPatch) -> None:
    """Others: a figure is made, and its file copied, since laying it out and drawing it takes longest."""
    save = figure.savefig

    def save_or_copy(self: Any, file: Any, **options: Any) -> None:
        # What is made to be copied is there already.
        if isinstance(file, Path) and file.suffix == ".png" and str(file.parent) != os.environ.get(FOLDER):
            _made(file.name, lambda path: save(self, path, **options), file)
        else:
            save(self, file, **options)

    patch.setattr(figure, "savefig", save_or_copy)


def _made(name: str, make: Callable[[Path], None], to: Path) -> None:
    folder = os.environ.get(FOLDER)
    if folder is None:
        make(to)
        return
    made = Path(folder, name)
    if not made.exists():
        # Others may be making it, too: whoever is last has made the same.
        beside = made.with_name(f"{os.getpid()}-{threading.get_ident()}-{name}")
        make(beside)
        beside.replace(made)
    shutil.copyfile(made, to)
