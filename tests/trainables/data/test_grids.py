"""E1: the values of a column that are asked about are values of its rows, and become what preparation makes of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from trainables.data import grids
from trainables.data.config import DataConfig
from trainables.data.dataset import read

ROWS = 1_000


@pytest.fixture(scope="module")
def frame():
    random = np.random.default_rng(0)
    n = np.arange(ROWS)
    return pd.DataFrame(
        {
            "size": random.normal(100, 20, ROWS).round(2),
            "rooms": random.integers(1, 6, ROWS),
            "gain": np.where(n % 20 == 0, n, 0),
            "owned": n % 3 == 0,
            "town": pd.Series([f"town {k}" for k in (n**2 % 30)]).where(n % 7 != 0),
            "built": pd.Timestamp("2001-05-01") + pd.to_timedelta(n % 40, unit="D"),
            "rating": ["1" if k % 2 else "more" for k in n],
            "words": [f"a house of {k} in the {'north' if k % 2 else 'south'} of the town, with a garden" for k in n],
            "y": random.normal(size=ROWS),
        }
    )


@pytest.fixture(scope="module")
def loaded(frame, tmp_path_factory):
    path = tmp_path_factory.mktemp("grids") / "t.parquet"
    frame.to_parquet(path)
    columns = {"words": "text", "rooms": "numeric"}
    return read(DataConfig(source=str(path), target="y", columns=columns))


def test_e1_numbers_are_quantiles_few_are_all_there_are(loaded, frame):
    found = loaded.grids
    size = found["size"].values
    assert len(size) == grids.QUANTILES
    assert list(size) == sorted(size)
    assert set(size) <= set(frame["size"])
    assert size[0] == pytest.approx(frame["size"].quantile(grids.LEAST_SHARE), abs=4)
    assert size[-1] == pytest.approx(frame["size"].quantile(1 - grids.LEAST_SHARE), abs=4)
    assert found["rooms"].values == (1.0, 2.0, 3.0, 4.0, 5.0)
    # Nineteen of twenty are 0: most of what is asked about is among the others.
    assert grids.QUANTILES <= len(found["gain"].values) <= 1.5 * grids.QUANTILES
    assert found["gain"].values[0] == 0.0


def test_e1_categories_are_the_most_frequent_missing_among_them(loaded):
    town = loaded.grids["town"]
    assert town.values[0] == "(missing)"
    assert 1 < len(town.values) <= grids.CATEGORIES
    assert list(town.shares) == sorted(town.shares, reverse=True)
    assert town.shares[0] == pytest.approx(1 / 7, abs=0.02)
    assert set(loaded.grids["rating"].values) == {"1", "more"}
    assert loaded.grids["owned"].values == ("false", "true")


def test_e1_dates_are_in_their_order_and_words_have_none(loaded):
    built = loaded.grids["built"].values
    assert list(built) == sorted(built)
    assert built[0].startswith("2001-05-0")
    assert "words" not in loaded.grids


@pytest.mark.parametrize("name", ["size", "gain", "owned", "town", "built", "rating"])
def test_e1_inputs_are_what_preparation_makes_of_a_row_with_that_value(loaded, name):
    grid = loaded.grids[name]
    places = [place for place, source in enumerate(loaded.preparation.sources) if source == name]
    assert grid.inputs.shape == (len(grid.values), len(places))
    for value, inputs in zip(grid.values, grid.inputs, strict=True):
        row = loaded.example.slice(0, 1).to_pandas()
        said = None if value == "(missing)" else value
        if name == "built":
            said = pd.Timestamp(value)
        if name == "owned":
            said = value == "true"
        row[name] = pd.Series([said], dtype=row[name].dtype)
        prepared = loaded.preparation.transform(pa.Table.from_pandas(row, schema=loaded.example.schema))
        assert inputs == pytest.approx(prepared[0, places], abs=1e-6)


def test_e1_wide_tables_have_none(frame, tmp_path, monkeypatch):
    monkeypatch.setattr(grids, "MOST_COLUMNS", 3)
    frame.to_parquet(tmp_path / "t.parquet")
    assert read(DataConfig(source=str(tmp_path / "t.parquet"), target="y")).grids == {}
