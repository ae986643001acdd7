"""B, D4: studies beside each other: what differs in their configs, and which model is better on the same rows."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from search_service import wiring
from search_service.folder import layout
from search_service.folder.study_folder import Beginning, StudyFolder
from search_service.report.study_comparison import _require_one_division as require_one_division
from search_service.report.study_comparison import compare
from search_service.settings import Settings
from search_service.spec.study_spec import parse
from tests.conftest import REPOSITORY
from trainables import advantage

SPEC = {
    "name": "a",
    "data": {"source": "digits"},
    "search_space": {"optimizer.lr": {"low": 3e-3, "high": 1e-2, "log": True}},
    "search": {
        "coarse": {"max_trials": 2, "max_epochs": 3},
        "refined": {"max_trials": 2, "max_epochs": 4},
        "max_cycles": 1,
    },
    "finalists": {"top": 1, "seeds": 1, "baselines": False},
    "checks": {"on_fail": "warn"},
    "model": {"refit": False, "average": "none"},
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Studies by name: a plain one, one as good, one that hardly learns, one of other test rows."""
    home = tmp_path_factory.mktemp("home")
    changes = {
        "a": {},
        "alike": {"search": SPEC["search"] | {"coarse": {"max_trials": 3, "max_epochs": 3}}},
        "worse": {"trial": {"network": {"hidden_sizes": [1]}}},
        "other-rows": {"data": {"source": "digits", "split_seed": 5}},
    }
    ids = {}
    for name, change in changes.items():
        settings = Settings(home=home)
        study = wiring.prepare(parse(SPEC | {"name": name} | change), settings=settings)
        ids[name] = wiring.run(study, settings=settings, runner="inline", record=False).result.study_id
    return home, ids


def test_b_the_models_are_compared_row_by_row_and_configs_key_by_key(home):
    folder, ids = home
    found = compare(folder / "studies", [ids["a"], ids["worse"], ids["alike"], ids["other-rows"]])
    worse, alike, other = found.leads
    kept = [folder / "studies" / ids[name] / layout.TEST_PREDICTIONS for name in ("a", "worse")]
    assert worse == advantage.compare(*kept, "accuracy")
    right = []
    for path in kept:
        with np.load(path) as said:
            right.append(said["outputs"].argmax(axis=1) == said["targets"])
    assert worse.difference == pytest.approx(right[0].mean() - right[1].mean())
    assert f"{ids['a']} is better than {ids['worse']}" in found.verdicts[0]
    assert alike.sign == 0
    assert "cannot be told apart" in found.verdicts[1]
    assert other is None
    assert "tested on other rows" in found.verdicts[2]
    assert [study.id for study in found.studies] == [ids[name] for name in ("a", "worse", "alike", "other-rows")]
    assert found.differences["search.coarse.max_trials"] == [2, 2, 3, 2]
    assert found.differences["data.split_seed"] == [0, 0, 0, 5]
    assert found.differences["trial.network.hidden_sizes"][1] == [1]
    assert not {"name", "data.source", "objective.metric"} & found.differences.keys()


def test_b_what_minutes_have_decided_is_not_shown_as_the_default_that_never_held(home, tmp_path):
    folder, ids = home
    for name in ("a", "alike"):
        shutil.copytree(folder / "studies" / ids[name], tmp_path / ids[name])
    sized = {"minutes": 3, "coarse": {"max_epochs": 3}, "refined": {"max_epochs": 4}}
    (tmp_path / ids["alike"] / layout.SPEC).write_text(json.dumps(SPEC | {"search": sized}))
    found = compare(tmp_path, [ids["a"], ids["alike"]]).differences
    assert found["search.coarse.max_trials"] == [2, "by its minutes"]
    assert found["search.max_cycles"] == [1, "by its minutes"]
    # What it says, and what minutes do not decide.
    assert (
        not {"search.coarse.max_epochs", "search.refined.max_epochs", "search.sampler", "finalists.top"} & found.keys()
    )


def test_d4_the_command_prints_it_for_people_and_for_programs(home, called):
    folder, ids = home
    shown = called("compare-studies", ids["a"], ids["alike"], "--home", folder)
    assert shown.returncode == 0, shown.stderr
    assert "search.coarse.max_trials" in shown.stdout.replace("\n", "")
    assert "cannot be told apart" in shown.stdout
    document = json.loads(called("compare-studies", ids["a"], ids["alike"], "--home", folder, "--json").stdout)
    assert document["differences"] == {"search.coarse.max_trials": [2, 3]}
    assert document["studies"][0]["trials"] == 4


@pytest.mark.parametrize(
    ("named", "rule"),
    [(["a"], "two studies or more"), (["a", "a"], "two studies or more"), (["a", None], "a study under")],
)
def test_d4_one_study_or_one_that_is_not_there_is_refused(home, called, named, rule):
    folder, ids = home
    refused = called("compare-studies", *(ids.get(name, "nope") for name in named), "--home", folder)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert rule in refused.stderr


def test_d4_a_study_that_is_not_over_is_refused_with_what_to_do(home, called):
    folder, ids = home
    unfinished = folder / "studies" / "unfinished"
    unfinished.mkdir()
    spec = (folder / "studies" / ids["a"] / layout.SPEC).read_bytes()
    (unfinished / layout.SPEC).write_bytes(spec)
    refused = called("compare-studies", ids["a"], "unfinished", "--home", folder)
    assert refused.returncode == 2
    assert "search-service run --study unfinished" in refused.stderr


def test_b_rows_with_the_same_targets_are_not_the_same_rows(tmp_path):
    """Of a table that is sorted by its classes, every division has the same: other rows were compared as if paired."""
    table = str(REPOSITORY / "configs" / "iris.csv")
    divisions = {
        "plain": {},
        "alike": {"drop": ["petal_width"]},
        "other": {"split_seed": 1},
        "fewer": {"test_fraction": 0.3},
    }
    folders = {}
    for name, changes in divisions.items():
        folders[name] = StudyFolder(tmp_path / name)
        folders[name].path.mkdir()
        data = {"source": table, "target": "species"} | changes
        (folders[name].path / layout.SPEC).write_text(json.dumps({"name": name, "data": data}))
    require_one_division(folders["plain"], folders["alike"])
    for name in ("other", "fewer"):
        with pytest.raises(ValueError, match="divided in different ways"):
            require_one_division(folders["plain"], folders[name])
    # A table that was moved is known by its rows.
    (folders["other"].path / layout.SPEC).write_text(json.dumps({"name": "other", "data": {"source": "elsewhere.csv"}}))
    for name in ("plain", "other"):
        folders[name].begin(Beginning(name, "fingerprint", {}))
    require_one_division(folders["plain"], folders["other"])
