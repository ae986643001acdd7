"""E1: dates by months of other languages, quarters, weeks and instants since 1970; totals at the end are no rows."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest

from trainables.data.config import DataConfig
from trainables.data.dataset import read
from trainables.data.sources import read_rows
from trainables.errors import DataError

ROWS = 120


def table(tmp_path, cells, **config):
    frame = pd.DataFrame(cells | {"y": np.random.default_rng(0).normal(size=len(next(iter(cells.values()))))})
    frame.to_csv(tmp_path / "t.csv", index=False)
    return read(DataConfig(source=str(tmp_path / "t.csv"), target="y", **config))


def first_dates(loaded, name="x"):
    """The first rows' dates, and how they were said to be written."""
    typed = loaded.preparation.schema.typed(loaded.example, "data")[name]
    return [moment.to_pydatetime() for moment in typed], " ".join(loaded.notes)


@pytest.mark.parametrize(
    ("written", "form", "expected"),
    [
        (lambda d: f"{d.day}. {['Januar', 'Februar', 'März'][d.month - 1]} {d.year}", "%d. %b %Y", None),
        (lambda d: f"{d.day} {['janv.', 'févr.', 'mars'][d.month - 1]} {d.year}", "%d %b %Y", None),
        (lambda d: f"{d.day} de {['enero', 'febrero', 'marzo'][d.month - 1]} de {d.year}", "%d %b %Y", None),
        (lambda d: f"{d.day} {['stycznia', 'lutego', 'marca'][d.month - 1]} {d.year}", "%d %b %Y", None),
        (lambda d: f"{['Jän', 'Feb', 'Mrz'][d.month - 1]} {d.year}", "%b %Y", lambda d: d.replace(day=1)),
        (lambda d: f"{d.year}-Q{1 + d.month // 4}", "%Y-Q%q", lambda d: d.replace(month=1, day=1)),
        (lambda d: f"Q1/{d.year}", "Q%q/%Y", lambda d: d.replace(month=1, day=1)),
        (lambda d: d.strftime("%G-W%V"), "%G-W%V", lambda d: d - datetime.timedelta(days=d.weekday())),
        (lambda d: d.strftime("KW %V/%G"), "KW %V/%G", lambda d: d - datetime.timedelta(days=d.weekday())),
    ],
)
def test_e1_dates_of_other_calendars_and_languages(tmp_path, written, form, expected):
    days = [datetime.datetime(2020 + n % 4, 1, 1) + datetime.timedelta(days=n % 88) for n in range(ROWS)]
    loaded = table(tmp_path, {"x": [written(day) for day in days]})
    assert [column.kind for column in loaded.preparation.schema.columns] == ["date"]
    found, said = first_dates(loaded)
    assert f"is read as a date written {form};" in said
    by_text = {written(day): (expected or (lambda d: d))(day) for day in days}
    assert [by_text[value] for value in loaded.example["x"].to_pylist()] == found


@pytest.mark.parametrize(
    ("name", "unit", "factor"),
    [
        ("ts", "seconds", 1),
        ("createdAt", "milliseconds", 1_000),
        # Google Analytics' export.
        ("event_timestamp", "microseconds", 10**6),
        ("time_ns", "nanoseconds", 10**9),
    ],
)
def test_e1_whole_numbers_by_that_name_count_since_1970(tmp_path, name, unit, factor):
    moments = [1_704_067_200 + 3_600 * n for n in range(ROWS)]
    loaded = table(tmp_path, {name: [moment * factor for moment in moments]})
    assert [column.kind for column in loaded.preparation.schema.columns] == ["date"]
    found, said = first_dates(loaded, name)
    assert f"is read as {unit} since 1970, 2024-01-01 00:00" in said
    assert all(moment.minute == 0 and moment.year == 2024 for moment in found)
    # The fix that is printed, and what is no instant.
    number = table(tmp_path, {name: [moment * factor for moment in moments]}, columns={name: "numeric"})
    assert [column.kind for column in number.preparation.schema.columns] == ["numeric"]
    for other, values in ((name, range(1_000, 1_000 + ROWS)), ("amount", moments)):
        plain = table(tmp_path, {other: [7 * (value % 1_000) + value for value in values]})
        assert "since 1970" not in " ".join(plain.notes)


@pytest.mark.parametrize("trained", [1, 1_000, 10**6, 10**9])
def test_e1_a_later_file_may_count_since_1970_in_another_unit(tmp_path, trained):
    """Milliseconds, as pandas writes them into JSON, were days of the year 55969 where training had seconds."""
    moments = [1_704_067_200 + 3_600 * n for n in range(ROWS)]
    loaded = table(tmp_path, {"ts": [moment * trained for moment in moments]})
    for factor in (1, 1_000, 10**6, 10**9):
        for name in ("rows.csv", "rows.jsonl"):
            rows = pd.DataFrame({"ts": [1_704_067_200 * factor]})
            if name.endswith("csv"):
                rows.to_csv(tmp_path / name, index=False)
            else:
                rows.to_json(tmp_path / name, orient="records", lines=True)
            again = read_rows(str(tmp_path / name), "rows", loaded.preparation.schema.reading)
            typed = loaded.preparation.schema.typed(again, "rows")
            assert typed["ts"].iloc[0] == pd.Timestamp("2024-01-01")


def test_e1_a_model_reads_instants_and_quarters_as_they_were_trained_on(tmp_path):
    columns = {"ts": [1_704_067_200 + 3_600 * n for n in range(ROWS)], "q": [f"2024-Q{1 + n % 4}" for n in range(ROWS)]}
    loaded = table(tmp_path, columns)
    rows = pd.DataFrame({"ts": [1_704_067_200], "q": ["2031-Q2"]})
    rows.to_csv(tmp_path / "rows.csv", index=False)
    again = read_rows(str(tmp_path / "rows.csv"), "rows", loaded.preparation.schema.reading)
    typed = loaded.preparation.schema.typed(again, "rows")
    assert typed["ts"].iloc[0] == pd.Timestamp("2024-01-01")
    assert typed["q"].iloc[0] == pd.Timestamp("2031-04-01")
    assert np.isfinite(loaded.preparation.transform(again, "rows")).all()


def test_e1_a_quarter_that_is_none_is_refused_with_its_row(tmp_path):
    written = [f"2024-Q{1 + n % 4}" for n in range(ROWS)]
    written[7] = "2024-Q5"
    with pytest.raises(DataError, match=r"column x, row 8: '2024-Q5'"):
        table(tmp_path, {"x": written}, columns={"x": {"kind": "date", "format": "%Y-Q%q"}})


# ---- totals ----------------------------------------------------------------------------------------------------------


def sold(word, rows=ROWS):
    return {"shop": [f"shop {n % 7}" for n in range(rows)] + [word], "n": [*range(rows), rows * (rows - 1) // 2]}


@pytest.mark.parametrize("word", ["Total", "GRAND TOTAL:", "Gesamt", "合计", "Sum"])
def test_e1_a_total_at_the_end_is_refused_and_both_fixes_work(tmp_path, word):
    with pytest.raises(DataError) as refused:
        table(tmp_path, sold(word))
    (problem,) = refused.value.problems
    assert f"row {ROWS + 1} of {ROWS + 1}: {word!r} in column shop" in problem.value
    assert "data.csv.skip_last_rows: 1" in problem.fix
    without = table(tmp_path, sold(word), csv={"skip_last_rows": 1})
    assert sum(map(len, (without.dataset.train, without.dataset.validation, without.test_rows))) == ROWS
    kept = table(tmp_path, sold(word), csv={"skip_last_rows": 0})
    assert sum(map(len, (kept.dataset.train, kept.dataset.validation, kept.test_rows))) == ROWS + 1


def test_e1_a_category_of_other_rows_a_word_in_the_middle_and_rows_to_predict_are_no_totals(tmp_path):
    columns = sold("shop 1")
    columns["shop"][5] = "total"
    columns["shop"][11] = columns["shop"][-1] = "Average"
    assert table(tmp_path, columns).dataset.n_inputs
    pd.DataFrame(sold("Total", 2)).to_csv(tmp_path / "rows.csv", index=False)
    assert read_rows(str(tmp_path / "rows.csv"), "rows").num_rows == 3


def test_e1_a_study_of_an_earlier_edition_goes_on_with_its_total(tmp_path):
    pd.DataFrame(sold("Total") | {"y": range(ROWS + 1)}).to_csv(tmp_path / "t.csv", index=False)
    earlier = read(DataConfig(source=str(tmp_path / "t.csv"), target="y", task="regression"), rules=4)
    assert sum(map(len, (earlier.dataset.train, earlier.dataset.validation, earlier.test_rows))) == ROWS + 1


_SURVEY = ["name,height,born,y", *(f"n{n % 5},{150 + n % 30}.5,19{60 + n % 40}-01-02,{n % 7}.5" for n in range(96))]


@pytest.mark.parametrize(
    "second",
    [
        [",cm,,points"],
        [",cm,,"],
        ["Who are you?,How tall are you?,When were you born?,How is it?"],
        ["Who are you?,How tall are you?,When were you born?,How is it?", "ImportId: 1,ImportId: 2,ImportId: 3,x"],
    ],
)
def test_e1_units_and_questions_below_the_names_are_called_so_and_can_be_removed(tmp_path, second):
    """They were words that might mean missing, in each column."""
    (tmp_path / "t.csv").write_text("\n".join([_SURVEY[0], *second, *_SURVEY[1:]]) + "\n")
    config = DataConfig(source=str(tmp_path / "t.csv"), target="y")
    rows = "the first row" if len(second) == 1 else "the first 2 rows"
    with pytest.raises(DataError, match=f"(?s){rows} ha.*fix:  remove {rows} below the names from the file$") as error:
        read(config)
    assert len(error.value.problems) == 1
    (tmp_path / "t.csv").write_text("\n".join(_SURVEY) + "\n")
    assert [column.kind for column in read(config).preparation.schema.columns] == ["categorical", "numeric", "date"]


@pytest.mark.parametrize("first", ["n1,unknown,1960-01-02,3.5", "n1,?,?,3.5"])
def test_e1_a_first_row_of_values_is_one_whatever_is_missing_in_it(tmp_path, first):
    (tmp_path / "t.csv").write_text("\n".join([_SURVEY[0], first, *_SURVEY[1:]]) + "\n")
    with pytest.raises(DataError, match="means missing"):
        read(DataConfig(source=str(tmp_path / "t.csv"), target="y"))
