"""Makes the reference pages: every key of a config, every command, every route of the service.

They are read off the pydantic models, the command line's own parsers and the service's OpenAPI document, so that they
cannot fall behind. ``hooks.py`` puts them into the site; to look at them without it:

    python docs/tools/reference.py FOLDER
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from typer.main import get_command

from search_service.cli.commands import app
from search_service.service.app import make_app
from search_service.service.settings import ServiceSettings
from search_service.spec.study_spec import StudySpec

# Modules of commands -> page, title, and what they are for.
COMMANDS = {
    "studies": ("Commands that run studies", ("study_commands", "ui_command", "report_command")),
    "checking": ("Commands that check", ("checking_commands",)),
    "models": ("Commands that use a model", ("model_commands",)),
    "service": ("Commands of the service", ("service_commands", "admin_commands")),
}
# Of a JSON Schema, beside the type: what a number or a text may be.
BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def pages() -> dict[str, str]:
    """Every generated page of the site, by its place."""
    made = {f"reference/{name}.md": text for name, text in config_pages()}
    made |= {
        f"reference/commands-{name}.md": command_page(title, modules) for name, (title, modules) in COMMANDS.items()
    }
    document = openapi()
    made["reference/api.md"] = api_page(document)
    made["reference/openapi.json"] = json.dumps(document, indent=1)
    return made


def config_pages() -> Iterator[tuple[str, str]]:
    """A page for ``data``, one for ``trial``, one for all other keys."""
    schema = StudySpec.model_json_schema()
    rest = [name for name in schema["properties"] if name not in ("data", "trial")]
    about = {
        "data": (
            "Config: data",
            ["data"],
            "Where the table comes from, what its columns are, and how rows are divided.",
        ),
        "trial": ("Config: trial", ["trial"], "The network and how it is trained. Every number can be searched over."),
        "study": (
            "Config: everything else",
            rest,
            "The study as a whole: its name, what is searched, budgets, the last act.",
        ),
    }
    for page, (title, names, text) in about.items():
        lines = [f"# {title}", "", text, ""]
        for name in names:
            lines += _section(name, schema["properties"][name], schema["$defs"], name in schema.get("required", []))
        yield f"config-{page}", "\n".join(lines) + "\n"


def _section(path: str, schema: Mapping[str, Any], defs: Mapping[str, Any], required: bool = False) -> list[str]:
    """A key: a section with a table of its keys, or a table of one."""
    model = _model(schema, defs)
    if model is None:
        return [*_heading(path), *_row(path, schema, defs, required), ""]
    head = [f"## `{path}`", "", _sentence(model.get("description", "")), ""]
    rows, below = [], []
    for name, of in model["properties"].items():
        inner = _model(of, defs)
        if inner is None:
            rows += _row(f"{path}.{name}", of, defs, name in model.get("required", []))
        else:
            below += _section(f"{path}.{name}", of, defs)
    return [*head, *(_table() + rows if rows else []), "", *below]


def _heading(path: str) -> list[str]:
    return [f"## `{path}`", "", *_table()]


def _table() -> list[str]:
    return ["| key | value | default | meaning |", "| --- | --- | --- | --- |"]


def _row(path: str, schema: Mapping[str, Any], defs: Mapping[str, Any], required: bool) -> list[str]:
    default = "must be given" if required else f"`{json.dumps(schema['default'])}`" if "default" in schema else ""
    cells = (f"`{path}`", _value(schema, defs), default, _sentence(schema.get("description", "")))
    return ["| " + " | ".join(map(_escaped, cells)) + " |"]


def _model(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The section that a key stands for, if it is one."""
    reference = schema.get("$ref") or next((part["$ref"] for part in schema.get("allOf", []) if "$ref" in part), None)
    found = defs[reference.rsplit("/", 1)[1]] if reference else None
    return found if found and "properties" in found else None


def _value(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> str:
    """What a key may be, in words."""
    if "$ref" in schema:
        found = defs[schema["$ref"].rsplit("/", 1)[1]]
        return "a section" if "properties" in found else _value(found, defs)
    if "anyOf" in schema or "oneOf" in schema:
        parts = [_value(part, defs) for part in schema.get("anyOf", schema.get("oneOf"))]
        return ", or ".join(dict.fromkeys(parts))
    if "const" in schema or "enum" in schema:
        return " · ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    kind = schema.get("type", "anything")
    if kind == "array":
        items = schema.get("items", {})
        return f"list of {_value(items, defs)}" if items else "list"
    if kind == "object":
        inner = schema.get("additionalProperties")
        return f"keys, each with {_value(inner, defs)}" if isinstance(inner, dict) and inner else "keys and values"
    words = {
        "number": "number",
        "integer": "whole number",
        "string": "text",
        "boolean": "`true` · `false`",
        "null": "`null`",
    }
    bounds = [f"{sign} {schema[key]:g}" for key, sign in BOUNDS.items() if isinstance(schema.get(key), int | float)]
    return words.get(kind, kind) + (f" {', '.join(bounds)}" if bounds else "")


def command_page(title: str, modules: tuple[str, ...]) -> str:
    """Commands of some modules, with their arguments and options."""
    lines = [f"# {title}", ""]
    for name, command in get_command(app).commands.items():
        lines += _command(name, command, modules)
    return "\n".join(lines) + "\n"


def _command(name: str, command: Any, modules: tuple[str, ...]) -> list[str]:
    """One command; of a group, those below it."""
    if hasattr(command, "commands"):
        return [
            line for below, inner in command.commands.items() for line in _command(f"{name} {below}", inner, modules)
        ]
    if command.callback.__module__.rsplit(".", 1)[1] not in modules:
        return []
    context = command.make_context(name, [], resilient_parsing=True)
    usage = " ".join(["search-service", name, *command.collect_usage_pieces(context)])
    lines = [f"## {name}", "", _sentence(command.help or ""), "", "```text", usage, "```", ""]
    records = [one.get_help_record(context) for one in command.params]
    if any(records):
        lines += ["| argument or option | meaning |", "| --- | --- |"]
    for called, text in filter(None, records):
        cells = (f"`{_escaped(called)}`", _escaped(_sentence(text)))
        lines.append(f"| {cells[0]} | {cells[1]} |")
    return [*lines, ""]


def _escaped(text: str) -> str:
    """In a cell of a table."""
    return text.replace("|", "\\|")


def openapi() -> dict[str, Any]:
    """The service's document, of a service that listens nowhere."""
    with tempfile.TemporaryDirectory() as folder:
        return make_app(ServiceSettings(home=Path(folder))).openapi()


def api_page(document: Mapping[str, Any]) -> str:
    """The routes, with what each takes and answers."""
    lines = ["# The service's API", "", _sentence(document["info"]["description"].split("\n\n")[0]), ""]
    lines += [
        "The whole document is [openapi.json](openapi.json). "
        "A running service has it at `/openapi.json`, and a page of it at `/docs`.",
        "",
    ]
    lines += ["| route | what it does | answers |", "| --- | --- | --- |"]
    for path, methods in document["paths"].items():
        for method, of in methods.items():
            answers = ", ".join(sorted(of["responses"]))
            what = _sentence((of.get("description") or of.get("summary") or "").split("\n\n")[0])
            lines.append(f"| `{method.upper()} {path}` | {what} | {answers} |")
    return "\n".join(lines) + "\n"


def _sentence(text: str) -> str:
    """A docstring or description as one line; what looks like a tag is text."""
    return " ".join(text.replace("``", "`").split()).replace("<", "&lt;")


if __name__ == "__main__":
    for place, content in pages().items():
        target = Path(sys.argv[1]) / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, encoding="utf-8")
