"""E1: what looks like a number, a date or a row and is meant otherwise is read so, or asked for; fixes work."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainables.data import written_dates
from trainables.data.config import DataConfig
from trainables.data.dataset import read
from trainables.data.frames import as_table
from trainables.data.json_documents import holds_table
from trainables.data.sources import read_rows
from trainables.errors import DataError
from trainables.model import as_json_rows

ROWS = 96


def csv(folder, cells, *, delimiter=",", first="", target=None, **config):
    """A table of one column of these cells, again and again, and a target."""
    values = [cells[n % len(cells)] for n in range(ROWS)]
    target = target or [f"{n % 7}.5" for n in range(ROWS)]
    lines = [f"{value}{delimiter}{goal}" for value, goal in zip(values, target, strict=True)]
    (folder / "t.csv").write_text(first + f"x{delimiter}y\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return read(DataConfig(source=str(folder / "t.csv"), target="y", **config))


def kind_of(loaded):
    return {column.name: column.kind for column in loaded.preparation.schema.columns}.get("x")


def values_of(loaded):
    """All of them: there are few."""
    grid = loaded.grids["x"]
    return [pd.Timestamp(value) for value in grid.values] if grid.kind == "date" else list(grid.values)


def refused(folder, cells, **options):
    with pytest.raises(DataError) as error:
        csv(folder, cells, **options)
    return " ".join(f"{problem.value} | {problem.rule} | {problem.fix}" for problem in error.value.problems)


# ---- numbers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cells",
    [["1.6L", "2.0T", "1.8L"], ["25M", "31F", "19F"], ["512M", "1G", "2G"], ["4.0K", "12M", "1.5G"], ["34B", "36C"]],
)
def test_e1_letters_beside_another_unit_are_no_millions(tmp_path, cells):
    assert "amounts of one unit" in refused(tmp_path, cells)
    assert kind_of(csv(tmp_path, cells, columns={"x": "categorical"})) == "categorical"


def test_e1_letters_that_may_be_part_of_a_code_are_asked_for_and_both_fixes_work(tmp_path):
    cells = ["12", "14B", "3", "22B"]
    assert "the B of this may be a size or part of a code" in refused(tmp_path, cells)
    assert kind_of(csv(tmp_path, cells, columns={"x": "categorical"})) == "categorical"
    assert 14e9 in values_of(csv(tmp_path, cells, columns={"x": "numeric"}))


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1.2M", "300K", "450"], [450, 3e5, 1.2e6]),
        (["$1.2M", "$3B", "$500"], [500, 1.2e6, 3e9]),
        (["0.5 Mio. €", "5 Tsd. €"], [5e3, 5e5]),
        (["AED 3920", "AED 71"], [71, 3920]),
    ],
)
def test_e1_sizes_of_money_are_read(tmp_path, cells, expected):
    assert values_of(csv(tmp_path, cells, delimiter=";")) == pytest.approx(expected)


def test_e1_a_dash_behind_a_comma_says_what_points_are(tmp_path):
    assert values_of(csv(tmp_path, ["€ 5.165,-", "€ 2.950,-"], delimiter=";")) == [2950.0, 5165.0]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["40.5N", "33.25S"], [-33.25, 40.5]),
        (["40.5° E", "33° W"], [-33, 40.5]),
        (["900 Cr", "1,250.50 Dr"], [-1250.5, 900]),
        (["$500/mo", "$750/mo"], [500, 750]),
        (["12.5 €/ha", "9 €/ha"], [9, 12.5]),
    ],
)
def test_e1_what_stands_behind_a_number_is_its_sign_or_what_it_is_paid_for(tmp_path, cells, expected):
    loaded = csv(tmp_path, cells, delimiter=";")
    assert values_of(loaded) == pytest.approx(expected)
    (column,) = loaded.preparation.schema.columns
    later = pa.table({"x": [cells[1], cells[0]]})
    assert loaded.preparation.transform(later).shape == (2, loaded.dataset.n_inputs)
    assert sorted(column.notation.parse(pd.Series(cells))) == pytest.approx(expected)


def test_e1_doors_are_no_degrees(tmp_path):
    assert kind_of(csv(tmp_path, ["12E", "14W", "3E"])) == "categorical"


_MONTH = 365.2425 / 12 * 86_400


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["6h01", "0h48"], [48 * 60, 6 * 3600 + 60]),
        (["2h", "1h 30m", "45m"], [2700, 5400, 7200]),
        (["3 yrs 2 mo", "11 mo", "1 yr"], [11 * _MONTH, 12 * _MONTH, 38 * _MONTH]),
        (["2 years and 1 month", "1 year, 6 months"], [18 * _MONTH, 25 * _MONTH]),
        (["2y 3m", "1y 11m"], [23 * _MONTH, 27 * _MONTH]),
        (["1 month 2 weeks", "3 weeks"], [21 * 86_400, _MONTH + 14 * 86_400]),
    ],
)
def test_e1_durations_of_hours_and_minutes_and_of_years_and_months(tmp_path, cells, expected):
    assert values_of(csv(tmp_path, cells, delimiter=";")) == pytest.approx(expected)


@pytest.mark.parametrize(
    "cells", ["45 Lakh/1.2 Cr", "1.2tn/500bn", "345mm/1.2bn", "1.2 bln/5 mln", "5 hundred/2 thousand"]
)
def test_e1_sizes_beside_an_unknown_one_are_refused(tmp_path, cells):
    """The unknown one was taken for the column's unit, and the known ones multiplied: a factor of a billion."""
    assert "amounts of one unit in a column; others are in" in refused(tmp_path, cells.split("/"))


@pytest.mark.parametrize("cells", ["USD 1,200/USD 99", "(1,200)/99", "₹1,200/₹99", "1,200 sq ft/950 sq ft"])
def test_e1_commas_beside_any_currency_sign_or_unit_are_asked_for(tmp_path, cells):
    said = refused(tmp_path, cells.split("/"), delimiter=";", target=[str(n % 30) for n in range(ROWS)])
    assert "this comma may separate thousands or a fraction" in said


def test_e1_commas_in_words_are_no_decimal_commas(tmp_path):
    loaded = csv(tmp_path, ["room 1,234", "room 12"], delimiter=";")
    assert not any("decimal comma" in note for note in loaded.notes)


def test_e1_a_later_file_with_points_between_thousands_is_read_by_the_commas_of_training(tmp_path):
    """1.234 was 1.234 beside 7,5 in training, silently."""
    loaded = csv(tmp_path, ["7,5", "14,5"], delimiter=";", target=[f"{n % 7},5" for n in range(ROWS)])
    (tmp_path / "later.csv").write_text("x;z\n1.234;1\n-12.500;2\n1.234,5;3\n2,5;4\n7;5\n", encoding="utf-8")
    schema = loaded.preparation.schema
    later = read_rows(str(tmp_path / "later.csv"), "FILE", schema.reading, ["x"])
    assert schema.typed(later, "FILE")["x"].tolist() == [1234.0, -12500.0, 1234.5, 2.5, 7.0]


def test_e1_months_and_minutes_are_told_apart_by_the_whole_column(tmp_path):
    assert values_of(csv(tmp_path, ["18m", "2y", "6m"])) == pytest.approx([6 * _MONTH, 18 * _MONTH, 24 * _MONTH])
    assert "this m may be minutes or months" in refused(tmp_path, ["3d", "2w", "5m"])
    assert values_of(csv(tmp_path, ["3d", "5m 2h"])) == [7_500.0, 3 * 86_400.0]


def test_e1_brackets_beside_a_currency_are_a_minus(tmp_path):
    assert values_of(csv(tmp_path, ["$ (55.10)", "$ 3.00", "$(5.20)"])) == [-55.1, -5.2, 3.0]
    assert values_of(csv(tmp_path, ["(5.2)%", "3.1%"])) == [-5.2, 3.1]
    assert values_of(csv(tmp_path, ["(5,20 €)", "7,10 €"], delimiter=";")) == [-5.2, 7.1]


def test_e1_small_per_cents_are_no_shares(tmp_path):
    schema = csv(tmp_path, ["0.15%", "0.95%"]).preparation.schema
    assert schema.typed(pa.table({"x": ["0.25", "0.75"]}), "FILE")["x"].tolist() == [0.25, 0.75]
    with pytest.raises(DataError, match="of which 1 is 100 %"):
        csv(tmp_path, ["15%", "95%"]).preparation.schema.typed(pa.table({"x": ["0.25", "0.75"]}), "FILE")


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["5'10\"", "6'1\"", "6'"], [70, 72, 73]),
        (["5' 10", "4' 11"], [59, 70]),
        (["5 ft 10.5 in", "6ft", "6 feet 1 inch"], [70.5, 72, 73]),
    ],
)
def test_e1_feet_and_inches_are_inches(tmp_path, cells, expected):
    loaded = csv(
        tmp_path, [cell.replace('"', '""').join('""') if '"' in cell else cell for cell in cells], delimiter=";"
    )
    assert values_of(loaded) == expected
    assert any("feet and inches, in inches" in note for note in loaded.notes)


def test_e1_more_than_eleven_inches_are_none(tmp_path):
    assert kind_of(csv(tmp_path, ["5'10", "5'14", "6'1"], delimiter=";")) == "categorical"


def test_e1_limits_in_a_target_are_the_limits(tmp_path):
    target = ["<0.5" if n % 9 == 0 else f"{n / 10}" for n in range(ROWS)]
    loaded = csv(tmp_path, ["1", "2"], target=target)
    assert loaded.dataset.task == "regression"
    assert any("'<0.5' and the like, 11 of 96, are the limits themselves" in note for note in loaded.notes)
    true = [0.5 if n % 9 == 0 else n / 10 for n in range(ROWS)]
    found = np.concatenate(
        [rows.targets for rows in (loaded.dataset.train, loaded.dataset.validation, loaded.test_rows)]
    )
    assert sorted(loaded.dataset.scaling.restore(found)) == pytest.approx(sorted(true), rel=1e-5)


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


def test_e1_times_of_day_may_be_durations_and_are_the_same_from_every_file(tmp_path):
    """A file to predict may hold them as text: 1 275 seconds beside 76 500 in training, silently."""
    loaded = csv(tmp_path, ["21:15", "23:21"])
    assert kind_of(loaded) == "date"
    assert "column x: values are read as times of day; data.columns: {x: numeric} makes them durations" in loaded.notes
    loaded = csv(tmp_path, ["21:15", "23:21"], columns={"x": "numeric"})
    assert values_of(loaded) == [76_500.0, 84_060.0]
    as_times = loaded.preparation.transform(pa.table({"x": [datetime.time(21, 15), datetime.time(23, 21)]}))
    as_texts = loaded.preparation.transform(pa.table({"x": ["21:15", "23:21"]}))
    assert np.array_equal(as_times, as_texts)


def test_e1_mil_is_asked_for(tmp_path):
    assert "a thousand in Spanish" in refused(tmp_path, ["R$ 10 mil", "R$ 20 mil"])


def test_e1_scores_are_categories_and_marks_at_school_no_negative_numbers(tmp_path):
    assert kind_of(csv(tmp_path, ["98:87", "101:99", "88:90"])) == "categorical"
    marks = ["5", "4", "4-", "3", "5-"]
    assert "if these are codes, data.columns: {x: categorical}" in refused(tmp_path, marks)
    assert kind_of(csv(tmp_path, marks, columns={"x": "categorical"})) == "categorical"


@pytest.mark.parametrize("delimiter", [";", ","])
def test_e1_points_between_thousands_beside_smaller_numbers_are_asked_for(tmp_path, delimiter):
    cells = ["1.064", "858", "4.831", "377"]
    assert "this point may separate thousands or a fraction" in refused(tmp_path, cells, delimiter=delimiter)
    thousands = csv(tmp_path, cells, delimiter=delimiter, columns={"x": {"kind": "numeric", "thousands": "."}})
    assert values_of(thousands) == [377, 858, 1064, 4831]
    fractions = csv(tmp_path, cells, delimiter=delimiter, columns={"x": {"kind": "numeric", "decimal": "."}})
    assert values_of(fractions) == [1.064, 4.831, 377, 858]


def test_e1_fractions_beside_whole_numbers_of_their_size_are_fractions(tmp_path):
    assert values_of(csv(tmp_path, ["1.125", "2.375", "3", "2.5"])) == [1.125, 2.375, 2.5, 3]


def test_e1_shares_are_refused_where_training_had_per_cent(tmp_path):
    loaded = csv(tmp_path, ["47.4%", "12.1%", "3%"])
    for written in ("0.474", "0.121"), (0.474, 0.121):
        with pytest.raises(DataError, match=r"in per cent; these look like shares(.|\n)*47\.4%"):
            loaded.preparation.transform(pa.table({"x": written}))
    as_text = loaded.preparation.transform(pa.table({"x": ["47.4%"]}))
    assert np.array_equal(as_text, loaded.preparation.transform(pa.table({"x": [47.4]})))


def test_e1_durations_are_examples_of_a_model_in_seconds():
    """The example of a model's input could not be written, after all of the training."""
    rows = pa.table({"took": [datetime.timedelta(minutes=2, milliseconds=500), None]})
    assert as_json_rows(rows) == [{"took": 120.5}, {"took": None}]


# ---- dates -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2024/01/21 10:00:05 PM GMT+1", "2024-01-21 22:00:05"),
        ("Jan 21, 2023, 12:00:00 AM", "2023-01-21"),
        ("1/21/2023 3:10pm", "2023-01-21 15:10"),
        ("1/21/2023 3:10 p.m.", "2023-01-21 15:10"),
        ("Sun, Jan 21, 2024", "2024-01-21"),
        ("Jan 21, 2023 @ 10:00:00.000", "2023-01-21 10:00"),
        ("2023-05-01 10:00:00 CEST", "2023-05-01 10:00"),
        ("March 22nd, 2023", "2023-03-22"),
        ("22Feb23", "2023-02-22"),
        ("11/2023", "2023-11-01"),
        ("2023年11月", "2023-11-01"),
        ("March-2023", "2023-03-01"),
        ("21.1.24 10:00 Uhr", "2024-01-21 10:00"),
    ],
)
def test_e1_more_ways_to_write_a_date(written, expected):
    values = pd.Series([written])
    form = written_dates.find(values)
    assert form is not None
    assert written_dates.parse(values, form).iloc[0] == pd.Timestamp(expected)


def test_e1_months_with_points_are_dates_and_no_fractions(tmp_path):
    loaded = csv(tmp_path, ["03.2024", "11.2023", "12.2019"])
    assert values_of(loaded)[0] == pd.Timestamp("2019-12-01")


def test_e1_a_sheet_leaves_midnight_out(tmp_path):
    loaded = csv(tmp_path, ["01.02.2024", "01.02.2024 10:01", "21.02.2024 22:30"])
    assert values_of(loaded)[:2] == [pd.Timestamp("2024-02-01"), pd.Timestamp("2024-02-01 10:01")]


@pytest.mark.parametrize("zones", [["UTC"], ["UTC", "America/New_York"]])
def test_e1_a_format_may_name_zones(tmp_path, zones):
    cells = [f"2024-03-0{n + 1} 10:00 {zones[n % len(zones)]}" for n in range(4)]
    loaded = csv(tmp_path, cells, columns={"x": {"kind": "date", "format": "%Y-%m-%d %H:%M %Z"}})
    assert pd.Timestamp("2024-03-01 10:00") in values_of(loaded)


# ---- files -----------------------------------------------------------------------------------------------------------


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


# ---- what was said of it ---------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("ending", [".txt", ".tab", ".data"])
def test_e1_text_by_other_endings_is_read_as_csv(tmp_path, ending):
    csv(tmp_path, ["1", "2"], delimiter="\t")
    (tmp_path / "t.csv").rename(tmp_path / f"t{ending}")
    assert read(DataConfig(source=str(tmp_path / f"t{ending}"), target="y")).dataset.n_inputs == 1


def test_e1_guards_of_sheets_are_no_part_of_codes(tmp_path):
    for cells in (['"=""0871"""', '"=""0042"""'], ["'0871", "'0042"]):
        loaded = csv(tmp_path, cells)
        assert kind_of(loaded) == "categorical"
        assert set(loaded.grids["x"].values) == {"0871", "0042"}


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


# ---- dates with years of two digits, units that nobody has listed, and limits ----------------------------------------


def dates(tmp_path, form, start="2024-01-05", step=9):
    days = pd.date_range(start, periods=ROWS, freq=f"{step}D")
    return csv(tmp_path, [day.strftime(form) for day in days], target=[str(n % 30) for n in range(ROWS)]), days


@pytest.mark.parametrize("mark", ["-", "/", "."])
def test_e1_years_of_two_digits_in_front_are_years(tmp_path, mark):
    """They were days, and later rows were trained on where time divides."""
    for form in (f"%y{mark}%m{mark}%d", f"%d{mark}%m{mark}%y"):
        loaded, days = dates(tmp_path, form)
        assert values_of(loaded)[0] >= days[0]
        assert values_of(loaded)[-1] <= days[-1]
        assert any(form in note for note in loaded.notes)


def test_e1_where_days_and_years_are_equally_few_is_asked(tmp_path):
    cells = ["22/01/01", "22/02/01", "23/07/01", "24/12/01"]
    said = refused(tmp_path, cells)
    assert "in all of these, day and year may be either" in said
    assert "if the year does, data.columns: {x: {kind: date, format: '%y/%m/%d'}}" in said
    loaded = csv(tmp_path, cells, columns={"x": {"kind": "date", "format": "%y/%m/%d"}})
    assert values_of(loaded)[-1] == pd.Timestamp("2024-12-01")


@pytest.mark.parametrize("unit", ["mg/dL", "kmpl", "IU/L", "bhp"])
def test_e1_a_value_without_the_unit_of_the_others_is_no_reason_for_categories(tmp_path, unit):
    cells = [f"{n / 4:.2f} {unit}" for n in range(40)]
    said = refused(tmp_path, [*cells, "n.d."])
    assert "data.csv.null_values: ['n.d.']" in said
    assert kind_of(csv(tmp_path, [*cells, "n.d."], csv={"null_values": ["n.d."]})) == "numeric"


def test_e1_limits_are_not_listed_among_what_means_missing(tmp_path):
    cells = ["<0.05", *[f"{n / 10:.2f}" for n in range(1, 20)], "n.d."]
    assert "data.csv.null_values: ['n.d.']" in refused(tmp_path, cells)
    assert 0.05 in values_of(csv(tmp_path, cells, csv={"null_values": ["n.d."]}))


@pytest.mark.parametrize(
    "months", ["janv. févr. mars oct. nov.", "Jan. Feb. März Okt. Nov.", "ene. abr. oct. nov. dic."]
)
def test_e1_months_may_be_abbreviated_as_english_ones_are(tmp_path, months):
    cells = [f"{day} {month} 2024" for month in months.split() for day in (3, 14, 25)]
    loaded = csv(tmp_path, cells)
    assert kind_of(loaded) == "date"
    assert values_of(loaded)[-1].month in (11, 12)


def test_e1_a_number_that_means_missing_does_so_in_categories_however_it_is_written(tmp_path):
    loaded = csv(tmp_path, ["1.0", "2.0", "99.0"], columns={"x": {"kind": "categorical", "null_values": [99]}})
    assert set(loaded.grids["x"].values) == {"1", "2", "(missing)"}


def test_e1_what_tells_thousands_and_codes_may_come_late_in_a_large_file(tmp_path):
    """Amounts in order were whole numbers for 256 KB, and then fractions."""
    numbers = [100 + n // 18 if n < 15_000 else 1000 + (n - 15_000) * 3 for n in range(18_000)]
    amounts = [f"{number:,}".replace(",", ".") for number in numbers]
    lines = "".join(f"{amount};{'w' * 20}{n % 5};{n % 30}\n" for n, amount in enumerate(amounts))
    (tmp_path / "t.csv").write_text(f"x;w;y\n{lines}")
    with pytest.raises(DataError, match="this point may separate thousands or a fraction"):
        read(DataConfig(source=str(tmp_path / "t.csv"), target="y"))
    codes = "".join(f"{99_950 - n * 5:05d},{'w' * 20}{n % 5},{n % 30}\n" for n in range(19_900))
    (tmp_path / "codes.csv").write_text(f"zip,w,y\n{codes}")
    loaded = read(DataConfig(source=str(tmp_path / "codes.csv"), target="y"))
    assert any("zip: digits that begin with zeros are codes" in note for note in loaded.notes)


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
