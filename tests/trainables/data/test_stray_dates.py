"""E1: dates beside days of nothing, and dates that are written in two ways, are refused and no categories."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.one_column import csv, kind_of, refused, values_of


@pytest.mark.parametrize("nothing", ["0000-00-00", "00.00.0000", "/ /", "-", "0000-00-00 00:00:00"])
@pytest.mark.parametrize(
    ("days", "expected"), [(["2024-02-24", "2024-03-05"], "2024-02-24"), (["24.02.2024", "05.03.2024"], "2024-02-24")]
)
def test_e1_days_of_nothing_may_be_as_many_as_they_are(tmp_path, nothing, days, expected):
    """Beyond a fifth of the rows, they made categories of the dates beside them, without a word."""
    cells = [*days, nothing, nothing, nothing]
    said = refused(tmp_path, cells)
    assert f"data.csv.null_values: ['{nothing}']" in said
    loaded = csv(tmp_path, cells, csv={"null_values": [nothing]})
    assert kind_of(loaded) == "date"
    assert pd.Timestamp(expected) in values_of(loaded)


def test_e1_words_for_the_present_are_no_dates(tmp_path):
    """Of ``now`` and ``today`` pandas makes the moment of reading: each reading had another fingerprint."""
    said = refused(tmp_path, ["2024-02-24", "2024-03-05", "2024-03-06", "2024-03-07", "2024-03-08", "today"])
    assert "'today'" in said and "of 96, 80 are dates and 16 are not" in said
    assert kind_of(csv(tmp_path, ["now", "today"])) == "categorical"


@pytest.mark.parametrize(
    ("cells", "kind", "says"),
    [
        (["4000-1", "4037-2", "4011-9"], "categorical", ""),
        (["2005-06", "2006-07", "2011-12"], "categorical", ""),
        (["2005-06", "2005-07", "2011-12"], "date", "'2005-06' is read as June 2005"),
        (["2024-1", "2024-12"], "date", "'2024-1' is read as January 2024"),
        # One of them is mistyped.
        (["2024-01", "2924-02", "2023-05", "2023-06"], "date", "January 2024"),
        (["2024-01-05", "2024-02-05"], "date", ""),
    ],
)
def test_e1_codes_and_seasons_are_no_months_and_months_are_said(tmp_path, cells, kind, says):
    """Codes of articles were dates of the year 4000, without a word."""
    loaded = csv(tmp_path, cells)
    assert kind_of(loaded) == kind
    notes = " ".join(loaded.notes)
    assert says in notes if says else "is read as" not in notes


@pytest.mark.parametrize(
    ("cells", "forms"),
    [
        # A sheet that expects the month first has turned 10 April and left 24 March.
        (["03/24/2024", "03/25/2024", "10-04-2024"], ("%m/%d/%Y", "%d-%m-%Y")),
        (["24.03.2024", "25.03.2024", "2024-04-10"], ("%d.%m.%Y", "%Y-%m-%d")),
        (["2024-04-10", "2024-04-11", "24.03.2024"], ("%Y-%m-%d", "%d.%m.%Y")),
        (["03/24/2024", "03/25/24"], ("%m/%d/%Y", "%m/%d/%y")),
    ],
)
def test_e1_dates_that_are_written_in_two_ways_are_refused(tmp_path, cells, forms):
    """They were categories, or left out as ids."""
    said = refused(tmp_path, cells)
    assert "dates written in one way" in said
    assert all(form in said for form in forms)
    assert kind_of(csv(tmp_path, cells, columns={"x": "categorical"})) == "categorical"


@pytest.mark.parametrize(
    "cells", [["2024-02-24", "never", "open"], ["2024-Q1", "2024-03", "later"], ["June", "May 2020"], ["-", "--", "/"]]
)
def test_e1_other_words_beside_dates_are_categories(tmp_path, cells):
    assert kind_of(csv(tmp_path, cells)) == "categorical"
