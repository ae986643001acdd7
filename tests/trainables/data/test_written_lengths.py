"""E1: lengths of feet and inches are inches."""

from __future__ import annotations

import pytest

from tests.one_column import csv, kind_of, values_of


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
