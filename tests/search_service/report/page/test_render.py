"""The file of a page: closed to everything but its own script and style, whatever names it shows."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from search_service.report.page import document
from search_service.report.page.render import policy_of, render, render_recorded
from tests import pages


class Elements(HTMLParser):
    """Elements with their attributes, and the content of each script and style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict]] = []
        self.contents: list[tuple[str, dict, str]] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        self._inside = tag

    def handle_data(self, text):
        if self._inside in ("script", "style", "title"):
            self.contents.append((self._inside, self.found[-1][1], text))
            self._inside = ""


@pytest.fixture(scope="module")
def completed(tmp_path_factory):
    return pages.tell(pages.SPEC, tmp_path_factory.mktemp("completed"))


@pytest.fixture(scope="module")
def hostile(completed):
    return pages.page_of(pages.hostile(completed))


def test_c8_only_the_page_s_own_script_and_style_may_run_and_nothing_is_fetched(completed):
    text = render(pages.page_of(completed))
    elements = Elements(text)
    (policy,) = [a["content"] for tag, a in elements.found if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    # Nothing is named that a browser would fetch.
    for tag, attributes in elements.found:
        for name in ("src", "href", "action", "data", "srcset", "poster"):
            assert attributes.get(name, "#").startswith(("#", "data:,")), (tag, attributes)
        assert not any(name.startswith("on") or name == "style" for name in attributes), (tag, attributes)
    code = [content for tag, attributes, content in elements.contents if tag == "script" and "type" not in attributes]
    style = [content for tag, _, content in elements.contents if tag == "style"]
    for content in (*code, *style):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
        # The name of SVG is no address.
        others = content.replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|@import|url\(|fetch\(|XMLHttpRequest|import\(", others)
        # What puts text in as anything but text, or has the policy's refusal.
        assert not re.search(r"innerHTML|outerHTML\s*=|insertAdjacentHTML|document\.write|eval\(|new Function", content)
    assert (len(code), len(style)) == (1, 1)


def test_c8_names_cannot_leave_the_place_where_they_stand(hostile):
    text = render(hostile)
    elements = Elements(text)
    assert [tag for tag, _ in elements.found].count("script") == 2
    assert "img" not in [tag for tag, _ in elements.found]
    assert "\u2028" not in text and "\u202e" not in text and "\x1b" not in text
    (data,) = [c for tag, attributes, c in elements.contents if tag == "script" and attributes.get("id") == "document"]
    shown = json.loads(data, parse_constant=pytest.fail)
    assert pages.HOSTILE[0] in shown["warnings"]
    assert pages.HOSTILE[3] in shown["warnings"]
    assert shown["warnings"][4].startswith("\\u202e")
    assert pages.HOSTILE[6] in shown["warnings"]


def test_c8_the_policy_of_a_page_is_read_from_its_head_alone(hostile):
    text = render(hostile)
    policy = policy_of(text)
    assert f'content="{policy}"' in text
    assert "unsafe" not in policy
    # What a study shows, further down, is no policy.
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    assert policy_of(text.replace(meta, "", 1) + meta) is None
    assert policy_of(text.replace("script-src 'sha256-", "script-src 'unsafe-inline' 'sha256-", 1)) is None


def test_c8_a_recorded_document_gives_the_same_file(completed, hostile):
    for page in (pages.page_of(completed), hostile):
        assert render_recorded(page.model_dump_json()) == render(page)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"page_version": 99}', "<html>"])
def test_c8_what_is_no_such_document_is_refused(text):
    with pytest.raises(ValueError):
        render_recorded(text)


def test_c8_pages_of_large_studies_have_at_most_a_megabyte(completed):
    for trials, epochs in ((500, 100), (10_000, 20)):
        page = pages.page_of(pages.with_trials(completed, trials, epochs))
        assert document.MOST_BYTES / 3 < len(render(page).encode()) <= 1_000_000
