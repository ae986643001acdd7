"""E1: no name becomes a path, and whatever cannot be a name is refused before anything starts."""

from __future__ import annotations

import pytest

from search_service.errors import InvalidSpecError
from search_service.spec import names
from search_service.spec.study_spec import parse


@pytest.mark.parametrize(
    "text", ["digits", "churn, run 2", "Zürich (été)", "a.b", "..a", "売上", "a" * names.MOST_BYTES]
)
def test_e1_a_line_of_visible_text_is_a_name(text):
    assert names.flaw_of(text) is None
    assert parse({"name": "d", "experiment": text, "data": {"source": "digits"}}).experiment == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("/tmp/escaped", "it holds /"),
        ("../../escaped", "it holds /"),
        ("..\\escaped", "it holds \\"),
        ("..", "it means a folder"),
        (".", "it means a folder"),
        ("%2e%2e%2fescaped", "it holds %"),
        ("file:escaped", "it holds :"),
        ("a?b", "it holds ?"),
        ("a#b", "it holds #"),
        ("a\0b", "U+0000"),
        ("a\x1b[31mb", "U+001B"),
        ("a\nb", "U+000A"),
        ("a\u202eb", "U+202E"),
        ("a\u2028b", "U+2028"),
        ("a\ud800b", "U+D800"),
        (" a", "a blank"),
        ("a\u00a0", "a blank"),
        ("   ", "empty"),
        ("a" * (names.MOST_BYTES + 1), "201 bytes"),
        ("é" * (names.MOST_BYTES // 2 + 1), "202 bytes"),
    ],
)
def test_e1_what_is_more_than_a_name_or_nothing_to_see_is_none(text, words):
    assert words in str(names.flaw_of(text))
    with pytest.raises(InvalidSpecError) as error:
        parse({"name": "d", "experiment": text, "data": {"source": "digits"}})
    assert {problem.path for problem in error.value.problems} <= {"experiment", "(the whole config)"}
