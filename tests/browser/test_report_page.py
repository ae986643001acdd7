"""The page of a study in a real browser: what a person sees, points at, clicks and reaches by keyboard."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

from tests import pages

ENDS = ("completed", "step-1", "step-3", "nothing-finite", "interrupted", "hostile", "large")
# What is drawn once the browser has laid the page out, and drawn again for a new width.
MARKS = "#search .trial:visible"


def data_of(page) -> dict:
    return json.loads(page.locator("#document").text_content())


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_c8_a_page_stands_in_both_schemes_and_fits_on_a_phone(opened, screenshots, name, scheme):
    for size, width in (("desktop", 1400), ("phone", 390)):
        page = opened(name, size, scheme)
        assert page.evaluate("document.documentElement.scrollWidth") == width
        # What can be scrolled by itself may be wider; nothing else is.
        wider = page.evaluate(
            """width => [...document.querySelectorAll('main *, header *')]
            .filter(node => !node.closest('.scroll, .trials, pre, details:not([open])'))
            .filter(node => node.getBoundingClientRect().right > width + 1)
            .map(node => node.outerHTML.slice(0, 200))""",
            width,
        )
        assert wider == []
        page.screenshot(path=screenshots / f"{name}-{size}-{scheme}.png", full_page=True)


def test_c8_the_first_screen_answers_did_it_work_how_good_and_was_it_worth_it(opened):
    for size in ("desktop", "phone"):
        page = opened("completed", size)
        headline = data_of(page)["headline"]
        for text in (headline["title"], headline["worth"], headline["interval"], headline["sentences"][0]):
            shown = page.locator("#verdict").get_by_text(text).first
            expect(shown).to_be_in_viewport()


@pytest.mark.parametrize(("name", "step"), [("step-1", "1 initial loss"), ("step-3", "3 learning rates")])
def test_c8_a_study_that_failed_says_where_and_what_to_do_on_the_first_screen(opened, name, step):
    page = opened(name)
    expect(page.locator("#verdict .headline")).to_contain_text("No model")
    tile = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=re.compile(step)))
    expect(tile).to_contain_text("not passed")
    expect(tile).to_contain_text("To do")


def test_c8_pointing_at_a_trial_marks_it_in_every_picture_and_says_what_it_is(opened):
    page = opened("completed")
    mark = page.locator("#search .chart").first.locator(".trial").nth(3)
    trial = mark.get_attribute("data-trial")
    mark.hover()
    tip = page.get_by_role("tooltip")
    expect(tip).to_be_visible()
    expect(tip).to_contain_text("accuracy")
    shown = re.match(r"(r\d+-\d+):", tip.text_content())[1]
    # Two trials may lie on each other: then either is meant.
    assert page.locator(f'.trial.is-linked[data-trial="{shown}"]').count() >= 3
    assert page.locator(".trial.is-linked").count() == page.locator(f'.trial[data-trial="{shown}"]').count()
    assert shown == trial or mark.bounding_box()
    page.mouse.move(2, 2)
    expect(tip).to_be_hidden()


def test_c8_a_click_opens_the_trial_s_curve_and_configuration(opened, screenshots):
    page = opened("completed")
    page.locator("#search .chart").first.locator(".trial").nth(2).click()
    panel = page.get_by_role("complementary")
    expect(panel).to_be_visible()
    trial = next(t for t in data_of(page)["trials"] if f"Trial {t['id']}" == panel.locator("h2").text_content())
    for leaf in trial["values"]:
        expect(panel).to_contain_text(leaf)
    expect(panel.locator("svg path.line")).to_have_count(3)
    page.screenshot(path=screenshots / "panel-desktop-light.png")
    panel.get_by_role("button", name="Close").click()
    expect(panel).to_be_hidden()


def test_c8_what_ended_in_a_way_that_is_switched_off_is_shown_nowhere(opened):
    page = opened("large")
    before = page.locator(MARKS).count()
    box = page.get_by_role("checkbox", name=re.compile("stopped early"))
    box.uncheck()
    assert page.locator(".trial.is-pruned:visible").count() == 0
    assert 0 < page.locator(MARKS).count() < before
    # A new width draws everything anew.
    page.set_viewport_size({"width": 900, "height": 900})
    page.wait_for_function("document.querySelector('#search svg').getAttribute('width') < 900")
    page.wait_for_function("!document.querySelector('.trial.is-pruned:not([hidden])')")
    box.check()
    assert page.locator(MARKS).count() == before


def test_c8_trials_and_brushes_are_reached_by_keyboard(opened):
    page = opened("completed")
    group = page.get_by_role("group", name=re.compile("in the order of their end"))
    # One stop of Tab in each picture.
    assert group.locator('.trial[tabindex="0"]').count() == 1
    page.get_by_role("checkbox").last.focus()
    page.keyboard.press("Tab")
    first = page.evaluate("document.activeElement.dataset.trial")
    page.keyboard.press("ArrowRight")
    second = page.evaluate("document.activeElement.dataset.trial")
    assert first and second and first != second
    expect(page.get_by_role("tooltip")).to_contain_text(second)
    page.keyboard.press("Enter")
    expect(page.get_by_role("complementary", name=f"Trial {second}")).to_be_focused()
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.dataset.trial") == second


def test_c8_a_brush_keeps_the_trials_that_pass_through_it(opened):
    page = opened("completed")
    total = len(data_of(page)["trials"])
    handle = page.get_by_role("slider", name="accuracy, lower end of the brush")
    handle.focus()
    for _ in range(3):
        page.keyboard.press("Shift+ArrowUp")
    status = page.get_by_role("status")
    kept = int(re.match(r"(\d+) of", status.text_content())[1])
    assert 0 < kept < total
    assert page.locator("#search .chart").first.locator(".trial.is-out").count() == total - kept
    page.get_by_role("button", name="Clear brushes").click()
    expect(status).to_contain_text(f"{total} of {total}")
    assert page.locator(".trial.is-out").count() == 0
    # The same by pointer: a drag along the first axis.
    page.locator(".grab").first.scroll_into_view_if_needed()
    box = page.locator(".grab").first.bounding_box()
    page.mouse.move(box["x"] + 9, box["y"] + 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 9, box["y"] + box["height"] / 3, steps=4)
    page.mouse.up()
    expect(status).to_contain_text("by the brushes")
    expect(page.get_by_role("complementary")).to_be_hidden()


@pytest.mark.parametrize("name", ["completed", "step-1"])
def test_c8_everything_that_can_be_used_has_a_name(opened, name):
    page = opened(name)
    for details in page.locator("summary").all():
        details.click()
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('button, select, input, a, summary, section, [tabindex], [role]')]
        .filter(node => !node.hidden && node.id !== 'panel' && node.id !== 'tip')
        .filter(node => !(node.getAttribute('aria-label') || node.getAttribute('aria-labelledby')
            || node.textContent.trim() || node.closest('label')?.textContent.trim()))
        .map(node => node.outerHTML.slice(0, 200))"""
    )
    assert nameless == []
    roles = page.locator("body").aria_snapshot()
    assert not re.search(r"- (button|checkbox|combobox|slider|link|img)(:|$)", roles, re.MULTILINE)
    assert page.locator("h1").count() == 1


def test_c8_hostile_names_are_text_and_nothing_else(opened):
    page = opened("hostile")
    assert "broken out" not in page.title()
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 2
    for name in (pages.HOSTILE[0], pages.HOSTILE[1], pages.HOSTILE[3], pages.HOSTILE[6]):
        expect(page.locator("#data ul").get_by_text(name, exact=True).first).to_be_attached()
    # A turned direction is shown as what it is.
    expect(page.locator("section#data")).to_contain_text("\\u202eright to left\\u202c")


def contrast(page, first: str, second: str) -> float:
    """Of two of the page's colours, by WCAG 2.2."""
    return page.evaluate(
        """([first, second]) => {
        const luminance = (name) => {
            const hex = getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim();
            const parts = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255)
                .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
            return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
        };
        const [a, b] = [luminance(first), luminance(second)].sort((p, q) => q - p);
        return (a + 0.05) / (b + 0.05);
    }""",
        [first, second],
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_c8_marks_and_texts_stand_out_in_both_schemes(opened, scheme):
    page = opened("step-1", scheme=scheme)
    texts = ("text", "quiet", "good", "bad", "unsure", "link", "first", "second", "third", "fourth", "fifth")
    for colour in texts:
        assert contrast(page, colour, "page") >= 4.5, colour
    for colour in ("text", "quiet", "unsure", "link"):
        assert contrast(page, colour, "card") >= 4.5, colour
    for colour in ("completed", "pruned", "diverged", "failed", "edge"):
        assert contrast(page, colour, "page") >= 3, colour


def test_c8_a_large_study_is_on_the_screen_within_seconds(opened):
    page = opened("large")
    spent = page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
    # Milliseconds; with room for a loaded machine.
    assert spent < 10_000
    assert page.locator("#search .chart").first.locator(".trial").count() == len(data_of(page)["trials"])


def test_e1_what_is_said_at_a_columns_values_is_drawn_with_a_mark_for_each_value(opened):
    for size in ("desktop", "phone"):
        page = opened("completed", size)
        asked = data_of(page)["study"]["best"]["partial_dependences"]
        assert asked
        figures = page.locator("#columns figure")
        expect(figures).to_have_count(len(asked))
        for one, figure in zip(asked, figures.all(), strict=True):
            expect(figure.locator("figcaption")).to_have_text(one["column"])
            expect(figure.locator("circle")).to_have_count(len(one["values"]) * len(one["means"]))
            # Who cannot see it hears each value.
            description = figure.locator("svg").get_attribute("aria-label")
            assert description.startswith(f"{one['column']}: ")
            assert description.count("; ") == len(one["values"]) - 1


def test_e1_days_and_times_of_day_are_written_as_such(opened):
    page = opened("hostile")
    described = [svg.get_attribute("aria-label") for svg in page.locator("#columns figure svg").all()]
    (when,) = (text for text in described if text.startswith("when: "))
    (clock,) = (text for text in described if text.startswith("clock: "))
    assert "when: 1999-12-31: " in when
    assert "; 2024-02-29: " in when
    assert "clock: 08:30: " in clock
