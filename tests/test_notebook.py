"""The notebook of the docs runs from its first cell to its last, and shows what it says."""

from __future__ import annotations

import json

import pytest

from tests.conftest import REPOSITORY

NOTEBOOK = json.loads((REPOSITORY / "docs" / "first_search.ipynb").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    """What its cells leave, run in order in one namespace, where ``configs/`` is."""
    folder = tmp_path_factory.mktemp("notebook")
    (folder / "configs").symlink_to(REPOSITORY / "configs")
    names = {"__name__": "__main__"}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("tempfile.tempdir", str(folder))
        for cell in NOTEBOOK["cells"]:
            if cell["cell_type"] == "code":
                exec(compile("".join(cell["source"]), cell["id"], "exec"), names)
    return names


def test_e1_the_notebook_finds_a_model_that_is_worth_it(space):
    assert space["found"].result.status == "completed"
    assert space["found"].test_score > 0.8
    assert space["score"] > 0.8
    assert "<table>" in space["found"]._repr_html_()


def test_e1_what_it_hands_over_predicts_the_same(space):
    assert (space["work"] / "export" / "README.md").exists()
    assert not space["missing"]
    flowers = space["flowers"]
    assert space["again"].predict(flowers).tolist() == space["classifier"].predict(flowers).tolist()
    assert space["found"].predict(flowers).tolist() == ["setosa", "versicolor", "virginica"]


def test_the_notebook_is_committed_without_what_it_showed():
    code = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
    assert len(code) >= 5
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
