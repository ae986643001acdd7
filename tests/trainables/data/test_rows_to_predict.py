"""Reading rows that nobody knows the target of yet."""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from tests.one_column import csv
from trainables.data import sources
from trainables.data.columns import Column
from trainables.data.config import CsvConfig
from trainables.data.reading import Reading
from trainables.data.schema import Schema
from trainables.errors import DataError


@pytest.mark.parametrize("with_target", [True, False])
def test_d1_rows_to_predict_need_no_target(tmp_path, with_target):
    arrays = {"X": np.arange(6.0).reshape(3, 2)} | ({"y": np.array([0, 1, 0])} if with_target else {})
    np.savez(tmp_path / "t.npz", **arrays)
    table = sources.read_rows(str(tmp_path / "t.npz"), "FILE")
    assert table.select(["x0", "x1"]).to_pydict() == {"x0": [0.0, 2.0, 4.0], "x1": [1.0, 3.0, 5.0]}
    assert ("y" in table.column_names) == with_target


def test_d1_how_a_csv_file_of_rows_is_written_is_found_out(tmp_path):
    (tmp_path / "t.csv").write_text("x0;x1\n0,5;none\n2;3\n")
    table = sources.read_rows(str(tmp_path / "t.csv"), "FILE", Reading(CsvConfig(null_values=("none",))))
    assert table.to_pydict() == {"x0": [0.5, 2.0], "x1": [None, 3]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n", "at least one row"),
        ("a,a\n1,2\n", "column names that differ"),
        ("a,\n1,2\n", "a name for each column"),
    ],
)
def test_d1_rows_that_cannot_be_used_are_refused_as_a_table_is(tmp_path, text, words):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=words) as caught:
        sources.read_rows(str(tmp_path / "t.csv"), "FILE")
    assert caught.value.problems[0].path == "FILE"


@pytest.mark.parametrize(
    ("kind", "value"),
    [("date", 20240131), ("date", 45304), ("numeric", datetime.date(2024, 1, 31)), ("boolean", 7)],
)
def test_e1_of_rows_to_predict_no_fix_names_the_config(kind, value):
    """A model's columns are what they were trained as: no key changes that."""
    of = Schema((Column("x", kind, {"date": "time", "numeric": "number", "boolean": "truth"}[kind]),))
    with pytest.raises(DataError) as error:
        of.typed(pa.table({"x": [value]}), "FILE")
    (problem,) = error.value.problems
    assert problem.fix in ("give values as training had them", "mend the value")
    with pytest.raises(DataError) as error:
        of.typed(pa.table({"x": [value]}), "data.source")
    assert error.value.problems[0].fix != problem.fix


@pytest.mark.parametrize(
    ("trained", "later", "expected"),
    [
        (["true", "false"], ["1.0", "0.0", ""], [1.0, 0.0, None]),
        (["TRUE", "FALSE"], ["1", "0"], [1.0, 0.0]),
        (["1", "0"], ["True", "False", ""], [1.0, 0.0, None]),
        (["1.5", "0.5"], ["True", "false"], [1.0, 0.0]),
    ],
)
def test_e2_truths_and_numbers_are_the_same_in_csv_as_in_parquet(tmp_path, trained, later, expected):
    """A column of truths with gaps is one of floats to pandas; in CSV it was refused."""
    schema = csv(tmp_path, trained).preparation.schema
    (tmp_path / "rows.csv").write_text("x,z\n" + "".join(f"{value},1\n" for value in later))
    pa.parquet.write_table(pa.table({"x": pa.array(expected, pa.float64())}), tmp_path / "rows.parquet")
    for name in ("rows.csv", "rows.parquet"):
        found = schema.typed(sources.read_rows(str(tmp_path / name), "FILE", schema.reading, ["x"]), "FILE")["x"]
        assert [None if np.isnan(value) else value for value in found] == expected


def test_e2_words_are_no_truths_of_a_column_of_numbers(tmp_path):
    schema = csv(tmp_path, ["1", "0"]).preparation.schema
    (tmp_path / "rows.csv").write_text("x,z\nyes,1\n")
    with pytest.raises(DataError, match="numbers, as column x has"):
        schema.typed(sources.read_rows(str(tmp_path / "rows.csv"), "FILE", schema.reading, ["x"]), "FILE")
