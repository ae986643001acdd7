"""D4, D6: real studies through the service: as processes of this machine and as jobs of a Ray cluster."""

from __future__ import annotations

import io
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections import Counter

import pytest
from typer.testing import CliRunner

from search_service import Client
from search_service.cli import commands as cli
from search_service.errors import InvalidSpecError
from search_service.folder import journals
from tests.conftest import REPOSITORY
from tests.services import ADMIN, end_jobs, serving
from tests.services import until as wait_until

# Each starts several processes that import torch, and waits for real trainings: generous, against hanging only.
pytestmark = pytest.mark.timeout(900)

BUDGET = {
    "search_space": {},
    "search": {
        "coarse": {"max_trials": 6, "max_epochs": 9},
        "refined": {"max_trials": 4, "max_epochs": 9},
        "max_cycles": 1,
    },
    "finalists": {"top": 1, "seeds": 2},
}
WINE = {"name": "wine", "data": {"source": "wine"}} | BUDGET
# So long that it is still searching when somebody asks it to stop; and no longer than that in its other parts.
LONG = WINE | {
    "name": "long",
    "search": {
        "coarse": {"max_trials": 5000, "max_epochs": 81},
        "refined": {"max_trials": 4, "max_epochs": 81},
        "early_stopping": False,
        "population_size": 2,
        "max_cycles": 1,
    },
    "finalists": {"top": 1, "seeds": 2, "baselines": False},
    "model": {"refit": False},
}


def until(holds) -> None:
    wait_until(holds, 240, 0.1)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("service")
    yield folder
    end_jobs(folder)


@pytest.fixture(scope="module")
def service(home):
    with serving(home, admin_token=ADMIN, max_running=2) as running:
        yield running


@pytest.fixture
def client(service):
    with Client(str(service.base_url), ADMIN) as opened:
        yield opened


def commands_of(service, monkeypatch):
    """The command line, which finds the service by the environment."""
    monkeypatch.setenv("SEARCH_SERVICE_URL", str(service.base_url))
    monkeypatch.setenv("SEARCH_SERVICE_TOKEN", ADMIN)

    def invoke(*arguments: object):
        return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])

    return invoke


@pytest.fixture
def command(service, monkeypatch):
    return commands_of(service, monkeypatch)


def test_d4_a_config_with_a_table_of_ones_own_from_the_shell_to_the_answer(command, client, tmp_path, monkeypatch):
    shutil.copy(REPOSITORY / "configs" / "iris.csv", tmp_path / "iris.csv")
    config = tmp_path / "iris.yaml"
    config.write_text(json.dumps(BUDGET | {"name": "iris", "data": {"source": "iris.csv", "target": "species"}}))
    done = command("submit", config, "--follow", "--set", "seed=3")
    assert done.exit_code == 0, done.output
    assert "step 1" in done.output
    assert "r1-000" in done.output
    assert "completed after" in done.output
    (study,) = client.studies(name="iris").items
    assert client.study(study.id).config["seed"] == 3
    assert client.best(study.id).final
    # One test score, wherever it stands: that of the model which is handed over.
    details = client.best(study.id).details
    assert details["model"]["test_score"] == client.study(study.id).test_score
    assert f"the model: test accuracy {details['model']['test_score']:.4g}" in done.output
    assert details["worth"] is None or details["worth"].replace(" ", "") in done.output.replace(" ", "")
    assert f"{client.url}/studies/{study.id}/report" in done.output
    assert client.trials(study.id).total == 10
    assert [check.step for check in client.checks(study.id)] == [1, 2, 3]
    events = list(client.events(study.id))
    assert [event.id for event in events] == list(range(1, len(events) + 1))
    assert Counter(event.type for event in events)["trial_finished"] == 10
    assert next(iter(client.events(study.id, after=5))).id == 6
    assert zipfile.ZipFile(io.BytesIO(client.model(study.id))).testzip() is None
    # What a config names its table by is whole on any terminal.
    monkeypatch.setenv("COLUMNS", "80")
    listed = command("dataset", "list").output
    assert client.datasets().items and all(one.source in listed for one in client.datasets().items)

    for arguments, words in (
        (("list",), study.id),
        (("show", study.id), "passed"),
        (("report", study.id), "The best configuration was found in trial"),
        (("logs", study.id), "open the record with"),
        (("list", "--json"), '"total":1'),
    ):
        shown = command(*arguments)
        assert shown.exit_code == 0, shown.output
        assert words.replace(" ", "") in shown.output.replace(" ", "")
    exported = tmp_path / "exported"
    assert command("export", study.id, "--to", exported, "--home", tmp_path).exit_code == 0
    predicted = command("predict", exported, tmp_path / "iris.csv")
    assert predicted.output.count("\n") == 151


def test_d4_a_table_is_submitted_as_it_is(command, client, tmp_path, monkeypatch):
    """And its two lines stand for the networks that are right for it, as on one's own machine."""
    shutil.copy(REPOSITORY / "configs" / "iris.csv", tmp_path / "flowers.csv")
    monkeypatch.chdir(tmp_path)
    done = command("submit", "flowers.csv", "--target", "species", "--minutes", "5", "--set", "seed: 4", "--json")
    assert done.exit_code == 0, done.output
    study = json.loads(done.output)["id"]
    asked = client.study(study).config
    assert (asked["name"], asked["data"]["target"], asked["seed"]) == ("flowers", "species", 4)
    # Its copy there, by what is in it.
    assert "/datasets/" in asked["data"]["source"]
    assert asked["search"]["minutes"] == 5
    until(lambda: client.study(study).trials >= 1)
    assert any(leaf.startswith("network.") for leaf in client.trials(study).items[0].values)
    assert command("cancel", study).exit_code == 0
    client.wait(study, timeout_s=240)


def test_d2_a_bad_config_is_refused_with_all_its_mistakes(command, client, tmp_path):
    config = tmp_path / "bad.yaml"
    config.write_text("name: bad\ndata: {source: digits}\ntrial: {batch_size: 0, loss: hing}\n")
    done = command("submit", config)
    assert isinstance(done.exception, InvalidSpecError)
    assert [problem.path for problem in done.exception.problems] == ["trial.loss", "trial.batch_size"]
    assert client.studies(name="bad").total == 0


def test_d6_one_study_killed_left_by_its_service_cancelled_resumed_and_stopped_has_each_trial_once(
    tmp_path, monkeypatch, request
):
    request.addfinalizer(lambda: end_jobs(tmp_path))
    settings = {"admin_token": ADMIN, "max_running": 1}
    with serving(tmp_path, **settings) as first, Client(str(first.base_url), ADMIN) as client:
        study = client.submit(LONG, priority=5).id
        waiting = client.submit(WINE).id
        folder = tmp_path / "studies" / study
        until(lambda: client.study(study).trials >= 4)
        before = [event.id for event in itertools.islice(client.events(study), 10)]

        os.kill(journals.read_whole(folder / f"{study}-1.json")["pid"], signal.SIGKILL)
        until(lambda: client.study(study).attempt == 2)
        of_first = len(told(folder))
        until(lambda: client.study(study).trials > of_first)
    # No service; the study goes on.
    with serving(tmp_path, **settings) as second, Client(str(second.base_url), ADMIN) as client:
        command = commands_of(second, monkeypatch)
        seen = client.study(study)
        assert (seen.attempt, client.study(waiting).state) == (2, "pending")
        until(lambda: client.study(study).trials > seen.trials)
        client.cancel(waiting)
        assert client.wait(waiting, timeout_s=60).state == "cancelled"

        assert command("cancel", study).exit_code == 0
        done = client.wait(study, timeout_s=240)
        assert (done.state, done.attempt) == ("cancelled", 2)

        resume = [sys.executable, "-m", "search_service", "resume", study, "--follow"]
        following = subprocess.Popen(resume, stdout=subprocess.PIPE, text=True)
        request.addfinalizer(following.kill)
        until(lambda: client.study(study).trials > done.trials)
        assert "stopping" in command("stop", study).output
        done = client.wait(study, timeout_s=400)
        assert (done.state, client.best(study).final) == ("completed", True), done.reason
        assert "a stop was requested" in done.reason
        said, _ = following.communicate(timeout=60)
        assert (following.returncode, "completed after" in said) == (0, True), said
        assert done.trials < LONG["search"]["coarse"]["max_trials"]

        events = list(client.events(study))
        assert [event.id for event in events[: len(before)]] == before
        finished = [event.content["trial"] for event in events if event.type == "trial_finished"]
        assert len(finished) == len(set(finished)) == done.trials
        assert sorted(finished) == sorted(told(folder))
        assert [e.content["resumed"] for e in events if e.type == "study_started"] == [False, True, True]

        # Another study goes on from there, with the job's own command; what it extends stays as it is.
        assert "is pending" in command("extend", study, "--trials", 4).output
        (more,) = (one.id for one in client.studies(name="long").items if one.id != study)
        extended = client.wait(more, timeout_s=400)
        assert extended.state == "completed", extended.reason
        of_more = told(tmp_path / "studies" / more)
        assert len(of_more) == len(set(of_more)) == extended.trials == done.trials + 4
        assert set(of_more) > set(finished) == set(told(folder))

        assert command("delete", study).exit_code == 0
        assert command("delete", more).exit_code == 0
        assert client.studies(name="long").total == 0


def told(folder):
    """The trials that have ended, in a study's journals."""
    return [json.loads(line)["trial"] for path in folder.glob("round-*/told.jsonl") for line in path.open()]
