"""E1: a file of test rows is read as the training file is, and what cannot be is told with what mends it."""

from __future__ import annotations

import pandas as pd
import pytest

from trainables.data.config import DataConfig
from trainables.data.dataset import read
from trainables.errors import DataError

ROWS = 90


def table(targets, rows=ROWS, town=None):
    """A table whose targets are these, again and again."""
    towns = [town or "abc"[n % 3] for n in range(rows)]
    values = [targets[n % len(targets)] for n in range(rows)]
    return pd.DataFrame({"x": [n % 11 + rows / 1000 for n in range(rows)], "town": towns, "y": values})


def both_read(folder, train, test, kind="csv", **config):
    train.to_csv(folder / "train.csv", index=False)
    test.to_csv(folder / "test.csv", index=False) if kind == "csv" else test.to_parquet(folder / "test.parquet")
    files = {"train": str(folder / "train.csv"), "test": str(folder / f"test.{kind}")}
    return read(DataConfig(**files, target="y", **config))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_e1_shares_are_no_targets_where_training_had_per_cent(tmp_path, kind):
    """0.5 was half a per cent, and the test score one of nothing."""
    train = table([f"{n}%" for n in range(1, 60)])
    with pytest.raises(DataError, match="these look like shares") as error:
        both_read(tmp_path, train, table([0.1, 0.5, 0.25], 12), kind)
    assert error.value.problems[0].path == "data.test"
    assert len(both_read(tmp_path, train, table([10.0, 50.0, 25.5], 12), kind).test_rows) == 12
    assert len(
        both_read(tmp_path, table(["0.1%", "0.25%", *(f"0.{n}%" for n in range(3, 90))]), table([0.5], 12)).test_rows
    )


@pytest.mark.parametrize(("classes", "shown"), [(["YES", "NO"], "'no', 'yes'"), (["yes.", "no "], "'no', 'yes'")])
def test_e1_classes_that_are_written_otherwise_are_told_how(tmp_path, classes, shown):
    with pytest.raises(DataError) as error:
        both_read(tmp_path, table(["yes", "no"]), table(classes, 12))
    assert error.value.problems[0].fix == f"write these as the training file does: {shown}"


def test_e1_a_total_of_a_file_of_test_rows_is_not_left_out_of_the_training_rows(tmp_path):
    """The key that was printed took the last of the training rows, too."""
    test = table([0.5, 1.5, 2.25], 12)
    total = pd.DataFrame({"x": [99.5], "town": ["Total"], "y": [17.0]})
    train = table([n / 4 for n in range(50)])
    with pytest.raises(DataError) as error:
        both_read(tmp_path, train, pd.concat([test, total]))
    assert error.value.problems[0].fix.startswith("remove it from the file")
    assert len(both_read(tmp_path, train, test).test_rows) == 12


def test_e1_categories_that_training_lacks_are_said(tmp_path):
    train = table([n / 4 for n in range(50)])
    said = both_read(tmp_path, train, table([0.5, 1.5], 12, town="A")).warnings
    assert ("data.test", "column town: 12 of 12 rows, such as 'A'") in [(one.path, one.value) for one in said]
    assert "data.test" not in [one.path for one in both_read(tmp_path, train, table([0.5, 1.5], 12)).warnings]
