"""What MkDocs does beside its own work: pages from outside of docs/, generated ones, and links that hold everywhere.

On GitHub a page of docs/ links ``../README.md`` or ``../configs/01_digits.yaml``, and the README ``docs/data.md``. In
the site the README is the first page, some other files of the repository are pages, and whatever else is linked comes
along as a file. Every link is resolved in the repository and written anew for the site; one that leads nowhere stays as
it is, and the strict build refuses it. Reference pages are made by ``reference.py`` at each build, and stand in no
folder.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

import reference
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

REPOSITORY = Path(__file__).resolve().parents[2]
# Files of the repository that are pages of the site.
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "reporting.md",
}
IN_REPOSITORY = {page: path for path, page in PAGES.items()}
# Where files come that are no pages.
FILES = "files"
# Code is left as it is: in fences, in lines of four blanks, and within backquotes.
CODE = re.compile(r"(^```.*?^```|^    .*?$|`[^`\n]*`)", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(\]\()([^()\s]+)(\))")
ELSEWHERE = ("http://", "https://", "mailto:", "#")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from outside of docs/ and the generated ones."""
    for path, page in PAGES.items():
        files.append(File.generated(config, page, content=(REPOSITORY / path).read_text(encoding="utf-8")))
    for page, text in reference.pages().items():
        files.append(File.generated(config, page, content=text))
    for path in sorted(_linked(files)):
        files.append(File.generated(config, f"{FILES}/{path}", abs_src_path=str(REPOSITORY / path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Write a page's links anew."""
    here = page.file.src_uri
    source = _in_repository(here)

    def anew(match: re.Match[str]) -> str:
        target, sign, anchor = match[2].partition("#")
        path = _resolved(source, target) if target and not match[2].startswith(ELSEWHERE) else None
        if path is None:
            return match[0]
        return match[1] + posixpath.relpath(_in_site(path), posixpath.dirname(here) or ".") + sign + anchor + match[3]

    parts = CODE.split(markdown)
    return "".join(part if i % 2 else LINK.sub(anew, part) for i, part in enumerate(parts))


def _linked(files: Files) -> set[str]:
    """Files outside of docs/ that pages link, by their paths in the repository."""
    found = set()
    for file in files.documentation_pages():
        source = _in_repository(file.src_uri)
        for match in LINK.finditer("".join(CODE.split(file.content_string)[::2])):
            if not match[2].startswith(ELSEWHERE):
                path = _resolved(source, match[2].partition("#")[0])
                if path and _in_site(path).startswith(FILES + "/"):
                    found.add(path)
    return found


def _in_repository(page: str) -> str:
    """Where a page of the site stands in the repository."""
    return IN_REPOSITORY.get(page, f"docs/{page}")


def _resolved(source: str, target: str) -> str | None:
    """The repository's file that a link of another one means; None where there is none."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    return path if (REPOSITORY / path).is_file() else None


def _in_site(path: str) -> str:
    """Where a file of the repository is in the site."""
    if path in PAGES:
        return PAGES[path]
    return path.removeprefix("docs/") if path.startswith("docs/") else f"{FILES}/{path}"
