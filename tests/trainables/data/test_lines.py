"""E1: the line that a message names is the one to mend, as an editor counts."""

from __future__ import annotations

import json

import pytest

from trainables.data.config import DataConfig
from trainables.data.dataset import read
from trainables.errors import DataError


def line_named(file, **config):
    """The line of which a message says that it has to be mended, and its text in the file."""
    with pytest.raises(DataError, match="mend line") as error:
        read(DataConfig(source=str(file), target="y", **config))
    number = int(error.value.problems[0].fix.removeprefix("mend line ").partition(":")[0])
    return file.read_text().split("\n")[number - 1]


@pytest.mark.parametrize("before", ["x,y\n1,2\n", "x,y\n\n\n1,2\n\n", '\n\nx,y\n"1\n3",2\n', "x,y\n1,2\n" * 3])
def test_e1_empty_lines_of_a_csv_file_are_lines(tmp_path, before):
    (tmp_path / "t.csv").write_text(before + "1,2\n" * 5 + "1,2,3\n1,2\n")
    assert line_named(tmp_path / "t.csv") == "1,2,3"


def test_e1_skipped_lines_of_a_csv_file_are_lines(tmp_path):
    (tmp_path / "t.csv").write_text("A title\n\nx;y\n\n1;2\n1;2;3\n1;2\n")
    assert line_named(tmp_path / "t.csv", csv={"skip_rows": 2}) == "1;2;3"


@pytest.mark.parametrize("name", ["t.jsonl", "t.ndjson", "t.json"])
@pytest.mark.parametrize("wrong", ['{"x": "many", "y": 3}', '{"x": 3 "y": 3}', '{"x": 3, "y":'])
@pytest.mark.parametrize("rows", [30, 100_000])
def test_e1_empty_lines_and_long_files_of_records_have_the_right_line(tmp_path, name, wrong, rows):
    """Arrow counts from the beginning of each megabyte."""
    records = "".join(json.dumps({"x": n, "y": n % 3}) + "\n" for n in range(rows))
    (tmp_path / name).write_text(f'{records}\n\n{wrong}\n{{"x": 1, "y": 2}}\n')
    assert line_named(tmp_path / name) == wrong
