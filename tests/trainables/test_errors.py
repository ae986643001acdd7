"""D2: a finding as one sentence says where, what, the rule and what to do."""

from __future__ import annotations

import pytest

from trainables.errors import Problem, one_line


@pytest.mark.parametrize(
    ("path", "where"),
    [("data.columns.age", "column age"), ("data.drop", "columns"), ("data", "data"), ("query.sort", "query.sort")],
)
def test_d2_a_sentence_names_the_place_the_value_the_rule_and_what_to_do(path, where):
    said = one_line(Problem(path, "-999", "numbers that lie together", "say that it means missing"))
    assert said == f"{where}: -999; expected: numbers that lie together; to do: say that it means missing"


def test_e1_a_sentence_has_no_control_characters():
    assert "\x1b" not in one_line(Problem("data.columns.\x1b[2J", "a\x1b", "b", "c"))
