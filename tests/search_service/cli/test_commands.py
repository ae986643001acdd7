"""D4: the command line as a person and a program use it: output, exit codes, and nothing left behind by a mistake."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from search_service import wiring
from search_service.settings import Settings
from search_service.spec import config_file
from search_service.spec.config_file import load
from search_service.spec.study_spec import parse
from tests.conftest import REPOSITORY

SMALL = """
name: small
data: {source: wine}
trial: {network: {hidden_sizes: [8]}, optimizer: {lr: 1e-2}, batch_size: 16}
search: {coarse: {max_trials: 4, max_epochs: 4}, refined: {max_trials: 3, max_epochs: 6}, max_cycles: 1}
finalists: {top: 2, seeds: 2}
"""


def search_service(*arguments, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "search_service", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=500, check=False)


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return path


@pytest.mark.parametrize(
    "what",
    [
        "import search_service.cli.commands, search_service.spec.config_file; from search_service import Client",
        "import search_service.records.events, search_service.records.earlier",
    ],
)
def test_what_trains_nothing_does_not_wait_for_what_takes_seconds_to_import(what):
    """Of the command line --help, schema and what speaks to a service; and whoever only reads results and events."""
    slow = ["torch", "ray", "mlflow", "optuna", "pandas", "pyarrow", "sklearn"]
    code = f"{what}; import sys; print([name for name in {slow} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["validate", "table.yaml"]], ids=" ".join)
def test_help_and_validate_wait_for_no_torch_ray_or_mlflow(arguments, tmp_path):
    rows = "".join(f"{i % 7},{i % 2}\n" for i in range(60))
    (tmp_path / "table.csv").write_text("a,y\n" + rows)
    (tmp_path / "table.yaml").write_text("name: table\ndata: {source: table.csv, target: y}\n")
    code = f"""import sys
from search_service.cli.commands import main
sys.argv[1:] = {arguments}
try:
    main()
finally:
    print([name for name in ("torch", "ray", "mlflow", "optuna") if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout
    assert done.stderr == "[]\n"


def test_run_shows_every_step_with_its_number_and_ends_with_the_answer(config, tmp_path, called):
    done = called("run", config, "--runner", "inline", "--home", tmp_path / "home")
    assert done.returncode == 0, done.stderr
    # Before anything is imported that takes long.
    assert done.stdout.startswith(f"Starting   {config}: ")
    for words in (
        "Step 1     ✓ initial loss: untrained loss 1.",
        "Step 2     ✓ overfit a small sample: memorised 20 rows",
        "Step 3     ✓ learning rates: searching",
        "Step 4     coarse search: up to 4 configurations, of up to 4 epochs each",
        "Step 5     refined search",
        "Step 6     repeat? stop: ",
        "test accuracy",
        "why it stopped",
        "open the record with",
    ):
        assert words in done.stdout, words
    assert "Traceback" not in done.stderr
    assert "\x1b[" not in done.stdout  # Plain lines where there is no terminal.


FOR_A_PROGRAM = ("--runner", "inline", "--json", "--set", "seed=7")


@pytest.fixture(scope="module")
def done_for_a_program(tmp_path_factory):
    """What ``run --json`` prints in a process of its own, where libraries print, too."""
    folder = tmp_path_factory.mktemp("for-a-program")
    config = folder / "small.yaml"
    config.write_text(SMALL)
    return search_service("run", config, "--home", folder / "home", *FOR_A_PROGRAM, cwd=folder)


def test_json_prints_one_document_and_nothing_else(done_for_a_program, tmp_path):
    done = done_for_a_program
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert document["status"] == "completed"
    assert document["best"]["test_mean"] > 0.7
    assert document["trials"]["total"] == 7
    assert [check["passed"] for check in document["checks"]] == [True] * 3
    folder = Path(document["places"]["folder"])
    assert json.loads((folder / "result.json").read_text()) == document
    # What was found can be put into a config as it stands.
    (tmp_path / "best.yaml").write_text(
        json.dumps({"name": "best", "data": {"source": "wine"}, "trial": document["best"]["config"]})
    )
    assert load(tmp_path / "best.yaml").trial.optimizer.lr == document["best"]["config"]["optimizer"]["lr"]


def test_the_same_seed_gives_the_same_document(done_for_a_program, config, tmp_path, called):
    again = called("run", config, "--home", tmp_path / "home", *FOR_A_PROGRAM)
    one, other = (json.loads(done.stdout) for done in (done_for_a_program, again))
    assert one["best"] == other["best"]


def test_a_failed_check_exits_with_3_and_its_diagnosis_and_is_recorded(config, tmp_path, called):
    home = ("--home", tmp_path / "home")
    done = called("run", config, "--runner", "inline", *home, "--set", "trial.network.init=zeros")
    assert done.returncode == 3
    assert "Step 1     ✗ initial loss" in done.stdout
    assert "all units of hidden layer 1 get the same gradient" in done.stdout
    assert "To do: set trial.network.init: auto" in done.stdout
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path / 'home' / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("small").experiment_id])
    study = next(run for run in runs if run.data.tags["kind"] == "study")
    assert study.info.status == "FAILED"
    assert "the same gradient" in study.data.tags["reason"]
    check = next(run for run in runs if run.data.tags["kind"] == "check")
    assert check.data.tags["verdict"] == "failed"


def write_table(path, text):
    path.write_text(text)
    return path


# Columns a (counts the rows), b (amounts), c (always the same) and y (two classes).
ROWS = "".join(f"{i},{i * i * 7919 % 1009},5,{'ab'[i % 2]}\n" for i in range(60))
BAD = {
    "unknown key": (["serch=1"], "serch", "did you mean search?"),
    "wrong type": (["trial.optimizer.lr=fast"], "trial.optimizer.lr", "a number"),
    "low ≥ high": (["search_space.optimizer.lr={low: 1, high: 0.1}"], "search_space.optimizer.lr", "low below high"),
    "log from 0": (
        ["search_space.optimizer.lr={low: 0, high: 1, log: true}"],
        "search_space.optimizer.lr.low",
        "above 0",
    ),
    "missing file": (["data.source=nowhere.csv", "data.target=y"], "data.source", "existing file"),
    "empty file": (["data.source=empty.csv", "data.target=y"], "data.source", "empty"),
    "unreadable file": (["data.source=broken.parquet", "data.target=y"], "data.source", "readable PARQUET"),
    "no such column": (["data.source=good.csv", "data.target=z"], "data.target", "one of: 'a', 'b', 'c', 'y'"),
    "no name": (['data.source=""'], "data.source", "at least 1 characters"),
    "one class": (["data.source=one.csv", "data.target=y"], "data.target", "one class only"),
    "few rows": (["data.source=few.csv", "data.target=y"], "data.target", "at least 3 rows of each class"),
    "mixed types": (["data.source=mixed.csv", "data.target=y"], "data.source", "column a, row 31: '?'"),
    "ragged line": (["data.source=ragged.csv", "data.target=y"], "data.source", "mend line 32"),
    "repeated name": (["data.source=twice.csv", "data.target=y"], "data.source", "rename"),
    "missing target": (["data.source=gap.csv", "data.target=y"], "data.source", "data.missing_target: drop"),
    "constant target": (["data.source=good.csv", "data.target=c", "data.task=regression"], "data.target", "varies"),
    "trap": (["data.source=good.csv", "data.target=y", "data.strict=true"], "data.drop", "that vary"),
    "wrong task": (
        ["data.source=good.csv", "data.target=b", "trial.class_weights=balanced"],
        "trial.class_weights",
        "data.task",
    ),
    "infinity": (["data.source=inf.csv", "data.target=y"], "data.source", "finite"),
    "protocol": (["data.source=file:///etc/passwd.csv"], "data.source", "a path, or a URL of http"),
    "batch": (["trial.batch_size=5000"], "trial.batch_size", "at most 106"),
    "searched batch": (["search_space.batch_size={low: 8, high: 5000}"], "search_space.batch_size.high", "at most 106"),
    "tiny fraction": (["data.test_fraction=0.001"], "data.test_fraction", "one of every class"),
}


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    (folder / "small.yaml").write_text(SMALL)
    write_table(folder / "good.csv", "a,b,c,y\n" + ROWS)
    write_table(folder / "empty.csv", "")
    write_table(folder / "broken.parquet", "nothing")
    names = "a,b,c,y\n"
    write_table(folder / "one.csv", names + ROWS.replace("b\n", "a\n"))
    write_table(folder / "few.csv", names + ROWS + "1,2,5,c\n")
    write_table(folder / "inf.csv", names + ROWS + "1,inf,5,a\n")
    write_table(folder / "gap.csv", names + ROWS + "1,2,5,\n")
    lines = ROWS.splitlines(keepends=True)
    write_table(folder / "mixed.csv", names + "".join([*lines[:30], "?,1,5,a\n", *lines[30:]]))
    write_table(folder / "ragged.csv", names + "".join([*lines[:30], "1,1,5,6,a\n", *lines[30:]]))
    write_table(folder / "twice.csv", "a,a,c,y\n" + ROWS)
    return folder


@pytest.mark.parametrize("mistake", BAD, ids=str)
def test_bad_input_is_one_error_with_path_value_rule_and_fix(mistake, tables, called):
    overrides, path, words = BAD[mistake]
    arguments = [part for override in overrides for part in ("--set", override)]
    home = tables / "home"
    done = called("run", tables / "small.yaml", "--home", home, *arguments)
    assert done.returncode == 2
    assert "1 mistake" in done.stderr
    assert f"{path}: " in done.stderr
    assert words in done.stderr
    assert "rule:" in done.stderr
    assert "fix:" in done.stderr
    assert not home.exists()  # Nothing is left behind.


# ---- compare-optimizers ----------------------------------------------------------------------------------------

QUICK = ("optimizers=[sgd, adam]", "seeds=2", "epochs=3", "sweep_seeds=1", "sweep_epochs=2", "rates=[0.1, 0.01]")
QUICKLY = [part for override in QUICK for part in ("--set", f"comparison.{override}")]


def test_a14_compare_optimizers_shows_each_the_table_and_the_places(tmp_path, called):
    digits, home = REPOSITORY / "configs" / "01_digits.yaml", tmp_path / "home"
    done = called("compare-optimizers", digits, "--home", home, *QUICKLY)
    assert done.returncode == 0, done.stderr
    for words in (
        "Comparison ",
        "1167 training, 270 validation",
        "each at its own best learning rate; 2 seeds and 3 epochs each",
        "sgd        ✓ learning rate ",
        "adam       ✓ learning rate ",
        "and in the",
        "best validation accuracy: ",
        "play the paths",
        "open the record with",
    ):
        assert words in done.stdout, words
    (folder,) = (home / "comparisons").iterdir()
    files = ["loss_curves.png", "loss_slice.png", "paths.html", "result.json", "spec.json"]
    assert sorted(file.name for file in folder.iterdir()) == files
    assert str(folder / "paths.html") in done.stdout
    document = json.loads((folder / "result.json").read_text())
    assert all(outcome["validation_mean"] > 0.8 for outcome in document["optimizers"])


def test_a14_json_of_a_comparison_is_one_document_and_nothing_else(config, tmp_path, called):
    done = called("compare-optimizers", config, "--home", tmp_path / "home", "--json", *QUICKLY)
    assert done.returncode == 0
    document = json.loads(done.stdout, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert [outcome["name"] for outcome in document["optimizers"]] == ["sgd", "adam"]
    assert [tried["rate"] for tried in document["optimizers"][0]["rates"][:2]] == [0.01, 0.1]
    assert len(document["optimizers"][0]["curves"]) == 2
    assert json.loads((Path(document["places"]["folder"]) / "result.json").read_text()) == document


def test_a14_a_mistake_in_the_comparison_exits_with_2(config, tmp_path, called):
    arguments = ["--set", "comparison.optimizers=[adma]", "--home", tmp_path / "home"]
    done = called("compare-optimizers", config, *arguments)
    assert done.returncode == 2
    assert "comparison.optimizers.0: " in done.stderr
    assert "did you mean adam" in done.stderr
    assert not (tmp_path / "home").exists()


def test_a14_a_comparison_that_cannot_be_recorded_exits_with_4(config, tmp_path, called, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    done = called("compare-optimizers", config, "--home", tmp_path / "home", *QUICKLY)
    assert done.returncode == 4
    assert "cannot record" in done.stderr


def test_a14_an_interrupted_comparison_exits_with_130_and_is_recorded(config, tmp_path):
    arguments = ["--home", str(tmp_path / "home"), "--set", "comparison.epochs=1000000"]
    command = [sys.executable, "-m", "search_service", "compare-optimizers", str(config), *arguments]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        # The fourth line is printed when the comparison has started.
        lines = [running.stdout.readline() for _ in range(4)]
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=60)
    assert "from the same start" in lines[3]
    assert running.returncode == 130
    assert "Interrupted. What was finished is recorded." in errors
    assert "Traceback" not in errors
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path / 'home' / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("small").experiment_id])
    assert (run.info.status, run.data.tags["status"]) == ("KILLED", "interrupted")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "give a config to run"),
        (["c.yaml", "--study", "s"], "give a config to run"),
        (["--study", "s", "--set", "seed=1"], "a study goes on as it was asked for"),
        (["--study", "no-such-study"], "--study: 'no-such-study'"),
        (["--study", "../../etc"], "--study: '../../etc'"),
    ],
)
def test_d6_run_takes_a_config_or_a_study_that_is_there(options, words, tmp_path, called):
    done = called("run", *options, "--home", tmp_path / "home")
    assert done.returncode == 2
    assert words in " ".join(done.stderr.split())
    assert not (tmp_path / "home").exists()


def test_validate_and_schema(config, tmp_path, called):
    done = called("validate", config)
    assert done.returncode == 0
    assert "is valid: 178 rows, 13 features, classification" in done.stdout
    bad = called("validate", config, "--set", "serch=1")
    assert bad.returncode == 2
    assert "did you mean search?" in bad.stderr
    schema = json.loads(called("schema").stdout)
    assert {"search_space", "comparison"} <= set(schema["properties"])
    assert not (tmp_path / "runs").exists()


def test_a_home_that_cannot_be_is_the_users_mistake(config, tmp_path, called):
    done = called("run", config, "--runner", "inline", "--home", config / "x")
    assert done.returncode == 2
    assert "--home: " in done.stderr
    assert "a folder that can be written" in done.stderr


def test_an_inline_run_takes_no_ray_address(config, tmp_path, called):
    done = called("run", config, "--runner", "inline", "--ray-address", "auto")
    assert done.returncode == 2
    assert "the runner inline joins no cluster" in done.stderr


def test_mlflow_that_cannot_be_reached_exits_with_4(config, tmp_path, monkeypatch, called):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    done = called("run", config, "--runner", "inline", "--home", tmp_path / "home")
    assert done.returncode == 4
    assert "MLflow at http://127.0.0.1:9 cannot record the study: nothing answers there" in done.stderr.replace(
        "\n", " "
    )
    assert "Traceback" not in done.stderr


def test_a_ray_that_cannot_be_reached_exits_with_4(config, tmp_path, called):
    done = called("run", config, "--ray-address", "127.0.0.1:9", "--home", tmp_path / "home")
    assert done.returncode == 4
    assert "Ray cannot be reached or started at 127.0.0.1:9" in done.stderr and "ray start --head" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("ray://10.0.0.5:10001", "submit to a service in front of it"),
        ("http://10.0.0.5:8265", "ray start --head"),
        ("10.0.0.5", "HOST:PORT of a cluster's head"),
    ],
)
def test_e5_what_is_no_address_of_a_cluster_is_refused_before_anything_is_asked(
    config, tmp_path, called, address, said
):
    home = tmp_path / "home"
    for command in (("run", config), ("extend", "no-study", "--trials", 3)):
        done = called(*command, "--ray-address", address, "--home", home)
        assert done.returncode == 2 and f"--ray-address: '{address}'" in done.stderr
        assert said in " ".join(done.stderr.split()) and not home.exists()


def test_npz_and_parquet_from_the_command_line(tmp_path, called):
    random = np.random.default_rng(0)
    features = random.normal(size=(90, 4))
    np.savez(tmp_path / "t.npz", X=features, y=features[:, 0] > 0)
    (tmp_path / "c.yaml").write_text("name: npz\ndata: {source: t.npz}\n")
    done = called("validate", "c.yaml")
    # 54 training rows and a default batch of 64: nobody wrote that number, so nobody is scolded for it.
    assert "90 rows, 4 features, classification" in done.stdout, done.stderr


def test_every_example_in_configs_is_reachable_from_the_repository():
    assert load(REPOSITORY / "configs" / "04_csv.yaml").data.source.endswith("configs/iris.csv")


def test_of_two_fixes_that_hold_braces_the_first_is_what_can_be_pasted(tmp_path, called):
    rows = "".join(f"0{1 + n % 9}/0{1 + n // 9 % 9}/2024,{n},{'ab'[n % 2]}\n" for n in range(60))
    (tmp_path / "days.csv").write_text(f"d,x,y\n{rows}")
    done = called("inspect", tmp_path / "days.csv", "--target", "y")
    assert done.returncode == 2
    (told,) = [line for line in done.stderr.splitlines() if "--set" in line]
    argument = shlex.split(told.partition("--set ")[2])[0]
    assert argument.startswith("data.columns: {d: {kind: date, format: ")
    assert called("inspect", tmp_path / "days.csv", "--target", "y", "--set", argument).returncode == 0


def test_e1_an_option_that_has_one_value_is_given_once(tmp_path, called):
    """The last one counted, and a minute was spent on another target, the first one being a feature."""
    for again in (["--target", "y"], ["--target=y"]):
        refused = called("run", "t.csv", "--target", "x", *again)
        assert (refused.returncode, "--target: 'x, y'" in refused.stderr) == (2, True)
        assert "a model predicts one column" in refused.stderr
    assert not list(tmp_path.iterdir())


def test_d3_a_study_that_cannot_be_told_again_does_not_keep_others_from_the_record(tmp_path, called):
    """The oldest came first, each time, and ended the command."""
    small = config_file.read_text(SMALL, "small.yaml") | {"finalists": {"top": 1, "seeds": 1, "baselines": False}}
    settings, studies = Settings(home=tmp_path / "home"), []
    for name in ("old", "new"):
        table = shutil.copy(REPOSITORY / "configs" / "iris.csv", tmp_path / f"{name}.csv")
        spec = parse(small | {"name": name, "data": {"source": str(table), "target": "species"}})
        done = wiring.run(wiring.prepare(spec), settings=settings, runner="inline", record=False)
        studies.append(done.result.study_id)
    (tmp_path / "old.csv").unlink()
    done = called("sync", "--home", settings.home)
    assert done.returncode == 2
    assert f"{studies[1]} is in the record at" in done.stdout
    assert f"{studies[0]} is left out" in done.stdout
    assert wiring.unrecorded(settings) == studies[:1]
