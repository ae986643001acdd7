"""Journals that a kill may cut anywhere: every whole line is an entry, and no entry is lost to a torn one."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from search_service.errors import DamagedFileError
from search_service.folder import journals

ENTRIES = [{"trial": "r1-000", "score": float("inf")}, {"trial": "r1-001", "score": 0.1 + 0.2}]


def test_entries_come_back_in_order_to_the_last_digit(tmp_path):
    path = tmp_path / "told.jsonl"
    assert journals.read(path) == journals.mend(path) == []
    journals.append(path, ENTRIES[:1])
    journals.append(path, ENTRIES[1:])
    assert journals.read(path) == ENTRIES


@pytest.mark.parametrize("cut", [1, 2, 10, 40, 60])
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


def damage(path, number, do):
    """Change one line, the first being 0."""
    lines = path.read_bytes().splitlines(keepends=True)
    lines[number] = do(lines[number])
    path.write_bytes(b"".join(lines))


DAMAGES = {
    "a digit is another one": lambda line: line.replace(b"r1-000", b"r1-010"),
    "half of it": lambda line: line[:20] + b"\n",
    "no JSON": lambda line: b"what is this?\n",
    "not UTF-8": lambda line: line[:5] + b"\xff" + line[6:],
    "zeros": lambda line: bytes(len(line) - 1) + b"\n",
    "no object": lambda line: b"17\n",
}


@pytest.mark.parametrize("what", DAMAGES)
def test_e1_a_damaged_line_is_named_with_file_line_and_what_to_do(tmp_path, what):
    path = tmp_path / "asked.jsonl"
    journals.append(path, ENTRIES)
    damage(path, 0, DAMAGES[what])
    for read in (journals.read, journals.mend):
        with pytest.raises(DamagedFileError, match=r"asked\.jsonl is damaged: line 1: .*To do: bring it back"):
            read(path)


@pytest.mark.parametrize("what", DAMAGES)
def test_e1_a_damaged_line_that_can_be_made_again_is_taken_away_and_the_others_stay_where_they_are(tmp_path, what):
    path = tmp_path / "told.jsonl"
    journals.append(path, ENTRIES)
    damage(path, 0, DAMAGES[what])
    size = path.stat().st_size
    assert journals.mend(path, rebuild=True) == journals.read(path) == ENTRIES[1:]
    assert path.stat().st_size == size
    journals.append(path, ENTRIES[:1])
    assert journals.read(path) == ENTRIES[::-1]
    journals.keep(path, 1)
    assert journals.read(path) == ENTRIES[1:]
    assert journals.entries_of(path.read_bytes()) == ENTRIES[1:]


@pytest.mark.parametrize("zeros", [b"\0" * 7, b"\0" * 7 + b"\n", b"\0\n\0\0\n"])
def test_e1_zeros_that_a_power_cut_leaves_at_the_end_are_no_entry(tmp_path, zeros):
    path = tmp_path / "asked.jsonl"
    journals.append(path, ENTRIES)
    whole = path.read_bytes()
    path.write_bytes(whole + zeros)
    assert journals.mend(path) == ENTRIES
    assert path.read_bytes() == whole


def test_lines_of_older_versions_have_no_checksum(tmp_path):
    path = tmp_path / "told.jsonl"
    path.write_text("".join(json.dumps(entry) + "\n" for entry in ENTRIES))
    assert journals.read(path) == ENTRIES


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from search_service.folder import journals
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path, entry = Path(sys.argv[1]), {"trial": "r1-000", "curve": list(range(100))}
journals.append(path, [entry])
whole = path.read_bytes()
resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 100, resource.RLIM_INFINITY))
try:
    journals.append(path, [entry])
except OSError:
    assert path.read_bytes() == whole, "half of a line is left"
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    journals.append(path, [entry])
    assert journals.read(path) == [entry, entry]
    print("as it was")
"""


def test_e1_what_does_not_fit_on_a_disk_leaves_the_journal_as_it_was(tmp_path):
    """A limit on the size of files cuts a write in the middle, as a full disk does."""
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "told.jsonl")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "as it was\n", done.stderr


@pytest.mark.parametrize("content", [b"", b"{", b"\0\0\0", b"\xff"])
def test_e1_a_damaged_file_is_named_or_made_again(tmp_path, content):
    path = tmp_path / "plan.json"
    path.write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"plan\.json is damaged: is no JSON .*To do: pray\."):
        journals.read_whole(path, remedy="pray")
    assert journals.read_whole(path, rebuild=True) is None
