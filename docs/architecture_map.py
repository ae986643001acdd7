"""Writes the map of docs/architecture.md: the layers of pyproject.toml, and what each room says of itself.

python docs/architecture_map.py    # after a room has come, gone, or says something else of itself
"""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PAGE = REPOSITORY / "docs" / "architecture.md"
BEGIN, END = "<!-- map: python docs/architecture_map.py -->\n", "<!-- end of the map -->\n"


def layers(container: str) -> list[list[str]]:
    """The layers of a package, topmost first, with the modules of each."""
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    for contract in settings["tool"]["importlinter"]["contracts"]:
        if contract.get("containers") == [container]:
            return [layer.split(" | ") for layer in contract["layers"]]
    raise KeyError(container)


def sentence(module: str) -> str:
    """The first sentence that a module says of itself."""
    path = REPOSITORY / module.replace(".", "/")
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8")))
    assert text is not None, module
    return " ".join(text.split("\n\n")[0].split())


def drawn() -> str:
    """The map, as Markdown."""
    lines = [f"| layer of `{(package := 'search_service')}` | what it is |", "| --- | --- |"]
    for layer in layers(package):
        lines += [f"| `{name}` | {sentence(f'{package}.{name}')} |" for name in layer if not name.startswith("__")]
    return "\n".join(lines) + "\n"


def with_map(page: str) -> str:
    """A page with the map as it is now."""
    before, rest = page.split(BEGIN)
    return before + BEGIN + drawn() + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(with_map(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
