"""E1: tables as other programs write them: R, Hive, pandas with names for its rows, interfaces that wrap them."""

from __future__ import annotations

import json
import unicodedata

import pyarrow as pa
import pyarrow.parquet
import pytest

from trainables.data.config import DataConfig
from trainables.data.dataset import read
from trainables.data.sources import read_rows
from trainables.errors import DataError

RECORDS = [{"num": n % 9 + 0.5, "cat": "abc"[n % 3], "y": n % 7 + 0.5} for n in range(80)]


def written(folder, text, name="t.csv", target="y", **config):
    (folder / name).write_text(text, encoding="utf-8")
    return read(DataConfig(source=str(folder / name), target=target, **config))


def names_of(loaded):
    return loaded.preparation.schema.names()


def lines(mark, names=("num", "cat", "y")):
    rows = [mark.join(str(value) for value in record.values()) for record in RECORDS]
    return "\n".join([mark.join(names), *rows]) + "\n"


@pytest.mark.parametrize("mark", ["\x01", "~", "^", ":", " "])
def test_e1_other_signs_divide_columns_where_no_usual_one_does(tmp_path, mark):
    loaded = written(tmp_path, lines(mark))
    assert names_of(loaded) == ["num", "cat"]
    assert any("columns separated by" in note for note in loaded.notes)
    # Rows to predict are cut there, too, and one column of words with blanks is not.
    (tmp_path / "later.csv").write_text(lines(mark), encoding="utf-8")
    reading = loaded.preparation.schema.reading
    assert read_rows(str(tmp_path / "later.csv"), "FILE", reading, ["num", "cat"]).num_rows == 80
    (tmp_path / "words.csv").write_text("home town\nNew York\nLos Angeles\n", encoding="utf-8")
    assert read_rows(str(tmp_path / "words.csv"), "FILE").column_names == ["home town"]


def test_e1_a_file_that_nothing_seems_to_divide_is_told_the_key(tmp_path):
    with pytest.raises(DataError) as error:
        written(tmp_path, lines("#"))
    assert "data.csv.delimiter names what stands between them" in error.value.problems[0].fix
    assert names_of(written(tmp_path, lines("#"), csv={"delimiter": "#"})) == ["num", "cat"]


def test_e1_a_first_line_of_values_that_come_twice_is_told_how_to_say_so(tmp_path):
    rows = "".join(f"{n % 9}.5,{n % 9}.5,{'low' if n % 2 else 'high'}\n" for n in range(80))
    with pytest.raises(DataError) as error:
        written(tmp_path, rows, target="f2")
    assert "data.csv.header: false" in error.value.problems[0].fix
    assert names_of(written(tmp_path, rows, target="f2", csv={"header": False})) == ["f0", "f1"]


def test_e1_names_of_rows_without_a_name_of_their_own_are_left_out_and_said(tmp_path):
    """R's write.csv and pandas' to_csv of a frame whose rows are named; days are kept, and asked for a name."""
    rows = lines(",").splitlines()
    named = [f'"",{rows[0]}', *(f'"Mazda {n}",{row}' for n, row in enumerate(rows[1:]))]
    loaded = written(tmp_path, "\n".join(named))
    assert names_of(loaded) == ["num", "cat"]
    assert any("the first column has no name and names the rows" in note for note in loaded.notes)
    again = [f'"",{rows[0]}', *(f'"Mazda {n % 9}",{row}' for n, row in enumerate(rows[1:]))]
    days = [f",{rows[0]}", *(f"2024-01-{n % 28 + 1:02d} 00:{n:02d}:00,{row}" for n, row in enumerate(rows[1:50]))]
    for other in (again, days):
        with pytest.raises(DataError, match="a column without a name"):
            written(tmp_path, "\n".join(other))


def test_e1_a_name_is_found_however_its_letters_are_stored(tmp_path):
    """A Mac's files have their letters and dots apart; a sheet's names have signs that nobody sees."""
    composed, apart = (unicodedata.normalize(form, "größe") for form in ("NFC", "NFD"))
    for name in (apart, f"\u200b{composed}"):
        loaded = written(tmp_path, lines(",", (name, "cat", "y")), drop=[composed])
        assert names_of(loaded) == ["cat"]
        assert written(tmp_path, lines(",", ("num", "cat", name)), target=composed).target == composed
        loaded = written(tmp_path, lines(",", (composed, "cat", "y")))
        pyarrow.parquet.write_table(pa.table({name: [1.5], "cat": ["a"]}), tmp_path / "later.parquet")
        schema = loaded.preparation.schema
        later = read_rows(str(tmp_path / "later.parquet"), "FILE", schema.reading, schema.names())
        assert schema.typed(later, "FILE")[composed].tolist() == [1.5]
    # Two that are told apart stay two.
    loaded = written(tmp_path, lines(",", (composed, apart, "y")))
    assert names_of(loaded) == [composed, apart]


@pytest.mark.parametrize(
    "wrapped",
    [
        {"data": RECORDS},
        {"data": RECORDS, "meta": {"pages": 1, "page": 1}},
        {"schema": {"fields": [{"name": "index", "type": "integer"}], "primaryKey": ["index"]}, "data": RECORDS},
    ],
)
def test_e1_json_of_one_list_of_records_is_that_table(tmp_path, wrapped):
    assert names_of(written(tmp_path, json.dumps(wrapped), "t.json")) == ["num", "cat"]


def test_e1_quotation_marks_behind_backslashes_are_a_values_own(tmp_path):
    """As Spark and MySQL write them; a comma behind one made another column, and without one values were mangled."""
    values = ['say "hi", you', 'a "b"', "no\\thing", "C:\\"]
    escaped = [value.replace("\\", "\\\\") if value.endswith("\\") else value for value in values]
    cells = ['"' + value.replace('"', '\\"') + '"' for value in escaped]
    rows = "".join(f"{n % 9}.5,{cells[n % 4]},{n % 7}.5\n" for n in range(80))
    loaded = written(tmp_path, f"num,txt,y\n{rows}")
    assert sorted(loaded.grids["txt"].values) == sorted(values)
    # Where nothing else says so, a backslash ends a value: C:\\dir\\ as Windows has it.
    rows = "".join(f'{n % 9}.5,"C:\\{"ab"[n % 2]}\\",{n % 7}.5\n' for n in range(80))
    assert sorted(written(tmp_path, f"num,txt,y\n{rows}").grids["txt"].values) == ["C:\\a\\", "C:\\b\\"]


@pytest.mark.parametrize("mark", [" ", "\t", ","])
def test_e1_who_names_rows_but_not_their_column_is_told_what_to_add(tmp_path, mark):
    """R's write.table, by default."""
    head, *rows = lines(mark).splitlines()
    named = "\n".join([head, *(f'"{n}"{mark}{row}' for n, row in enumerate(rows))])
    with pytest.raises(DataError) as error:
        written(tmp_path, named)
    assert f"begin the first line with a {mark!r}" in error.value.problems[0].fix
    assert names_of(written(tmp_path, mark + named)) == ["num", "cat"]


def test_e1_a_delimiter_that_only_the_first_line_lacks_is_told(tmp_path):
    head, *rows = lines(",").splitlines()
    ended = "\n".join([head, *(f"{row}," for row in rows)])
    with pytest.raises(DataError) as error:
        written(tmp_path, ended)
    assert error.value.problems[0].fix == "end the first line with a ',', as the others do"
    assert names_of(written(tmp_path, ended.replace("cat,y", "cat,y,"))) == ["num", "cat"]


def aligned(rows, *, before="", between="  "):
    return "".join(before + between.join(f"{cell:>7}" for cell in row) + "\n" for row in rows)


ROWS_OF_CELLS = [(n % 9, n % 7 + 0.5, "uvw"[n % 3], f'"{"ab"[n % 2]} c"') for n in range(60)]


@pytest.mark.parametrize("ending", ["txt", "data"])
@pytest.mark.parametrize(("before", "between"), [("", "  "), (" ", " ")])
def test_e1_columns_that_are_aligned_by_blanks_are_columns(tmp_path, ending, before, between):
    """The advice, a blank as delimiter, took each of several blanks for the end of a column."""
    text = aligned([("a", "b", "c", "y"), *ROWS_OF_CELLS], before=before, between=between)
    (tmp_path / f"t.{ending}").write_text(text)
    for given in ({"csv": {"delimiter": " "}}, {}):
        loaded = read(DataConfig(source=str(tmp_path / f"t.{ending}"), target="y", **given))
        assert loaded.dataset.class_names == ("a c", "b c")
        assert {column.name: column.kind for column in loaded.preparation.schema.columns} == {
            "a": "numeric",
            "b": "numeric",
            "c": "categorical",
        }
    # Rows to predict may be aligned otherwise, or not at all.
    schema = loaded.preparation.schema
    for later in ("a b c\n1 2.5 u\n", "    a   b c\n  1  2.5     u\n", "a,b,c\n1,2.5,u\n"):
        (tmp_path / "rows.txt").write_text(later)
        typed = schema.typed(read_rows(str(tmp_path / "rows.txt"), "FILE", schema.reading, schema.names()), "FILE")
        assert typed.iloc[0].tolist() == [1.0, 2.5, "u"]


def test_e1_a_tab_may_stand_among_the_blanks(tmp_path):
    """As before the names of UCI's cars."""
    cars = ["ford  pinto", "vw rabbit"]
    lines = [f'{n / 7:.1f}   {n % 5}   {n % 11}.      {n % 3}.5\t"{cars[n % 2]}"' for n in range(60)]
    (tmp_path / "t.data").write_text("\n".join(lines) + "\n")
    loaded = read(DataConfig(source=str(tmp_path / "t.data"), target="f0", csv={"header": False}))
    assert [column.kind for column in loaded.preparation.schema.columns] == [*["numeric"] * 3, "categorical"]
    assert set(loaded.grids["f4"].values) == {*cars}


def test_e1_aligned_numbers_need_no_names(tmp_path):
    (tmp_path / "t.data").write_text(aligned([(f"{n / 7:.3f}", n % 5, f"{n % 11}.") for n in range(60)], before=" "))
    loaded = read(DataConfig(source=str(tmp_path / "t.data"), target="f0"))
    assert loaded.dataset.task == "regression"
    assert [column.name for column in loaded.preparation.schema.columns] == ["f1", "f2"]


@pytest.mark.parametrize(
    "lines",
    [
        ["name\tcity\ty", *(f"{'Ann  Lee' if n % 3 else 'Jo'}\tNew  York\t{'ab'[n % 2]}" for n in range(60))],
        [
            "first name\tsome  city\ty",
            *(f"{['Jo Ann', 'Ann Lee'][n % 2]}\tNew  York\t{'ab'[n % 2]}" for n in range(60)),
        ],
        ["name,  city,  y", *(f"{'Ann  Lee' if n % 3 else 'Jo  Ann'},  New  York,  {'ab'[n % 2]}" for n in range(60))],
    ],
)
def test_e1_blanks_within_cells_separate_nothing(tmp_path, lines):
    (tmp_path / "t.txt").write_text("\n".join(lines) + "\n")
    loaded = read(DataConfig(source=str(tmp_path / "t.txt"), target="y"))
    assert loaded.dataset.class_names == ("a", "b")
    assert len(loaded.preparation.schema) == 2
