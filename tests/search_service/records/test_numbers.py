"""B: scores are written as people read them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_service.records.numbers import mean_text, score_text, spread_text


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.84634, "0.8463"),
        (0.5, "0.5"),
        (0.0, "0"),
        (12.345678, "12.35"),
        # Rounding adds a digit before the point.
        (99.996, "100"),
        (1234.4, "1234"),
        (9_999.6, "10,000"),
        (-104_249.9, "-104,200"),
        (2.5e9, "2,500,000,000"),
        (0.00012344, "0.0001234"),
        (0.0000123, "1.23e-05"),
        (3e15, "3e+15"),
        (math.nan, "nan"),
        (math.inf, "inf"),
        (None, "none"),
    ],
)
def test_b_a_score_is_written_out(value, said):
    assert score_text(value) == said


def test_b_a_spread_has_two_digits():
    assert [spread_text(value) for value in (6_130.0, 61_300.0, 0.002149, 0.016)] == [
        "6100",
        "61,000",
        "0.0021",
        "0.016",
    ]


@pytest.mark.parametrize(
    ("deviation", "count", "said"),
    [(0.0123, 3, "0.9667 ± 0.012"), (0.0, 1, "0.9667"), (0.0, 2, "0.9667 ± 0"), (1.2e-16, 3, "0.9667 ± 0")],
)
def test_b_one_score_has_no_spread_and_equal_ones_have_none_but_rounding(deviation, count, said):
    assert mean_text(0.96667, deviation, count) == said


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(1, 6))
def test_b_it_is_the_same_number_that_the_general_format_gives(value, digits):
    assert float(score_text(value, digits).replace(",", "")) == float(f"{value:.{digits}g}")
