"""The service's pages in a real browser: the list of studies, and the page that follows one while it runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests import pages
from tests.browser.conftest import SIZES
from tests.services import ADMIN, end_jobs, serving, until

# So many trials that it is still searching when somebody comes to stop it.
LONG = pages.SPEC | {"name": "long", "search": {"coarse": {"max_trials": 4_000, "max_epochs": 9}, "max_cycles": 1}}
LONG |= {"finalists": {"top": 1, "seeds": 2}}
# Until a job has started and checked: against hanging only, also where others use the machine.
PATIENCE_S = 240
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator:
    """A real one, with one study that has failed and one that runs until it is stopped."""
    home = tmp_path_factory.mktemp("home")
    with serving(home, mlflow_link="http://127.0.0.1:5000", requests_per_minute=10**5) as client:
        try:
            submitted = [pages.ZERO_WEIGHTS | {"name": "zero-weights"}, LONG]
            ids = [client.post("/api/v1/studies", json=config).json()["id"] for config in submitted]
            client.failed, client.running = ids
            yield client
        finally:
            end_jobs(home)


def standing(service, study: str) -> dict:
    return service.get(f"/api/v1/studies/{study}").json()


@pytest.fixture
def visit(browser, service) -> Iterator[Callable[..., Page]]:
    """Opens an address of the service; at the end, no page has complained or asked for anything of anybody else's."""
    trouble: list[str] = []

    def open_page(path: str, size: str = "desktop", scheme: str = "light", at: str | None = None) -> Page:
        width, height = SIZES[size]
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        page = context.new_page()
        base = at or str(service.base_url).rstrip("/")
        # What is answered with an error (a token that is asked for) is told by the page.
        page.on("console", lambda m: "Failed to load resource" in m.text or trouble.append(f"{m.type}: {m.text}"))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("request", lambda r: r.url.startswith((base, "data:")) or trouble.append(r.url))
        page.goto(f"{base}{path}")
        return page

    yield open_page
    for context in browser.contexts:
        context.close()
    assert trouble == []


def wider_than(page: Page, width: int) -> list[str]:
    """What stands out at the right."""
    return page.evaluate(
        """width => [...document.querySelectorAll('main *, header *')]
        .filter(node => !node.closest('thead') || getComputedStyle(node.closest('thead')).position !== 'absolute')
        .filter(node => node.getBoundingClientRect().right > width + 1).map(node => node.outerHTML.slice(0, 200))""",
        width,
    )


def nameless(page: Page) -> list[str]:
    return page.evaluate(
        """() => [...document.querySelectorAll('button, select, input, a, progress, [role=img], [tabindex]')]
        .filter(node => !(node.getAttribute('aria-label') || node.getAttribute('aria-labelledby')
            || node.textContent.trim() || (node.labels && node.labels.length)))
        .map(node => node.outerHTML.slice(0, 200))"""
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_f36_the_list_shows_state_reason_score_and_link_without_scrolling_sideways(
    service, visit, screenshots, size, scheme
):
    until(lambda: standing(service, service.failed)["state"] == "failed", PATIENCE_S)
    until(lambda: standing(service, service.running)["best_score"] is not None, PATIENCE_S)
    page = visit("/", size, scheme)
    width = SIZES[size][0]
    failed = page.locator(f'[data-study="{service.failed}"]')
    expect(failed.get_by_role("link", name=service.failed, exact=True)).to_be_visible()
    # The whole reason, with what to do: it was cut at its first semicolon.
    reason = standing(service, service.failed)["reason"]
    assert "To do" in reason
    expect(failed.get_by_text(reason)).to_be_visible()
    running = page.locator(f'[data-study="{service.running}"]')
    expect(running).to_contain_text("searching")
    expect(running).to_contain_text(re.compile(r"\d+ of 4000"))
    expect(running.get_by_text(re.compile(r"^[\d.]+ accuracy$"))).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert wider_than(page, width) == []
    assert nameless(page) == []
    page.screenshot(path=screenshots / f"service-list-{size}-{scheme}.png", full_page=True)


def test_f37_the_list_is_filtered_by_state_and_name_and_the_filter_stands_in_the_address(service, visit):
    until(lambda: standing(service, service.failed)["state"] == "failed", PATIENCE_S)
    page = visit("/")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(2)
    page.get_by_label("State").select_option("failed")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text(service.failed)
    page.get_by_label("State").select_option(label="under way")
    expect(rows).to_contain_text([service.running])
    page.get_by_label("State").select_option("completed")
    expect(page.get_by_text("No study is like that.")).to_be_visible()
    page.get_by_label("State").select_option(label="all")
    page.get_by_label("Name contains").press_sequentially("ZERO")
    expect(rows).to_have_count(1)
    assert page.url.endswith("/?name=ZERO")
    page.reload()
    expect(rows).to_contain_text([service.failed])
    expect(page.get_by_label("Name contains")).to_have_value("ZERO")


def test_f37_by_keyboard_from_the_filter_into_the_list_and_to_a_study(service, visit):
    until(lambda: standing(service, service.running)["trials"] > 0, PATIENCE_S)
    page = visit("/")
    page.wait_for_selector("tbody tr")
    page.get_by_label("Name contains").focus()
    page.keyboard.press("Tab")
    focused = page.evaluate("document.activeElement.textContent")
    assert focused == service.running
    # Its row is made anew with every trial; the focus stays.
    shown = page.locator(f'[data-study="{service.running}"] .number').first.text_content()
    expect(page.locator(f'[data-study="{service.running}"] .number').first).not_to_have_text(shown)
    assert page.evaluate("document.activeElement.textContent") == focused
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/studies/{service.running}")
    expect(page.get_by_role("heading", level=1)).to_have_text(service.running)


def test_f35_a_study_that_is_over_opens_as_its_report(service, visit):
    until(lambda: standing(service, service.failed)["state"] == "failed", PATIENCE_S)
    page = visit("/")
    page.get_by_role("link", name=service.failed, exact=True).click()
    expect(page.locator("#verdict .headline")).to_contain_text("No model")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_f35_a_running_study_is_followed_on_its_page(service, visit, screenshots, size, scheme):
    until(lambda: standing(service, service.running)["trials"] >= 10, PATIENCE_S)
    page = visit(f"/studies/{service.running}", size, scheme)
    steps = page.locator("#strip li")
    expect(steps).to_have_count(7)
    for number in range(3):
        expect(steps.nth(number)).to_contain_text("passed")
    expect(steps.nth(3)).to_have_attribute("aria-current", "step")
    said = page.locator("#rounds")
    expect(steps.nth(3)).to_contain_text(re.compile(r"under way\d+ of 4000 trials"))
    expect(said).to_contain_text(re.compile(r"\d+ of 4000 trials · \d+ of at most 36000 epochs"))
    marks = page.locator("#history .trial")
    expect(marks.nth(9)).to_be_attached()
    before = marks.count()
    # It goes on while one looks.
    expect(marks.nth(before)).to_be_attached()
    expect(page.locator("#log")).to_contain_text("is the best so far")
    expect(page.get_by_role("link", name="MLflow run")).to_have_attribute("href", re.compile("experiments/.*/runs/"))
    width = SIZES[size][0]
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert wider_than(page, width) == []
    assert nameless(page) == []
    page.screenshot(path=screenshots / f"service-study-{size}-{scheme}.png", full_page=True)


def test_f37_stop_on_its_page_ends_a_study_well_and_the_page_becomes_the_report(service, visit, screenshots):
    """The last one: it ends the study that the others look at."""
    page = visit(f"/studies/{service.running}")
    stop = page.get_by_role("button", name="Stop: finish well")
    expect(stop).to_be_enabled()
    expect(page.get_by_role("button", name="Resume")).to_be_disabled()
    stop.focus()
    page.keyboard.press("Enter")
    expect(stop).to_be_disabled()
    expect(page.locator("#state")).to_have_text("stopping")
    page.wait_for_selector("#verdict", timeout=120_000)
    assert standing(service, service.running)["state"] == "completed"
    expect(page.locator("#verdict .headline")).to_be_visible()
    page.screenshot(path=screenshots / "service-report-desktop-light.png")


@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_21_what_is_over_is_extended_from_the_list(service, visit, screenshots, size):
    """After the test before it, whose study has ended."""
    before = service.get("/api/v1/studies").json()["total"]
    page = visit("/", size, "light" if size == "desktop" else "dark")
    assert page.get_by_role("button", name=f"Extend {service.failed}").count() == 0
    page.get_by_role("button", name=f"Extend {service.running}").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(service.running)
    page.screenshot(path=screenshots / f"service-extend-{size}.png")
    dialog.get_by_label("How much more").fill("1")
    dialog.get_by_label("Of what").select_option("trials")
    dialog.get_by_role("button", name="Extend").click()
    expect(dialog.get_by_role("alert")).to_contain_text(
        "trials: 2 or more: a coarse and a refined round of one trial each; give it more"
    )
    dialog.get_by_role("button", name="Leave it").click()
    expect(dialog).to_be_hidden()
    page.get_by_role("button", name=f"Extend {service.running}").click()
    dialog.get_by_label("How much more").fill("4")
    dialog.get_by_role("button", name="Extend").click()
    page.wait_for_url(re.compile(r"/studies/long-(?!.*/)"))
    expect(page.locator("#id")).not_to_have_text(service.running)
    (new,) = (
        one for one in service.get("/api/v1/studies").json()["items"] if one["id"] == page.locator("#id").inner_text()
    )
    assert service.get("/api/v1/studies").json()["total"] == before + 1
    until(lambda: standing(service, new["id"])["state"] == "completed", PATIENCE_S)
    assert standing(service, new["id"])["trials"] == standing(service, service.running)["trials"] + 4
    assert service.delete(f"/api/v1/studies/{new['id']}").status_code == 204


def test_d7_a_page_that_needs_a_token_asks_for_it_and_opens_the_report_with_it(tmp_path, visit):
    with serving(tmp_path, admin_token=ADMIN, requests_per_minute=10**5) as guarded:
        study = guarded.post("/api/v1/studies", json=pages.ZERO_WEIGHTS).json()["id"]
        until(lambda: standing(guarded, study)["state"] == "failed", PATIENCE_S)
        page = visit(f"/studies/{study}", at=str(guarded.base_url).rstrip("/"))
        field = page.get_by_label("Token")
        field.fill("sst_wrong")
        field.press("Enter")
        expect(page.get_by_role("alert").filter(has_text="not known")).to_be_visible()
        expect(page.locator("#study")).to_be_hidden()
        field.fill(ADMIN)
        field.press("Enter")
        expect(page.locator("#verdict .headline")).to_contain_text("No model")


def test_what_a_study_tells_is_text_and_never_markup(visit):
    page = visit("/")
    made = page.evaluate(
        """async (text) => {
            const { Story } = await import('/page/story.js'), { history } = await import('/page/history.js');
            const { element, link } = await import('/page/shared.js');
            const story = new Story();
            story.metric = text;
            story.hear('trial_finished', { trial: text, round: 1, status: 'completed', score: 0.5, epochs: 1 });
            const svg = history(story, 300), made = element('p', {}, text, link('x', 'javascript:alert(1)'));
            return [svg.querySelectorAll('img').length, made.innerHTML, story.now];
        }""",
        HOSTILE,
    )
    assert made == [0, "&lt;img src=x onerror=alert(1)&gt;", f"Trial {HOSTILE} is the best so far: {HOSTILE} 0.5."]
