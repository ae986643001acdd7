"""D2: who has written a table decides what its values are: no thousand is a fraction, no name another."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
import yaml

from trainables.data import sources, text_encoding
from trainables.data.config import CsvConfig, DataConfig
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
    assert table.dataset.scaling.mean == pytest.approx(np.mean(y), rel=0.1)


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
        ("муж или жена", "cp1251", "cp1251"),
        ("Санкт-Петербург", "koi8_r", "koi8_r"),
        ("НИЖНИЙ НОВГОРОД", "cp866", "cp866"),
        ("Львів", "cp1251", "cp1251"),
        ("Пловдив", "cp1251", "cp1251"),
        ("東京都と大阪府", "shift_jis", "cp932"),
        ("アイスクリーム", "shift_jis", "cp932"),
    ],
)
def test_a_few_letters_beyond_english_are_western_and_other_alphabets_what_they_were(tmp_path, text, encoding, read_as):
    towns = [text if n % 3 else f"Berlin {n % 7}" for n in range(ROWS)]
    table = csv(tmp_path, towns, delimiter=",", encoding=encoding)
    assert text in shown(table) or text == "12 €"
    assert any(note.endswith(f"t.csv: read as {read_as}") for note in table.notes)


OTHERS = {
    "cp1255": "ירושלים, תל אביב, חיפה",
    "cp874": "กรุงเทพ",
    "euc_kr": "서울, 부산",
    "gbk": "广州市",
    "cp1253": "Αθήνα, Πάτρα, Ηράκλειο",
}


@pytest.mark.parametrize("encoding", OTHERS)
def test_other_alphabets_are_never_russian(tmp_path, encoding):
    (tmp_path / "t.csv").write_bytes(f"a;b\n{OTHERS[encoding]};1\n".encode(encoding) * 50)
    found = text_encoding.find((tmp_path / "t.csv").read_bytes(), tmp_path / "t.csv", "data.source", "t.csv", None)
    assert found not in ("cp1251", "koi8_r", "cp866")
    assert encoding != "cp1253" or found == "cp1253"


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
    for form in ("%J", "%Y-%m-%d %h"):
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


def test_blanks_behind_delimiters_are_no_part_of_words(tmp_path):
    """As in the UCI repository's files: ``39, State-gov, <=50K``."""
    words = [["State-gov", "Private, or own", "?"][n % 3] for n in range(ROWS)]
    labels = ["<=50K" if n % 2 else ">50K" for n in range(ROWS)]
    rows = [f'{n}, "{word}", {label}' for n, word, label in zip(WHOLE, words, labels, strict=True)]
    (tmp_path / "spaced.csv").write_text("\n".join(["x, work, y", *rows, ""]))
    config = DataConfig(source=str(tmp_path / "spaced.csv"), target="y")
    table = read(config)
    assert table.dataset.class_names == ("<=50K", ">50K")
    assert {name for name in table.preparation.feature_names if name.startswith("work")} == {
        "work_State-gov", "work_Private, or own", "work_?"
    }  # fmt: skip
    assert any("blanks behind delimiters" in note for note in table.notes)
    # Later files are read alike, with blanks or without.
    later = "\n".join(["x,work,y", *(row.replace(", ", ",") for row in rows), ""])
    (tmp_path / "plain.csv").write_text(later.replace("Private,or", "Private, or"))
    reading = table.preparation.schema.reading
    found = [
        sources.read_rows(str(tmp_path / name), "rows", reading, table.preparation.schema.names())
        for name in ("spaced.csv", "plain.csv")
    ]
    assert found[0].equals(found[1])


def test_blanks_are_kept_where_they_were_or_are_asked_for(tmp_path):
    (tmp_path / "t.csv").write_text("x, y\n" + "".join(f"{n}, {y}\n" for n, y in zip(WHOLE, Y, strict=True)))
    config = DataConfig(source=str(tmp_path / "t.csv"), target="y")
    assert read(config).dataset.class_names == ("a", "b")
    # A study that began by an earlier edition of the rules goes on by it.
    assert read(config, rules=3).dataset.class_names == (" a", " b")
    kept = config.model_copy(update={"csv": CsvConfig(skip_initial_space=False)})
    assert read(kept).dataset.class_names == (" a", " b")


@pytest.mark.parametrize(
    ("form", "written"),
    [
        ("%I:%M %p", lambda n: datetime.time(n % 24, n % 60).strftime("%I:%M %p")),
        ("%I:%M:%S%p", lambda n: datetime.time(n % 24, n % 60, n % 7).strftime("%I:%M:%S%p").lower()),
        ("%d%b%Y", lambda n: datetime.date(2024, 1 + n % 12, 1 + n % 28).strftime("%d%b%Y").upper()),
        (
            "%d%b%Y:%H:%M:%S",
            lambda n: datetime.datetime(2024, 1 + n % 12, 1 + n % 28, n % 24).strftime("%d%b%Y:%H:%M:%S"),
        ),
    ],
)
def test_times_of_twelve_hours_and_the_dates_of_sas_are_dates(tmp_path, form, written):
    table = csv(tmp_path, [written(n) for n in WHOLE])
    (column,) = [column for column in table.preparation.schema.columns if column.name == "x"]
    assert (column.kind, column.format) == ("date", form)


def test_births_in_the_future_are_said(tmp_path):
    table = csv(tmp_path, [f"{1 + n % 12:02d}/{13 + n % 12}/{30 + n % 60:02d}" for n in range(ROWS)])
    (note,) = [note for note in table.notes if note.startswith("column x: ")]
    assert "in the future, such as" in note
    assert "write years in full" in note
    table = csv(tmp_path, [f"{1 + n % 12:02d}/{13 + n % 12}/{70 + n % 30:02d}" for n in range(ROWS)])
    assert not any("lie in the future" in note for note in table.notes)


def test_below_and_above_an_amount_are_categories(tmp_path):
    table = csv(tmp_path, [["<$10k", "$10k-$20k", ">$20k"][n % 3] for n in range(ROWS)])
    (column,) = [column for column in table.preparation.schema.columns if column.name == "x"]
    assert column.kind == "categorical"


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_target_of_durations_is_one_of_seconds(tmp_path, form):
    seconds = [7 * n for n in WHOLE]
    frame = pd.DataFrame({"x": WHOLE[::-1], "y": pd.to_timedelta(seconds, unit="s")})
    getattr(frame, f"to_{form}")(tmp_path / f"t.{form}", index=False)
    table = read(DataConfig(source=str(tmp_path / f"t.{form}"), target="y", target_transform="none"))
    assert table.dataset.task == "regression"
    rows = [*table.dataset.train.targets, *table.dataset.validation.targets, *table.test_rows.targets]
    assert np.sort(table.dataset.scaling.restore(np.array(rows))) == pytest.approx(np.sort(seconds), rel=1e-4)
    assert any(note.startswith("target y: ") for note in table.notes)


@pytest.mark.parametrize("hours", ["{}", "{:02d}"], ids=["2:52:27", "02:52:27"])
def test_times_below_a_day_are_seconds_where_numbers_are_asked_for(tmp_path, hours):
    seconds = [7 * n for n in WHOLE]
    written = [f"{hours.format(s // 3600)}:{s // 60 % 60:02d}:{s % 60:02d}" for s in seconds]
    schema = csv(tmp_path, written, columns={"x": "numeric"}).preparation.schema
    assert schema.typed(pa.table({"x": written}), "rows")["x"].tolist() == seconds
    times = pa.array([datetime.time(s // 3600, s // 60 % 60, s % 60) for s in seconds])
    assert schema.typed(pa.table({"x": times}), "rows")["x"].tolist() == seconds
    # As a feature they are times of day; a target of many different ones is a quantity.
    table = csv(tmp_path, WHOLE, y=written)
    assert table.dataset.task == "regression"
    assert table.dataset.scaling.mean == pytest.approx(np.mean(seconds), rel=0.1)
    few = csv(tmp_path, WHOLE, y=["08:00:00", "12:30:00"] * 60)
    assert few.dataset.class_names == ("08:00:00", "12:30:00")


def test_a_later_file_has_its_target_of_times_read_alike(tmp_path):
    def write(name, seconds):
        written = [f"0{s // 3600}:{s // 60 % 60:02d}:{s % 60:02d}" for s in seconds]
        pd.DataFrame({"x": range(len(seconds)), "y": written}).to_csv(tmp_path / name, index=False)
        return str(tmp_path / name)

    train, test = write("train.csv", WHOLE), write("test.csv", [5, 6, 7, 5])
    table = read(DataConfig(train=train, test=test, target="y", columns={"x": "numeric"}))
    assert table.dataset.scaling.restore(table.test_rows.targets) == pytest.approx([5, 6, 7, 5], rel=1e-3)


def test_what_is_said_to_do_about_a_target_of_dates_and_whole_numbers_that_are_dates(tmp_path):
    days = [(datetime.date(2023, 1, 1) + datetime.timedelta(n)) for n in range(ROWS)]
    with pytest.raises(DataError, match="classes or numbers"):
        csv(tmp_path, WHOLE, y=days)
    written = [int(day.strftime("%Y%m%d")) for day in days]
    with pytest.raises(DataError) as refused:
        csv(tmp_path, written, columns={"x": "date"})
    fix = yaml.safe_load(refused.value.problems[0].fix.partition("data.columns: ")[2])
    (column,) = csv(tmp_path, written, columns=fix).preparation.schema.columns
    assert (column.kind, column.format) == ("date", "%Y%m%d")


def test_a_later_file_without_a_target_weights_of_words_and_a_title_of_a_sheet_are_named(tmp_path):
    pd.DataFrame({"x": WHOLE, "y": Y, "w": "heavy"}).to_csv(tmp_path / "train.csv", index=False)
    pd.DataFrame({"x": WHOLE}).to_csv(tmp_path / "test.csv", index=False)
    with pytest.raises(DataError) as refused:
        read(DataConfig(train=str(tmp_path / "train.csv"), test=str(tmp_path / "test.csv"), target="y"))
    (problem,) = refused.value.problems
    assert (problem.path, problem.value) == ("data.test", str(tmp_path / "test.csv"))
    with pytest.raises(DataError) as refused:
        read(DataConfig(source=str(tmp_path / "train.csv"), target="y", weight="w"))
    (problem,) = refused.value.problems
    assert (problem.path, "categorical" in problem.fix) == ("data.weight", False)
    pd.DataFrame({"x": WHOLE, "z": WHOLE, "y": Y}).to_excel(tmp_path / "t.xlsx", startrow=2, index=False)
    config = DataConfig(source=str(tmp_path / "t.xlsx"), target="y")
    with pytest.raises(DataError) as refused:
        read(config)
    (problem,) = refused.value.problems
    assert problem.fix == "skip them: data.csv.skip_rows: 2"
    read(config.model_copy(update={"csv": CsvConfig(skip_rows=2)}))
