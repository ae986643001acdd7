"""What the values of a table are is decided by the training file, and later files of any format are read by it."""

from __future__ import annotations

import dataclasses
import datetime
import io
import json
import struct
import zipfile
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.feather
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.trainables.test_model import pack, train
from trainables.data import sources
from trainables.data.config import DataConfig
from trainables.data.dataset import read
from trainables.data.preparation import Preparation
from trainables.data.reading import Wanted
from trainables.data.types import canonical, canonical_names
from trainables.errors import DataError

ROWS = 60


def csv(path, columns, sep=",", encoding="utf-8"):
    rows = [sep.join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    path.write_text("\n".join([sep.join(columns), *rows]) + "\n", encoding=encoding)
    return str(path)


def cycle(*values, rows=ROWS):
    return [values[i % len(values)] for i in range(rows)]


def inputs_of(source, table):
    """Rows of a file as the model of ``table`` takes them."""
    schema = table.preparation.schema
    return table.preparation.transform(sources.read_rows(str(source), "FILE", schema.reading, schema.names()))


@pytest.mark.parametrize(
    ("trained", "later"),
    [
        (("01", "2", "A1"), ("01", "2", "01")),
        (("True", "False", "maybe"), ("True", "False", "True")),
        (("2025-01-01", "2025-02-01", "never"), ("2025-01-01", "2025-02-01", "2025-01-01")),
        (("08:30", "09:30", "never"), ("08:30", "09:30:00", "08:30:00.0")),
        (("1.0", "A", "big"), ("1", "A", "1.00")),
    ],
)
def test_e2_a_later_csv_file_with_fewer_kinds_of_values_has_the_training_files_categories(tmp_path, trained, later):
    target = cycle("no", "yes")
    first = csv(tmp_path / "train.csv", {"c": cycle(*trained), "x": range(ROWS), "y": target})
    second = csv(tmp_path / "validation.csv", {"c": cycle(*later), "x": range(ROWS), "y": target})
    table = read(DataConfig(train=first, validation=second, target="y"), folds=2)
    at = [i for i, name in enumerate(table.dataset.feature_names) if name.startswith("c_")]
    assert (table.dataset.validation.inputs[:, at].sum(axis=1) == 1).all()
    # Training and validation rows are divided again, whatever types their files have.
    assert len(list(table.folds)) == 2


DAYS = pa.array(cycle(datetime.date(2024, 2, 24), datetime.date(2024, 3, 1)))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (pa.array(cycle(True, False)), pa.array(cycle(1, 0))),
        (pa.array(cycle(1, 5)), pa.array(cycle(Decimal("1.5"), Decimal("2.25")))),
        (DAYS, DAYS.cast(pa.timestamp("us"))),
        (DAYS.cast(pa.timestamp("us")), pc.assume_timezone(DAYS.cast(pa.timestamp("us")), "Europe/Berlin")),
        (pa.array(cycle(*(datetime.timedelta(hours=n) for n in (1, 2)))), pa.array(cycle(3600.0, 7200.0))),
        (pa.array(cycle("1.5", "2")), pa.array(cycle(1.5, None, 2.0))),
        (pa.array(cycle("a", "b")), pa.array(cycle("a", "b")).dictionary_encode()),
    ],
    ids=["truths", "decimals", "days", "zones", "durations", "text", "categories"],
)
def test_e2_rows_of_two_formats_are_divided_into_folds_as_they_are_read(tmp_path, first, second):
    """Arrow's own error came, of types that cannot be merged; also of a column that was left out."""
    files = []
    for name, column in (("train", first), ("validation", second)):
        other = pa.array(range(ROWS)) if name == "train" else DAYS
        table = pa.table({"c": column, "x": pa.array(range(ROWS)), "unused": other, "y": cycle("no", "yes")})
        files.append(str(tmp_path / f"{name}.parquet"))
        pyarrow.parquet.write_table(table, files[-1])
    table = read(DataConfig(train=files[0], validation=files[1], target="y", drop=["unused"]), folds=3)
    # A fifth of the first file's rows are test rows.
    assert [len(fold.validation) for fold in table.folds] == [(ROWS * 4 // 5 + ROWS) // 3] * 3
    assert {name[0] for name in table.dataset.feature_names} == {"c"}


def test_e2_classes_of_a_later_file_are_the_training_files(tmp_path):
    first = csv(tmp_path / "a.csv", {"x": range(ROWS), "y": cycle("01", "02")})
    second = csv(tmp_path / "b.csv", {"x": range(ROWS), "y": cycle("1", "2.0")})
    table = read(DataConfig(train=first, test=second, target="y"), "classification")
    assert np.bincount(table.test_rows.targets).tolist() == [ROWS / 2, ROWS / 2]
    text = csv(tmp_path / "c.csv", {"x": range(ROWS), "y": cycle("True", "maybe")})
    truths = csv(tmp_path / "d.csv", {"x": range(ROWS), "y": cycle("true", "maybe")})
    assert read(DataConfig(train=text, test=truths, target="y")).test_rows.targets.tolist() == cycle(0, 1)


@pytest.mark.parametrize(
    "column",
    [
        pa.array(cycle(1, 2, 31), pa.int8()), pa.array(cycle(1, 2, 31), pa.uint64()),
        pa.array(cycle(1.0, 2.0, 31.0), pa.float64()), pa.array(np.array(cycle(1, 2, 31), np.float16)),
        pa.array(cycle(Decimal("1.00"), Decimal(2), Decimal(31)), pa.decimal128(6, 2)),
        pa.array(cycle("1", "2.0", "31.00")), pa.array(cycle("1", "2", "31"), pa.large_string()),
        pa.array(cycle("1", "2", "31"), pa.string_view()), pa.array(cycle("1", "2", "31")).dictionary_encode(),
        pa.compute.run_end_encode(pa.array(cycle("1", "2", "31"))),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("trained", ["1.0", "1", "whole numbers"])
def test_e2_a_number_as_a_category_is_one_whatever_it_comes_as(tmp_path, trained, column):
    target = cycle("no", "yes", rows=ROWS)
    made = {"1.0": cycle("1.0", "2.0", "31.0"), "1": cycle("1", "2", "31"), "whole numbers": cycle(1, 2, 31)}[trained]
    file = tmp_path / "t.parquet"
    pa.parquet.write_table(pa.table({"c": made, "y": target, "x": range(ROWS)}), file)
    table = read(DataConfig(source=str(file), target="y", columns={"c": "categorical"}))
    found = table.preparation.transform(pa.table({"c": column, "x": range(ROWS)}))
    assert np.array_equal(found, inputs_of(file, table))


def test_e2_categories_that_training_tells_apart_stay_apart(tmp_path):
    made = {"c": cycle("1.1", "1.10", "01", "1", rows=80), "x": range(80), "y": cycle("no", "yes", rows=80)}
    file = csv(tmp_path / "t.csv", made)
    table = read(DataConfig(source=file, target="y", columns={"c": "categorical"}))
    assert sum(name.startswith("c_") for name in table.dataset.feature_names) == 4
    pa.parquet.write_table(pa.table(made | {"x": list(range(80))}), tmp_path / "t.parquet")
    assert np.array_equal(inputs_of(file, table), inputs_of(tmp_path / "t.parquet", table))


def test_e2_a_word_for_missing_that_is_a_category_is_one_in_every_file(tmp_path):
    made = pa.table({"c": cycle("NA", "EU", None), "x": [i / 2 for i in range(ROWS)], "y": cycle("a", "b")})
    pa.parquet.write_table(made, tmp_path / "t.parquet")
    made.to_pandas().to_csv(tmp_path / "t.csv")  # With an index without a name.
    table = read(DataConfig(source=str(tmp_path / "t.parquet"), target="y"))
    assert np.array_equal(inputs_of(tmp_path / "t.csv", table), inputs_of(tmp_path / "t.parquet", table))


def test_e2_na_is_a_class_where_the_config_says_so(tmp_path):
    source = csv(tmp_path / "t.csv", {"x": range(ROWS), "y": cycle("NA", "EU")})
    with pytest.raises(DataError, match="data.csv.usual_null_values: false"):
        read(DataConfig(source=source, target="y"))
    table = read(DataConfig(source=source, target="y", csv={"usual_null_values": False}))
    assert table.dataset.class_names == ("EU", "NA")


def test_e2_null_values_of_the_config_go_for_every_format(tmp_path):
    made = {"x": cycle("-", "1.5", "2"), "z": cycle(1.0, 2.0, 4.0, 8.0), "y": cycle("a", "b")}
    pa.parquet.write_table(pa.table(made), tmp_path / "t.parquet")
    csv(tmp_path / "t.csv", made)
    names = [read(DataConfig(source=str(tmp_path / name), target="y", csv={"null_values": ("-",)}))
             for name in ("t.csv", "t.parquet")]  # fmt: skip
    assert names[0].dataset.feature_names == names[1].dataset.feature_names
    assert np.array_equal(names[0].dataset.train.inputs, names[1].dataset.train.inputs)


def test_e2_rows_to_predict_are_written_as_the_training_file_was(tmp_path):
    made = {"menge": cycle("1,5", "-2,25", "3,0"), "ort": cycle("Köln", "Ulm", "Fürth"), "preis": cycle("1,5", "7,2")}
    source = csv(tmp_path / "t.csv", made, sep=";", encoding="cp1252")
    table = read(DataConfig(source=source, target="preis", csv={"decimal_point": ",", "encoding": "cp1252"}))
    found = read(DataConfig(source=source, target="preis"))
    assert np.array_equal(inputs_of(source, table), inputs_of(source, found))
    row = csv(tmp_path / "row.csv", {"menge": ["1,5"], "ort": ["Köln"]}, sep=";", encoding="cp1252")
    plain = csv(tmp_path / "plain.csv", {"menge": ["1.5"], "ort": ["Köln"]})
    for known, file in ((table, row), (found, row), (found, plain)):
        assert np.array_equal(inputs_of(file, known), inputs_of(source, known)[:1])
    # A folder that was saved knows it too.
    table.preparation.save(tmp_path)
    loaded = dataclasses.replace(table, preparation=Preparation.load(tmp_path))
    assert np.array_equal(inputs_of(row, loaded), inputs_of(source, table)[:1])


def test_e2_a_model_of_an_earlier_version_is_read_and_used_as_it_was(tmp_path):
    source = csv(tmp_path / "t.csv", {"c": cycle("a", "b"), "x": range(ROWS), "y": cycle("no", "yes")})
    table = read(DataConfig(source=source, target="y"))
    model = pack(table, train(table))
    expected = model.predict(pd.read_csv(source))
    model.save(tmp_path / "model")
    schema = json.loads((tmp_path / "model" / "schema.json").read_text())
    del schema["reading"]
    for column in schema["columns"]:
        del column["canonical"]
    (tmp_path / "model" / "schema.json").write_text(json.dumps(schema))
    old = type(model).load(tmp_path / "model")
    rows = sources.read_rows(source, "FILE", old.reading, old.preparation.schema.names())
    pd.testing.assert_frame_equal(old.predict(rows), expected, check_exact=True)


@pytest.mark.parametrize("how", ["csv", "time32", "text"])
def test_e2_a_time_of_day_is_a_place_in_the_day_in_every_format(tmp_path, how):
    times = cycle(*(f"{hour:02}:{hour + 3:02}" for hour in range(24)), rows=72)
    made = {"t": times, "y": cycle("a", "b", rows=72)}
    if how != "csv":
        clock = pa.array([datetime.time.fromisoformat(t) for t in times], pa.time32("s"))
        column = clock if how == "time32" else pa.array(times)
        pa.parquet.write_table(pa.table({"t": column, "y": made["y"]}), tmp_path / "t.parquet")
    source = csv(tmp_path / "t.csv", made)
    table = read(DataConfig(source=source if how == "csv" else str(tmp_path / "t.parquet"), target="y"))
    assert table.dataset.feature_names[1:] == ("t day sin", "t day cos")
    assert np.array_equal(inputs_of(source, table), table.preparation.transform(pa.table({"t": times})))
    with pytest.raises(DataError, match="times of day"):
        table.preparation.transform(pa.table({"t": ["2025-01-01"]}))


def test_e2_files_of_a_folder_are_joined_by_all_of_them(tmp_path):
    def folder(name, *tables):
        (tmp_path / name).mkdir()
        for number, made in enumerate(tables):
            pa.parquet.write_table(pa.table(made), tmp_path / name / f"{number}.parquet")
        return sources.read(str(tmp_path / name), Wanted(target="y"), "data.source")

    found = folder("new", {"y": [1, 2]}, {"y": [3], "a": ["x"]})
    assert found.table.to_pydict() == {"y": [1, 2, 3], "a": [None, None, "x"]}
    assert found.notes == ("column a is not in 0.parquet: missing in these rows",)
    assert folder("int", {"y": [1]}, {"y": [0.5]}).table["y"].to_pylist() == [1.0, 0.5]
    assert folder("empty", {"y": pa.nulls(1)}, {"y": ["x"]}).table["y"].to_pylist() == [None, "x"]
    with pytest.raises(DataError, match=r"column y: int64 in 0.parquet, string in 1.parquet"):
        folder("clash", {"y": [1]}, {"y": ["x"]})


def test_e2_a_comma_that_may_separate_thousands_is_not_guessed_at(tmp_path):
    file = csv(tmp_path / "t.tsv", {"x": cycle("1,921", "377"), "y": cycle("a", "b")}, sep="\t")
    with pytest.raises(DataError, match="thousands or a fraction"):
        read(DataConfig(source=file, target="y"))
    clear = csv(tmp_path / "c.tsv", {"x": cycle("1,921", "37,5"), "y": cycle("a", "b")}, sep="\t")
    assert sources.read(clear, Wanted(target="y"), "data.source").table["x"].to_pylist()[:2] == [1.921, 37.5]


@pytest.mark.parametrize("given", [{}, {"children": "categorical"}])
def test_e2_a_few_numbers_and_a_word_that_come_again_are_categories(tmp_path, given):
    made = {"children": cycle("1", "2", "3", "more", rows=160), "x": range(160), "y": cycle("a", "b", rows=160)}
    table = read(DataConfig(source=csv(tmp_path / "t.csv", made), target="y", columns=given))
    assert sum(name.startswith("children_") for name in table.dataset.feature_names) == 4
    assert any("are taken for categories" in note for note in table.notes) == (not given)


def _npz(shape, listed):
    """An array whose header announces a shape, and an archive that may list any size for it."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": shape})
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("X.npy", header.getvalue())
    whole = made.getvalue()
    real, said = struct.pack("<I", len(header.getvalue())), struct.pack("<I", listed or len(header.getvalue()))
    return whole.replace(real, said)


@pytest.mark.parametrize("listed", [None, 4_000_000_000])
def test_e1_an_npz_that_announces_more_than_it_holds_is_refused_before_memory_is_taken(tmp_path, listed):
    (tmp_path / "t.npz").write_bytes(_npz((10**9, 1000), listed))
    with pytest.raises(DataError, match="X.npy (announces|is said to have)"):
        sources.read_rows(str(tmp_path / "t.npz"), "FILE")


# ---- for any table -------------------------------------------------------------------------------------------------


@given(st.text(max_size=12) | st.floats(allow_nan=False).map(str) | st.integers().map(str))
def test_e2_a_canonical_text_is_its_own(text):
    assert canonical(canonical(text)) == canonical(text)
    assert canonical(canonical(text, numbers=True), numbers=True) == canonical(text, numbers=True)


@given(st.lists(st.integers(-(2**40), 2**40) | st.none(), min_size=1, max_size=8))
def test_e2_whole_numbers_of_every_type_have_the_same_names(values):
    expected = [None if value is None else str(value) for value in values]
    for kind in (pa.int64(), pa.float64(), pa.decimal128(30, 3), pa.string()):
        column = pa.array(expected if kind == pa.string() else values).cast(kind)
        assert canonical_names(pa.chunked_array([column])).to_pylist() == expected


_CELLS = {
    "whole": st.integers(-(10**6), 10**6) | st.none(),
    "fraction": st.floats(-1e6, 1e6).map(lambda value: round(value, 3)) | st.none(),
    "word": st.sampled_from(["a", "b c", "é", "NA", "1.0", "01", "True", "2025-01-01", 'q"', "x,y"]) | st.none(),
    "truth": st.booleans() | st.none(),
    "day": st.dates(datetime.date(1990, 1, 1), datetime.date(2030, 1, 1)) | st.none(),
}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_e2_any_table_is_read_alike_from_every_format(tmp_path, data):
    rows = 12
    frame = {name: data.draw(st.lists(cells, min_size=rows, max_size=rows), name) for name, cells in _CELLS.items()}
    # Of mostly numbers nobody knows whether the words among them are strays: such a column is refused.
    present = [word for word in (*frame["word"][:-1], "word") if word is not None]
    assume(2 * sum(word in ("1.0", "01") for word in present) <= len(present))
    # Without a value a column is no feature; two of the first are a column that varies.
    frame = {name: [*values[:-1], fallback] for (name, values), fallback in
             zip(frame.items(), (1, 1.5, "word", True, datetime.date(2020, 1, 1)), strict=True)}  # fmt: skip
    types = [pa.int64(), pa.float64(), pa.string(), pa.bool_(), pa.date32()]
    made = pa.table({n: pa.array(v, t) for (n, v), t in zip(frame.items(), types, strict=True)})
    made = made.append_column("x", pa.array([i + 0.5 for i in range(rows)])).append_column(
        "y", [cycle("p", "q", rows=12)]
    )
    pa.parquet.write_table(made, tmp_path / "t.parquet")
    table = read(DataConfig(source=str(tmp_path / "t.parquet"), target="y"))
    pa.feather.write_feather(made, tmp_path / "t.feather")
    pa.csv.write_csv(made, tmp_path / "t.csv")
    lines = [json.dumps(row, default=str) for row in made.to_pylist()]
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    made.to_pandas().to_csv(tmp_path / "t.tsv", sep="\t")
    expected = inputs_of(tmp_path / "t.parquet", table)
    for suffix in ("feather", "csv", "tsv", "jsonl"):
        np.testing.assert_array_equal(inputs_of(tmp_path / f"t.{suffix}", table), expected, err_msg=suffix)


_WHOLE = {"a": [1, 2, None, 4], "c": ["x", "y", None, "z"], "y": ["p", "q", "p", "q"]}


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory):
    folder, table = tmp_path_factory.mktemp("whole"), pa.table(_WHOLE)
    pa.parquet.write_table(table, folder / "t.parquet")
    pa.feather.write_feather(table, folder / "t.feather")
    pa.csv.write_csv(table, folder / "t.csv")
    (folder / "t.jsonl").write_text("\n".join(json.dumps(row) for row in table.to_pylist()))
    np.savez(folder / "t.npz", X=np.arange(8.0).reshape(4, 2), y=np.array([0, 1, 0, 1]))
    return {file.suffix: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize("suffix", [".parquet", ".feather", ".csv", ".jsonl", ".npz"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_e1_bytes_that_were_changed_are_a_table_or_a_data_error(tmp_path, whole_files, suffix, data):
    changed = bytearray(whole_files[suffix])
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / f"t{suffix}").write_bytes(changed[: data.draw(st.integers(1, len(changed)))])
    try:
        table = sources.read(str(tmp_path / f"t{suffix}"), Wanted(target="y"), "data.source").table
    except DataError as error:
        assert error.problems[0].fix
    else:
        assert table.num_rows


@pytest.mark.parametrize("given", [{"task": "classification"}, {"columns": {"y": "categorical"}}])
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_e1_fractions_are_classes_where_the_config_says_so(tmp_path, ending, given):
    """Half stars were classes in CSV alone."""
    frame = pd.DataFrame({"x": np.arange(90) % 7, "y": np.arange(90) % 4 / 2})
    getattr(frame, f"to_{ending}")(tmp_path / f"t.{ending}", index=False)
    loaded = read(DataConfig(source=str(tmp_path / f"t.{ending}"), target="y", **given))
    assert {*map(float, loaded.dataset.class_names)} == {0, 0.5, 1, 1.5}
    assert (np.bincount(loaded.dataset.train.targets) > 10).all()
    # Where only a loss or a metric says so, it is asked for, and the answer helps.
    with pytest.raises(DataError, match=r'if these are classes, data.columns: \{"y": categorical\}'):
        read(DataConfig(source=str(tmp_path / f"t.{ending}"), target="y"), "classification")


def test_e1_a_title_above_a_sheet_of_two_columns_is_told_of_the_key(tmp_path):
    with pd.ExcelWriter(tmp_path / "t.xlsx") as sheet:
        pd.DataFrame({"x": np.arange(60) % 7, "y": ["a", "b"] * 30}).to_excel(sheet, startrow=2, index=False)
        sheet.sheets["Sheet1"]["A1"] = "Report"
    with pytest.raises(DataError, match=r"data.csv.skip_rows says how many lines"):
        read(DataConfig(source=str(tmp_path / "t.xlsx"), target="y"))
    loaded = read(DataConfig(source=str(tmp_path / "t.xlsx"), target="y", csv={"skip_rows": 2}))
    assert loaded.dataset.class_names == ("a", "b")
