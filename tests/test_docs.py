"""The documentation: links lead somewhere, commands exist, no page is long, and the site is built without a network."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from typer.main import get_command

from search_service.cli.commands import app
from search_service.service.app import make_app
from search_service.service.settings import ServiceSettings
from search_service.spec.study_spec import StudySpec
from tests import messages
from tests.conftest import REPOSITORY

DOCS = sorted((REPOSITORY / "docs").rglob("*.md"))
PAGES = [*sorted(REPOSITORY.glob("*.md")), *DOCS]
PICTURES = sorted((REPOSITORY / "docs" / "pictures").iterdir())
MOST_LINES = 200
MOST_BYTES = 200_000
# What a browser would ask a server for.
LOADED = re.compile(r"""<(?:script|img|link|iframe|source)\b[^>]*?\b(?:src|href)=["']?([^"' >]+)""")


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    plain = [re.sub(r"[`*]|\]\([^)]*\)|\[", "", heading) for heading in re.findall(r"^#+ +(.*)$", text, re.MULTILINE)]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_and_their_anchors_lead_somewhere(page):
    for target, anchor in re.findall(r"\]\(([^()#\s]*)(?:#([^()\s]+))?\)", without_code(page.read_text())):
        if target.startswith("http"):
            continue
        place = (page.parent / target).resolve() if target else page
        assert place.exists(), target
        assert place.is_relative_to(REPOSITORY), target
        assert not anchor or anchor in anchors(place), f"{target}#{anchor}"


@pytest.mark.parametrize("page", DOCS, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_no_page_is_long(page):
    assert len(page.read_text().splitlines()) <= MOST_LINES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_commands_and_options_that_a_page_shows_exist(page):
    commands = get_command(app).commands
    for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            for call in re.findall(r"(?:^|&& |; )(?:\.venv/bin/)?search-service ([^#&;>|]+)", line):
                words = shlex.split(call)
                assert words[0] in commands or words[0] == "--help", line
                command = commands.get(words[0])
                known = {name for one in getattr(command, "params", []) for name in [*one.opts, *one.secondary_opts]}
                inner = getattr(command, "commands", {})
                known |= {name for below in inner.values() for one in below.params for name in one.opts}
                options = {word.split("=")[0] for word in words[1:] if re.match(r"--?[a-z]", word)}
                assert options <= known, line


def test_the_tutorial_shows_what_is_printed(tmp_path, called, monkeypatch):
    monkeypatch.setenv("COLUMNS", "118")
    (tmp_path / "configs").symlink_to(REPOSITORY / "configs")
    page = (REPOSITORY / "docs" / "tutorial" / "your_own_table.md").read_text()
    inspected, refused = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    done = called("inspect", "configs/deliveries.csv", "--target", "price")
    printed = {line.rstrip() for line in done.stdout.splitlines()}
    assert [line for line in inspected.splitlines() if line not in printed] == []
    assert called("validate", "configs/deliveries.csv", "--target", "prize").stderr.split() == refused.split()


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_pictures_are_used_and_small_and_load_nothing(picture):
    assert any(f"pictures/{picture.name})" in page.read_text() for page in PAGES)
    assert picture.stat().st_size <= MOST_BYTES
    if picture.suffix == ".svg":
        assert re.findall(r"(?:url\(|href=)[\"']?http", picture.read_text()) == []
    else:
        assert Image.open(picture).width >= 900


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site, built as ``make docs`` builds it."""
    folder = tmp_path_factory.mktemp("site")
    command = [Path(sys.executable).with_name("mkdocs"), "build", "--quiet", "--strict", "--site-dir", folder]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_site_is_built_strictly_and_loads_nothing_from_elsewhere(site):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) >= len(DOCS)
    for page in pages:
        loaded = LOADED.findall(page.read_text())
        assert [address for address in loaded if re.match(r"(https?:)?//", address)] == [], page
    assert '"title":' in (site / "search" / "search_index.js").read_text()


def test_the_reference_has_every_key_command_and_route(site, tmp_path):
    read = {path.stem: path.read_text() for path in (site / "reference").glob("*.html")}
    config = "".join(text for name, text in read.items() if name.startswith("config"))
    schema = StudySpec.model_json_schema()
    for name in schema["properties"]:
        assert f"<code>{name}" in config, name
    for model in ("TrialConfig", "OptimizerConfig", "SearchSpec", "DataConfig", "FinalistsSpec"):
        for name in schema["$defs"][model]["properties"]:
            assert re.search(rf"<code>[\w.]+\.{name}</code>", config), (model, name)
    commands = "".join(text for name, text in read.items() if name.startswith("commands"))
    for name, command in get_command(app).commands.items():
        assert f'<h2 id="{name}' in commands, name
        for option in (opt for one in command.params for opt in one.opts if opt.startswith("--")):
            assert option in commands, (name, option)
    for path in make_app(ServiceSettings(home=tmp_path)).openapi()["paths"]:
        assert path in read["api"], path


def test_27_every_module_that_finds_mistakes_has_its_messages_in_the_docs():
    pages = "".join((REPOSITORY / "docs" / name).read_text(encoding="utf-8") for name in messages.PAGES)
    finders = [
        path
        for package in ("search_service", "trainables")
        for path in (REPOSITORY / package).rglob("*.py")
        if re.search(r"\bProblem\(", path.read_text(encoding="utf-8")) and path.name != "errors.py"
    ]
    assert len(finders) > 40
    assert [path.stem for path in finders if f"`{path.stem}` |" not in pages] == []


def test_27_of_each_line_that_finds_a_mistake_the_shortest_message_is_in_the_docs():
    said = [
        messages.Said("trainables/data/a.py", 7, "data.source", "/tmp/pytest-1/t0/table.csv", "a | b", "mend it"),
        messages.Said(
            "trainables/data/a.py", 7, "data.source", "/tmp/pytest-1/t0/a-longer-one.csv", "a | b", "mend it"
        ),
        messages.Said("search_service/b.py", 1, "STUDY", "digits-20261130-010203-ab12", "over", "wait"),
    ]
    pages = dict(messages.pages(said))
    assert (
        pages["errors_of_tables.md"].splitlines()[-1] == "| `data.source` | `…/table.csv` | a \\| b | mend it | `a` |"
    )
    assert pages["errors.md"].splitlines()[-1] == "| `STUDY` | `digits-…` | over | wait | `b` |"
    assert [len(page.splitlines()) for page in pages.values()] == [7, 7]
