"""Tables in memory: the same table whatever holds it, and a file that is the same for the same table."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
import scipy.sparse

from trainables.data import frames
from trainables.errors import DataError

FRAME = pd.DataFrame({"a": [1.5, 2.5, None], "town": ["Bonn", None, "Kiel"], "y": [0, 1, 0]}, index=[7, 8, 9])


class SpeaksArrow:
    """What Polars' data frames are to Arrow."""

    def __init__(self, table):
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


def test_e1_pandas_arrow_and_what_speaks_its_protocol_are_one_table():
    expected = {"a": [1.5, 2.5, None], "town": ["Bonn", None, "Kiel"], "y": [0, 1, 0]}
    table, target = frames.as_table(FRAME, "y")
    assert (table.to_pydict(), target) == (expected, "y")
    for other in (table, SpeaksArrow(table), table.to_reader()):
        assert frames.as_table(other)[0].to_pydict() == expected


def test_e1_arrays_have_columns_by_number_and_a_target_beside_them_is_one_more():
    images = np.arange(24.0).reshape(3, 2, 4)
    table, target = frames.as_table(images, np.array(["a", "b", "a"]))
    assert table.column_names == [*(f"x{i}" for i in range(8)), "target"]
    assert (table["x5"].to_pylist(), table["target"].to_pylist(), target) == (
        [5.0, 13.0, 21.0],
        ["a", "b", "a"],
        "target",
    )
    # A name that is taken is not overwritten, and a series has its own.
    assert frames.as_table(pd.DataFrame({"target": [1, 2]}), [0, 1])[1] == "target_"
    assert frames.as_table(FRAME[["a"]], FRAME["y"])[1] == "y"


@pytest.mark.parametrize(
    ("data", "target", "words"),
    [
        (pd.DataFrame({"a": [1, "x"], "b": [b"", 2], "c": [1, 2]}), "c", ["column a", "column b", "one type"]),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "a", ["names that differ"]),
        (np.zeros(3), None, ["shape (3,)"]),
        (FRAME, [0, 1], ["2 values", "which are 3"]),
        (FRAME, 2, ["target: '2'", "a column's name", "one of: 'a', "]),
        (FRAME, np.int64(2), ["target: '2'", "one of: 'a', "]),
        (FRAME, ["a"], ["give 'a'"]),
        ({"a": [1]}, "a", ["dict", "a data frame"]),
    ],
)
def test_e1_what_is_no_table_is_refused_with_what_is(data, target, words):
    with pytest.raises(DataError) as error:
        frames.as_table(data, target)
    assert all(word in str(error.value) for word in words)


def test_e1_a_table_is_written_once_by_its_content(tmp_path):
    table, _ = frames.as_table(FRAME)
    first, again = (frames.write(table, tmp_path / "tables", "churn") for _ in range(2))
    other = frames.write(table.slice(1), tmp_path / "tables", "churn")
    assert first == again != other
    assert sorted(path.name for path in (tmp_path / "tables").iterdir()) == sorted((first.name, other.name))
    assert pa.parquet.read_table(first).equals(table)


def test_e1_what_is_masked_is_missing():
    """-999 behind a mask was a value."""
    masked = np.ma.masked_array([[1.0, -999.0], [2.0, 5.0]], mask=[[0, 1], [0, 0]])
    assert frames.as_table(masked)[0].to_pydict() == {"x0": [1.0, 2.0], "x1": [None, 5.0]}


def test_e1_rows_in_another_order_are_not_paired():
    """By their places, each would have another's target."""
    table, target = pd.DataFrame({"x": [1, 2, 3]}, index=[10, 11, 12]), pd.Series(list("cab"), index=[12, 10, 11])
    with pytest.raises(DataError, match=r"give target.loc\[table.index\]"):
        frames.as_table(table, target)
    assert frames.as_table(table, target.loc[table.index])[0]["target"].to_pylist() == ["a", "b", "c"]
    # Labels that are no labels of these rows say nothing.
    assert frames.as_table(table, target.reset_index(drop=True))[0].num_rows == 3


@pytest.mark.parametrize("target", [pd.DataFrame({"y": [1, 2]}), np.ones((2, 1))])
def test_e1_a_target_of_two_axes_is_refused_with_what_to_give(target):
    with pytest.raises(DataError, match=r"such as df\['y'\]"):
        frames.as_table(pd.DataFrame({"x": [1, 2]}), target)


def test_e1_a_column_that_is_called_by_a_number_is_named_by_it():
    frame = pd.DataFrame({0: [1, 2, 3], 2: [4, 5, 6]})
    table, target = frames.as_table(frame, 2)
    assert (target, table.column_names) == ("2", ["0", "2"])


def test_e1_a_column_whose_name_has_levels_is_the_target_by_these():
    """It was taken for two values: "give both of the same rows"."""
    frame = pd.DataFrame({("a", "x"): [1, 2, 3], ("b", "z"): [4, 5, 6]})
    table, target = frames.as_table(frame, ("b", "z"))
    assert target == "('b', 'z')" and target in table.column_names


def test_e1_sparse_columns_and_matrices_are_their_numbers():
    sparse = pd.get_dummies(pd.DataFrame({"x": list("aba")}), sparse=True, dtype=int)
    assert frames.as_table(sparse)[0].to_pydict() == {"x_a": [1, 0, 1], "x_b": [0, 1, 0]}
    assert frames.as_table(np.asmatrix([[1.0, 2.0], [3.0, 4.0]]))[0].to_pydict() == {"x0": [1.0, 3.0], "x1": [2.0, 4.0]}


@pytest.mark.parametrize(
    ("data", "fix"),
    [
        ({"x": [1, 2]}, "give pandas.DataFrame(data)"),
        ([{"x": 1}, {"x": 2}], "give pandas.DataFrame(data)"),
        (scipy.sparse.eye(3), "give data.toarray()"),
        (np.array([(1.5, 2)], dtype=[("a", "f8"), ("b", "i4")]), "give pandas.DataFrame(array)"),
    ],
)
def test_e1_what_is_nearly_a_table_is_told_how_to_be_one(data, fix):
    with pytest.raises(DataError, match=re.escape(fix)):
        frames.as_table(data)
    made = data.toarray() if "toarray" in fix else pd.DataFrame(data)
    assert frames.as_table(made)[0].num_rows == len(made)


def test_e2_long_doubles_are_numbers():
    table, _ = frames.as_table(pd.DataFrame({"x": np.array([0.5, 2.0], np.longdouble)}))
    assert table["x"].to_pylist() == [0.5, 2.0]
