"""Commands that are given a table where a config is expected."""

from __future__ import annotations

import json
import shutil

import pytest

from search_service.spec import config_file
from search_service.spec.study_spec import parse
from tests.answering import answering
from tests.conftest import REPOSITORY

SMALL = [
    "--set=search.coarse={max_trials: 4, max_epochs: 2}", "--set=search.refined={max_trials: 2, max_epochs: 3}",
    "--set=search.max_cycles=1", "--set=finalists={top: 1, seeds: 2}", "--set=search.noise_seeds=0",
]  # fmt: skip


@pytest.fixture
def table(tmp_path):
    return shutil.copy(REPOSITORY / "configs" / "iris.csv", tmp_path / "iris.csv")


def test_a_table_is_run_as_the_config_that_init_prints(table, tmp_path, called):
    printed = called("init", "iris.csv", "--target", "species", *SMALL)
    assert printed.returncode == 0, printed.stderr
    for words in ("Classes: setosa 33.3%", "numeric: sepal_length", "[] is a linear model", "as asked"):
        assert words in printed.stdout, words
    (tmp_path / "iris.yaml").write_text(printed.stdout)
    done = called("run", "iris.csv", "--target", "species", *SMALL, "--runner", "inline", "--home", "home", "--json")
    assert done.returncode == 0, done.stderr
    (study,) = (tmp_path / "home" / "studies").iterdir()
    recorded = parse(json.loads((study / "spec.json").read_text()))
    written = config_file.load(tmp_path / "iris.yaml")
    for section in ("name", "objective", "search_space", "search", "finalists"):
        assert getattr(recorded, section) == getattr(written, section)
    assert (recorded.data.target, recorded.trial.network) == ("species", written.trial.network)


def test_a_table_without_a_target_is_asked_for_it_by_the_option(table, called):
    for command in ("init", "run", "plan", "validate", "inspect"):
        done = called(command, "iris.csv")
        assert done.returncode == 2
        assert "--target: None" in done.stderr
        assert "'petal_width', 'species'" in done.stderr


@pytest.mark.parametrize("name", ["t.dat", "t.zip", "t.arff"])
@pytest.mark.parametrize("command", ["inspect", "run"])
def test_a_table_of_another_format_is_told_which_are_read(tmp_path, called, name, command):
    (tmp_path / name).write_bytes(b"a,b\n1,2\n\x92")
    done = called(command, name, "--target", "b")
    assert done.returncode == 2
    assert f"data.source: '{name}'" in done.stderr and "a file ending in .csv, .tsv, .parquet" in done.stderr


def test_shorter_options_change_a_config_too_and_set_has_the_last_word(table, tmp_path, called):
    (tmp_path / "t.yaml").write_text("name: t\ndata: {source: iris.csv}\n")
    done = called("inspect", "t.yaml", "--target=species", "--drop=sepal_length", "--drop=sepal_width", "--json")
    roles = {column["name"]: column["role"] for column in json.loads(done.stdout)["columns"]}
    assert [name for name, role in roles.items() if role == "left out"] == ["sepal_length", "sepal_width"]
    assert roles["species"] == "target"
    done = called("validate", "t.yaml", "--target", "nothing", "--set", "data.target=species", "--metric", "macro_f1")
    assert done.returncode == 0, done.stderr
    done = called("validate", "t.yaml", "--target", "species", "--metric", "f1")
    assert "objective.metric" in done.stderr


def test_e1_columns_to_drop_are_dropped_beside_those_of_the_config(table, tmp_path, called):
    """They took the place of the config's, whose ids became features without a word."""
    (tmp_path / "t.yaml").write_text("name: t\ndata: {source: iris.csv, target: species, drop: [sepal_length]}\n")
    for options in (["t.yaml"], ["iris.csv", "--target=species", "--set=data.drop=[sepal_length]"]):
        done = called("inspect", *options, "--drop=sepal_width", "--json")
        roles = {column["name"]: column["role"] for column in json.loads(done.stdout)["columns"]}
        assert [name for name, role in roles.items() if role == "left out"] == ["sepal_length", "sepal_width"]


def test_e1_several_names_given_as_one_are_told_apart(table, called):
    done = called("validate", "iris.csv", "--target=species", "--drop=sepal_length,sepal_width")
    assert done.returncode == 2 and "write each by itself: [sepal_length, sepal_width]" in done.stderr
    dropped = "data.drop: [sepal_length, sepal_width]"
    assert called("validate", "iris.csv", "--target=species", "--set", dropped).returncode == 0


def test_e3_minutes_take_the_place_of_the_numbers_of_a_table_and_of_a_config(table, tmp_path, called):
    printed = called("init", "iris.csv", "--target", "species", "--minutes", "7")
    assert printed.returncode == 0, printed.stderr
    config = parse(config_file.read_text(printed.stdout, "printed"))
    assert config.search.minutes == 7
    assert not {"coarse", "refined", "max_cycles"} & config.search.model_fields_set
    (tmp_path / "fixed.yaml").write_text(called("init", "iris.csv", "--target", "species").stdout)
    planned = called("plan", "fixed.yaml", "--minutes", "3", "--runner", "inline", "--json")
    assert planned.stderr.startswith(
        "The minutes take the place of what fixed.yaml says: search.coarse, search.refined, finalists.top\n"
    )
    document = json.loads(planned.stdout)
    assert document["minutes"] == 3
    assert next(iter(document["parts"])) == "start"
    assert sum(document["parts"].values()) == pytest.approx(document["seconds_expected"])
    # As much as fits in, one cycle of it.
    assert 0 < document["seconds_expected"] < 200
    shown = called("plan", "iris.csv", "--target", "species", "--minutes", "1", "--runner", "inline").stdout
    for words in ("Sized for 1 minutes", "By part: start", "Less than 2 minutes are kept"):
        assert words in shown, words


def test_e3_minutes_and_numbers_that_they_decide_are_a_mistake_that_says_which(table, tmp_path, called):
    (tmp_path / "both.yaml").write_text(
        "name: t\ndata: {source: iris.csv, target: species}\n"
        "search: {minutes: 5, coarse: {max_trials: 8}, max_cycles: 1, time_budget_s: 60}\n"
    )
    refused = called("validate", "both.yaml")
    assert refused.returncode == 2
    for key in ("search.coarse.max_trials", "search.max_cycles", "search.time_budget_s"):
        assert f"{key}: " in refused.stderr
    assert "remove it, or search.minutes" in refused.stderr
    # On the command line they take their place, but not that of what stands beside them there.
    assert called("validate", "both.yaml", "--set", "search.minutes=5").returncode == 0
    assert called("validate", "both.yaml", "--minutes", "5").returncode == 0
    assert called("validate", "both.yaml", "--set", "search.minutes=5", "--set", "search.max_cycles=2").returncode == 2
    for wrong in ("0", "-1", "1e9"):
        assert "search.minutes" in called("plan", "both.yaml", "--minutes", wrong).stderr


def test_a_study_that_goes_on_takes_no_target(called):
    done = called("run", "--study", "a", "--target", "y")
    assert done.returncode == 2
    assert "goes on as it was asked for" in done.stderr


def test_e1_a_secret_of_an_address_is_not_shown(table, tmp_path, called):
    with answering({"/iris.csv": (200, (tmp_path / "iris.csv").read_text())}) as place:
        done = called("validate", f"http://{place}/iris.csv?sig=hunter2", "--target", "species")
        assert done.returncode == 0, done.stderr
        failed = called("validate", f"http://{place}/nothing.csv?sig=hunter2", "--target", "species")
    assert failed.returncode != 0
    assert "/iris.csv is valid" in done.stdout
    assert "hunter2" not in done.stdout + done.stderr + failed.stdout + failed.stderr


def test_e1_validate_says_what_was_decided_in_doubt_and_what_is_suspicious(tmp_path, called):
    rows = "".join(f"{i},${i % 9},{-999 if i % 9 == 4 else i % 7 + 20},{i % 2}\n" for i in range(90))
    (tmp_path / "t.csv").write_text(f"id,price,age,y\n{rows}")
    done = called("validate", "t.csv", "--target", "y", "--home", "nowhere")
    assert done.returncode == 0, done.stderr
    assert "note: column id: whole numbers of which none comes twice" in done.stdout
    assert "note: column price: '$0' is read as 0" in done.stdout
    assert "{age: {null_values: [-999]}}" in done.stdout
    assert not (tmp_path / "nowhere").exists()
