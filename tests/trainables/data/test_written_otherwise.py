"""D2: who has written a table decides what its values are: no thousand is a fraction, no name another."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
import yaml

from trainables.data.config import DataConfig
from trainables.data.dataset import Loaded, read
from trainables.errors import DataError

ROWS = 120
RANDOM = np.random.default_rng(0)
WHOLE = [int(number) for number in RANDOM.integers(2, 3_000, ROWS)]
Y = ["ab"[n % 2] for n in range(ROWS)]
ROWS_WITH_NUMBERS = "".join(f"{n},{whole},{y}\n" for n, (whole, y) in enumerate(zip(WHOLE, Y, strict=True)))


def german(number: float, digits: int = 0) -> str:
    return f"{number:,.{digits}f}".translate(str.maketrans(",.", ".,"))


def csv(folder, x, *, beside=None, delimiter=";", encoding="utf-8", y=Y, **config) -> Loaded:
    """A table of ``x``, ``y`` and what stands ``beside`` them."""
    columns = {"x": x} | (beside or {}) | {"y": y}
    lines = [delimiter.join(columns), *(delimiter.join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    (folder / "t.csv").write_bytes("\n".join([*lines, ""]).encode(encoding))
    return read(DataConfig(source=str(folder / "t.csv"), target="y", strict=False, **config), profiled=True)


def shown(table: Loaded, name: str = "x") -> str:
    """Least, median and largest of a column, as its profile has them."""
    return next(column.values for column in table.profile.columns if column.name == name)


def numbers(values) -> str:
    return " · ".join(f"{value:.6g}" for value in np.quantile(np.asarray(values, float), [0, 0.5, 1]))


def test_beside_decimal_commas_a_point_stands_between_thousands(tmp_path):
    shares = [german(n / 1_000, 2) for n in WHOLE]
    table = csv(tmp_path, map(german, WHOLE), beside={"share": shares, "day": ["24.02.2024", "03.11.2023"] * 60})
    assert shown(table) == numbers(WHOLE)
    assert shown(table, "share") == numbers([round(n / 1_000, 2) for n in WHOLE])


def test_a_target_is_read_by_the_same_marks(tmp_path):
    y = [20 * n for n in WHOLE]
    table = csv(tmp_path, [german(n / 1_000, 2) for n in WHOLE], y=map(german, y))
    assert table.dataset.task == "regression"
    assert table.dataset.target_mean == pytest.approx(np.mean(y), rel=0.1)


def test_a_point_that_may_separate_thousands_is_asked_for_and_each_answer_is_taken(tmp_path):
    prices = [f"{german(n)} €" for n in WHOLE]
    with pytest.raises(DataError, match="this point may separate thousands or a fraction"):
        csv(tmp_path, prices, delimiter=",")
    thousands = csv(tmp_path, prices, delimiter=",", columns={"x": {"kind": "numeric", "thousands": "."}})
    assert shown(thousands) == numbers(WHOLE)
    fractions = csv(tmp_path, prices, delimiter=",", columns={"x": {"kind": "numeric", "decimal": "."}})
    assert shown(fractions) == numbers([n / 1_000 if n > 999 else n for n in WHOLE])
    # Three digits behind every point, and numbers that have more of them without one: nothing else can be meant.
    grams = csv(tmp_path, [f"{n / 7:.3f} kg" for n in WHOLE], delimiter=",")
    assert shown(grams) == numbers([round(n / 7, 3) for n in WHOLE])


@pytest.mark.parametrize("write", ["{},-", "{}.-", "{},--", "€ {},-", "{},- €", "{}.– CHF"])
def test_a_dash_instead_of_cents_is_no_minus(tmp_path, write):
    table = csv(tmp_path, [write.format(german(n)) if n % 3 else german(n, 2) for n in WHOLE])
    assert shown(table) == numbers(WHOLE)


def test_m_beside_other_millions_is_asked_for_and_metres_alone_are_not(tmp_path):
    with pytest.raises(DataError, match="beside this one m may be million"):
        csv(tmp_path, [f"{n / 100:.2f}m" if n % 2 else f"{n}k" for n in WHOLE], delimiter=",")
    assert shown(csv(tmp_path, [f"{n / 100:.2f} m" for n in WHOLE], delimiter=",")) == numbers([n / 100 for n in WHOLE])


@pytest.mark.parametrize(
    ("text", "encoding", "read_as"),
    [
        ("Köln", "cp1252", "cp1252"),
        ("Malmö", "cp1252", "cp1252"),
        ("São Paulo", "cp1252", "cp1252"),
        ("größer", "cp1252", "cp1252"),
        ("12 €", "cp1252", "cp1252"),
        ("Москва и область", "cp1251", "cp1251"),
        ("東京都と大阪府", "shift_jis", "cp932"),
        ("アイスクリーム", "shift_jis", "cp932"),
    ],
)
def test_a_few_letters_beyond_english_are_western_and_other_alphabets_what_they_were(tmp_path, text, encoding, read_as):
    towns = [text if n % 3 else f"Berlin {n % 7}" for n in range(ROWS)]
    table = csv(tmp_path, towns, delimiter=",", encoding=encoding)
    assert text in shown(table) or text == "12 €"
    assert any(note.endswith(f"t.csv: read as {read_as}") for note in table.notes)


@pytest.mark.parametrize("odd", ["-", "unknown", "TBD", "2024-02-30", "0000-00-00", "00.00.0000"])
@pytest.mark.parametrize("form", ["%Y-%m-%d", "%d.%m.%Y", "%Y-%m-%d %H:%M:%S"])
def test_a_date_column_with_another_value_says_which_and_null_values_mend_it(tmp_path, odd, form):
    days = [(datetime.datetime(2024, 1, 1) + datetime.timedelta(days=n)).strftime(form) for n in range(ROWS)]
    days[7] = odd
    with pytest.raises(DataError, match="of 120, 119 are dates and 1 are not") as refused:
        csv(tmp_path, days)
    assert f"row 9: '{odd}'" in str(refused.value) or f"row 8: '{odd}'" in str(refused.value)
    table = csv(tmp_path, days, csv={"null_values": [odd]})
    assert {column.name: column.kind for column in table.preparation.schema.columns} == {"x": "date"}


@pytest.mark.parametrize(
    "write",
    [
        "{:%Y-%m-%d %H:%M:%S} UTC",
        "{:%d/%b/%Y:%H:%M:%S} +0000",
        "{:%a, %d %b %Y %H:%M:%S} +0000",
        "{:%a %b %d %H:%M:%S %Y}",
    ],
)
def test_timestamps_of_logs_and_mails_are_dates(tmp_path, write):
    times = [datetime.datetime(2024, 1, 1) + datetime.timedelta(hours=31 * n) for n in range(ROWS)]
    table = csv(tmp_path, [write.format(time) for time in times])
    assert {column.name: column.kind for column in table.preparation.schema.columns} == {"x": "date"}
    days = table.dataset.feature_names.index("x days")
    assert len(np.unique(table.dataset.train.inputs[:, days])) == len(table.dataset.train)


def test_a_format_may_have_an_offset_and_one_that_is_none_is_refused_with_its_key(tmp_path):
    times = [f"2024-03-05 {n % 24:02d}:30 +0200" for n in range(ROWS)]
    table = csv(tmp_path, times, columns={"x": {"kind": "date", "format": "%Y-%m-%d %H:%M %z"}})
    assert {column.name: column.kind for column in table.preparation.schema.columns} == {"x": "date"}
    for form in ("%s", "%Y-%m-%d %h"):
        with pytest.raises(DataError, match=r"(?s)data.columns.x.format.*as of Python's strftime"):
            csv(tmp_path, times, columns={"x": {"kind": "date", "format": form}})


def test_durations_of_parquet_are_looked_at_in_seconds(tmp_path):
    minutes = pa.array([datetime.timedelta(minutes=n) for n in WHOLE], pa.duration("us"))
    pa.parquet.write_table(pa.table({"x": minutes, "y": Y}), tmp_path / "t.parquet")
    table = read(DataConfig(source=str(tmp_path / "t.parquet"), target="y", strict=False), profiled=True)
    assert shown(table) == numbers([60 * n for n in WHOLE])


def test_midnights_and_years_as_names_in_a_sheet_are_what_they_are(tmp_path):
    whens = pd.date_range("2024-01-01", periods=ROWS, freq="6h")
    pd.DataFrame({2020: WHOLE, "when": whens, 2021: Y}).to_excel(tmp_path / "t.xlsx", index=False)
    table = read(DataConfig(source=str(tmp_path / "t.xlsx"), target="2021", strict=False), profiled=True)
    assert {column.name: column.kind for column in table.preparation.schema.columns} == {
        "2020": "numeric",
        "when": "date",
    }


def test_a_header_that_lacks_a_name_is_no_line_to_be_skipped(tmp_path):
    (tmp_path / "t.csv").write_text(
        "x,y\n" + "".join(f"{n},{w},{y}\n" for n, (w, y) in enumerate(zip(WHOLE, Y, strict=True)))
    )
    with pytest.raises(
        DataError, match="(?s)the first line has 2 names, and others have 3 cells.*add the name"
    ) as error:
        read(DataConfig(source=str(tmp_path / "t.csv"), target="y"))
    assert "skip_rows" not in str(error.value)


def test_who_has_no_header_is_told_how_to_say_so(tmp_path):
    (tmp_path / "t.csv").write_text(ROWS_WITH_NUMBERS)
    with pytest.raises(DataError, match=r"data.csv.header: false"):
        read(DataConfig(source=str(tmp_path / "t.csv"), target="y"))


def test_what_means_missing_in_several_columns_is_one_key_that_mends_them_all(tmp_path):
    def with_words(*words):
        return [words[n // 10 % len(words)] if n % 10 == 0 else n / 7 for n in range(ROWS)]

    beside = {"z": with_words("#DIV/0!"), "w": with_words("?!")}
    with pytest.raises(DataError) as refused:
        csv(tmp_path, with_words("#VALUE!", "none yet"), beside=beside, csv={"null_values": ["?!"]})
    fixes = {problem.fix.partition(";")[0].partition("missing, ")[2] for problem in refused.value.problems}
    assert fixes == {"data.csv.null_values: ['?!', '#VALUE!', 'none yet', '#DIV/0!']"}
    table = csv(
        tmp_path, with_words("#VALUE!", "none yet"), beside=beside, csv=yaml.safe_load(fixes.pop()[len("data.csv.") :])
    )
    assert {column.kind for column in table.preparation.schema.columns} == {"numeric"}


def test_a_number_target_with_a_word_says_which_and_the_printed_keys_mend_it(tmp_path):
    y = ["unknown" if n % 10 == 3 else n / 7 for n in range(ROWS)]
    with pytest.raises(DataError, match=r"(?s)'unknown'.*\d are numbers and \d+ are not.*missing_target: drop"):
        csv(tmp_path, WHOLE, y=y)
    table = csv(tmp_path, WHOLE, y=y, csv={"null_values": ["unknown"]}, missing_target="drop")
    assert table.dataset.task == "regression"
    assert len(table.dataset.train) + len(table.dataset.validation) + len(table.test_rows) == 0.9 * ROWS
