"""A real browser, and pages of studies in it. Collected with ``pytest --browser`` alone (``make test-browser``)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from search_service.records.events import Event
from search_service.report.page.render import render
from tests import pages

# The distribution's, in the order looked for.
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
SIZES = {"desktop": (1400, 900), "phone": (390, 844)}


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, without a window: that of the variable CHROMIUM, or the distribution's."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    assert found, f"no Chromium: install one ({', '.join(NAMES)}), or name its program in the variable CHROMIUM"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures of pages are kept, to be looked at: the variable SCREENSHOTS, or pytest's own folder."""
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def studies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Event]]:
    """Studies by how they ended."""
    asked = {"completed": pages.SPEC, "step-1": pages.ZERO_WEIGHTS, "step-3": pages.ABSURD_RATES}
    told = {name: pages.tell(spec, tmp_path_factory.mktemp(name)) for name, spec in asked.items()}
    told["nothing-finite"] = pages.tell(pages.NOTHING_FINITE, tmp_path_factory.mktemp("nothing"))
    told["interrupted"] = pages.tell(pages.SPEC, tmp_path_factory.mktemp("interrupted"), trials=3)
    told["hostile"] = pages.hostile(told["completed"])
    told["large"] = pages.with_trials(told["completed"], 1_000, 45)
    return told


@pytest.fixture(scope="session")
def files(studies: dict[str, list[Event]], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The page of each."""
    folder = tmp_path_factory.mktemp("pages")
    for name, events in studies.items():
        (folder / f"{name}.html").write_text(render(pages.page_of(events)), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in studies}


@pytest.fixture
def opened(browser: Browser, files: dict[str, Path]) -> Iterator[Callable[..., Page]]:
    """Opens a page; at the end, none has complained or asked for anything."""
    trouble: list[str] = []

    def open_page(name: str, size: str = "desktop", scheme: str = "light") -> Page:
        width, height = SIZES[size]
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        page = context.new_page()
        page.on("console", lambda message: trouble.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        address = files[name].as_uri()
        page.on("request", lambda request: request.url.split("#")[0] != address and trouble.append(request.url))
        page.goto(address)
        page.wait_for_selector("#again")
        return page

    yield open_page
    for context in browser.contexts:
        context.close()
    assert trouble == []
