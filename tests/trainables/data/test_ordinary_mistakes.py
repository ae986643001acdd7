"""D2, C1: what ordinary tables were misread for, and messages whose fix was none."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml

from search_service.cli.commands import _key_to_set
from trainables.data.config import DataConfig
from trainables.data.dataset import read
from trainables.errors import DataError

ROWS = 120
RANDOM = np.random.default_rng(7)
WHOLE = [int(number) for number in RANDOM.integers(2, 40_000, ROWS)]
Y = ["ab"[n % 2] for n in range(ROWS)]


def table(folder, values, /, *, delimiter=",", target="y", **config):
    """A CSV file of columns, read."""
    values = values if target in values else values | {"y": Y}
    pd.DataFrame(values).to_csv(folder / "t.csv", sep=delimiter, index=False)
    return read(DataConfig(source=str(folder / "t.csv"), target=target, **config))


def values(loaded, column, raw):
    """What a column's texts are read as."""
    rows = {one.name: raw if one.name == column else [None] * len(raw) for one in loaded.preparation.schema.columns}
    return loaded.preparation.schema.typed(pa.table(rows), "rows")[column].tolist()


def german(number):
    return f"{number:,}".replace(",", ".")


def test_points_stand_between_thousands_beside_commas_with_a_unit(tmp_path):
    people, rate = [german(n) for n in WHOLE], [f"{n / 100 % 9 + 1.25:.2f}".replace(".", ",") + " %" for n in WHOLE]
    loaded = table(tmp_path, {"people": people, "rate": rate}, delimiter=";")
    assert values(loaded, "people", ["14.815", "698"]) == [14815, 698]
    loaded = table(tmp_path, {"x": rate, "y": people}, delimiter=";")
    assert np.sort(loaded.dataset.scaling.restore(loaded.dataset.train.targets)).max() > 1_000


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("1.8万", 18_000),
        ("11 lakh", 1_100_000),
        ("11 Mio", 11e6),
        ("3 Tsd", 3_000),
        ("2 тыс", 2_000),
        ("2.5 crore", 25e6),
    ],
)
def test_words_for_large_numbers_are_no_units(tmp_path, written, number):
    loaded = table(tmp_path, {"x": [written if n % 3 == 0 else str(n) for n in WHOLE]})
    assert values(loaded, "x", [written, "692"]) == [number, 692]


def test_a_half_is_no_unit(tmp_path):
    with pytest.raises(DataError, match="11½"):
        table(tmp_path, {"x": ["11½" if n % 9 == 0 else str(n) for n in WHOLE]})


@pytest.mark.parametrize(
    ("present", "mark", "given", "raw"),
    [
        ("{} kg", "-999 kg", -999, "-999 kg"),
        ("{} kg", "-999 kg", "-999 kg", "-999 kg"),
        ("${}.00", "$-999.00", -999, "$-999.00"),
        # Numbers of a file with decimal commas are read as such, and not as text.
        ("{},5", "-999,0", -999, -999.0),
    ],
)
def test_a_mark_for_missing_is_one_however_it_is_written(tmp_path, present, mark, given, raw):
    column = [mark if n % 8 == 0 else present.format(n) for n in WHOLE]
    loaded = table(tmp_path, {"x": column}, delimiter=";", columns={"x": {"null_values": [given]}})
    assert np.isnan(values(loaded, "x", [raw])).all()
    assert not any("-999" in str(warning) for warning in loaded.warnings)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_date_and_a_small_float_may_mean_missing(tmp_path, form):
    days = [datetime.date(2024, 1, 1 + n % 28) if n % 5 else datetime.date(9999, 12, 31) for n in WHOLE]
    small = np.where(np.arange(ROWS) % 6, np.linspace(0, 1, ROWS), -999.9).astype(np.float32)
    frame = pd.DataFrame({"day": days, "x": small, "y": Y})
    getattr(frame, f"to_{form}")(tmp_path / f"t.{form}", index=False)
    columns = {"day": {"null_values": ["9999-12-31"]}, "x": {"null_values": [-999.9]}}
    loaded = read(DataConfig(source=str(tmp_path / f"t.{form}"), target="y", columns=columns))
    schema = loaded.preparation.schema
    typed = schema.typed(
        pa.table({"day": [datetime.date(9999, 12, 31)], "x": pa.array([-999.9], pa.float32())}), "rows"
    )
    assert typed.isna().all().all()


def test_a_larger_number_than_any_in_training_is_read_by_the_marks_that_are_left(tmp_path):
    loaded = table(tmp_path, {"x": [f"${n % 900}.{n % 90 + 10}" for n in WHOLE]})
    assert values(loaded, "x", ["$1,234.50", "$1 234.50", "$12.5"]) == [1234.5, 1234.5, 12.5]
    loaded = table(tmp_path, {"x": [f"{n % 900},{n % 90 + 10} €" for n in WHOLE]}, delimiter=";")
    assert values(loaded, "x", ["1.234,50 €", "12,5 €"]) == [1234.5, 12.5]


def test_a_target_that_is_called_by_a_number_is_found_in_the_first_line(tmp_path):
    pd.DataFrame(RANDOM.normal(size=(60, 3))).to_csv(tmp_path / "t.csv", index=False)
    loaded = read(DataConfig(source=str(tmp_path / "t.csv"), target="2"))
    assert loaded.preparation.schema.names() == ["0", "1"]


def test_a_name_may_have_two_lines(tmp_path):
    (tmp_path / "t.csv").write_text('"speed\n(m/s)",b,y\n' + "".join(f"{n},{n % 7},{n % 2}\n" for n in WHOLE))
    assert read(DataConfig(source=str(tmp_path / "t.csv"), target="y")).preparation.schema.names() == [
        "speed\n(m/s)",
        "b",
    ]


@pytest.mark.parametrize(
    ("form", "written"),
    [
        ("%Y-%b-%d", "2024-Jan-{:02d}"),
        ("%Y年%m月%d日", "2024年06月{:02d}日"),
        ("%a, %d %b %Y %H:%M:%S GMT", "Mon, {:02d} Jan 2024 10:00:00 GMT"),
        ("%Y-%m-%d %H:%M:%S,%f", "2024-06-{:02d} 12:06:48,123"),
    ],
)
def test_dates_of_logs_and_of_chinese_tables(tmp_path, form, written):
    columns = {"x": [written.format(1 + n % 28) for n in WHOLE]}
    # Weekdays have to fit.
    if form.startswith("%a"):
        columns["x"] = [datetime.datetime(2024, 1, 1 + n % 28, 10).strftime(form) for n in WHOLE]
    (column,) = table(tmp_path, columns).preparation.schema.columns
    assert (column.kind, column.format) == ("date", form)


def test_codes_keep_their_zeros_and_short_numbers_are_numbers(tmp_path):
    codes, months = [f"{n % 9:07d}" for n in WHOLE], [f"{1 + n % 12:02d}" for n in WHOLE]
    times = [f"{n % 24:02d}{n % 60:02d}00" for n in WHOLE]
    loaded = table(tmp_path, {"sku": codes, "month": months, "time": times})
    kinds = {column.name: column.kind for column in loaded.preparation.schema.columns}
    assert kinds == {"sku": "categorical", "month": "numeric", "time": "numeric"}
    assert any("sku" in note and "zeros" in note for note in loaded.notes)
    assert "sku_0000003" in loaded.preparation.feature_names
    # Whoever has read the file as numbers, or with gaps, has lost the zeros.
    for raw in (pa.array([3, None]), pa.array([3.0, None]), pa.array(["0000003", None])):
        rows = pa.table({"sku": raw, "month": pa.nulls(2), "time": pa.nulls(2)})
        assert loaded.preparation.schema.typed(rows, "rows")["sku"][0] == "0000003"
    assert table(tmp_path, {"x": WHOLE, "zip": codes}, target="zip").dataset.class_names[0].startswith("00")
    # As in editions of the rules before the fourth.
    earlier = read(DataConfig(source=str(tmp_path / "t.csv"), target="zip", task="classification"), rules=3)
    assert earlier.dataset.class_names[0] == "0"


def test_a_target_is_looked_at_as_features_are(tmp_path):
    loaded = table(tmp_path, {"x": WHOLE, "y": [["yes", "Yes", "no", "no "][n % 4] for n in range(ROWS)]})
    (warning,) = [warning for warning in loaded.warnings if warning.path == "data.target"]
    assert "'Yes', 'yes'" in warning.value or "'no', 'no '" in warning.value
    loaded = table(tmp_path, {"x": WHOLE, "y": [-999 if n % 8 == 0 else n / 400 for n in WHOLE]})
    (warning,) = [warning for warning in loaded.warnings if warning.path == "data.target"]
    fix = yaml.safe_load(warning.fix.partition("data.columns: ")[2].partition(", data.")[0])
    mended = table(
        tmp_path,
        {"x": WHOLE, "y": [-999 if n % 8 == 0 else n / 400 for n in WHOLE]},
        columns=fix,
        missing_target="drop",
    )
    assert not [warning for warning in mended.warnings if warning.path == "data.target"]


def test_a_column_without_values_is_said_and_one_without_a_name_too_is_nothing(tmp_path):
    loaded = table(tmp_path, {"x": WHOLE, "empty": [None] * ROWS})
    assert any(note.startswith("column empty: no row has a value") for note in loaded.notes)
    (tmp_path / "t.csv").write_text("a,b,y,\n" + "".join(f"{n},{n % 7},{n % 2},\n" for n in WHOLE))
    assert read(DataConfig(source=str(tmp_path / "t.csv"), target="y")).preparation.schema.names() == ["a", "b"]


def test_the_format_of_the_times_that_rows_are_divided_by_can_be_given(tmp_path):
    columns = {"x": WHOLE, "when": [f"{1 + n % 12:02d}/{1 + n % 11:02d}/2024" for n in range(ROWS)]}
    with pytest.raises(DataError) as refused:
        table(tmp_path, columns, time="when")
    fix = yaml.safe_load(refused.value.problems[0].fix.split("data.columns: ")[1].split("; ")[0])
    assert table(tmp_path, columns, time="when", columns=fix).preparation.schema.names() == ["x"]


@pytest.mark.parametrize("word", ["\\N", "\u200b", "a\\b", "it's", "[m/s]", "[]", "-"])
def test_words_that_mean_missing_can_be_pasted(tmp_path, word):
    columns = {"x": [word if n % 9 == 0 else n for n in WHOLE]}
    with pytest.raises(DataError) as refused:
        table(tmp_path, columns)
    key, _, pasted = _key_to_set(refused.value.problems[0].fix).partition(": ")
    assert key == "data.csv.null_values"
    loaded = table(tmp_path, columns, csv={"null_values": tuple(yaml.safe_load(pasted))})
    assert [column.kind for column in loaded.preparation.schema.columns] == ["numeric"]


def test_a_title_beside_empty_cells_is_counted(tmp_path):
    rows = "".join(f"{n},{n % 7},{y}\n" for n, y in zip(WHOLE, Y, strict=True))
    (tmp_path / "t.csv").write_text("Sales report 2024,,\n,,\na,b,y\n" + rows)
    config = DataConfig(source=str(tmp_path / "t.csv"), target="y")
    with pytest.raises(DataError) as refused:
        read(config)
    assert _key_to_set(refused.value.problems[0].fix) == "data.csv.skip_rows: 2"
    assert read(config.model_copy(update={"csv": config.csv.model_copy(update={"skip_rows": 2})})).target == "y"


def test_whole_numbers_that_read_as_days_are_said(tmp_path):
    days = [int((datetime.date(2023, 1, 1) + datetime.timedelta(n)).strftime("%Y%m%d")) for n in range(ROWS)]
    loaded = table(tmp_path, {"x": WHOLE, "BUDAT": days}, columns={"BUDAT": "numeric"})
    (warning,) = [warning for warning in loaded.warnings if warning.path == "data.columns.BUDAT"]
    fix = yaml.safe_load(warning.fix.partition("data.columns: ")[2])
    assert table(tmp_path, {"x": WHOLE, "BUDAT": days}, columns=fix).preparation.schema.names("date") == ["BUDAT"]


def test_a_quotation_mark_that_is_never_closed_is_told_in_a_long_file_too(tmp_path):
    rows = "".join(f"{n},{y}\n" for n, y in zip(WHOLE * 300, Y * 300, strict=True))
    (tmp_path / "t.csv").write_text('a,y\n1,"a\n' + rows)
    with pytest.raises(DataError, match="quotation mark"):
        read(DataConfig(source=str(tmp_path / "t.csv"), target="y"))


@pytest.mark.parametrize("mark", ["9999-12-31", "1900-01-01", "0001-01-01"])
def test_a_date_that_may_mean_missing_is_said_and_can_be_left_out(tmp_path, mark):
    days = [mark if n % 7 == 0 else f"2024-{1 + n % 12:02d}-{1 + n % 28:02d}" for n in WHOLE]
    (warning,) = [it for it in table(tmp_path, {"x": WHOLE, "d": days}).warnings if it.path == "data.columns.d"]
    assert warning.value == mark
    fix = yaml.safe_load(warning.fix.partition("data.columns: ")[2])
    mended = table(tmp_path, {"x": WHOLE, "d": days}, columns=fix)
    assert not [it for it in mended.warnings if it.path == "data.columns.d"]
    plain = [day.replace(mark, "2024-03-03") for day in days]
    assert not [it for it in table(tmp_path, {"x": WHOLE, "d": plain}).warnings if it.path == "data.columns.d"]


def test_what_is_missing_in_one_column_and_a_value_in_another_is_said_of_the_one(tmp_path):
    columns = {"x": ["-" if n % 9 == 0 else n for n in WHOLE], "y": ["+-"[n % 2] for n in range(ROWS)]}
    with pytest.raises(DataError) as refused:
        table(tmp_path, columns)
    key, _, pasted = _key_to_set(refused.value.problems[0].fix).partition(": ")
    assert key == "data.columns"
    loaded = table(tmp_path, columns, columns=yaml.safe_load(pasted))
    assert loaded.dataset.class_names == ("+", "-")
    assert [column.kind for column in loaded.preparation.schema.columns] == ["numeric"]


def test_minutes_and_seconds_beyond_a_day_are_seconds(tmp_path):
    seconds = [n % 4200 for n in WHOLE]
    written = [f"{s // 60}:{s % 60:02d}" for s in seconds]
    assert values(table(tmp_path, {"x": written}), "x", ["50:23", "1:02:03"]) == [3023, 3723]
    loaded = table(tmp_path, {"x": WHOLE, "y": written})
    assert loaded.dataset.task == "regression"
    assert loaded.dataset.scaling.restore(loaded.dataset.train.targets).max() <= 4200
    # Below a day they may be times.
    (column,) = table(tmp_path, {"x": [f"{n % 24}:{n % 60:02d}" for n in WHOLE]}).preparation.schema.columns
    assert column.kind == "date"


def test_rows_above_the_names_of_a_sheet_are_counted(tmp_path):
    frame = pd.DataFrame({"a": WHOLE, "b": [n % 7 for n in WHOLE], "y": Y})
    with pd.ExcelWriter(tmp_path / "t.xlsx") as book:
        frame.to_excel(book, startrow=3, index=False)
        book.sheets["Sheet1"].cell(1, 1, "Sales report 2024")
    config = DataConfig(source=str(tmp_path / "t.xlsx"), target="y")
    with pytest.raises(DataError) as refused:
        read(config)
    assert _key_to_set(refused.value.problems[0].fix) == "data.csv.skip_rows: 3"
    read(config.model_copy(update={"csv": config.csv.model_copy(update={"skip_rows": 3})}))


def test_e1_whole_numbers_of_a_sheet_may_be_large(tmp_path):
    frame = pd.DataFrame({"n": [1e20 * (1 + n % 7) for n in WHOLE], "y": ["no" if n % 2 else "yes" for n in WHOLE]})
    frame.to_excel(tmp_path / "t.xlsx", index=False)
    assert read(DataConfig(source=str(tmp_path / "t.xlsx"), target="y")).dataset.feature_names == ("n",)


@pytest.mark.parametrize("share", [10, 4])
@pytest.mark.parametrize("mark", [-999, "9999-12-31"])
def test_e1_rows_whose_time_is_marked_as_missing_are_refused_as_empty_cells_are(tmp_path, mark, share):
    """They came last: the table was divided in other shares, and in too few different times."""
    times = WHOLE if mark == -999 else [f"2024-{1 + n // 28:02d}-{1 + n % 28:02d}" for n in range(len(WHOLE))]
    cells = [mark if n % share == 0 else time for n, time in enumerate(times)]
    with pytest.raises(DataError, match="a value in every row, to divide by") as refused:
        table(tmp_path, {"t": cells, "x": WHOLE}, time="t", columns={"t": {"null_values": [mark]}})
    assert f"column t: {len(cells[::share])} missing, the first in row 1" in str(refused.value)


def test_counts_are_told_how_to_be_numbers(tmp_path):
    counts = [0, 1, 2, 3] * 29 + [4, 4, 5, 6]
    with pytest.raises(DataError) as refused:
        table(tmp_path, {"x": WHOLE, "y": counts})
    assert "data.task: regression" in refused.value.problems[0].fix
    assert table(tmp_path, {"x": WHOLE, "y": counts}, task="regression").dataset.task == "regression"


def test_limits_of_detection_are_numbers_and_said(tmp_path):
    column = [f"<{n % 9 + 1}.5" if n % 4 == 0 else f"{n % 90}.25" for n in WHOLE]
    loaded = table(tmp_path, {"x": column})
    assert values(loaded, "x", ["<4.5", "> 90", "12.25", "≤3"]) == [4.5, 90.0, 12.25, 3.0]
    (note,) = [note for note in loaded.notes if note.startswith("column x: ")]
    assert f"{sum(text[0] == '<' for text in column)} of {ROWS}" in note
    # Where they are more than the numbers, they are words.
    (few,) = table(tmp_path, {"x": [["<18", "18-65", ">65"][n % 3] for n in WHOLE]}).preparation.schema.columns
    assert few.kind == "categorical"
