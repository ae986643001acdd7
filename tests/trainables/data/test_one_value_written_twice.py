"""E2: one value as CSV, Parquet and pandas write it: codes and days with a fraction of nothing, durations in words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from tests.one_column import ROWS, csv, kind_of, values_of
from trainables.data.config import DataConfig
from trainables.data.dataset import read
from trainables.data.sources import read_rows
from trainables.errors import DataError

DAYS = [20240131, 20240215, 20231205, 20220707, 20230309]


def as_trained(folder, loaded, frame):
    """A column of later rows as the model takes it, from CSV as pandas writes it, from Parquet, and from a frame."""
    schema = loaded.preparation.schema
    frame.to_csv(folder / "later.csv", index=False)
    frame.to_parquet(folder / "later.parquet", index=False)
    tables = [read_rows(str(folder / f"later.{kind}"), "FILE", schema.reading, ["x"]) for kind in ("csv", "parquet")]
    return [schema.typed(table, "FILE")["x"].tolist() for table in (*tables, pa.Table.from_pandas(frame))]


@pytest.mark.parametrize(
    ("cells", "given"),
    [
        (["1009", "2010", "13011"], {"columns": {"x": "categorical"}}),
        (["01009", "02010", "13011"], {"columns": {"x": "categorical"}}),
        (["01009", "02010", "13011"], {}),
        (["1009", "2010", "A7"], {"columns": {"x": "categorical"}}),
    ],
)
def test_e2_codes_are_the_same_where_pandas_made_fractions_of_them(tmp_path, cells, given):
    """A column with a gap is one of floats to it, and a number has no zeros in front."""
    loaded = csv(tmp_path, cells, **given)
    for later in ([1009.0, None, 2010.0], ["1009", None, "2010"]):
        assert as_trained(tmp_path, loaded, pd.DataFrame({"x": later})) == [[cells[0], "(missing)", cells[1]]] * 3
    assert not loaded.preparation.unseen(pa.table({"x": ["1009.0", "2010"]}))


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_e2_days_as_numbers_with_gaps_are_said_and_read_as_those_without(tmp_path, ending):
    frame = pd.DataFrame({"x": [*DAYS, None] * 16, "y": [n % 7 + 0.5 for n in range(ROWS)]})
    getattr(frame, f"to_{ending}")(tmp_path / f"t.{ending}", index=False)
    asked = DataConfig(source=str(tmp_path / f"t.{ending}"), target="y")
    (found,) = [warning for warning in read(asked).warnings if warning.path == "data.columns.x"]
    assert (found.value, found.fix) == (
        "20240131",
        'if they are, data.columns: {x: {kind: date, format: "%Y%m%d"}}',
    )
    loaded = read(asked.model_copy(update={"columns": csv_days()}))
    assert values_of(loaded) == sorted(pd.to_datetime([str(day) for day in DAYS]))
    one = pd.Timestamp("2024-01-31")
    for later in ([20240131, 20240131], [20240131.0, 20240131.0]):
        assert as_trained(tmp_path, loaded, pd.DataFrame({"x": later})) == [[one, one]] * 3


def csv_days():
    """What the warning says, as a config has it."""
    return DataConfig(source="t.csv", target="y", columns={"x": {"kind": "date", "format": "%Y%m%d"}}).columns


def test_e2_a_date_column_of_numbers_with_gaps_is_told_its_format(tmp_path):
    pa.parquet.write_table(pa.table({"x": [20240131.0, None] * 48, "y": np.arange(96.0)}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r'data.columns: \{x: \{kind: date, format: "%Y%m%d"\}\}'):
        read(DataConfig(source=str(tmp_path / "t.parquet"), target="y", columns={"x": "date"}))


def test_e2_instants_with_gaps_are_instants(tmp_path):
    instants = [1704067200, 1704153600, 1706832000, None]
    frame = pd.DataFrame({"created_at": instants * 24, "y": [n % 7 + 0.5 for n in range(ROWS)]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet", index=False)
    for ending in ("csv", "parquet"):
        loaded = read(DataConfig(source=str(tmp_path / f"t.{ending}"), target="y"))
        assert loaded.grids["created_at"].values[0] == "2024-01-01T00:00:00"
        assert any("1704067200 is read as seconds since 1970" in note for note in loaded.notes)
    fractions = csv(tmp_path, ["1.5", "2.25"])
    assert kind_of(fractions) == "numeric"


_DURATIONS = {
    "hours": ([5400, 90061, 3600.5, 7], [5400, 90061, 3600.5, 7]),
    "below zero": ([-5400, 90061, 3600], [-5400, 90061, 3600]),
    "whole days": ([86_400, 172_800, 432_000], [1, 2, 5]),
}


@pytest.mark.parametrize("name", _DURATIONS)
@pytest.mark.parametrize("trained", ["csv", "parquet"])
def test_e2_durations_are_one_number_in_csv_in_parquet_and_in_a_frame(tmp_path, name, trained):
    """A CSV file of whole days has 1, 2 and 5 days, and Parquet 86 400 seconds and more."""
    seconds, days = _DURATIONS[name]
    durations = [pd.Timedelta(seconds=seconds[n % len(seconds)]) for n in range(ROWS)]
    frame = pd.DataFrame({"x": durations, "y": [n % 7 + 0.5 for n in range(ROWS)]})
    getattr(frame, f"to_{trained}")(tmp_path / f"t.{trained}", index=False)
    loaded = read(DataConfig(source=str(tmp_path / f"t.{trained}"), target="y"))
    expected = days if trained == "csv" else seconds
    later = frame[["x"]].head(len(seconds))
    assert as_trained(tmp_path, loaded, later) == [expected] * 3
    # Hours beside whole days.
    mixed = pd.DataFrame({"x": [pd.Timedelta(days=1), pd.Timedelta(hours=36)]})
    unit = 86_400 if expected is days and name == "whole days" else 1
    assert as_trained(tmp_path, loaded, mixed) == [[86_400 / unit, 129_600 / unit]] * 3


def test_e2_a_model_of_durations_takes_the_numbers_of_their_seconds(tmp_path):
    durations = pa.array([1_000 * n for n in range(ROWS)], pa.duration("ms"))
    pa.parquet.write_table(pa.table({"x": durations, "y": np.arange(96.0)}), tmp_path / "t.parquet")
    schema = read(DataConfig(source=str(tmp_path / "t.parquet"), target="y")).preparation.schema
    for later in (["5400", "1.5"], [5400.0, 1.5], ["0 days 01:30:00", "0 days 00:00:01.500000"]):
        assert schema.typed(pa.table({"x": later}), "FILE")["x"].tolist() == [5400.0, 1.5]


@pytest.mark.parametrize("trained", ["csv", "parquet"])
def test_e2_a_target_of_durations_has_one_unit_in_all_files(tmp_path, trained):
    frame = pd.DataFrame({"x": range(ROWS), "y": pd.to_timedelta(np.arange(ROWS), unit="D")})
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet", index=False)
    files = {"train": f"t.{trained}", "test": "t.parquet" if trained == "csv" else "t.csv"}
    config = {part: str(tmp_path / name) for part, name in files.items()}
    loaded = read(DataConfig(**config, target="y"))
    scaled = loaded.test_rows.targets
    assert np.allclose(np.sort(scaled)[[0, -1]], np.sort(loaded.dataset.scaling.apply(_days(trained)))[[0, -1]])


def _days(trained):
    return np.array([0.0, ROWS - 1.0]) * (1 if trained == "csv" else 86_400)


@pytest.mark.parametrize(
    ("written", "form", "first"),
    [
        (["202401", "202312", "202207", "202303"], "%Y%m", "2024-01-01"),
        (
            ["20240131134510", "20231205000000", "20220707101112", "20230309235959"],
            "%Y%m%d%H%M%S",
            "2024-01-31 13:45:10",
        ),
        (["202401311345", "202312050000", "202207071011", "202303092359"], "%Y%m%d%H%M", "2024-01-31 13:45"),
    ],
)
def test_e2_months_and_times_as_numbers_are_said(tmp_path, written, form, first):
    """They were quantities, in which December is 89 before January."""
    (found,) = [warning for warning in csv(tmp_path, written).warnings if warning.path == "data.columns.x"]
    assert (found.value, found.fix) == (
        written[0],
        f'if they are, data.columns: {{x: {{kind: date, format: "{form}"}}}}',
    )
    loaded = csv(tmp_path, written, columns={"x": {"kind": "date", "format": form}})
    assert pd.Timestamp(first) in values_of(loaded)
    assert not [
        warning for warning in csv(tmp_path, ["202413", "202312", "190000"]).warnings if "months" in warning.rule
    ]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_e2_a_day_of_zeros_among_days_is_none(tmp_path, ending):
    """SAP writes 00000000; the days beside it were codes, or numbers of which one is 20 million away."""
    numbers = [*DAYS, 0] * 16
    if ending == "csv":
        lines = [f"{number:08d},{n % 7}.5" for n, number in enumerate(numbers)]
        (tmp_path / "t.csv").write_text("x,y\n" + "\n".join(lines) + "\n")
    else:
        pa.parquet.write_table(pa.table({"x": numbers, "y": [n % 7 + 0.5 for n in range(96)]}), tmp_path / "t.parquet")
    asked = DataConfig(source=str(tmp_path / f"t.{ending}"), target="y")
    (found,) = [warning for warning in read(asked).warnings if warning.path == "data.columns.x"]
    assert found.fix.endswith('{x: {kind: date, format: "%Y%m%d", null_values: [0, "00000000"]}}')
    given = {"kind": "date", "format": "%Y%m%d", "null_values": [0, "00000000"]}
    loaded = read(DataConfig(source=str(tmp_path / f"t.{ending}"), target="y", columns={"x": given}))
    assert min(values_of(loaded)) == pd.Timestamp("2022-07-07")
    typed = loaded.preparation.schema.typed(read_rows(asked.source, "FILE", loaded.preparation.schema.reading), "FILE")
    assert typed["x"].isna().tolist() == [number == 0 for number in numbers]


@pytest.mark.parametrize("step", ["D", "M", "Q", "Y", "h"])
def test_e2_periods_of_pandas_are_dates(tmp_path, step):
    """In Parquet they were whole numbers, and left out as ids."""
    frame = pd.DataFrame({"x": pd.period_range("2001-01-01", periods=ROWS, freq=step), "y": np.arange(ROWS) / 7})
    frame.loc[5, "x"] = pd.NaT
    frame.to_parquet(tmp_path / "t.parquet")
    loaded = read(DataConfig(source=str(tmp_path / "t.parquet"), target="y"))
    assert kind_of(loaded) == "date"
    schema = loaded.preparation.schema
    expected = frame["x"].dt.to_timestamp()
    for table in (read_rows(str(tmp_path / "t.parquet"), "FILE", schema.reading), pa.Table.from_pandas(frame)):
        found = schema.typed(table, "FILE")["x"]
        assert found.isna().tolist() == expected.isna().tolist()
        assert (found.dropna() == expected.dropna()).all()


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary(2)])
def test_e2_bytes_that_are_text_are_text(tmp_path, kind):
    """As Hive, Impala and SciPy's ARFF hand it over; it was refused, with an advice that is for CSV."""
    table = pa.table({"x": pa.array([b"ab", b"cd", None] * 32, kind), "y": pa.array([b"no", b"yes"] * 48, pa.binary())})
    pa.parquet.write_table(table, tmp_path / "t.parquet")
    loaded = read(DataConfig(source=str(tmp_path / "t.parquet"), target="y"))
    assert loaded.dataset.class_names == ("no", "yes")
    assert loaded.preparation.schema.typed(table, "FILE")["x"].tolist()[:3] == ["ab", "cd", "(missing)"]
    for other in (b"\x00\x01", b"\xff\xfe"):
        keys = table.set_column(0, "x", pa.array([other, b"ab"] * 48, kind))
        pa.parquet.write_table(keys, tmp_path / "t.parquet")
        with pytest.raises(DataError, match="not binary"):
            read(DataConfig(source=str(tmp_path / "t.parquet"), target="y"))
