"""What the README says is so: its code runs, its configs are valid, outputs are printed, files and links exist."""

from __future__ import annotations

import importlib.util
import re
import shlex

import pytest

from search_service.spec.config_file import load
from tests.conftest import REPOSITORY

README = (REPOSITORY / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_python_example_runs(tmp_path, monkeypatch, capsys):
    (code,) = blocks("python")
    (tmp_path / "configs").symlink_to(REPOSITORY / "configs")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    assert re.search(r"0\.\d+|1\.0", capsys.readouterr().out)


def test_the_smallest_config_is_valid(tmp_path):
    (text,) = blocks("yaml")
    (tmp_path / "configs").symlink_to(REPOSITORY / "configs")
    (tmp_path / "c.yaml").write_text(text)
    assert load(tmp_path / "c.yaml").data.source.endswith("iris.csv")


def test_the_failing_check_is_diagnosed_in_these_words(tmp_path, called):
    (tmp_path / "configs").symlink_to(REPOSITORY / "configs")
    command = next(block for block in blocks("sh") if "sigmoid" in block)
    arguments = shlex.split(command.replace("\\\n", " "))[1:]
    done = called(*arguments, "--set", "model.register=false", "--home", tmp_path / "runs")
    assert done.returncode == 3
    shown = next(block for block in blocks("text") if "could not memorise" in block)
    assert in_words(shown) in in_words(done.stdout)


def in_words(text: str) -> str:
    """In one line, without the last digits, which other processors round otherwise."""
    return re.sub(r"\d\.\d+", "0", " ".join(text.split()))


def test_every_figure_that_it_gives_stands_in_the_page_of_its_command():
    rows = [line for line in README.split("## Measured")[1].split("\n\n")[2].splitlines() if "`python bench/" in line]
    assert len(rows) == 5
    pages = {path: path.read_text() for path in (REPOSITORY / "docs" / "performance").glob("*.md")}
    for row in rows:
        _, measured, command = (cell.strip() for cell in row.strip("|").split("|"))
        script = re.search(r"bench/\w+\.py", command)[0]
        assert (REPOSITORY / script).exists()
        (page,) = [text for text in pages.values() if command in text]
        figures = re.findall(r"\d+\.\d+|\b\d{2,}\b", measured)
        assert [figure for figure in figures if figure not in page] == [], row


PAGES = [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md"), *REPOSITORY.glob("tests/**/*.md")]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), target


def test_every_name_in_the_listing_exists():
    listing = next(block for block in blocks("text") if "configs/" in block)
    names = re.findall(r"(?:^|\s)([a-z0-9_]+(?:\.py|\.md|/))(?=[\s,(]|$)", listing, re.MULTILINE)
    assert len(names) >= 12
    # Of the folders at the top that are the project's own: what is installed beside them is fifty times as much.
    own = [path for path in REPOSITORY.iterdir() if not path.name.startswith(".") and path.is_dir()]
    there = {path.name for folder in own for path in (folder, *folder.rglob("*"))}
    there |= {path.name for path in REPOSITORY.iterdir()}
    assert not {name.rstrip("/") for name in names} - there


def test_options_and_targets_it_names_exist():
    from typer.main import get_command

    from search_service.cli.commands import app

    run = get_command(app).commands["run"]
    options = {option for parameter in run.params for option in parameter.opts}
    for option in re.findall(r"`(--[a-z-]+)", README):
        assert option in options, option
    makefile = (REPOSITORY / "Makefile").read_text()
    for target in re.findall(r"(?:`|^)make ([a-z]+)", README, re.MULTILINE):
        assert f"\n{target}:" in makefile, target


def test_the_map_of_the_architecture_is_that_of_the_code():
    path = REPOSITORY / "docs" / "architecture_map.py"
    spec = importlib.util.spec_from_file_location("architecture_map", path)
    drawing = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(drawing)
    page = drawing.PAGE.read_text()
    assert drawing.with_map(page) == page, f"run python {path.relative_to(REPOSITORY)}"


def test_e1_every_test_that_the_security_page_names_is_there():
    page = (REPOSITORY / "docs" / "security.md").read_text()
    sources = {path.name: path.read_text() for path in (REPOSITORY / "tests").rglob("test_*.py")}
    rows = [line for line in page.split("## Threats")[1].split("## What is not")[0].splitlines() if ".py" in line]
    assert len(rows) >= 20
    for row in rows:
        cell = row.split("|")[3]
        files = re.findall(r"(\w+\.py)`", cell)
        assert files, row
        text = "".join(sources[name] for name in files if name in sources)
        for begin in re.findall(r"`(?:…)?(\w+)…`", cell):
            assert begin in text, (begin, row)
