"""A page of a study as one HTML file: no network, no other files, nothing to install.

``page.html``, ``page.css`` and the scripts beside this module are the page; what it shows is put into it as JSON, once.
Its content security policy names the hashes of its own style and script and forbids everything else, so that nothing
of what it shows can run or load anything; the script puts every text in as text.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

from search_service.report.documents import finite
from search_service.report.page.document import PAGE_VERSION, ReportPage
from trainables.visible import visible, visible_lines

# Joined in this order: what is drawn with, then what draws, last what puts it on the page.
SCRIPTS = ("basics.js", "charts.js", "search.js", "parallel.js", "trials.js", "judged.js", "finalists.js", "page.js")

# The policy that a page begins with: before it stands nothing of what the page shows. No other kind is believed.
_POLICY = re.compile(
    r'<meta http-equiv="Content-Security-Policy" content="'
    r"(default-src 'none'; style-src 'sha256-[\w+/=]+'; script-src 'sha256-[\w+/=]+'; img-src data:; "
    r"base-uri 'none'; form-action 'none')\">"
)


def render(page: ReportPage) -> str:
    """The whole file.

    Args:
        page: What it shows.
    """
    return render_document(finite(page.model_dump(mode="json")))


def render_recorded(text: str) -> str:
    """The same of a document as the record has it.

    Args:
        text: What ``model_dump_json`` of a ``ReportPage`` gave.

    Raises:
        ValueError: It is no such document, or of a version that this one does not know.
    """
    document = json.loads(text)
    version = document.get("page_version") if isinstance(document, dict) else None
    if version != PAGE_VERSION:
        raise ValueError(f"page_version is {version}, and has to be {PAGE_VERSION}")
    return render_document(document)


def render_document(document: dict[str, Any]) -> str:
    """The same of plain data, which no longer holds what JSON has no word for."""
    template, style, script = _parts()
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    filled = {
        "title": html.escape(visible(f"{document['study']['name']}: {document['headline']['title']}")),
        "policy": policy,
        "style": style,
        "script": script,
        "data": for_script(_seen(document)),
    }
    # Cut at its places first: what is put in is not looked through for further places.
    pieces = template.split("{{")
    return pieces[0] + "".join(filled[name] + rest for name, _, rest in (piece.partition("}}") for piece in pieces[1:]))


def policy_of(page: str) -> str | None:
    """The content security policy of a page that ``render`` has made, for whoever sends it as a header too.

    Args:
        page: The whole file, also of an earlier version.

    Returns:
        The policy; None if the page has none of this kind.
    """
    found = _POLICY.search(page, 0, 2_000)
    return None if found is None else found[1]


def for_script(data: Any) -> str:
    """JSON that cannot end the script element in which it stands, and reads back the same."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@cache
def _parts() -> tuple[str, str, str]:
    """The template, the style and the script."""
    folder = files(__package__)
    read = {name: folder.joinpath(name).read_text(encoding="utf-8") for name in ("page.html", "page.css", *SCRIPTS)}
    script = '"use strict";\n(() => {\n' + "\n".join(read[name] for name in SCRIPTS) + "})();\n"
    return read["page.html"], read["page.css"], script


def _hash(text: str) -> str:
    """As a policy names an inline element."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _seen(value: Any) -> Any:
    """With every text such that nothing in it is hidden or turns the direction of what follows."""
    if isinstance(value, str):
        return visible_lines(value)
    if isinstance(value, dict):
        return {visible_lines(key): _seen(inner) for key, inner in value.items()}
    return [_seen(inner) for inner in value] if isinstance(value, list) else value
