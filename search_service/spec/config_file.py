"""A study's YAML or JSON file, and ``--set`` on top of it, to a StudySpec.

YAML here is the subset that a config needs: numbers as YAML 1.2 and every programming language write them (``1e-3``
is a number), ``yes`` and ``no`` are words, dates are words, a key may stand once, and there are no aliases (330 bytes
of them can unfold to 52 MB). A config is data: no tag can make an object.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from search_service.errors import InvalidSpecError, Problem
from search_service.spec import study_spec as spec_module
from search_service.spec.search_space import ChoicesSpec, RangeSpec
from search_service.spec.study_spec import StudySpec
from trainables.data.locations import BUNDLED, OPENML, is_url
from trainables.errors import DataError

# The largest config that a person would write has a few KB; more is a mistake or an attack.
MAX_BYTES = 256 * 1024


# What a study sizes itself by, and the keys by section that say how large it is otherwise.
MINUTES = "search.minutes"
SIZES = {"search": ("coarse", "refined", "max_cycles", "time_budget_s"), "finalists": ("top", "seeds")}
# Behind a key: its list has these values, too.
MORE = "+"
# Keys of the section data that name tables.
PLACES = ("source", "train", "validation", "test")


# Of a key such as 2019, which a column may be called.
_NO_WORD = "a key must be a word"


class _Loader(yaml.SafeLoader):
    """SafeLoader without aliases and duplicate keys, with YAML 1.2 scalars."""

    # A copy, emptied: the parent's resolvers read 1e-3 as text, no as False and 2026-01-01 as a date.
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (PyYAML's own class attribute)

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.constructor.ConstructorError(None, None, "aliases (*name) are not allowed", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(None, None, _NO_WORD, key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


# tag -> (what a scalar of this kind looks like, the characters that it can begin with)
_SCALARS = {
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "int": (r"[-+]?[0-9]+", list("-+0123456789")),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
}
for _kind, (_pattern, _first) in _SCALARS.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(f"^(?:{_pattern})$"), _first)


def _construct_int(loader: _Loader, node: Any) -> int:
    # Base 10 always: YAML 1.1 reads 010 as 8.
    return int(node.value)


_Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)


def load(path: Path | str, overrides: Sequence[str] = ()) -> StudySpec:
    """Read a config file.

    Args:
        path: A path of YAML, or of JSON, which is YAML too. Relative paths of data files are relative to it.
        overrides: ``key=value`` each, with a dotted key and the value as YAML, applied in order; ``key+=[value]``
            adds to a list.

    Raises:
        InvalidSpecError: Every mistake found.
    """
    return spec_module.parse(load_plain(Path(path), overrides))


def load_plain(path: Path, overrides: Sequence[str] = ()) -> Any:
    """A config file as plain data, unchecked; arguments and errors as of ``load``."""
    return _with_paths_from(overridden(read(path), overrides), path.parent)


def overridden(raw: Any, overrides: Sequence[str]) -> Any:
    """Plain data of a config, changed in its place by ``key=value`` each.

    Minutes that are given so take the place of the numbers of the config that minutes decide.

    Raises:
        InvalidSpecError: One is not of that form.
    """
    for section, key in replaced_by_minutes(raw, overrides):
        raw[section].pop(key)
    for override in overrides:
        _override(raw, override)
    return raw


def assigned(override: str) -> str:
    """A change as ``key=value``, also where it is written as messages and configs have it, ``key: value``."""
    key, colon, value = override.partition(": ")
    if colon and "=" not in key:
        return f"{key.strip()}={value.strip()}"
    key, equals, value = override.partition("=")
    return f"{key.strip()}{equals}{value}"


def replaced_in(path: Path, overrides: Sequence[str]) -> list[tuple[str, str]]:
    """Section and key of what a config file says that minutes among its changes take the place of."""
    return replaced_by_minutes(read(path), overrides) if _has_minutes(overrides) else []


def replaced_by_minutes(raw: Any, overrides: Sequence[str]) -> list[tuple[str, str]]:
    """The same of a config's plain data."""
    if not _has_minutes(overrides) or not isinstance(raw, dict):
        return []
    sections = {name: raw[name] for name in SIZES if isinstance(raw.get(name), dict)}
    return [(name, key) for name, section in sections.items() for key in SIZES[name] if key in section]


def _has_minutes(overrides: Sequence[str]) -> bool:
    return any(assigned(override).partition("=")[0] == MINUTES for override in overrides)


def local_files(raw: Any) -> dict[str, Path]:
    """Files of this machine that a config's plain data names, by key of its section ``data``."""
    data = raw.get("data") if isinstance(raw, dict) else None
    if not isinstance(data, dict):
        return {}
    given = {place: data[place] for place in PLACES if isinstance(data.get(place), str) and data[place]}
    return {
        place: Path(value)
        for place, value in given.items()
        # A set that is bundled is meant, as by ``run``, whatever lies beside.
        if not is_url(value) and value not in BUNDLED and Path(value).is_file()
    }


def require_local_files(raw: Any) -> None:
    """See to it that the files of this machine that a config's plain data names by a relative path are there.

    Raises:
        InvalidSpecError: One is not; nobody else would know where it is.
    """
    data, problems = raw.get("data") if isinstance(raw, dict) else None, []
    for place in PLACES:
        value = data.get(place) if isinstance(data, dict) else None
        if not isinstance(value, str) or value in BUNDLED or is_url(value) or value.startswith((OPENML, "dataset:")):
            continue
        path = Path(value)
        if not path.is_absolute() and (path.suffix or "/" in value) and not path.exists():
            rule = f"an existing file; it was looked for at {path.absolute()}"
            fix = "check the path; a table of the cluster is named by its full path"
            problems.append(Problem(f"data.{place}", value, rule, fix))
    if problems:
        raise InvalidSpecError(problems)


def with_frames_written(config: Mapping[str, Any], folder: Path) -> Mapping[str, Any]:
    """A config in which tables in memory, standing where one is named, are files in ``folder``.

    Raises:
        InvalidSpecError: What stands there is no table.
    """
    data = config.get("data")
    given = {place: data.get(place) for place in PLACES} if isinstance(data, Mapping) else {}
    frames_of = {place: table for place, table in given.items() if not isinstance(table, str | os.PathLike | None)}
    if not isinstance(data, Mapping) or not frames_of:
        return config
    # pandas takes a while, and few have one.
    from trainables.data import frames

    try:
        files = {
            place: str(frames.write(frames.as_table(table)[0], folder, place)) for place, table in frames_of.items()
        }
    except DataError as error:
        raise InvalidSpecError(error.problems) from error
    return {**config, "data": {**data, **files}}


def read(path: Path) -> Any:
    """The plain data of a config file.

    Raises:
        InvalidSpecError: It cannot be read.
    """
    shown = str(path)
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            rule = f"at most {MAX_BYTES // 1024} KB"
            raise InvalidSpecError([Problem(shown, f"{size} bytes", rule, "is this the config, or the data?")])
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        rule = f"an existing file, or a bundled set: {', '.join(BUNDLED)}"
        raise InvalidSpecError([Problem("CONFIG", shown, rule, "check the path")]) from error
    except UnicodeDecodeError as error:
        fix = f"save it as UTF-8; byte {error.start + 1} is none of it"
        raise InvalidSpecError([Problem("CONFIG", shown, "a text file in UTF-8", fix)]) from error
    except OSError as error:
        fix = f"mend this first: {error.strerror}"
        raise InvalidSpecError([Problem("CONFIG", shown, "a readable text file", fix)]) from error
    return read_text(text, shown)


def read_text(text: str, where: str) -> Any:
    """The plain data of a config's text.

    Args:
        text: YAML or JSON.
        where: What the text is, for messages.

    Raises:
        InvalidSpecError: It is neither.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark, fix = getattr(error, "problem_mark", None), "mend this line"
        reason = getattr(error, "problem", None) or (
            "nested too deeply" if isinstance(error, RecursionError) else str(error)
        )
        if "<stream end>" in reason and (began := getattr(error, "context_mark", None)) is not None:
            # Where it is missed is behind the last line.
            mark, reason, fix = began, "what begins here has no end", "close it: a } or ] or a quote is missing"
        elif "'\\t'" in reason:
            reason, fix = "a tab", "write spaces in its place: YAML knows no others at the beginning of a line"
        elif reason == _NO_WORD:
            fix = 'write it in quotes, as in "2019": numeric'
        line = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise InvalidSpecError([Problem(where + line, reason, "readable YAML or JSON", fix)]) from error


# Characters that stand raw in JSON, and that YAML takes for a line's end or refuses.
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")


def plain(value: Any, path: str = "") -> Any:
    """A config from Python as the plain data that a file would give: paths are text, NumPy's numbers are numbers.

    Args:
        value: The config, or what stands under one of its keys.
        path: That key.

    Raises:
        InvalidSpecError: Something is nothing that a file could hold; names its key.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(part, f"{path}.{key}" if path else str(key)) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part, f"{path}.{at}" if path else str(at)) for at, part in enumerate(value)]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if type(value).__module__ == "numpy":
        # numpy takes a while to import, and whoever has its numbers has done so.
        return plain(value.tolist(), path)
    if isinstance(value, float) and not math.isfinite(value):
        # JSON, in which a config travels to a service, has no letters for it.
        raise InvalidSpecError([Problem(path or "value", repr(value), "a finite number", "give a number, or null")])
    if value is None or isinstance(value, str | bool | int | float):
        return value
    rule = "text, a number, true, false, null, a list or a mapping"
    raise InvalidSpecError([Problem(path or "value", repr(value)[:80], rule, "write it as one of these")])


def written(value: Any, key: str = "") -> str:
    """A value as ``read_text`` reads it back: JSON, with an escape for each of ``_NOT_IN_YAML``.

    Raises:
        InvalidSpecError: It is nothing that a file could hold; names its key.
    """
    text = json.dumps(plain(value, key), ensure_ascii=False)
    return _NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def as_yaml(plain: Mapping[str, Any], indent: str = "") -> str:
    """Plain data of a config as a file that ``read_text`` reads back: a key a line, sections indented.

    >>> print(as_yaml({"name": "digits", "trial": {"network": {"hidden_sizes": [64, 64]}}}), end="")
    name: "digits"
    trial:
      network:
        hidden_sizes: [64, 64]
    """
    lines = []
    for key, value in plain.items():
        shown = key if _PLAIN_KEY.fullmatch(key) else written(key)
        if isinstance(value, Mapping) and value:
            lines.append(f"{indent}{shown}:\n{as_yaml(value, indent + '  ')}")
        else:
            lines.append(f"{indent}{shown}: {written(value)}\n")
    return "".join(lines)


def to_run_again(spec: StudySpec) -> str:
    """The config of a study as a file: what was asked, with the files of its table by their whole paths."""
    plain = spec.model_dump(mode="json", exclude_unset=True)
    for place in PLACES:
        value = plain["data"].get(place)
        if isinstance(value, str) and value not in BUNDLED and Path(value).exists():
            plain["data"][place] = str(Path(value).absolute())
    return f"# search-service run config.yaml\n{as_yaml(plain)}"


# What needs no quotes, and is none of YAML's words for other things.
_PLAIN_KEY = re.compile(r"(?!(?:true|True|TRUE|false|False|FALSE|null|Null|NULL)$)[A-Za-z_][A-Za-z0-9_.]*")


# Marks that a value may consist of.
_MARKS = frozenset(",|>*&%@`!?-:;#")


def _override(raw: Any, override: str) -> None:
    """Apply one ``key=value``; the key's parents are made where they are missing."""
    key, equals, text = assigned(override).partition("=")
    if not equals or not key or not isinstance(raw, dict):
        rule, fix = "key=value with a dotted key", "for example --set search.coarse.max_trials=8"
        raise InvalidSpecError([Problem("--set", override, rule, fix)])
    # What YAML has a meaning for may be meant as it stands: data.csv.decimal_point=, and data.csv.delimiter=|
    value = text if text in _MARKS else read_text(text, f"--set {key}")
    inner = raw
    *parents, last = _parts(key.removesuffix(MORE))
    for parent in parents:
        inner = inner.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise InvalidSpecError([Problem("--set", override, "a key inside keys", f"{key} passes through a value")])
    present = inner.get(last)
    if key.endswith(MORE) and present is not None:
        # What is no list stays as it is, to be told so.
        further = value if isinstance(value, list) else [value]  # Not the letters of a name.
        value = [*present, *(one for one in further if one not in present)] if isinstance(present, list) else present
    inner[last] = value


def _parts(key: str) -> list[str]:
    """Keys on the way to a dotted key; leaves of the search space have dots of their own."""
    section, _, leaf = key.partition(".")
    if section != "search_space" or not leaf:
        return key.split(".")
    leaf, _, condition = leaf.partition(".when.")
    if condition:
        return [section, leaf, "when", condition]
    leaf, _, last = leaf.rpartition(".")
    if leaf and last in {*RangeSpec.model_fields, *ChoicesSpec.model_fields}:
        return [section, leaf, last]
    return [section, key.removeprefix("search_space.")]


def _with_paths_from(raw: Any, folder: Path) -> Any:
    """Data files of the config, relative to the folder that it lies in."""
    if not isinstance(raw, dict) or not isinstance(raw.get("data"), dict):
        return raw
    data = dict(raw["data"])
    for place in PLACES:
        value = data.get(place)
        if not isinstance(value, str) or not value or value in BUNDLED or value.startswith(OPENML) or is_url(value):
            continue
        place_here = folder / Path(value).expanduser()
        # A word that is no file or folder here is more likely the name of a bundled set, misspelt.
        if Path(value).suffix or "/" in value or place_here.exists():
            data[place] = str(place_here)
    return raw | {"data": data}
