"""What a config leaves open (issue: a table is enough; mission A1): its table says it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search_service import wiring
from search_service.errors import InvalidSpecError
from search_service.folder.study_folder import StudyFolder
from search_service.settings import Settings
from search_service.spec import config_file
from search_service.spec.study_spec import StudySpec, parse
from search_service.wiring.preparing import read_again


def written(folder: Path, rows: int, positives: int | None = None) -> dict[str, Any]:
    """A table of numbers and a target of two classes, as a config's section."""
    rng = np.random.default_rng(0)
    targets = np.arange(rows) < (rows // 2 if positives is None else positives)
    columns = np.column_stack([rng.normal(size=(rows, 3)) + targets[:, None], targets])
    np.savetxt(folder / "table.csv", columns, "%.4f,%.4f,%.4f,%d", header="a,b,c,y", comments="")
    return {"source": str(folder / "table.csv"), "target": "y"}


def prepared(**sections: Any) -> StudySpec:
    return wiring.prepare(parse({"name": "open", **sections})).spec


@pytest.mark.parametrize("rows", [400, 3_000])
def test_a_config_without_networks_is_what_its_table_stands_for(tmp_path: Path, rows: int) -> None:
    """Two lines, and `run TABLE --target y`: the same study but for its name."""
    data = written(tmp_path, rows)
    table = wiring.config_of(data["source"], ["data.target=y", "name=open"], settings=Settings(home=tmp_path))
    asked = prepared(data=data)
    assert asked.model_dump() == wiring.prepare(parse(table.plain)).spec.model_dump()
    assert asked.search_space.keys() > {"network.hidden_sizes", "network.dropout"}


def test_what_a_config_says_stays(tmp_path: Path) -> None:
    data = written(tmp_path, 400)
    asked = prepared(data=data, seed=7, search={"coarse": {"max_trials": 4}}, objective={"metric": "log_loss"})
    assert (asked.seed, asked.search.coarse.max_trials, asked.search.coarse.max_epochs) == (7, 4, 9)
    assert asked.metric == "log_loss"
    assert asked.search.refined.max_trials == 24, "left open"


@pytest.mark.parametrize("said", [{"trial": {}}, {"search_space": {}}])
def test_a_config_that_says_something_of_its_networks_is_left_alone(tmp_path: Path, said: dict[str, Any]) -> None:
    """Nothing but the rate is searched, around the trial as it stands."""
    asked = prepared(data=written(tmp_path, 400), **said)
    assert asked.search_space == {}
    assert asked.trial.network.hidden_sizes == (128, 128, 128)
    assert asked.finalists.folds is None


def test_a_rare_class_decides_the_metric(tmp_path: Path) -> None:
    assert prepared(data=written(tmp_path, 3_000, positives=120)).metric == "roc_auc"


def test_small_tables_have_folds_and_so_has_the_study(tmp_path: Path) -> None:
    study = wiring.prepare(parse({"name": "open", "data": written(tmp_path, 400)}))
    assert study.spec.finalists.folds == 5
    assert study.table.folds is not None
    assert len(study.table.folds) == 5
    assert any("neither trial nor search_space" in note for note in study.table.notes)


def test_rows_that_cannot_be_divided_into_folds_are_used_without(tmp_path: Path) -> None:
    """Three groups are enough for a study's three parts, and too few for the five folds that nobody asked for."""
    data = written(tmp_path, 400)
    lines = Path(data["source"]).read_text(encoding="utf-8").splitlines()
    grouped = [f"{lines[0]},g", *(f"{line},g{number % 3}" for number, line in enumerate(lines[1:]))]
    Path(data["source"]).write_text("\n".join(grouped) + "\n", encoding="utf-8")
    study = wiring.prepare(parse({"name": "open", "data": {**data, "group": "g"}}))
    assert study.spec.finalists.folds is None
    assert study.table.folds is None


def test_a_study_that_has_begun_goes_on_with_what_it_began_with(tmp_path: Path) -> None:
    """Studies of earlier versions searched nothing but the rate where nothing was said."""
    settings = Settings(home=tmp_path / "home")
    spec = parse(
        {
            "name": "begun",
            "data": written(tmp_path, 400),
            "search_space": {},
            "search": {"coarse": {"max_trials": 2, "max_epochs": 1}, "refined": {"max_trials": 2, "max_epochs": 1}},
            "finalists": {"top": 1, "seeds": 2, "baselines": False},
        }
    )
    wiring.run(wiring.prepare(spec), settings=settings, runner="inline")
    (folder,) = settings.studies.iterdir()
    kept = json.loads((folder / "spec.json").read_text(encoding="utf-8"))
    del kept["search_space"]
    kept.pop("trial", None)
    (folder / "spec.json").write_text(json.dumps(kept), encoding="utf-8")
    assert read_again(StudyFolder(folder), settings).spec.search_space == {}


def test_a_table_takes_changes_that_are_right_beside_its_own_config(tmp_path: Path) -> None:
    """Points of leaves that the config searches, and not the few lines by which the table is looked at."""
    data = written(tmp_path, 3_000)
    points = "[{network.activation: silu, optimizer.weight_decay: 0.1}]"
    changes = ["data.target=y", f"search.points_to_evaluate={points}", "search_space.network.dropout={choices: [0.1]}"]
    config = wiring.config_of(data["source"], changes, settings=Settings(home=tmp_path))
    asked = parse(config.plain)
    assert asked.points() == [{"network.activation": "silu", "optimizer.weight_decay": 0.1}]
    assert "network.hidden_sizes" in asked.search_space


# ---- a table instead of a config -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory):
    path = tmp_path_factory.mktemp("ordinary") / "t.csv"
    path.write_text("a,b,y\n" + "".join(f"{n / 7},{n * n % 11},{'xz'[n % 2]}\n" for n in range(120)))
    return str(path)


@pytest.mark.parametrize(
    ("change", "gone", "left"),
    [
        ("search_space={}", {"network.hidden_sizes", "network.dropout", "optimizer.weight_decay"}, set()),
        ("trial.network.dropout=0.2", {"network.dropout"}, {"network.hidden_sizes", "optimizer.weight_decay"}),
        ("trial.network={hidden_sizes: [8]}", {"network.hidden_sizes", "network.dropout"}, {"optimizer.weight_decay"}),
        ("trial.optimizer.name=sgd", {"optimizer.weight_decay"}, {"network.dropout"}),
        ("search_space.network.dropout={low: 0, high: 0.1}", set(), {"network.dropout", "network.hidden_sizes"}),
    ],
)
def test_d2_what_is_settled_of_a_tables_config_is_not_searched(ordinary, tmp_path, change, gone, left):
    made = wiring.config_of(ordinary, ["data.target=y", change], settings=Settings(home=tmp_path))
    searched = set(made.plain.get("search_space", {}))
    assert not searched & gone
    assert left <= searched
    assert set(parse(made.plain).search_space) == searched


def test_d2_a_search_space_of_ones_own_stays_beside_a_network_of_ones_own(ordinary, tmp_path):
    own = {"network.dropout": {"low": 0.0, "high": 0.1}}
    changes = ["data.target=y", f"search_space={json.dumps(own)}", "trial.network={hidden_sizes: [8], dropout: 0.05}"]
    assert wiring.config_of(ordinary, changes, settings=Settings(home=tmp_path)).plain["search_space"] == own


@pytest.mark.parametrize(("change", "value"), [("data.csv.decimal_point=,", ","), ("data.csv.delimiter=|", "|")])
def test_c1_a_mark_is_given_as_it_stands(change, value):
    raw = config_file.overridden({"data": {}}, [change])
    assert [*raw["data"]["csv"].values()] == [value]


def test_e3_points_of_a_config_that_leaves_its_networks_open_are_those_of_what_its_table_searches() -> None:
    def points(leaf: str, value: float) -> list[dict[str, Any]]:
        return prepared(data={"source": "digits"}, search={"points_to_evaluate": [{leaf: value}]}).points()

    assert points("network.dropout", 0.2) == [{"network.dropout": 0.2}]
    with pytest.raises(InvalidSpecError, match="a leaf that is searched"):
        points("optimizer.momentum", 0.5)


def test_e3_a_task_that_the_target_is_not_of_says_what_to_remove(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,y\n" + "".join(f"{i},{'ab'[i % 2]}\n" for i in range(60)))
    data = {"source": str(tmp_path / "t.csv"), "target": "y", "task": "regression"}
    with pytest.raises(InvalidSpecError, match="remove what says so: data.task, objective.metric or trial.loss"):
        prepared(data=data)
    del data["task"]
    assert prepared(data=data).trial.task == "classification"


def test_d6_who_goes_on_says_of_the_table_what_was_said_when_it_began(tmp_path: Path) -> None:
    """That the config left its networks to it, its own completed spec says no more."""
    settings, data = Settings(home=tmp_path / "home"), written(tmp_path, 400)
    search = {"coarse": {"max_trials": 2, "max_epochs": 1}, "refined": {"max_trials": 2, "max_epochs": 1}}
    finalists = {"top": 1, "seeds": 2, "folds": None, "baselines": False}
    study = wiring.prepare(parse({"name": "open", "data": data, "search": search, "finalists": finalists}))
    assert any("neither trial nor search_space" in note for note in study.table.notes)
    wiring.run(study, settings=settings, runner="inline", record=False)
    (folder,) = settings.studies.iterdir()
    assert read_again(StudyFolder(folder), settings).table.notes == study.table.notes


def in_time(folder: Path, rare: Any) -> dict[str, Any]:
    """900 rows in time, of which those are of the rare class that are named."""
    random = np.random.default_rng(0)
    targets = np.isin(np.arange(900), rare)
    lines = [
        f"{i},{a:.3f},{'yes' if y else 'no'}"
        for i, (a, y) in enumerate(zip(random.normal(size=900), targets, strict=True))
    ]
    (folder / "t.csv").write_text("\n".join(["when,a,y", *lines]))
    return {"source": str(folder / "t.csv"), "target": "y", "time": "when"}


@pytest.mark.parametrize(("first", "folds"), [(0, 5), (200, None)])
def test_e3_folds_that_only_the_table_asks_for_are_left_out_where_one_could_not_be_trained_or_judged(
    tmp_path: Path, first: int, folds: int | None
) -> None:
    """`run TABLE --set data.time=when` had five folds, of which the first knew one class: it ended after its search."""
    data = in_time(tmp_path, np.arange(first, 900, 11))
    overrides = ["data.target=y", "data.time=when"]
    table = wiring.config_of(data["source"], overrides, settings=Settings(home=tmp_path))
    assert wiring.prepare(parse(table.plain)).spec.finalists.folds == folds
    assert prepared(data=data).finalists.folds == folds


def test_e3_a_metric_of_pairs_of_two_classes_takes_rows_of_two_to_judge_by(tmp_path: Path) -> None:
    """The coarse round ended without a score, and the advice was to lower the learning rates."""
    data = in_time(tmp_path, [*range(0, 500, 9), *range(800, 900, 9)])
    with pytest.raises(InvalidSpecError) as caught:
        prepared(data=data, objective={"metric": "roc_auc"}, trial={})
    (problem,) = caught.value.problems
    assert problem.path == "objective.metric"
    assert "all 180 validation rows are 'no'" in problem.rule
    assert problem.fix.startswith("raise data.validation_fraction")
    prepared(data=data, objective={"metric": "log_loss"}, trial={})
    prepared(data=data | {"validation_fraction": 0.5}, objective={"metric": "roc_auc"}, trial={})
    # The same of folds.
    data = in_time(tmp_path, [*range(0, 300, 9), *range(600, 900, 9)])
    with pytest.raises(InvalidSpecError, match="finalists.folds: 5(.|\n)*folds with rows of two classes each"):
        prepared(data=data, objective={"metric": "roc_auc"}, trial={}, finalists={"folds": 5})
