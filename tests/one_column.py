"""A table of one column and a target, and how it is read: for tests of what values mean."""

from __future__ import annotations

import pandas as pd
import pytest

from trainables.data.config import DataConfig
from trainables.data.dataset import read
from trainables.errors import DataError

ROWS = 96


def csv(folder, cells, *, delimiter=",", first="", target=None, **config):
    """A table of one column of these cells, again and again, and a target."""
    values = [cells[n % len(cells)] for n in range(ROWS)]
    target = target or [f"{n % 7}.5" for n in range(ROWS)]
    lines = [f"{value}{delimiter}{goal}" for value, goal in zip(values, target, strict=True)]
    (folder / "t.csv").write_text(first + f"x{delimiter}y\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return read(DataConfig(source=str(folder / "t.csv"), target="y", **config))


def kind_of(loaded):
    return {column.name: column.kind for column in loaded.preparation.schema.columns}.get("x")


def values_of(loaded):
    """All of them: there are few."""
    grid = loaded.grids["x"]
    return [pd.Timestamp(value) for value in grid.values] if grid.kind == "date" else list(grid.values)


def refused(folder, cells, **options):
    with pytest.raises(DataError) as error:
        csv(folder, cells, **options)
    return " ".join(f"{problem.value} | {problem.rule} | {problem.fix}" for problem in error.value.problems)
