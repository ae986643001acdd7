"""A metric that does not fit the target is the mistake, and not the target (issue: a table is enough)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from search_service import wiring
from search_service.errors import InvalidSpecError, Problem
from search_service.settings import Settings
from search_service.spec.study_spec import parse


@pytest.fixture
def table(tmp_path: Path) -> str:
    """Text and numbers, either of which may be the target."""
    rows = "".join(f"{row % 7},{'yes' if row % 3 else 'no'},{row * 1.37:.2f}\n" for row in range(100))
    (tmp_path / "table.csv").write_text(f"a,answer,amount\n{rows}", encoding="utf-8")
    return str(tmp_path / "table.csv")


def refused(table: str, target: str, **sections: Any) -> Problem:
    """The one mistake of a config, and of the same table without one."""
    config = {"name": "t", "data": {"source": table, "target": target}, **sections}
    with pytest.raises(InvalidSpecError) as of_config:
        wiring.prepare(parse(config))
    (problem,) = of_config.value.problems
    return problem


@pytest.mark.parametrize(
    ("target", "metric", "rule"),
    [
        ("answer", "rmse", "a metric for classification, since the target is text"),
        ("amount", "roc_auc", "a metric for regression, since the target has 100 different numbers"),
    ],
)
def test_a_metric_of_another_task_is_named(tmp_path: Path, table: str, target: str, metric: str, rule: str) -> None:
    problem = refused(table, target, objective={"metric": metric})
    assert (problem.path, problem.value, problem.rule) == ("objective.metric", metric, rule)
    with pytest.raises(InvalidSpecError) as of_table:
        overrides = [f"data.target={target}", f"objective.metric={metric}"]
        wiring.config_of(table, overrides, settings=Settings(home=tmp_path))
    assert list(of_table.value.problems) == [problem]


def test_the_fix_can_be_followed(table: str) -> None:
    fix = refused(table, "answer", objective={"metric": "mae"}).fix
    metric = fix.removeprefix("use one of ").partition(",")[0]
    assert wiring.prepare(
        parse({"name": "t", "data": {"source": table, "target": "answer"}, "objective": {"metric": metric}})
    )


def test_where_the_loss_says_it_the_target_is_the_mistake(table: str) -> None:
    assert refused(table, "answer", objective={"metric": "mae"}, trial={"loss": "mse"}).path == "data.target"
