"""D2: JSON as people have it: records, pandas' columns, a record in each line; a config is none of them."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from search_service.spec.from_table import is_table
from trainables.data import sources
from trainables.data.config import DataConfig
from trainables.data.dataset import read
from trainables.data.reading import Wanted
from trainables.errors import DataError

FRAME = pd.DataFrame({"a": np.arange(60) / 8, "b": [None, "x", "y"] * 20, "y": ["no", "yes"] * 30})


@pytest.mark.parametrize(
    "how",
    [
        {"orient": "records"},
        {"orient": "records", "lines": True},
        {"orient": "list"},
        {"orient": "columns"},
        {"orient": "index"},
        {"orient": "beside"},
    ],
    ids=["records", "lines", "lists", "columns", "index", "beside other things"],
)
def test_d2_what_pandas_writes_is_the_same_table(tmp_path, how):
    if how == {"orient": "list"}:
        (tmp_path / "t.json").write_text(json.dumps(FRAME.replace({np.nan: None}).to_dict("list"), indent=1))
    elif how == {"orient": "beside"}:
        records = FRAME.replace({np.nan: None}).to_dict("records")
        (tmp_path / "t.json").write_text(json.dumps({"count": len(FRAME), "next": None, "results": records}))
    else:
        FRAME.to_json(tmp_path / "t.json", **how)
    assert is_table(str(tmp_path / "t.json"))
    FRAME.to_parquet(tmp_path / "t.parquet")
    found, expected = (read(DataConfig(source=str(tmp_path / f"t.{it}"), target="y")) for it in ("json", "parquet"))
    assert found.dataset.class_names == ("no", "yes")
    for rows, same in ((found.dataset.train, expected.dataset.train), (found.test_rows, expected.test_rows)):
        np.testing.assert_array_equal(rows.inputs, same.inputs)
        np.testing.assert_array_equal(rows.targets, same.targets)


def test_d2_a_key_that_a_record_lacks_is_missing_and_values_of_two_types_are_texts(tmp_path):
    records = [{"a": n, "b": n if n % 2 else "x", "y": "pq"[n % 2]} for n in range(40)]
    del records[3]["a"]
    (tmp_path / "t.json").write_text(json.dumps(records))
    loaded = read(DataConfig(source=str(tmp_path / "t.json"), target="y", columns={"b": "categorical"}), profiled=True)
    by_name = {column.name: column for column in loaded.profile.columns}
    assert by_name["a"].missing == 1
    assert by_name["b"].kind == "categorical"


@pytest.mark.parametrize(
    "text", ["[1, 2, 3]", '{"a": [1, 2], "y": [1]}', '{"data": {"source": "t.csv"}, "name": 1}', "[]"]
)
def test_c1_another_document_is_refused_with_what_a_table_is(tmp_path, text):
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(DataError) as refused:
        read(DataConfig(source=str(tmp_path / "t.json"), target="y"))
    (problem,) = refused.value.problems
    assert "a list of records" in problem.rule


def test_e2_whole_numbers_beyond_64_bits_keep_their_digits(tmp_path):
    records = [{"id": 2**70 + at, "y": at % 2} for at in range(60)]
    (tmp_path / "t.json").write_text(json.dumps(records))
    table = sources.read(str(tmp_path / "t.json"), Wanted(target="y"), "data.source").table
    assert table.column("id").to_pylist() == [str(record["id"]) for record in records]


def test_e2_a_key_that_an_object_has_twice_is_refused_by_name(tmp_path):
    (tmp_path / "t.json").write_text('[{"a": 1, "y": 0}, {"a": 2, "a": 3, "y": 1}]')
    with pytest.raises(DataError, match="an object has the key 'a' twice"):
        read(DataConfig(source=str(tmp_path / "t.json"), target="y"))


def test_c1_json_that_is_none_is_refused_where_it_ends(tmp_path):
    (tmp_path / "t.json").write_text('[{"a": 1, "y": 2}, {"a": 1')
    with pytest.raises(DataError) as refused:
        read(DataConfig(source=str(tmp_path / "t.json"), target="y"))
    assert "a readable JSON file" in refused.value.problems[0].rule


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ('\n [{"a": 1}]', True),
        ('{"a": 1}\n{"a": 2}\n', True),
        (f'{{"a": "{"long " * 2000}"}}\n{{"a": "short"}}\n', True),
        ('{"a": {"0": 1, "1": 2}, "y": {"0": "p", "1": "q"}}', True),
        ('{"data": [{"a": 1, "y": 2}]}', True),
        ('{"name": "n", "data": {"source": "digits"}}', False),
        ('{"data": {"source": "digits"}, "trial": {"batch_size": 8}}', False),
        ('{\n "name": "n",\n "data": {"source": "digits"}\n}\n', False),
        ('{"name": "n"}\n', False),
        ("", False),
    ],
)
def test_d2_a_config_is_told_from_a_table(tmp_path, text, is_one):
    (tmp_path / "t.json").write_text(text)
    assert is_table(str(tmp_path / "t.json")) == is_one
    assert not is_table(str(tmp_path / "none.json"))
    assert is_table("https://example.org/t.json")
