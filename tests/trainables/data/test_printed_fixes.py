"""What a message about a table tells to write into the config is written there, and the message is gone."""

from __future__ import annotations

import json
import re

import pyarrow as pa
import pytest
import yaml

from tests.plans import as_in_a_file
from trainables.data.config import DataConfig
from trainables.data.dataset import read
from trainables.errors import DataError

ROWS = 60
_MANY = [str(i) for i in range(ROWS)]
_WORDS = ["a", "b"] * (ROWS // 2)
# The columns of a file, what its config says beside its target y, and the suffix.
FAULTY = {
    "a mark for missing": ({"x": ["?", *_MANY[1:]], "y": _WORDS}, {}, ".csv"),
    "a mark that is written with a quote": ({"x": ["it's", *_MANY[1:]], "y": _WORDS}, {}, ".csv"),
    "a code among numbers": ({"x y": ["B12", *_MANY[1:]], "y": _WORDS}, {}, ".csv"),
    "a decimal comma or thousands": ({"x": ["1,921", *_MANY[1:]], "y": _WORDS}, {}, ".tsv"),
    "a target with gaps": ({"x": _MANY, "y": ["", *_WORDS[1:]]}, {}, ".csv"),
    "a class called NA": ({"x": _MANY, "y": ["NA", "b"] * (ROWS // 2)}, {}, ".csv"),
    "stratified numbers": ({"x": _MANY, "y": [f"{i}.5" for i in range(ROWS)]}, {"split": "stratified"}, ".csv"),
    "a list": ({"x": _MANY, "tags": [[1]] * ROWS, "y": _WORDS}, {}, ".jsonl"),
}
# What a message offers under a condition that this table does not meet: its gap is an empty cell and not NA.
_NOT_MEANT = {("a target with gaps", "csv.usual_null_values")}
_CHANGE = re.compile(
    r"(?:data\.([a-z_]+(?:\.[a-z_]+)?)|use (split)): (\{(?:[^{}]|\{.*?\})*\}|\[.*?\]|\"[^\"]*\"|[a-z0-9_]+)"
)


def write(folder, columns, suffix):
    if suffix == ".jsonl":
        lines = [json.dumps(row) for row in pa.table(columns).to_pylist()]
    else:
        mark = "\t" if suffix == ".tsv" else ","
        lines = [mark.join(columns), *(mark.join(row) for row in zip(*columns.values(), strict=True))]
    (folder / f"t{suffix}").write_text("\n".join(lines) + "\n")
    return str(folder / f"t{suffix}")


def changed(config, path, value):
    """The config with a leaf that the message names."""
    first, _, second = path.partition(".")
    return config | {first: config.get(first, {}) | {second: value} if second else value}


@pytest.mark.parametrize("fault", FAULTY)
def test_d2_what_a_message_tells_to_write_into_the_config_helps(tmp_path, fault):
    columns, others, suffix = FAULTY[fault]
    config = {"source": write(tmp_path, columns, suffix), "target": "y"} | others
    with pytest.raises(DataError) as caught:
        read(DataConfig(**config))
    (problem,) = caught.value.problems
    changes = _CHANGE.findall(problem.fix)
    assert changes, problem.fix
    for path, short, value in changes:
        if (fault, path) in _NOT_MEANT:
            continue
        mended = changed(config, path or short, yaml.safe_load(value))
        try:
            read(as_in_a_file(mended))
        except DataError as error:
            # Another mistake may come to light; this one is mended.
            assert problem.rule not in {other.rule for other in error.problems}, (path, value)
