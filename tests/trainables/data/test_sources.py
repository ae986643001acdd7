"""Reading tables, and every way in which one can be refused: file, line or column, and what to do."""

from __future__ import annotations

import io
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from trainables.data import csv_files, formats, sources
from trainables.data.config import CsvConfig, DataConfig
from trainables.data.dataset import load
from trainables.data.dataset import read as read_table
from trainables.data.reading import Wanted
from trainables.errors import DataError


def read(source, target="y", **csv):
    return sources.read(str(source), Wanted(CsvConfig(**csv), target), "data.source")


def refused(source, target="y", **csv) -> str:
    with pytest.raises(DataError) as error:
        read(source, target, **csv)
    return str(error.value)


def write(tmp_path, text, name="table.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    ("name", "shape"),
    [("digits", (1797, 65)), ("wine", (178, 14)), ("breast_cancer", (569, 31)), ("diabetes", (442, 11))],
)
def test_bundled_sets(name, shape):
    found = sources.read(name, Wanted(), "data.source")
    assert found.table.shape == shape
    assert found.target == "target"


COLUMNS = {
    "a": [1.5, -2.0, None, 4.25],
    "town": ["Bonn", "Kiel", None, "Ulm"],
    "yes": [True, False, True, None],
    "y": ["no", "yes", "no", "yes"],
}


def test_d2_every_format_gives_the_same_table(tmp_path):
    table = pa.table(COLUMNS)
    lines = ["a,town,yes,y", "1.5,Bonn,true,no", "-2.0,Kiel,false,yes", ",,true,no", "4.25,Ulm,,yes"]
    records = [dict(zip(COLUMNS, row, strict=True)) for row in zip(*COLUMNS.values(), strict=True)]
    pyarrow.parquet.write_table(table, tmp_path / "table.parquet")
    pyarrow.feather.write_feather(table, tmp_path / "table.feather")
    with pa.OSFile(str(tmp_path / "file.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    with pa.OSFile(str(tmp_path / "stream.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    (tmp_path / "parts" / "sub").mkdir(parents=True)
    pyarrow.parquet.write_table(table.slice(0, 2), tmp_path / "parts" / "0.parquet")
    pyarrow.parquet.write_table(table.slice(2), tmp_path / "parts" / "1.parquet")
    made = [
        write(tmp_path, "\n".join(lines)),
        write(tmp_path, "\n".join(lines).replace(",", "\t"), "table.tsv"),
        write(tmp_path, "\n".join(json.dumps(record) for record in records), "table.jsonl"),
        *(tmp_path / name for name in ("table.parquet", "table.feather", "file.arrow", "stream.arrow", "parts")),
    ]
    for path in made:
        assert read(path).table.to_pydict() == COLUMNS, path


def test_npz_has_a_column_per_feature_and_images_become_rows_of_pixels(tmp_path):
    features, target = np.arange(12.0).reshape(4, 3), np.array(["no", "yes"] * 2)
    np.savez(tmp_path / "t.npz", X=features, y=target, w=np.ones(4))
    found = sources.read(str(tmp_path / "t.npz"), Wanted(others=("w",)), "data.source")
    assert found.table.column_names == ["x0", "x1", "x2", "y", "w"]
    assert found.target == "y"
    assert np.array_equal(np.column_stack([found.table[f"x{i}"].to_numpy() for i in range(3)]), features)
    np.savez(tmp_path / "images.npz", X=np.zeros((6, 4, 5), dtype=np.uint8), digit=np.arange(6))
    assert read(tmp_path / "images.npz", "digit").table.shape == (6, 21)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_csv_delimiter_and_encoding_are_found_out(tmp_path, delimiter, encoding):
    rows = [["größe", "straße", "y"], ["1.5", "Käthe-Weg", "schön"], ["2", "Am Ölberg", "übel"]] + [
        ["3.25", "Nürnberger Straße", "schön"]
    ] * 40
    found = read(write(tmp_path, "\n".join(delimiter.join(row) for row in rows), encoding=encoding))
    assert found.table.column_names == rows[0]
    assert found.table.column("straße").to_pylist()[:2] == ["Käthe-Weg", "Am Ölberg"]
    assert found.table.column("größe").to_pylist()[:2] == [1.5, 2.0]
    assert any("separated" in note for note in found.notes) == (delimiter != ",")


def test_csv_an_encoding_far_down_the_file_is_found_out_too(tmp_path):
    # Beyond the first sample: plain English so far.
    text = "a,y\n" + "1,plain\n" * (csv_files.SAMPLE_BYTES // 8 + 10) + "2,späť\n" * 50
    table = read(write(tmp_path, text, encoding="cp1250"), encoding="cp1250").table
    assert table.column("y")[-1].as_py() == "späť"
    assert read(write(tmp_path, text, encoding="utf-8")).table.column("y")[-1].as_py() == "späť"


def test_csv_header_decimal_comma_quotes_and_null_values(tmp_path):
    found = read(write(tmp_path, "1,2,3\n4,5,6\n"), "f2")
    assert found.table.to_pydict() == {"f0": [1, 4], "f1": [2, 5], "f2": [3, 6]}
    assert "no line of names" in found.notes[0]
    assert read(write(tmp_path, "2001,2002\n4,5\n"), "2001", header=True).table.column_names == ["2001", "2002"]
    assert read(write(tmp_path, "a;y\n1,5;x\n2,25;z\n")).table["a"].to_pylist() == [1.5, 2.25]
    assert read(write(tmp_path, 'a,y\n"x, or\ny",1\nz,2\n')).table["a"].to_pylist() == ["x, or\ny", "z"]
    assert read(write(tmp_path, "a,y\n?,1\n3,2\n"), null_values=("?",)).table["a"].to_pylist() == [None, 3]


@pytest.mark.parametrize("index", [[0, 1, 2], [7, 2, 5]], ids=["as it was made", "after rows were drawn"])
def test_d2_the_index_that_pandas_writes_is_left_out_and_said(tmp_path, index):
    pd.DataFrame({"a": [1.5, 2.5, 3.5], "y": ["x", "z", "x"]}, index=index).to_csv(tmp_path / "t.csv")
    found = read(tmp_path / "t.csv")
    assert found.table.column_names == ["a", "y"]
    assert "as pandas writes its index: left out" in found.notes[-1]


@pytest.mark.parametrize(
    "index",
    [range(0, 18_000, 300), [*range(30), *range(30)]],
    ids=["of rows that were drawn", "of tables that were put together"],
)
def test_d2_the_index_that_pandas_writes_into_parquet_is_no_feature(tmp_path, index):
    """Of a table that was sorted by its target, it tells the target."""
    frame = pd.DataFrame({"a": [1.5, 2.5, 3.5] * 20, "y": ["x", "z", "x"] * 20}, index=list(index))
    frame.to_parquet(tmp_path / "t.parquet")
    loaded = read_table(DataConfig(source=str(tmp_path / "t.parquet"), target="y"))
    assert loaded.preparation.schema.names() == ["a"]
    assert any("the index of a data frame" in note for note in loaded.notes)
    columns = {"__index_level_0__": {"kind": "numeric"}}
    kept = read_table(DataConfig(source=str(tmp_path / "t.parquet"), target="y", columns=columns))
    assert kept.preparation.schema.names() == ["a", "__index_level_0__"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        # No index: a number comes twice, they are no whole numbers, one is missing.
        (",a,y\n1,2,3\n1,4,5\n", ["without a name"]),
        (",a,y\n1.5,2,3\n2.5,4,5\n", ["without a name"]),
        (",a,y\n1,2,3\n,4,5\n", ["without a name"]),
        ("", ["empty (0 bytes)"]),
        ("\n\n", ["only empty lines"]),
        ("a,b,y\n", ["at least one row"]),
        ("a,b,z\n1,2,3\n", ["one of: 'a', 'b', 'z'"]),
        ("a,b,y,\n1,2,3,4\n", ["without a name"]),
        ("a,a,y\n1,2,3\n", ["'a'", "rename"]),
        ("a,y\n1,2\n1,2,3\n", ["readable CSV", "mend line 3", "Expected 2 columns, got 3"]),
        ("a,y\n1,2\n1\n", ["mend line 3", "Expected 2 columns, got 1"]),
    ],
)
def test_d2_csv_that_cannot_be_read(tmp_path, text, words):
    message = refused(write(tmp_path, text))
    assert all(word in message for word in words), message


def test_d2_a_quotation_mark_that_is_never_closed_does_not_swallow_the_rest_of_the_file(tmp_path):
    rows = [f"{i},x" for i in range(50)]
    message = refused(write(tmp_path, "\n".join(["a,y", *rows[:30], '30,"here it begins', *rows[31:]]) + "\n"))
    assert "a closing quotation mark" in message
    assert "'here it begins'" in message
    whole = read(write(tmp_path, "\n".join(["a,y", *rows, '50,"two\nlines"']) + "\n")).table
    assert whole.num_rows == 51


def test_d2_an_encoding_that_is_given_and_wrong(tmp_path):
    text = "a,town,y\n" + "1,Köln,x\n2,Ulm,z\n" * 20
    path = write(tmp_path, text, encoding="latin-1")
    with pytest.raises(DataError, match=r"column town(.|\n)*name its encoding in data.csv.encoding"):
        load(DataConfig(source=str(path), target="y", csv={"encoding": "utf-8"}))
    with pytest.raises(DataError, match="the name of an encoding"):
        load(DataConfig(source=str(path), target="y", csv={"encoding": "latin-11"}))


def test_d2_files_that_are_not_there_or_not_what_they_say(tmp_path):
    assert "existing file" in refused(tmp_path / "nowhere.csv")
    assert "no .parquet file" in refused(_folder(tmp_path / "folder.csv"))
    assert "cut off or no Parquet" in refused(write(tmp_path, "no parquet", "t.parquet"))
    assert "readable NPZ" in refused(write(tmp_path, "no zip", "t.npz"))
    assert "readable FEATHER" in refused(write(tmp_path, "no arrow", "t.feather"))
    assert "a bundled set (breast_cancer" in refused("digit")
    assert "readable XLSX" in refused(write(tmp_path, "no workbook", "t.xlsx"))
    assert "ending in .csv" in refused(write(tmp_path, "x", "t.docx"))
    binary = tmp_path / "b.csv"
    binary.write_bytes(b"a,y\n" + bytes(range(128, 256)) * 3 + b"\x00\x01,1\n")
    assert "data.source" in refused(binary)


def test_d2_parquet_cut_off_or_protected(tmp_path):
    sink = io.BytesIO()
    pyarrow.parquet.write_table(pa.table({"a": range(1000), "y": range(1000)}), sink)
    whole = sink.getvalue()
    (tmp_path / "cut.parquet").write_bytes(whole[:-20])
    assert "cut off" in refused(tmp_path / "cut.parquet")
    # The mark of a file whose footer is encrypted.
    (tmp_path / "secret.parquet").write_bytes(b"PARE" + whole[4:-4] + b"PARE")
    assert "save it without encryption" in refused(tmp_path / "secret.parquet")


def test_d2_json_lines_that_cannot_be_read(tmp_path):
    changes = write(tmp_path, '{"a": 1, "y": 1}\n{"a": "x", "y": 2}\n', "t.jsonl")
    assert "mend line 2" in refused(changes)
    assert "changed from number to string" in refused(changes)
    assert "readable JSONL" in refused(write(tmp_path, '{"a": 1\n', "t.jsonl"))


@pytest.mark.parametrize("line", [b'{"a\x80": 1, "y": 2}\n', b'{"a": "x\x80", "y": 2}\n'], ids=["a name", "a value"])
def test_e1_json_lines_that_are_no_utf8_are_refused(tmp_path, line):
    (tmp_path / "t.jsonl").write_bytes(line * 3)
    message = refused(tmp_path / "t.jsonl")
    assert "readable JSONL file" in message
    assert "utf" in message.lower()


def _folder(path):
    path.mkdir()
    return path


def test_d2_npz_that_cannot_be_used(tmp_path, monkeypatch):
    path = tmp_path / "t.npz"
    np.savez(path, A=np.zeros((2, 2)))
    assert "save it with X" in refused(path)
    np.savez(path, X=np.zeros((3, 2)), z=np.zeros(3))
    assert "one of: z" in refused(path)
    np.savez(path, X=np.zeros((3, 2)))
    assert "save it with y=..." in refused(path)
    np.savez(path, X=np.zeros((3, 2)), y=np.zeros(4))
    assert "X (3, 2), y (4,)" in refused(path)
    np.savez(path, X=np.array([["a"], ["b"]]), y=np.zeros(2))
    assert "numbers in X" in refused(path)
    np.savez(path, X=np.array([[{}], [{}]], dtype=object), y=np.zeros(2))
    assert "readable NPZ" in refused(path)  # A pickle inside is never opened.
    np.savez_compressed(path, X=np.zeros((1000, 100)), y=np.zeros(1000))
    monkeypatch.setattr(formats, "MAX_NPZ_BYTES", 10_000)
    assert "unpacks to" in refused(path)


def test_d7_an_array_of_objects_in_an_npz_is_never_unpickled(tmp_path):
    class Evil:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    np.savez(tmp_path / "t.npz", X=np.zeros((2, 1)), y=np.array([Evil(), Evil()], dtype=object))
    assert "readable NPZ" in refused(tmp_path / "t.npz")
    assert not (tmp_path / "ran").exists()


def test_d2_targets_that_cannot_be_used(tmp_path):
    def says(text, words, task, **config):
        path = write(tmp_path, text)
        with pytest.raises(DataError, match=words):
            load(DataConfig(source=str(path), target="y", **config), task)

    says("a,y\n" + "1,x\n2,x\n" * 9, "one class only: x", "classification")
    says("a,y\n" + "".join(f"{i},{i / 7}\n" for i in range(30)), "trial.loss: mse", "classification")
    says("a,y\n" + "1,x\n2,z\n" * 9, "loss predicts one", "regression")
    says("a,y\n" + "1,x\n2,z\n" * 9 + "3,rare\n", r"rare \(1\)", "classification")
    says("a,y\n1,1.5\n2,2.5\n3,4\n", "at least 6 rows", "regression")
    says("a,y\n" + "1,7\n2,7\n" * 9, "a target that varies", "regression")
    says("a,b,y\n" + "1,2,x\n1,2,z\n" * 9, "all features are constant", "classification")
    says("a,y\n" + "1,x\n2,\n" * 9, r"column y: 9 missing, the first in row 2", "classification")
    says("a,y\n" + "1,1\n2,inf\n" * 9, "row 2: inf", "regression")
    says("y\n" + "x\nz\n" * 9, "at least one column", "classification")
    says("a,y\n" + ",x\n,z\n" * 9, "at least one column with values", "classification")
    says("a,y\n" + "1,\n2,\n" * 9, "no values", "classification", missing_target="drop")
    with pytest.raises(DataError, match="data.task: regression"):
        load(DataConfig(source="diabetes"), "classification")
    with pytest.raises(DataError, match="has its own"):
        load(DataConfig(source="digits", target="y"), "classification")


def test_d2_all_mistakes_of_a_table_are_told_together(tmp_path):
    """Of the target as well as of the columns: otherwise each costs another attempt."""
    path = write(tmp_path, "a,b,y\n" + "1,7,x\n2,8,\n3,9,z\n" * 20 + "?,7,x\n")
    with pytest.raises(DataError) as error:
        load(DataConfig(source=str(path), target="y"))
    gaps, mixed = error.value.problems
    assert gaps.value == "column y: 20 missing, the first in row 2"
    assert "data.missing_target: drop" in gaps.fix
    assert mixed.value.startswith("column a, row ")
    assert "data.csv.null_values: ['?']" in mixed.fix


@pytest.mark.parametrize(("asked", "meant"), [("specis", "Species"), ("SPECIES", "Species"), ("x", None)])
def test_d2_a_target_that_is_nearly_a_column_is_guessed(tmp_path, asked, meant):
    path = write(tmp_path, "a,Species\n" + "1,x\n2,z\n" * 9)
    with pytest.raises(DataError) as error:
        load(DataConfig(source=str(path), target=asked))
    fix = error.value.problems[0].fix
    assert ("did you mean" in fix) == (meant is not None)
    assert meant is None or f"did you mean {meant!r}?" in fix


def test_rows_without_a_target_are_left_out_if_asked(tmp_path):
    path = write(tmp_path, "a,y\n" + "1,x\n2,z\n3,\n" * 9)
    dataset, test = load(DataConfig(source=str(path), target="y", missing_target="drop"))
    assert len(dataset.train) + len(dataset.validation) + len(test) == 18


def test_c1_of_many_columns_a_message_names_some_and_says_how_many_more(tmp_path):
    names = [f"c{number}" for number in range(30)] + ["target"]
    file = write(tmp_path, ",".join(names) + "\n" + (",".join("1" * 31) + "\n") * 3)
    with pytest.raises(DataError, match=r"did you mean 'target'\? It is one of: 'c0', .*'c19' and 11 more"):
        read(file, "targe")
