"""Tables as people write them: what each column means is found, or the message says what to write, and that helps."""

from __future__ import annotations

import csv
import datetime
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import yaml

from tests.plans import as_in_a_file
from trainables.data.config import DataConfig
from trainables.data.dataset import read
from trainables.data.files import Files
from trainables.data.preparation import Preparation
from trainables.errors import DataError

ROWS = 60
DAY = datetime.date(2024, 1, 1)


def many(write, *, rows=ROWS):
    """A column of different values: ``write`` takes a number of hundreds to tens of thousands with two digits."""
    random = np.random.default_rng(0)
    numbers = [round(float(number), 2) for number in random.uniform(100, 30_000, rows)]
    return [write(number) for number in numbers], numbers


def german(number):
    return f"{number:,.2f}".translate(str.maketrans(",.", ".,"))


COUNT = range(1, ROWS + 1)
# A column's texts, and the numbers that they are.
NUMBERS = {
    "dollars": many(lambda n: f"${n:,.2f}"),
    "euros": many(lambda n: f"{german(n)} €"),
    "dollars of a balance": many(lambda n: f"${n:,.2f}" if n > 9_000 else f"(${n:,.2f})"),
    "a code of a currency": many(lambda n: f"USD {n:.2f}"),
    "per cent": many(lambda n: f"{n:.2f}%"),
    "a unit": many(lambda n: f"{n:.2f} kg"),
    "a unit in some rows": many(lambda n: f"{n:.2f} kg" if n > 9_000 else f"{n:.2f}"),
    "thousands by commas": many(lambda n: f"{int(n):,}"),
    "thousands by spaces": many(lambda n: f"{n:,.2f}".replace(",", "\u202f")),
    "thousands by apostrophes": many(lambda n: f"{n:,.2f}".replace(",", "'")),
    "a decimal comma": many(lambda n: f"{n:.2f}".replace(".", ",")),
    "a minus behind": many(lambda n: f"{n:,.2f}" if n > 9_000 else f"{n:,.2f}-"),
    "a minus of typographers": many(lambda n: f"−{n:.2f}"),
    "Indian groups": many(lambda n: f"{int(n) + 12_300_000:,}".replace("12,3", "1,23,").replace(",,", ",")),
    "millions and thousands": many(lambda n: f"{n / 1000:.2f}M" if n > 9_000 else f"{n:.2f}k"),
    "months": ([f"{n} months" if n > 1 else "1 month" for n in COUNT], [*COUNT]),
    "hours and minutes": ([f"{n}h {n % 60}m" for n in COUNT], [3600 * n + 60 * (n % 60) for n in COUNT]),
    "more hours than a day": ([f"{n}:{n % 60:02d}:07" for n in COUNT], [3600 * n + 60 * (n % 60) + 7 for n in COUNT]),
    "ISO durations": ([f"PT{n}M" for n in COUNT], [60 * n for n in COUNT]),
}  # fmt: skip
SIGNED = {
    "dollars of a balance": lambda n: n if n > 9_000 else -n,
    "a minus behind": lambda n: n if n > 9_000 else -n,
    "a minus of typographers": lambda n: -n,
    "thousands by commas": int,
    "Indian groups": lambda n: int(n) + 12_300_000,
    "millions and thousands": lambda n: 1e6 * round(n / 1000, 2) if n > 9_000 else 1e3 * n,
}


def write(folder, column, suffix, name="x"):
    """A table of three columns; as CSV it is quoted where need be."""
    columns = {name: column, "z": [i % 7 + 0.5 for i in range(len(column))], "y": [i % 2 for i in range(len(column))]}
    if suffix == ".parquet":
        pyarrow.parquet.write_table(pa.table(columns), folder / "t.parquet")
    else:
        with (folder / f"t{suffix}").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, delimiter=";" if "€" in str(column) else ",").writerows(
                [list(columns), *zip(*columns.values(), strict=True)]
            )
    return str(folder / f"t{suffix}")


def typed(config, name="x"):
    files = Files.read(config, None)
    return files.infer(config).typed(files.whole, "data")[name]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("kind", NUMBERS)
def test_d2_numbers_as_people_write_them_are_numbers_and_this_is_said(tmp_path, kind, suffix):
    texts, numbers = NUMBERS[kind]
    expected = [SIGNED.get(kind, float)(number) for number in numbers]
    config = DataConfig(source=write(tmp_path, texts, suffix), target="y")
    assert typed(config).tolist() == pytest.approx(expected)
    loaded = read(config)
    assert any(note.startswith("column x: ") and "is read as" in note for note in loaded.notes)
    # Missing values stay missing, and a model reads its rows as the training file was read.
    loaded.preparation.save(tmp_path)
    again = Preparation.load(tmp_path)
    rows = pa.table({"x": [texts[3], None], "z": [0.5, 1.5]})
    plainly = pa.table({"x": [expected[3], math.nan], "z": [0.5, 1.5]})
    assert np.array_equal(again.transform(rows), again.transform(plainly))


DATES = {
    "day.month.year": ("%d.%m.%Y", DAY),
    "month/day/year": ("%m/%d/%Y", DAY),
    "day/month/year and a time": ("%d/%m/%Y %H:%M", DAY),
    "two digits of a year": ("%m/%d/%y", DAY),
    "names of months": ("%d %b %Y", DAY),
    "English": ("%b %d, %Y", DAY),
    "twelve hours": ("%m/%d/%Y %I:%M %p", DAY),
}


@pytest.mark.parametrize("kind", DATES)
def test_d2_dates_as_people_write_them_are_dates_and_their_form_is_said(tmp_path, kind):
    form, first = DATES[kind]
    start = datetime.datetime.combine(first, datetime.time(9, 30))
    days = [start + i * datetime.timedelta(days=5) for i in range(ROWS)]
    if "%H" not in form and "%I" not in form:
        days = [day.replace(hour=0, minute=0) for day in days]
    config = DataConfig(source=write(tmp_path, [day.strftime(form) for day in days], ".csv"), target="y")
    assert typed(config).tolist() == days
    assert any(form in note for note in read(config).notes)


@pytest.mark.parametrize("form", ["%Y-%m-%d", "%Y%m%dT%H%M%S", "%Y-%m-%dT%H:%M:%SZ", "%H:%M"])
def test_d2_iso_dates_and_times_of_day_are_no_numbers_with_units(tmp_path, form):
    times = [datetime.datetime(1970, 1, 1, 9, 30) + i * datetime.timedelta(minutes=7) for i in range(ROWS)]
    written = [time.strftime(form) for time in times]
    config = DataConfig(source=write(tmp_path, written, ".parquet"), target="y")
    assert typed(config).tolist() == [datetime.datetime.strptime(it, form).replace(year=1970) for it in written]
    assert read(config).notes == ()


UNCLEAR = {
    "day or month": [f"{i % 12 + 1:02d}/{i % 11 + 2:02d}/2024" for i in range(ROWS)],
    "thousands or a fraction": ["1,921", "2500", *[str(i) for i in range(ROWS - 2)]],
    "two units": [f"{i} kg" if i % 2 else f"{i * 100} g" for i in range(ROWS)],
    "two currencies": [f"${i}" if i % 2 else f"€{i}" for i in range(ROWS)],
    "per cent or not": [f"{i}.5%" if i % 2 else f"0.{i}" for i in range(ROWS)],
    "a word among amounts": ["call us", *[f"${i},000" for i in range(1, ROWS)]],
}


@pytest.mark.parametrize("name", ["x", "x: 1, {y}"])
@pytest.mark.parametrize("kind", UNCLEAR)
def test_d2_what_can_be_read_in_two_ways_is_asked_for_and_each_answer_helps(tmp_path, kind, name):
    source = write(tmp_path, UNCLEAR[kind], ".parquet", name)
    with pytest.raises(DataError) as caught:
        read(DataConfig(source=source, target="y"))
    (problem,) = caught.value.problems
    assert name in str(problem.value)
    answers = [part.split(", data.", 1)[-1] for part in problem.fix.split("; ") if "data." in part]
    assert answers
    kinds = set()
    for answer in answers:
        key, _, value = answer.split("data.")[-1].partition(": ")
        where = {key: yaml.safe_load(value)} if "." not in key else {"csv": {key.split(".")[1]: yaml.safe_load(value)}}
        config = as_in_a_file({"source": source, "target": "y"} | where)
        kinds.add(str(typed(config, name)[0]))
        read(config)
    # Each answer is another reading.
    assert len(kinds) == len(answers)


WORDS = ("fine", "bad", "room", "small", "loud", "near", "clean", "old", "dear", "view", "quiet", "cold")
NAMES_OF_ROWS = {
    "a key": [f"user-{i * 7919 % 997}" for i in range(ROWS)],
    "a count": list(range(ROWS)),
    "a shuffled count": np.random.default_rng(0).permutation(ROWS).tolist(),
    "a number that is called an id": [i * i * 7919 for i in range(ROWS)],
    "text of many words": [" ".join(WORDS[(i * j) % 12] for j in range(1, 7)) + f" {i}" for i in range(ROWS)],
}


@pytest.mark.parametrize("kind", NAMES_OF_ROWS)
def test_d2_what_only_names_rows_is_left_out_and_said_and_kept_as_the_note_says(tmp_path, kind):
    name = "order_id" if "called" in kind else "x"
    source = write(tmp_path, NAMES_OF_ROWS[kind], ".parquet", name)
    loaded = read(DataConfig(source=source, target="y"), profiled=True)
    assert loaded.dataset.feature_names == ("z",)
    (note,) = loaded.notes
    assert "left out" in note
    assert {column.name: column.role for column in loaded.profile.columns}[name] == "left out"
    # Whoever asks a model need not know it.
    assert loaded.preparation.transform(pa.table({"z": [0.5]})).shape == (1, 1)
    answer = yaml.safe_load(note.split("data.columns: ")[1].split(" keeps it")[0])
    kept = read(as_in_a_file({"source": source, "target": "y", "columns": answer})).dataset
    assert len(kept.feature_names) > 1


def test_d2_numbers_that_happen_to_differ_and_years_are_features(tmp_path):
    random = np.random.default_rng(0)
    for name, column in (("x", (random.permutation(10**6)[:ROWS]).tolist()), ("year", [1960 + i for i in range(ROWS)])):
        loaded = read(DataConfig(source=write(tmp_path, column, ".parquet", name), target="y"))
        assert loaded.dataset.feature_names == (name, "z")
        assert loaded.notes == ()


def test_d2_a_table_of_nothing_but_a_count_keeps_it(tmp_path):
    pyarrow.parquet.write_table(pa.table({"x": range(ROWS), "y": [i % 2 for i in range(ROWS)]}), tmp_path / "t.parquet")
    loaded = read(DataConfig(source=str(tmp_path / "t.parquet"), target="y"))
    assert loaded.dataset.feature_names == ("x",)


def test_d2_a_mark_for_missing_is_found_by_its_gap_and_is_only_changed_as_the_message_says(tmp_path):
    column = [-999.0 if i % 9 == 4 else 20 + 0.37 * i for i in range(ROWS)]
    source = write(tmp_path, column, ".csv")
    loaded = read(DataConfig(source=source, target="y"))
    (problem,) = loaded.warnings
    assert problem.value == "-999"
    answer = yaml.safe_load(problem.fix.split("data.columns: ")[1])
    config = as_in_a_file({"source": source, "target": "y", "columns": answer})
    assert read(config).warnings == ()
    assert int(typed(config).isna().sum()) == column.count(-999.0)
    assert "x" in "".join(name for name in read(config).dataset.feature_names if "missing" in name)
    # A number that is no further away than others are from one another says nothing.
    near = [99.0 if i % 9 == 4 else 3.7 * i for i in range(ROWS)]
    assert read(DataConfig(source=write(tmp_path, near, ".csv"), target="y")).warnings == ()


def test_d2_text_is_read_by_its_words(tmp_path):
    texts = NAMES_OF_ROWS["text of many words"]
    config = DataConfig(
        source=write(tmp_path, texts, ".csv"), target="y", columns={"x": "text"}, preparation={"hash_columns": 8}
    )
    loaded = read(config)
    assert loaded.dataset.feature_names == ("z", *(f"x words #{i}" for i in range(8)))
    loaded.preparation.save(tmp_path)
    again = Preparation.load(tmp_path)
    one, other, none = again.transform(pa.table({"x": ["old Room", "room, old!", None], "z": [0.5] * 3}))
    assert one.tolist() == other.tolist()
    assert none[1:].tolist() == [0.0] * 8
    assert np.linalg.norm(one[1:]) == pytest.approx(1.0)


def test_d2_long_texts_are_looked_at_in_no_time(tmp_path):
    """Patterns that go back and forth would take minutes for each."""
    for text in ("a" * 50_000, "1" * 50_000 + "x", "1a" * 25_000 + "!", "1," * 25_000, "may " * 12_000):
        source = write(tmp_path, [f"{text}{i % 3}" for i in range(ROWS)], ".parquet")
        assert len(read(DataConfig(source=source, target="y")).dataset.train) == 36


def test_d2_a_target_of_written_numbers_is_a_number_in_the_users_units(tmp_path):
    texts, numbers = NUMBERS["dollars"]
    columns = {"a": [i % 7 + 0.5 for i in range(ROWS)], "price": texts}
    pyarrow.parquet.write_table(pa.table(columns), tmp_path / "t.parquet")
    source = str(tmp_path / "t.parquet")
    loaded = read(DataConfig(source=source, target="price"))
    assert loaded.dataset.task == "regression"
    assert any(note.startswith("target price: ") for note in loaded.notes)
    rows = [*loaded.dataset.train.targets, *loaded.dataset.validation.targets, *loaded.test_rows.targets]
    back = loaded.dataset.scaling.restore(np.array(rows)).tolist()
    assert sorted(back) == pytest.approx(sorted(numbers), rel=1e-4)
    # Few of them are classes, unless a number is asked for.
    few = {"a": columns["a"], "price": [["$5", "$1,000"][i % 2] for i in range(ROWS)]}
    pyarrow.parquet.write_table(pa.table(few), tmp_path / "t.parquet")
    assert read(DataConfig(source=source, target="price")).dataset.class_names == ("$1,000", "$5")
    assert read(DataConfig(source=source, target="price", task="regression")).dataset.task == "regression"


def test_d2_how_a_column_is_written_can_be_said_and_the_values_must_be_so(tmp_path):
    source = write(tmp_path, ["1.234", "2.5", *["7.000"] * (ROWS - 2)], ".csv")
    assert typed(DataConfig(source=source, target="y")).tolist()[:2] == [1.234, 2.5]
    with pytest.raises(DataError, match=r"row 2: '2.5'"):
        typed(DataConfig(source=source, target="y", columns={"x": {"thousands": "."}}))
    source = write(tmp_path, ["1.234", "250", *["7.000"] * (ROWS - 2)], ".csv")
    assert typed(DataConfig(source=source, target="y", columns={"x": {"thousands": "."}})).tolist()[:2] == [1234, 250]
    days = [f"202402{i % 28 + 1:02d}" for i in range(ROWS)]
    form = {"x": {"format": "%Y%m%d"}}
    assert typed(DataConfig(source=write(tmp_path, days, ".csv"), target="y", columns=form))[0] == datetime.datetime(
        2024, 2, 1
    )
    numbers = write(tmp_path, list(map(int, days)), ".parquet")
    assert typed(DataConfig(source=numbers, target="y", columns=form))[0] == datetime.datetime(2024, 2, 1)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"kind": "numeric", "decimal": ",", "thousands": ","}, "must differ"),
        ({"kind": "categorical", "thousands": ","}, "of numeric columns"),
        ({"kind": "date", "format": "dd.mm.yyyy"}, "such as"),
        ({"kind": "numeric", "format": "%Y"}, "of date columns"),
    ],
)
def test_d2_what_is_said_of_a_column_must_fit_together(given, words):
    with pytest.raises(ValueError, match=words):
        DataConfig(source="t.csv", target="y", columns={"x": given})
