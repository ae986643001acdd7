"""E1: dates as people write them are read as they are meant, or asked for; fixes work."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest

from tests.one_column import ROWS, csv, kind_of, refused, values_of
from trainables.data import calendar_words, written_dates


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
        # SAS, Oracle, DB2, Twitter, the shell, Java, JavaScript, Eurostat, Stata.
        ("24FEB2024:13:45:10.000", "2024-02-24 13:45:10"),
        ("24FEB24:13:45:10", "2024-02-24 13:45:10"),
        ("24-FEB-24 01.45.10.123456 PM", "2024-02-24 13:45:10.123456"),
        ("2024-02-24-13.45.10.123456", "2024-02-24 13:45:10.123456"),
        ("Sat Feb 24 13:45:10 +0200 2024", "2024-02-24 11:45:10"),
        ("Sat Feb 24 13:45:10 UTC 2024", "2024-02-24 13:45:10"),
        ("2024-02-24T13:45:10.5+01:00[Europe/Berlin]", "2024-02-24 12:45:10.5"),
        ("2024-02-24T13:45:10Z[UTC]", "2024-02-24 13:45:10"),
        ("Sat Feb 24 2024 13:45:10 GMT+0100 (Central European Standard Time)", "2024-02-24 13:45:10"),
        ("2024M03", "2024-03-01"),
        ("2024m3", "2024-03-01"),
        ("Saturday, 24 February 2024", "2024-02-24"),
        ("2024/2/24 下午1:45:10", "2024-02-24 13:45:10"),
        ("2024. 2. 24 오후 1:45:10", "2024-02-24 13:45:10"),
        ("2024년 2월 24일", "2024-02-24"),
    ],
)
def test_e1_more_ways_to_write_a_date(written, expected):
    values = pd.Series([written])
    form = written_dates.find(values)
    assert form is not None
    assert written_dates.parse(values, form).iloc[0] == pd.Timestamp(expected)


@pytest.mark.parametrize("text", ["2024-02-24 (est)", "3000M3", "2024 m² (Berlin)"])
def test_e2_what_only_looks_like_a_date_is_none(text):
    """What stands in brackets behind a day may be more than the name of its zone."""
    assert written_dates.find(pd.Series([text])) is None


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


@pytest.mark.parametrize(
    "months", ["janv. févr. mars oct. nov.", "Jan. Feb. März Okt. Nov.", "ene. abr. oct. nov. dic."]
)
def test_e1_months_may_be_abbreviated_as_english_ones_are(tmp_path, months):
    cells = [f"{day} {month} 2024" for month in months.split() for day in (3, 14, 25)]
    loaded = csv(tmp_path, cells)
    assert kind_of(loaded) == "date"
    assert values_of(loaded)[-1].month in (11, 12)


@pytest.mark.parametrize(
    ("cells", "utc"),
    [
        (["2024-01-05 10:00 EST", "2024-01-05 10:00 PST"], ["2024-01-05 15:00", "2024-01-05 18:00"]),
        (["2024-07-05 10:00 CEST", "2024-01-05 10:00 CET", "2024-01-05 10:00 UTC"],
         ["2024-01-05 09:00", "2024-01-05 10:00", "2024-07-05 08:00"]),
        (["01/25/2024 10:00 p.m. CST", "07/25/2024 10:00 p.m. CDT"], ["2024-01-26 04:00", "2024-07-26 03:00"]),
        (["2024/01/21 10:05:05 PM GMT+1", "2024/07/21 9:00:05 PM GMT+2"],
         ["2024-01-21 21:05:05", "2024-07-21 19:00:05"]),
        (["Sat Jul 27 19:04:46 PDT 2024", "Tue Jan 30 10:47:05 PST 2024"],
         ["2024-01-30 18:47:05", "2024-07-28 02:04:46"]),
        (["Sat Jul 27 2024 19:04:46 GMT+0200 (Central European Summer Time)",
          "Tue Jan 30 2024 10:47:05 GMT+0100 (Central European Standard Time)"],
         ["2024-01-30 09:47:05", "2024-07-27 17:04:46"]),
        (["5. März 2024 10:00 (UTC-03:30)", "5. Mai 2024 10:00 (UTC-02:30)"], ["2024-03-05 13:30", "2024-05-05 12:30"]),
    ],
)  # fmt: skip
def test_e1_times_of_several_zones_are_instants(tmp_path, cells, utc):
    """The names were cut off: 10:00 in New York and in Los Angeles were one instant."""
    loaded = csv(tmp_path, [f'"{cell}"' for cell in cells])
    assert values_of(loaded) == [*map(pd.Timestamp, utc)]
    assert any("zones are read, times are in UTC: " in note for note in loaded.notes)
    # Later rows may have others.
    schema = loaded.preparation.schema
    form = schema.columns[0].format.removesuffix(" %Z")
    later = pd.Timestamp("2024-05-25 10:00").strftime(form)
    assert schema.typed(pa.table({"x": [f"{later} EDT"]}), "FILE")["x"][0] == pd.Timestamp("2024-05-25 14:00")


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["2024-01-05 10:00 EST", "2024-01-06 10:00 EST"], "left out: EST"),
        (["2024-01-05 10:00 IST", "2024-01-06 10:00 EST"], "left out: IST in 48, EST in 48"),
        (["2024-01-05 10:00 CST", "2024-01-06 10:00 JST"], "left out: CST in 48, JST in 48"),
        (["2024-01-05 10:00 EST", "2024-01-06 10:00"], "left out: EST in 48"),
    ],
)
def test_e1_zones_that_are_left_out_are_said(tmp_path, cells, said):
    """One for all changes nothing; CST is in America or in China, where no other tells."""
    loaded = csv(tmp_path, cells)
    assert values_of(loaded) == [pd.Timestamp("2024-01-05 10:00"), pd.Timestamp("2024-01-06 10:00")]
    assert any(said in note for note in loaded.notes)


def test_e1_days_and_months_of_several_zones_are_asked_for_with_their_zones(tmp_path):
    cells = ["01/02/2024 10:00 CET", "03/04/2024 10:00 CEST"]
    assert "{x: {kind: date, format: '%d/%m/%Y %H:%M %Z'}}" in refused(tmp_path, cells)
    loaded = csv(tmp_path, cells, columns={"x": {"kind": "date", "format": "%d/%m/%Y %H:%M %Z"}})
    assert values_of(loaded) == [pd.Timestamp("2024-02-01 09:00"), pd.Timestamp("2024-04-03 08:00")]


@pytest.mark.parametrize(
    "cells", [["24. März 2024", "3. Mai 2024"], ["Mar 3, 2024 10:00 p.m.", "Apr 4, 2024 9:00 p.m."]]
)
def test_e1_dates_with_names_of_months_may_be_missing(tmp_path, cells):
    """It ended in a traceback."""
    loaded = csv(tmp_path, [*(f'"{cell}"' for cell in cells), ""])
    assert (kind_of(loaded), len(values_of(loaded))) == ("date", 2)


def test_e2_no_format_is_passed_over_for_the_shape_of_its_texts():
    """Of a thousand formats only those of a text's shape are tried: each format's own texts have to be of it."""
    times = [pd.Timestamp("2024-09-03 07:08:09.000010"), pd.Timestamp("1999-12-31 23:59:59.123456")]
    formats = written_dates._dates_and_times()
    assert len(formats) > 900
    for form, shape, is_whole in formats:
        for time in times:
            of_text = written_dates._shape(time.tz_localize("Asia/Kolkata").strftime(form))
            assert of_text == shape if is_whole else of_text.startswith(shape), form
    # And what is found by it is what trying all of them finds.
    for text in ("24.02.2024 13:45", "05/06/07", "2. März 2024", "10/Oct/2000:13:55:36 -0700", "Sep 3, 2024, 7:08 AM"):
        written = calendar_words.in_english(pd.Series([text]), "%b").iloc[0]
        short = [form for form, *_ in formats if "%b" in form]
        expected = [form for form in short if pd.notna(pd.to_datetime(written, format=form, errors="coerce"))]
        assert [form for form in written_dates._formats(text) if "%b" in form] == expected
