"""pydantic's errors as problems that a person can mend: path, value, rule, fix and the nearest valid name."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from search_service.spec.other_words import ELSEWHERE, MEANINGS
from trainables.errors import Problem

# Parts of an error's location that name a branch of a union and no key of the config.
_BRANCHES = {"int", "constrained-int", "bool", "float", "constrained-float", "str", "none"}

# pydantic's error type -> rule, with the error's context filled in.
_RULES: Mapping[str, str] = {
    "missing": "required",
    "greater_than": "a number above {gt:g}",
    "greater_than_equal": "a number of at least {ge:g}",
    "less_than": "a number below {lt:g}",
    "less_than_equal": "a number of at most {le:g}",
    "finite_number": "a finite number",
    "float_type": "a number",
    "float_parsing": "a number",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "keys and values",
    "model_type": "keys and values",
    "model_attributes_type": "keys and values",
    "literal_error": "one of: {expected}",
    "string_pattern_mismatch": "a name of letters, digits, _ . and -, at most 64 characters",
    "string_too_short": "at least {min_length} characters",
    "string_too_long": "at most {max_length} characters",
    "too_short": "at least {min_length} values",
    "too_long": "at most {max_length} values",
}


# Our own rules -> what to do.
_FIXES: Mapping[str, str] = {
    "not_applicable": "change one of the two",
    "batch_of_one": "raise batch_size, or set network.normalization: none",
    "no_name": "choose another name",
    "one_mark": "change one of the two",
    "no_number": "remove them, or write kind: numeric",
    "one_source": "remove one of the two",
    "files_without_train": "write train in the place of source",
    "no_training_rows": "lower one of the two",
    "split_without_column": "name the column, or remove split",
    "split_against_column": "remove split, or the column",
    "two_divisions": "remove one of the two",
    "two_roles": "leave it one of them",
    "too_large": "make a layer smaller",
}


# Key -> what to do, where the rule alone would not say it.
_EXAMPLES: Mapping[str, str] = {"finalists.folds": "give a number from 2 to 20, or null for none"}


def nearest(word: str, names: Iterable[str]) -> str | None:
    """A suggestion like ``did you mean optimizer.lr?``, if a name is close enough in meaning or letters."""
    names = list(names)
    word = word.lower().replace("-", "_").replace(" ", "_")
    meant = (word, MEANINGS.get(word, word))
    close = [name for name in names if name in meant or name.endswith(f".{meant[1]}")]
    close = close or difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    # lr is far from optimizer.lr in letters and near in meaning.
    close = close or [name for name in names if name.split(".")[-1] == word.rsplit(".", maxsplit=1)[-1]]
    return f"did you mean {close[0]}?" if close else None


def problems_of(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """One problem for each mistake; several complaints about one value (a union's branches) become one."""
    problems: dict[str, Problem] = {}
    for details in error.errors(include_url=False):
        problem = _to_problem(_location(details), details, model)
        if problem.path in problems:
            seen = problems[problem.path]
            rule = seen.rule if problem.rule in seen.rule else f"{seen.rule}, or {problem.rule}"
            fix = seen.fix if seen.fix.startswith("write") else f"give {rule}"
            problem = Problem(seen.path, seen.value, rule, fix)
        problems[problem.path] = problem
    return list(problems.values())


def _location(details: ErrorDetails) -> list[Any]:
    """The error's place as keys of the config: without the names of a union's branches."""
    parts = list(details["loc"])
    if parts[:1] == ["search_space"]:
        # search_space, the leaf, then which kind of range its value was taken for.
        del parts[2:3]
    if details["type"] != "extra_forbidden":
        kinds = ("tuple[", "literal[", "constrained-tuple", "nullable")
        parts = [part for part in parts if part not in _BRANCHES and not str(part).startswith(kinds)]
    return parts or ["(the whole config)"]


def _to_problem(location: list[Any], details: ErrorDetails, model: type[BaseModel]) -> Problem:
    kind, context = details["type"], details.get("ctx", {})
    path = ".".join(str(part) for part in location)
    if kind == "extra_forbidden":
        *parents, last = location
        names = _keys_at(parents, model)
        if last in names:
            # A key of the other kind of range.
            return Problem(path, details["input"], "low and high, or choices, not both", "remove one of the two")
        fix = (
            # By another name it may be a key of this very place.
            (nearest(str(last), names) if MEANINGS.get(str(last)) in names else None)
            or ELSEWHERE.get((str(location[0]), str(last)))
            or ELSEWHERE.get(("", str(last)))
            or nearest(str(last), names)
            or (f"one of: {', '.join(names)}" if names else "remove it")
        )
        where = ".".join(str(part) for part in parents) or "a study"
        return Problem(path, details["input"], f"no key of {where} is called {last}", fix)
    if kind == "missing":
        return Problem(path, None, "required", "add it")
    if kind in _RULES:
        rule = _RULES[kind].format(**context)
        if details["input"] is None and not (kind == "string_type" and isinstance(location[-1], int)):
            return Problem(path, None, rule, "fill it in, or remove the line")
        expected = context.get("expected")
        suggestion = (
            nearest(str(details["input"]), expected.replace("'", "").replace(" or ", ", ").split(", "))
            if expected
            else None
        )
        return Problem(
            path,
            details["input"],
            rule,
            suggestion
            or _EXAMPLES.get(path)
            or _in_quotes(kind, details["input"])
            or _example(kind, path, details["input"])
            or f"give {rule}",
        )
    # Our own rules (PydanticCustomError) say what to do in the message itself.
    given = details["input"]
    if isinstance(given, dict):
        # Of a whole section, the keys that it is about.
        meant = {key: value for key, value in given.items() if re.search(rf"\b{re.escape(key)}\b", details["msg"])}
        given = meant or given
    return Problem(path, given, details["msg"], _FIXES.get(kind, "mend it"))


def _in_quotes(kind: str, given: Any) -> str | None:
    """What was taken for a number, a truth or nothing as the text that it has to be: a column may be called 3."""
    is_plain = kind == "string_type" and isinstance(given, int | float | None)
    return f'write it in quotes: "{json.dumps(given)}"' if is_plain else None


def _example(kind: str, path: str, given: Any) -> str | None:
    """What was given as it would have to be written, where that can be told."""
    if isinstance(given, bool | dict):
        return None
    if kind == "string_type" and isinstance(given, list) and len(given) == 1 and isinstance(given[0], str):
        return f"write {given[0]}"
    if kind in ("tuple_type", "list_type") and isinstance(given, str | int | float):
        return f"write [{_in_list(path, given)}]"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        if path.startswith("search_space."):
            return _range_of(given)
        if isinstance(given, str) and path in ("trial.optimizer", "trial.schedule"):
            return f"write {path}.name: {given}"
    return None


def _range_of(given: Any) -> str:
    """A list as a range or as choices; of anything else, what such look like."""
    ends = given if isinstance(given, list) else []
    if len(ends) == 2 and all(isinstance(end, int | float) for end in ends):
        ends = sorted(ends)
        return f"write {{low: {ends[0]:g}, high: {ends[1]:g}}}, or {{choices: [{ends[0]:g}, {ends[1]:g}]}}"
    if len(ends) > 1 and all(isinstance(end, str | int | float) for end in ends):
        return f"write {{choices: [{', '.join(map(str, ends))}]}}"
    return "give keys and values, such as {low: 0.001, high: 0.1, log: true} or {choices: [1, 2]}"


def _in_list(path: str, given: str | float) -> str:
    """A value as YAML reads it in a list: ? and * by themselves are signs of its own, and -999 is a number."""
    is_text = path in ("data.drop", "data.csv.null_values") or (path.endswith("null_values") and isinstance(given, str))
    if is_text and re.fullmatch(r"[\w ]+(,[\w ]+)+", str(given)):
        # More likely several, as on a command line, than one that has commas.
        return ", ".join(_in_list(path, one.strip()) for one in str(given).split(","))
    is_word = re.fullmatch(r"[A-Za-z_][\w ]*", str(given)) is not None
    return json.dumps(str(given), ensure_ascii=False) if is_text and not is_word else str(given)


def _keys_at(parents: list[Any], model: type[BaseModel]) -> list[str]:
    """Keys that the config may have under ``parents``."""
    if len(parents) > 1 and parents[0] == "search_space":
        # Its own keys are leaves of the trial; under each, those of a range.
        ranges = _models_in(model.model_fields["search_space"].annotation)
        return sorted({name for kind in ranges for name in kind.model_fields})
    known: Any = model
    for part in parents:
        # The keys of a mapping are anybody's (a column's name); under each is what its values are.
        known = known.model_fields[part].annotation if hasattr(known, "model_fields") else _models_in(known)[0]
    return list(known.model_fields)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """Every model mentioned in an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]
