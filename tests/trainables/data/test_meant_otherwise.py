"""E1: files, rows and kinds of columns that look like one thing and are meant otherwise; fixes work."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.one_column import ROWS, csv, kind_of, refused, values_of
from trainables.data.config import DataConfig
from trainables.data.dataset import read
from trainables.data.frames import as_table, write
from trainables.data.json_documents import holds_table
from trainables.data.sources import read_rows
from trainables.errors import DataError


def test_e1_a_fraction_beside_a_file_divides_nothing_and_this_is_said(tmp_path):
    csv(tmp_path, ["1", "2"])
    files = {"train": str(tmp_path / "t.csv"), "test": str(tmp_path / "t.csv")}
    said = "data.test_fraction: 0.3 divides nothing: data.test has those rows"
    assert said in read(DataConfig(**files, target="y", test_fraction=0.3)).notes
    assert not any("divides nothing" in note for note in read(DataConfig(**files, target="y")).notes)


def test_e1_json_of_names_and_rows_is_a_table(tmp_path):
    frame = pd.DataFrame({"x": range(ROWS), "y": [n % 7 + 0.5 for n in range(ROWS)]})
    frame.to_json(tmp_path / "t.json", orient="split")
    assert holds_table(tmp_path / "t.json")
    table = pa.Table.from_pandas(frame, preserve_index=False)
    assert read_rows(str(tmp_path / "t.json"), "FILE", None, ["x", "y"]).equals(table)


def test_e1_excels_own_first_line_names_the_delimiter(tmp_path):
    assert values_of(csv(tmp_path, ["1,5", "2,25"], delimiter=";", first="sep=;\n")) == [1.5, 2.25]


def test_e1_names_of_two_lines_are_no_reason_for_another_delimiter(tmp_path):
    lines = [f"{n % 5};{n % 3};{n % 2}" for n in range(ROWS)]
    (tmp_path / "t.csv").write_text('"Umsatz\n(EUR)";menge;y\n' + "\n".join(lines) + "\n")
    loaded = read(DataConfig(source=str(tmp_path / "t.csv"), target="y"))
    assert len(loaded.preparation.schema.columns) == 2


@pytest.mark.parametrize("cells", [["red", "blue"], ["1.5", "2.5"]])
def test_e1_names_that_come_again_in_joined_files_are_no_rows(tmp_path, cells):
    csv(tmp_path, cells)
    whole = (tmp_path / "t.csv").read_text()
    (tmp_path / "t.csv").write_text(whole * 3)
    loaded = read(DataConfig(source=str(tmp_path / "t.csv"), target="y"))
    parts = (loaded.dataset.train, loaded.dataset.validation, loaded.test_rows)
    assert sum(map(len, parts)) == 3 * ROWS
    assert any("2 rows repeat the names of the columns" in note for note in loaded.notes)
    assert kind_of(loaded) == ("categorical" if cells[0] == "red" else "numeric")
    assert read_rows(str(tmp_path / "t.csv"), "rows").num_rows == 3 * ROWS


def test_e1_a_target_that_is_said_to_be_categorical_is_one_of_classes(tmp_path):
    goals = [("37 km", "74 m", "12 km")[n % 3] for n in range(ROWS)]
    loaded = csv(tmp_path, ["1", "2"], target=goals, columns={"y": "categorical"})
    assert (loaded.dataset.task, loaded.task_reason) == ("classification", "as data.columns says")
    assert loaded.dataset.class_names == ("12 km", "37 km", "74 m")


@pytest.mark.parametrize("given", [{"group": "g", "split": "random"}, {"time": "g", "split": "stratified"}])
def test_e1_a_split_that_does_not_divide_by_its_column_is_refused(given):
    with pytest.raises(ValueError, match=r"split: \w+ does not divide by (group|time)"):
        DataConfig(source="t.csv", target="y", **given)


def test_e1_texts_of_few_rows_each_are_no_quantity(tmp_path):
    goals = [f"{n}:{n % 60:02d}" for n in range(ROWS)]
    said = refused(tmp_path, ["1", "2"], target=goals, task="classification")
    assert "data.task: regression" not in said


def test_e1_pandas_intervals_and_periods_are_columns_and_a_column_is_no_table():
    numbers = pd.Series(range(20))
    frame = pd.DataFrame({"a": pd.cut(numbers, 4), "p": pd.period_range("2020-01", periods=20, freq="M"), "y": numbers})
    table, _ = as_table(frame, "y")
    assert table["a"][0].as_py() == str(frame["a"].iloc[0])
    assert table["p"][0].as_py() == datetime.datetime(2020, 1, 1)
    with pytest.raises(DataError, match="give the whole data frame"):
        as_table(frame["a"], "y")


@pytest.mark.parametrize(
    ("name", "content", "kind", "fix"),
    [
        ("t.csv", b"PK\x03\x04rest", "an Excel file", "end in .xlsx"),
        ("t.csv", b"PAR1rest", "a Parquet file", "end in .parquet"),
        ("t.csv", b"\n<!DOCTYPE html><html><body>Log in", "a page of HTML", "save the table as CSV"),
        ("t.xls", b"<html><table>", "a page of HTML", "save the table as CSV"),
        ("t.xlsx", b"a,b,y\n1,2,3\n", "text, as CSV is", "end in .csv"),
    ],
)
def test_e1_a_file_of_another_kind_than_its_name_says_is_called_what_it_is(tmp_path, name, content, kind, fix):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as error:
        read(DataConfig(source=str(tmp_path / name), target="y"))
    (problem,) = error.value.problems
    assert (kind in problem.rule, fix in problem.fix) == (True, True)


@pytest.mark.parametrize("ending", [".txt", ".tab", ".data", ".psv"])
def test_e1_text_by_other_endings_is_read_as_csv(tmp_path, ending):
    csv(tmp_path, ["1", "2"], delimiter="\t")
    (tmp_path / "t.csv").rename(tmp_path / f"t{ending}")
    assert read(DataConfig(source=str(tmp_path / f"t{ending}"), target="y")).dataset.n_inputs == 1


def test_e1_guards_of_sheets_are_no_part_of_codes(tmp_path):
    for cells in (['"=""0871"""', '"=""0042"""'], ["'0871", "'0042"]):
        loaded = csv(tmp_path, cells)
        assert kind_of(loaded) == "categorical"
        assert set(loaded.grids["x"].values) == {"0871", "0042"}
        assert any(
            note.endswith("x: what keeps a sheet from taking codes for numbers is no part of them")
            for note in loaded.notes
        )


def test_e2_words_of_a_frame_that_begin_with_a_mark_are_as_they_are(tmp_path):
    frame = pd.DataFrame({"x": np.arange(60) / 8, "y": ["'tis", "'twas"] * 30})
    file = write(as_table(frame)[0], tmp_path, "t")
    assert read(DataConfig(source=str(file), target="y")).dataset.class_names == ("'tis", "'twas")


def test_e1_truths_by_one_letter_and_times_of_laps(tmp_path):
    for yes, no in (("Y", "N"), ("t", "f"), ("on", "off")):
        assert values_of(csv(tmp_path, [yes, no], columns={"x": "boolean"})) == ["false", "true"]
    assert values_of(csv(tmp_path, ["1:23.5", "2:03.25"])) == [83.5, 123.25]


def test_e1_of_rows_to_predict_no_config_is_to_be_changed(tmp_path):
    loaded = csv(tmp_path, ["1", "2"])
    (tmp_path / "rows.csv").write_text("Rows of May\nx,z,w\n1,2,3\n2,3,4\n")
    with pytest.raises(DataError, match="fix:  remove it$"):
        read_rows(str(tmp_path / "rows.csv"), "FILE", loaded.preparation.schema.reading, ["x"])
    with pytest.raises(DataError, match="fix:  mend the value$"):
        loaded.preparation.transform(pa.table({"x": ["many"]}), "FILE")


def test_e1_columns_that_cannot_be_read_are_left_out_together(tmp_path):
    lists = [[n] for n in range(ROWS)]
    pq.write_table(pa.table({"a": lists, "b c": lists, "x": range(ROWS), "y": range(ROWS)}), tmp_path / "t.parquet")
    with pytest.raises(DataError) as error:
        read(DataConfig(source=str(tmp_path / "t.parquet"), target="y"))
    assert [problem.fix for problem in error.value.problems] == ["leave it out: data.drop: [a, b c]"] * 2
    assert read(DataConfig(source=str(tmp_path / "t.parquet"), target="y", drop=["a", "b c"])).dataset.n_inputs == 1


def test_e1_a_number_that_means_missing_does_so_in_categories_however_it_is_written(tmp_path):
    loaded = csv(tmp_path, ["1.0", "2.0", "99.0"], columns={"x": {"kind": "categorical", "null_values": [99]}})
    assert set(loaded.grids["x"].values) == {"1", "2", "(missing)"}


@pytest.mark.parametrize("word", ["N/A", "", "NULL"])
def test_e1_what_means_missing_in_a_training_file_of_text_does_so_in_others(tmp_path, word):
    """It was a category that no training row had, or no number."""
    loaded = csv(tmp_path, ["p", "q", word])
    schema = loaded.preparation.schema
    pq.write_table(pa.table({"x": ["p", word]}), tmp_path / "later.parquet")
    pd.DataFrame({"x": ["p", word]}).to_json(tmp_path / "later.json", orient="records")
    for name in ("later.parquet", "later.json"):
        rows = read_rows(str(tmp_path / name), "FILE", schema.reading, ["x"])
        assert schema.typed(rows, "FILE")["x"].tolist() == ["p", "(missing)"]


@pytest.mark.parametrize("name", ["version", "appVersion", "release_nr"])
def test_e1_versions_that_become_one_number_are_said(tmp_path, name):
    """1.10 comes after 1.9."""
    csv(tmp_path, ["1.9", "1.10", "1.1"])
    table = (tmp_path / "t.csv").read_text().replace("x,y", f"{name},y", 1)
    (tmp_path / "t.csv").write_text(table)
    config = DataConfig(source=str(tmp_path / "t.csv"), target="y")
    said = f"column {name}: '1.10' and '1.1' are one number; data.columns: {{{name}: categorical}} keeps them apart"
    assert said in read(config).notes
    apart = read(DataConfig(source=config.source, target="y", columns={name: "categorical"}))
    assert set(apart.grids[name].values) == {"1.9", "1.10", "1.1"}
    (tmp_path / "t.csv").write_text(table.replace("1.10,", "1.2,"))
    assert not any("one number" in note for note in read(config).notes)


def test_e1_prices_that_end_in_zeros_are_no_versions(tmp_path):
    assert not any("one number" in note for note in csv(tmp_path, ["1.9", "1.10", "1.1"]).notes)
