"""E1: durations as people write them are seconds, whatever file they come from."""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa
import pytest

from tests.one_column import csv, kind_of, refused, values_of
from trainables.model import as_json_rows

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
        (["-2 weeks 1 day", "3 days"], [-15 * 86_400, 3 * 86_400]),
        (["-1:23.5", "2:03.25"], [-83.5, 123.25]),
    ],
)
def test_e1_durations_of_hours_and_minutes_and_of_years_and_months(tmp_path, cells, expected):
    assert values_of(csv(tmp_path, cells, delimiter=";")) == pytest.approx(expected)


def test_e1_months_and_minutes_are_told_apart_by_the_whole_column(tmp_path):
    assert values_of(csv(tmp_path, ["18m", "2y", "6m"])) == pytest.approx([6 * _MONTH, 18 * _MONTH, 24 * _MONTH])
    assert "this m may be minutes or months" in refused(tmp_path, ["3d", "2w", "5m"])
    assert values_of(csv(tmp_path, ["3d", "5m 2h"])) == [7_500.0, 3 * 86_400.0]


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


def test_e1_durations_are_examples_of_a_model_in_seconds():
    """The example of a model's input could not be written, after all of the training."""
    rows = pa.table({"took": [datetime.timedelta(minutes=2, milliseconds=500), None]})
    assert as_json_rows(rows) == [{"took": 120.5}, {"took": None}]
