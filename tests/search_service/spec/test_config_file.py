"""YAML as a config needs it: numbers are numbers, nothing is guessed, nothing is unfolded or run (D7)."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_service.errors import InvalidSpecError
from search_service.spec import config_file
from search_service.spec.config_file import MAX_BYTES, load, overridden, read, to_run_again


def write(tmp_path, text, name="c.yaml"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_scalars_are_those_of_yaml_1_2(tmp_path):
    path = write(
        tmp_path, "{a: 1e-3, b: 1E5, c: .5, d: 010, e: no, f: 2026-01-01, g: true, h: ~, i: '1', j: -3, k: 1_0, l: 1.}"
    )
    assert read(path) == {
        "a": 0.001, "b": 1e5, "c": 0.5, "d": 10, "e": "no", "f": "2026-01-01", "g": True, "h": None, "i": "1", "j": -3,
        "k": "1_0", "l": 1.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\na: 2\n", "'a' stands twice"),
        ("a: &x [1]\nb: *x\n", "aliases"),
        ("a: !!python/object/apply:os.system ['true']\n", "could not determine a constructor"),
        ("b: 1\na: [1, 2\n", "line 2, column 4"),
        ("a: {b: 1\n\n", "line 1, column 4: 'what begins here has no end'"),
        ("a:\n\tb: 1\n", "write spaces in its place"),
        ("? [1]\n: 2\n", "a key must be a word"),
        ("a: 'open\n", "line"),
        ("1: a\ntrue: b\n", "a key must be a word"),
        ("[" * 3000, "nested"),
    ],
)
def test_what_is_refused_says_where(tmp_path, text, words):
    with pytest.raises(InvalidSpecError) as error:
        read(write(tmp_path, text))
    assert words in str(error.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InvalidSpecError, match="existing file"):
        read(tmp_path / "nowhere.yaml")
    with pytest.raises(InvalidSpecError, match="KB"):
        read(write(tmp_path, "a: " + "x" * MAX_BYTES))
    binary = tmp_path / "b.yaml"
    binary.write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(InvalidSpecError, match="text file"):
        read(binary)
    with pytest.raises(InvalidSpecError, match="text file"):
        read(tmp_path)
    with pytest.raises(InvalidSpecError, match="nothing"):
        load(write(tmp_path, ""))


def test_json_is_read_too_and_data_paths_are_relative_to_the_config(tmp_path):
    path = write(tmp_path, json.dumps({"name": "x", "data": {"source": "t.csv", "target": "y"}}), "c.json")
    assert load(path).data.source == str(tmp_path / "t.csv")
    assert load(path, ["data.source=/abs/t.csv"]).data.source == "/abs/t.csv"
    assert load(path, ["data.source=digits", "data.target=~"]).data.source == "digits"


def test_set_changes_keys_of_any_depth(tmp_path):
    path = write(tmp_path, "{name: x, data: {source: digits}}")
    spec = load(
        path,
        [
            "search.coarse={max_trials: 3, max_epochs: 2}",
            "trial.optimizer.lr=1e-2",
            "search_space.optimizer.lr={low: 1e-4, high: 1e-1, log: true}",
            "search_space.optimizer.lr.high=0.5",
            "search_space.batch_size={low: 8, high: 16}",
            "search_space.batch_size.high=32",
        ],
    )
    assert spec.search.coarse.max_trials == 3
    assert spec.trial.optimizer.lr == 0.01
    assert spec.search_space["optimizer.lr"].high == 0.5
    assert spec.search_space["batch_size"].high == 32
    # As messages have it, for who pastes their fix.
    pasted = load(path, ["data.columns: {a: categorical, b: {kind: date, format: '%d=%m'}}", "seed: 4"])
    assert (pasted.data.columns["b"].format, pasted.seed) == ("%d=%m", 4)
    for wrong in ("search", "=3", "name.x=3", ": 3", "seed:3"):
        with pytest.raises(InvalidSpecError, match="--set"):
            load(path, [wrong])


def test_e1_a_change_may_add_to_a_list_and_have_blanks_around_its_key():
    raw = {"data": {"drop": ["g"]}, "seed": 1}
    overridden(raw, ["data.drop+=[num, g]", "data.csv.null_values+=['?']", "seed = 3"])
    assert raw == {"data": {"drop": ["g", "num"], "csv": {"null_values": ["?"]}}, "seed": 3}
    # What is no list is told so, and not lost.
    assert overridden({"data": {"drop": "g"}}, ["data.drop+=[num]"]) == {"data": {"drop": "g"}}
    assert overridden({"data": {"drop": ["g"]}}, ["data.drop+=num"]) == {"data": {"drop": ["g", "num"]}}


@settings(max_examples=200)
@given(st.text(max_size=60) | st.binary(max_size=60))
def test_any_file_at_all_is_a_config_or_one_clear_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("any") / "c.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    with pytest.raises(InvalidSpecError) as error:
        load(path)
    assert error.value.problems


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
SECTIONS = ["schema_version", "name", "data", "trial", "search_space", "objective", "checks", "search", "finalists"]


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(SECTIONS) | st.text(max_size=5), JSON_VALUES, max_size=4))
def test_any_keys_and_values_are_a_config_or_one_clear_error(raw):
    from search_service.spec.study_spec import parse

    try:
        spec = parse(raw)
    except InvalidSpecError as error:
        assert error.problems
    else:
        assert spec.name


def test_d3_a_config_that_is_recorded_runs_again_from_any_folder(tmp_path, monkeypatch):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "table.csv").write_text("a,y\n1,0\n")
    asked = "name: x\ndata: {source: table.csv, target: y}\ntrial: {optimizer: {lr: 1e-3}}\n"
    (tmp_path / "there" / "config.yaml").write_text(asked)
    monkeypatch.chdir(tmp_path)
    spec = load(Path("there/config.yaml"))
    (tmp_path / "again.yaml").write_text(to_run_again(spec))
    monkeypatch.chdir("/")
    again = load(tmp_path / "again.yaml")
    assert again.data.source == str(tmp_path / "there" / "table.csv")
    assert again.model_copy(update={"data": spec.data}) == spec


@pytest.mark.parametrize("number", [math.nan, -math.inf, np.float64("inf")])
def test_d4_a_config_from_python_has_no_number_that_json_lacks(number):
    """A client could not send it, and said so without the key."""
    with pytest.raises(InvalidSpecError, match=r"trial.optimizer.lr: '?(nan|-?inf)"):
        config_file.plain({"trial": {"optimizer": {"lr": number}}})
