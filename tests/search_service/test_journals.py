"""Journals that a kill may cut anywhere: every whole line is an entry, and no entry is lost to a torn one."""

from __future__ import annotations

import pytest

from search_service import journals

ENTRIES = [{"trial": "r1-000", "score": float("inf")}, {"trial": "r1-001", "score": 0.1 + 0.2}]


def test_entries_come_back_in_order_to_the_last_digit(tmp_path):
    path = tmp_path / "told.jsonl"
    assert journals.read(path) == journals.mend(path) == []
    journals.append(path, ENTRIES[:1])
    journals.append(path, ENTRIES[1:])
    assert journals.read(path) == ENTRIES


@pytest.mark.parametrize("cut", range(1, 41))
def test_d6_wherever_the_last_line_is_torn_the_next_one_is_whole(tmp_path, cut):
    path = tmp_path / "told.jsonl"
    journals.append(path, ENTRIES)
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    assert journals.read(path) == journals.mend(path) == ENTRIES[:1]
    journals.append(path, ENTRIES[1:])
    assert path.read_bytes() == whole


def test_entries_after_the_first_few_can_be_taken_away(tmp_path):
    path = tmp_path / "asked.jsonl"
    journals.append(path, ENTRIES)
    journals.keep(path, 1)
    assert journals.read(path) == ENTRIES[:1]


def test_a_file_is_written_whole(tmp_path):
    path = tmp_path / "done.json"
    assert journals.read_whole(path) is None
    journals.write_whole(path, {"a": 1})
    journals.write_whole(path, {"a": [2]})
    assert journals.read_whole(path) == {"a": [2]}
    assert list(tmp_path.iterdir()) == [path]
