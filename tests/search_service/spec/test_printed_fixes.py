"""What a message about a config tells to do is done, to the letter, and the message is gone.

Every key and every choice of the spec, misspelt; what tables' messages print is in tests/trainables/data.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel

from search_service.errors import InvalidSpecError
from search_service.spec import config_file
from search_service.spec.study_spec import StudySpec, parse
from trainables.config import leaf_paths

PLAIN: dict[str, Any] = {"name": "x", "data": {"source": "digits"}}
MEANT = re.compile(r"did you mean (\S+)\?")


def keys(model: type[BaseModel], before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every key of the spec as a path, and what may stand there."""
    for name, field in model.model_fields.items():
        yield (*before, field.alias or name), field.annotation
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from keys(field.annotation, (*before, field.alias or name))


KEYS = dict(keys(StudySpec))
CHOICES = {
    path: [choice for choice in get_args(kind) if isinstance(choice, str)]
    for path, kind in KEYS.items()
    if get_origin(kind) is Literal
}


def written(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """The plain config with a value at a key."""
    config = copy.deepcopy(PLAIN)
    section = config
    for part in path[:-1]:
        section = section.setdefault(part, {})
    section[path[-1]] = value
    return config


def misspelt(word: str) -> str:
    """With its last two letters the wrong way round, as a hurried hand writes it; short ones with one more."""
    turned = word[:-2] + word[-1] + word[-2]
    return turned if len(word) > 5 and turned != word and word.isalpha() else word + "x"


def complaints(config: dict[str, Any]) -> dict[str, str]:
    """What to do, by path."""
    try:
        parse(config)
    except InvalidSpecError as error:
        return {problem.path: problem.fix for problem in error.problems}
    return {}


def test_there_is_something_to_misspell():
    assert len(KEYS) > 80
    assert len(CHOICES) > 8


@pytest.mark.parametrize("path", KEYS, ids=".".join)
def test_e1_a_key_that_is_misspelt_is_found_by_what_the_message_says(path):
    wrong = (*path[:-1], misspelt(path[-1]))
    said = complaints(written(wrong, None))
    meant = MEANT.match(said[".".join(wrong)])
    assert meant, said
    assert meant[1] == path[-1]
    assert ".".join(wrong) not in complaints(written((*path[:-1], meant[1]), None))


@pytest.mark.parametrize(("path", "choice"), [(path, choice) for path, all_ in CHOICES.items() for choice in all_])
def test_e1_a_choice_that_is_misspelt_is_found_by_what_the_message_says(path, choice):
    where = ".".join(path)
    said = complaints(written(path, misspelt(choice)))
    meant = MEANT.match(said[where])
    assert meant, said
    assert meant[1] == choice
    # What else it needs, such as a table of the other task, is said of other keys or in other words.
    assert complaints(written(path, meant[1])).get(where) != said[where]


@pytest.mark.parametrize("leaf", [leaf for leaf in leaf_paths() if leaf not in ("seed", "loss")])
def test_e1_a_leaf_of_the_space_that_is_misspelt_is_found_by_what_the_message_says(leaf):
    said = complaints(PLAIN | {"search_space": {misspelt(leaf): {"low": 1, "high": 2}}})
    meant = MEANT.match(said[f"search_space.{misspelt(leaf)}"])
    assert meant, said
    assert meant[1] == leaf


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({"search_space": {"batch_size": {"choices": [16, 16]}}}, "search_space.batch_size.choices"),
        ({"trial": None}, "trial"),
        ({"search": {"coarse": {"max_trials": 0}}}, "search.coarse.max_trials"),
        ({"search": {"coarse": {"max_trials": 10**9}}}, "search.coarse.max_trials"),
    ],
)
def test_e1_removing_lowering_and_raising_help_where_they_are_advised(config, path):
    said = complaints(PLAIN | config)
    (where,) = [key for key in said if key.startswith(path)]
    fix = said[where]
    fixed = copy.deepcopy(PLAIN | config)
    *parents, last = path.split(".")
    section = fixed
    for part in parents:
        section = section[part]
    if fix.startswith(("remove", "fill it in, or remove")):
        if fix == "remove the repeated ones":
            section[last] = sorted(set(section[last]))
        else:
            section.pop(last)
    elif bound := re.search(r"(?:at least|at most) ([\d,]+)", fix):
        section[last] = int(bound[1].replace(",", ""))
    else:
        pytest.fail(f"nobody can follow this: {fix}")
    assert where not in complaints(fixed)


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("data: {source: digits, target: 3}", "data.target"),
        ("data: {source: digits, csv: {null_values: [-999]}}", "data.csv.null_values.0"),
        ("data: {source: digits, csv: {null_values: [null]}}", "data.csv.null_values.0"),
        ("data: {source: digits, columns: {x: {null_values: [true]}}}", "data.columns.x.null_values.0"),
    ],
)
def test_e1_a_number_or_null_where_a_text_is_meant_is_shown_in_quotes(given, path):
    fix = complaints({"name": "x", **config_file.read_text(given, "")})[path]
    (quoted,) = re.findall(r'write it in quotes: (".*")', fix)
    before, found, behind = given.rpartition(quoted.strip('"'))
    assert found
    assert path not in complaints({"name": "x", **config_file.read_text(before + quoted + behind, "")})


def test_e1_several_names_as_on_a_command_line_are_shown_as_a_list():
    assert complaints(written(("data", "drop"), "g, t"))["data.drop"] == "write [g, t]"
    assert complaints(written(("data", "drop"), "?,on"))["data.drop"] == 'write ["?,on"]'
    assert complaints(written(("data", "csv", "null_values"), "?"))["data.csv.null_values"] == 'write ["?"]'


def test_e1_a_columns_name_of_digits_is_a_key_in_quotes():
    with pytest.raises(InvalidSpecError, match=re.escape('write it in quotes, as in "2019": numeric')):
        config_file.read_text("columns: {2019: numeric}", "")
    assert config_file.read_text('columns: {"2019": numeric}', "") == {"columns": {"2019": "numeric"}}


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        (("trial", "activation"), "relu", "trial.network.activation"),
        (("trial", "learning_rate_init"), 0.01, "trial.optimizer.lr"),
        (("trial", "solver"), "adam", "trial.optimizer.name"),
        (("trial", "alpha"), 0.01, "trial.regularization.l2"),
        (("trial", "scheduler"), "cosine", "trial.schedule.name"),
        (("random_state",), 1, "seed"),
        (("early_stopping",), True, "search.early_stopping"),
        (("search", "algorithm"), "random", "search.sampler"),
        (("data", "scaler"), "standard", "data.preparation.numeric"),
        (("data", "na_values"), ["?"], "data.csv.null_values"),
        (("data", "sep"), ";", "data.csv.delimiter"),
        (("data", "skiprows"), 1, "data.csv.skip_rows"),
    ],
)
def test_e1_words_of_other_programs_lead_to_keys_that_take_their_values(path, value, key):
    """Some led to a key that only looks alike: activation to regularization, scale to source."""
    fix = complaints(written(path, value))[".".join(path)]
    assert re.match(rf"write {re.escape(key)}(?![\w.])", fix), fix
    assert not complaints(written(tuple(key.split(".")), value))


@pytest.mark.parametrize(
    ("path", "value", "fix"),
    [
        (("search_space", "batch_size"), [32, 64, 128], "write {choices: [32, 64, 128]}"),
        (("search_space", "optimizer.name"), ["adam", "sgd"], "write {choices: [adam, sgd]}"),
        (("data", "target"), ["y"], "write y"),
        (("data", "source"), ["wine"], "write wine"),
    ],
)
def test_e1_a_list_is_shown_as_what_it_has_to_be(path, value, fix):
    assert complaints(written(path, value))[".".join(path)] == fix
    meant = config_file.read_text(f"x: {fix.removeprefix('write ')}", "")["x"]
    assert not complaints(written(path, meant))


def test_e1_ranges_as_others_write_them_lead_to_ranges():
    given = {"type": "int", "values": [8, 16], "loguniform": [1, 2]}
    said = complaints(written(("search_space", "batch_size"), given))
    assert said["search_space.batch_size.values"] == "write choices"
    assert said["search_space.batch_size.loguniform"] == "write low, high and log: true"
    # There is no key called integer.
    assert "integer" not in said["search_space.batch_size.type"]
    nested = {"trial": {"network": {"dropout": {"low": 0.0, "high": 0.5}}}}
    assert complaints(written(("search_space",), nested)) == {
        "search_space.trial": "write network.dropout: ..., without trial"
    }
    assert not complaints(written(("search_space",), {"network.dropout": {"low": 0.0, "high": 0.5}}))


def test_e1_values_as_others_call_them_are_the_ones_that_are_meant():
    for path, value, meant in (
        (("trial", "loss"), "sparse_categorical_crossentropy", "cross_entropy"),
        (("search", "sampler"), "TPESampler", "tpe"),
        (("objective", "metric"), "neg_mean_squared_error", "rmse"),
        (("data", "task"), "binary", "classification"),
    ):
        assert complaints(written(path, value))[".".join(path)] == f"did you mean {meant}?"
    assert complaints(written(("data", "columns"), {"c": {"type": "text"}}))["data.columns.c.type"] == (
        "did you mean kind?"
    )
