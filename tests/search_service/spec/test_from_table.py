"""A table is enough: what stands where a config is expected, and the config that a table stands for."""

from __future__ import annotations

import pytest

from search_service.spec import config_file
from search_service.spec.from_table import Found, is_table, least, starting_config
from search_service.spec.study_spec import parse

TWO_CLASSES = Found("classification", "the target is text", 5_000, {"no": 0.6, "yes": 0.4}, ("Rows: many.",))


@pytest.mark.parametrize(
    ("given", "table"),
    [
        ("t.csv", True),
        ("deep/T.PARQUET", True),
        ("s3://bucket/rows.jsonl", True),
        ("https://host/t.csv?version=2", True),
        ("openml:adult", True),
        ("digits", True),
        ("study.yaml", False),
        ("study.json", False),
        ("https://host/study.yml", False),
        ("study", False),
        ("digit", False),
    ],
)
def test_what_is_a_table_and_what_a_config(given, table):
    assert is_table(given) == table


def test_a_folder_is_a_table_and_a_config_may_be_called_digits(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "parts").mkdir()
    (tmp_path / "digits").write_text("name: mine")
    assert is_table("parts")
    assert not is_table("digits")


@pytest.mark.parametrize(
    "target", ["price", "a: b", 'wei"rd', "# no comment", "line\nbreak", "größe", "yes", "1", "😀", "a\u2028b\x85c\x7f"]
)
def test_what_is_printed_reads_as_what_is_run(target):
    found = Found("regression", f"many numbers in {target}", 400, lines=(f"Columns: {target}.", "more: [x]"))
    config = starting_config("t.csv", target, found)
    assert config_file.read_text(config.text, "printed") == config.plain
    assert parse(config.plain).data.target == target


def test_e3_with_minutes_no_number_is_written_that_they_decide():
    few = starting_config("t.csv", "y", Found("regression", "many numbers", 400), 7.5)
    assert few.plain["search"] == {"minutes": 7.5}
    # A cross-validation is for the rows that are few, whatever the time.
    assert few.plain["finalists"] == {"folds": 5}
    assert parse(few.plain).search.minutes == 7.5


@pytest.mark.parametrize(
    ("classes", "metric"),
    [
        ({"no": 0.88, "yes": 0.12}, "accuracy"),
        ({"no": 0.96, "yes": 0.04}, "roc_auc"),
        ({"a": 0.5, "b": 0.46, "c": 0.04}, "macro_f1"),
        # A tenth each: none is rarer than the others.
        ({str(digit): 0.1 for digit in range(10)}, "accuracy"),
    ],
)
def test_a_metric_sees_a_class_that_accuracy_hardly_would(classes, metric):
    config = starting_config("t.csv", "y", Found("classification", "text", 5_000, classes))
    (line,) = (line for line in config.lines if line.key == "objective.metric")
    assert line.value == metric
    assert ("hardly" in line.why) == (metric != "accuracy")


def test_few_rows_get_small_networks_and_cross_validation_where_each_class_bears_it():
    few = starting_config("t.csv", "y", Found("classification", "text", 300, {"a": 0.5, "b": 0.5})).plain
    assert few["finalists"]["folds"] == 5
    scarce = starting_config("t.csv", "y", Found("classification", "text", 300, {"a": 0.98, "b": 0.02})).plain
    assert "folds" not in scarce["finalists"]
    many = starting_config("t.csv", "y", TWO_CLASSES).plain
    assert "folds" not in many["finalists"]
    sizes = [plain["search_space"]["network.hidden_sizes"]["choices"] for plain in (few, many)]
    assert all([] in choices for choices in sizes)
    assert max(map(sum, sizes[0])) < max(map(sum, sizes[1]))


def test_e1_a_class_with_few_rows_is_cross_validated_however_many_the_others_have():
    """Of 7 200 rows with 3.8 % positives the validation rows have 90, by which no network can be told from another."""
    rare = starting_config("t.csv", "y", Found("classification", "text", 7_200, {"no": 0.962, "yes": 0.038}))
    assert rare.plain["finalists"]["folds"] == 5
    assert "cross-validation: 3.8% of 7,200 training rows are few to choose by" in rare.text
    # Networks may be as wide as the rows bear.
    assert [256, 256, 256] in rare.plain["search_space"]["network.hidden_sizes"]["choices"]
    # Folds of so many rows would leave nothing of a few minutes to search in.
    assert "finalists" not in starting_config("t.csv", "y", rare.found, 5).plain
    enough = starting_config("t.csv", "y", Found("classification", "text", 72_000, {"no": 0.962, "yes": 0.038}))
    assert "folds" not in enough.plain["finalists"]


def test_what_the_user_says_holds_and_stands_in_its_section():
    config = starting_config("t.csv", "y", TWO_CLASSES)
    asked = ["search.coarse.max_trials=8", "data.drop=[id]", "search.max_cycles=1", "model.register=false"]
    changed = config.changed(config_file.overridden(config.plain, asked))
    assert changed.plain["search"] == {
        "coarse": {"max_trials": 8, "max_epochs": 9},
        "refined": {"max_trials": 24, "max_epochs": 45},
        "max_cycles": 1,
    }
    assert changed.plain["data"]["drop"] == ["id"]
    assert changed.plain["model"] == {"register": False}
    assert config_file.read_text(changed.text, "printed") == changed.plain
    assert {line.key for line in changed.lines if line.why == "as asked"} == {
        "search.coarse",
        "data.drop",
        "search.max_cycles",
        "model.register",
    }


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("data/My table (2).csv", "My-table-2"),
        ("https://host/a/rows.parquet?x=1", "rows"),
        ("openml:adult", "adult"),
        ("folder/", "folder"),
        ("größe.csv", "grosse"),
        ("表.csv", "table"),
    ],
)
def test_a_study_is_named_after_its_table(source, name):
    assert parse(least(source)).name == name


def test_e1_where_one_of_many_classes_is_rare_its_weight_is_searched_and_the_config_is_valid():
    rare = Found("classification", "text", 5_000, {"a": 0.6, "b": 0.37, "c": 0.03})
    plain = starting_config("t.csv", "y", rare).plain
    assert plain["search_space"]["class_weights"] == {"choices": ["none", "balanced"]}
    assert parse(plain).search_space["class_weights"].choices == ("none", "balanced")
    # Of two, an order is optimised, which weights hardly change.
    two = Found("classification", "text", 5_000, {"a": 0.97, "b": 0.03})
    assert "class_weights" not in starting_config("t.csv", "y", two).plain["search_space"]
