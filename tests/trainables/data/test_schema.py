"""Kinds of columns found from their values, and raw values of any origin as values of those kinds."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from trainables.data import kinds
from trainables.data.columns import MISSING, Column
from trainables.data.config import ColumnConfig
from trainables.data.schema import Schema
from trainables.errors import DataError

DAY = datetime.date(2026, 11, 24)


@pytest.mark.parametrize(
    ("values", "kind", "storage"),
    [
        ([1, 2, None], "numeric", "whole"),
        ([1.5, float("nan")], "numeric", "number"),
        ([True, None], "boolean", "truth"),
        (["Bonn", None], "categorical", "text"),
        (["1", "2.5", None], "numeric", "text"),
        (["01", "02"], "categorical", "text"),
        (["2026-11-24", "2026-01-01"], "date", "text"),
        (["2026-11-24T13:45:00+01:00", None], "date", "text"),
        ([DAY, None], "date", "time"),
        (pa.array(["a", "b"]).dictionary_encode(), "categorical", "text"),
        (pa.array([1, 2], pa.decimal128(5, 2)), "numeric", "number"),
        (pa.array(["a"], pa.large_string()), "categorical", "text"),
        ([None, None], "numeric", "number"),
    ],
)
def test_kinds_are_found_from_values(values, kind, storage):
    (column,) = kinds.infer(pa.table({"c": values}), {}, "data.source").columns
    assert (column.kind, column.storage) == (kind, storage)


def test_d2_a_column_of_mixed_types_names_the_row_the_value_and_three_ways_out():
    table = pa.table({"ok": [1, 2, 3, 4], "age": ["31", "?", "45", "n"], "tags": [["x"], [], [], []]})
    with pytest.raises(DataError) as error:
        kinds.infer(table.set_column(1, "age", pa.array(["31", "?", "45", "27"])), {}, "data.source")
    message = str(error.value)
    assert "column age, row 2: '?'" in message
    assert "data.csv.null_values: ['?']" in message
    assert "{age: categorical}" in message
    assert "column tags" in message  # All at once.
    assert "data.drop: [tags]" in message
    given = kinds.infer(table.select(["age"]), {"age": ColumnConfig(kind="categorical")}, "data.source")
    assert given.columns[0].kind == "categorical"


def test_d2_a_kind_that_the_values_do_not_have_is_refused_with_the_row():
    for values, kind, words in (
        (["1", "x"], "numeric", "row 2: 'x'"),
        ([0, 2], "boolean", "row 2: 2.0"),
        (["yes", "perhaps"], "boolean", "row 2: 'perhaps'"),
        (["2026-11-24", "24.11.2026"], "date", "row 2: '24.11.2026'"),
        ([1, 2], "date", "row 1: 1"),
        ([DAY], "numeric", "numbers, not date"),
    ):
        with pytest.raises(DataError) as error:
            kinds.infer(pa.table({"c": values}), {"c": ColumnConfig(kind=kind)}, "data.source")
        assert words in str(error.value)


def typed(kind, values):
    return Schema((Column("c", kind, "text"),)).typed(pa.table({"c": values}), "data")["c"]


def test_values_are_converted_whatever_they_come_as():
    assert typed("numeric", ["1", None, "2.5"]).tolist() == pytest.approx([1, np.nan, 2.5], nan_ok=True)
    assert typed("boolean", ["yes", "False", None]).tolist() == pytest.approx([1, 0, np.nan], nan_ok=True)
    assert typed("boolean", [1, 0]).tolist() == [1.0, 0.0]
    assert typed("categorical", [3.0, float("nan"), 4.0]).tolist() == ["3", MISSING, "4"]
    assert typed("categorical", [3, None]).tolist() == ["3", MISSING]
    assert typed("categorical", [0.5, 1.0]).tolist() == ["0.5", "1"]
    assert typed("categorical", [True, False]).tolist() == ["true", "false"]
    dates = typed("date", ["2026-11-24T01:00:00+02:00", None])
    assert dates.tolist() == [pd.Timestamp("2026-11-23 23:00"), pd.NaT]
    assert typed("date", [DAY]).tolist() == [pd.Timestamp(DAY)]


def test_d2_rows_to_predict_are_refused_with_everything_that_is_wrong_with_them():
    two = Schema((Column("a", "numeric", "number"), Column("d", "date", "time")))
    with pytest.raises(DataError, match="lacks d"):
        two.typed(pa.table({"a": [1]}), "rows")
    with pytest.raises(DataError) as error:
        two.typed(pa.table({"a": ["x"], "d": ["never"]}), "rows")
    assert [problem.path for problem in error.value.problems] == ["rows", "rows"]
    with pytest.raises(DataError, match="row 2: inf"):
        two.typed(pa.table({"a": [1.0, float("inf")], "d": [DAY, DAY]}), "rows")


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        (
            "zip_code",
            [10115, 20095] * 4,
            "numbers that name places, by its name; data.columns: {zip_code: categorical}",
        ),
        ("Postcode", [10115, 20095] * 4, "numbers that name places"),
        ("plan", ["Pro", "pro", "Basic", " Basic"], "'Pro', 'pro' are categories of their own, and 1 more such"),
        ("city", ["New York", "new  york"], "'New York', 'new  york' are categories of their own; write them alike"),
    ],
)
def test_e2_what_may_be_meant_in_another_way_is_said(name, values, said):
    (note,) = kinds.infer(pa.table({name: values, "x": list(range(len(values)))}), {}, "data.source").notes
    assert note.startswith(f"column {name}: ")
    assert said in note


@pytest.mark.parametrize(
    ("name", "values"),
    [("zipped", [1, 2]), ("compost", [1, 2]), ("zip", ["01", "02"]), ("plan", ["Pro", "Basic"]), ("plan", ["à", "a"])],
)
def test_e2_nothing_is_said_where_nothing_is_in_doubt(name, values):
    assert kinds.infer(pa.table({name: values}), {}, "data.source").notes == ()


def test_e2_what_the_config_says_is_in_no_doubt():
    given = {"zip": ColumnConfig(kind="numeric"), "plan": ColumnConfig(kind="categorical")}
    table = pa.table({"zip": [10115, 20095], "plan": ["Pro", "pro"]})
    assert kinds.infer(table, given, "data.source").notes == ()
