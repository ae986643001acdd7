"""What can be wrong with the ranges of a search space, each by itself and between them.

Whether a value may stand in a leaf, TrialConfig says; here is what ranges add: bounds, conditions, layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from search_service.errors import Problem
from search_service.space.layers import DEPTH, MOST, SIZES, WIDTH, as_numbers, in_config, is_of_layers, value_in
from search_service.space.ranges import Choices, can_draw, is_one_of
from search_service.spec.problems import nearest, problems_of
from search_service.spec.search_space import (
    LEARNING_RATE,
    AskedRanges,
    ChoicesSpec,
    RangeSpec,
    is_whole,
    searchable,
    to_range,
)
from trainables.choices import APPLIES_TO
from trainables.config import TrialConfig, accepts_fractions, is_number


def problems_of_ranges(asked: AskedRanges) -> list[Problem]:
    """Mistakes in the ranges, each by itself and between them."""
    problems = [p for leaf, given in asked.search_space.items() for p in _problems_of_range(asked, leaf, given)]
    return problems + _problems_of_layers(asked) + _problems_of_circles(asked)


def problems_of_nesting(search_space: Any) -> list[Problem]:
    """Leaves of the search space have dotted names; nested keys would be read as a range without bounds."""
    sections = {leaf.split(".")[0] for leaf in searchable() if "." in leaf}
    problems = []
    for key, value in search_space.items() if isinstance(search_space, dict) else ():
        if key == "trial" and isinstance(value, dict) and not {"low", "high", "choices"} & value.keys():
            # As in the section of that name, which none of the leaves begins with.
            inner = [problem.fix for problem in problems_of_nesting(value)]
            fix = inner[0] if inner else f"write {next(iter(value), 'batch_size')}: ..."
            problems.append(Problem("search_space.trial", value, "leaves by dotted path", f"{fix}, without trial"))
        if key in sections and isinstance(value, dict):
            leaves = [leaf for leaf in searchable() if leaf.startswith(f"{key}.")]
            meant = [f"{key}.{inner}" for inner in value if f"{key}.{inner}" in leaves] or leaves
            problems.append(Problem(f"search_space.{key}", value, "leaves by dotted path", f"write {meant[0]}: ..."))
    return problems


def _problems_of_range(asked: AskedRanges, leaf: str, given: RangeSpec | ChoicesSpec) -> list[Problem]:
    path = f"search_space.{leaf}"
    leaves = searchable()
    if leaf not in leaves:
        fix = nearest(leaf, leaves) or f"one of: {', '.join(leaves)}"
        return [Problem(path, leaf, "a leaf of trial that can be searched", fix)]
    choice, having = APPLIES_TO.get(leaf, ("", frozenset()))
    if choice and not asked.possible(choice) & having:
        names = " or ".join(sorted(having))
        return [
            Problem(
                path, leaf, f"used when {choice} is {names}", f"set trial.{choice}, search it, or remove this range"
            )
        ]
    if isinstance(given, ChoicesSpec):
        problems = _problems_of_choices(path, leaf, given)
    else:
        problems = _problems_of_bounds(path, leaf, given)
    return problems + [p for condition in given.when for p in _problems_of_condition(asked, leaf, given, condition)]


def _problems_of_condition(
    asked: AskedRanges, leaf: str, given: RangeSpec | ChoicesSpec, condition: str
) -> list[Problem]:
    """One leaf that a range's ``when`` names, and the values that it allows there."""
    path, allowed = f"search_space.{leaf}.when.{condition}", given.when[condition]
    names = [name for name in searchable() if name not in (leaf, WIDTH)]
    layered = {DEPTH, WIDTH} & asked.search_space.keys()
    if condition == WIDTH or (condition == SIZES and layered):
        rule = f"a leaf with one value in a trial; here the layers are searched as {DEPTH} and {WIDTH}"
        return [Problem(path, condition, rule, f"name {DEPTH}, or remove the condition")]
    if condition not in names:
        fix = nearest(condition, names) or f"one of: {', '.join(names)}"
        rule = "another leaf, since a range cannot depend on itself" if condition == leaf else "a leaf of trial"
        return [Problem(path, condition, rule, "remove it" if condition == leaf else fix)]
    choice, having = APPLIES_TO.get(leaf, ("", frozenset()))
    if choice == condition and (unfit := [value for value in allowed if value not in having]):
        rule = f"values with which {leaf} is used: {' or '.join(sorted(having))}"
        return [Problem(path, _shown(unfit), rule, "leave out the others")]
    if condition in asked.search_space or condition == LEARNING_RATE:
        return _problems_of_allowed(asked, path, condition, allowed)
    fixed = value_in(asked.trial, condition)
    if is_one_of(fixed, allowed):
        return []
    rule = f"also {fixed}, which {condition} is in every trial: it is not searched, so this range would never be used"
    return [Problem(path, _shown(allowed), rule, f"search {condition}, or change it in trial")]


def _problems_of_allowed(asked: AskedRanges, path: str, condition: str, allowed: Sequence[Any]) -> list[Problem]:
    """Values that a searched leaf has to be able to take."""
    searched = asked.search_space.get(condition)
    if searched is None or (isinstance(searched, RangeSpec) and not is_whole(condition) and searched.step is None):
        rule = f"a leaf with choices, a step or whole numbers: {condition} never takes one value of a range exactly"
        return [Problem(path, _shown(allowed), rule, f"give {condition} choices or a step, or remove the condition")]
    range_ = to_range(condition, searched)
    otherwise = [value_in(asked.trial, condition)] if searched.when else []
    never = [value for value in allowed if not can_draw(range_, value) and not is_one_of(value, otherwise)]
    rule = f"values that {condition} can take: {range_}"
    choices = [str(choice) for choice in range_.choices] if isinstance(range_, Choices) else []
    fix = nearest(str(never[0]), choices) if never else None
    return [Problem(path, _shown(never), rule, fix or "leave out the others")] if never else []


def _shown(allowed: Sequence[Any]) -> Any:
    return allowed[0] if len(allowed) == 1 else list(allowed)


def _problems_of_circles(asked: AskedRanges) -> list[Problem]:
    """Ranges each of which would have to be drawn before the other."""
    before = {
        leaf: {choice for choice in (*given.when, APPLIES_TO.get(leaf, ("",))[0]) if choice in asked.search_space}
        - {leaf}
        for leaf, given in asked.search_space.items()
    }
    # What can be drawn is taken away until nothing changes; what is left waits for itself.
    while ready := {leaf for leaf, waits in before.items() if not waits & before.keys()}:
        before = {leaf: waits for leaf, waits in before.items() if leaf not in ready}
    # Of those, the ones that only wait for the circle are no mistake.
    while beside := before.keys() - {choice for waits in before.values() for choice in waits}:
        before = {leaf: waits for leaf, waits in before.items() if leaf not in beside}
    if not before:
        return []
    leaf = min(name for name in before if asked.search_space[name].when)
    rule = f"conditions without a circle: {' and '.join(sorted(before))} wait for each other"
    return [
        Problem(f"search_space.{leaf}.when", _shown(list(asked.search_space[leaf].when)), rule, "remove one of them")
    ]


def _problems_of_layers(asked: AskedRanges) -> list[Problem]:
    """``network.depth`` and ``network.width`` beside what the trial has."""
    depth, width = asked.search_space.get(DEPTH), asked.search_space.get(WIDTH)
    if depth is None and width is None:
        return []
    path = f"search_space.{DEPTH if depth is not None else WIDTH}"
    if SIZES in asked.search_space:
        rule = f"no range beside search_space.{SIZES}: both say what the layers are"
        return [Problem(path, DEPTH if depth is not None else WIDTH, rule, "remove one of the two")]
    sizes = asked.trial.network.hidden_sizes
    if not sizes and (depth is None or width is None or width.when):
        rule = "used when the trial has hidden layers: a linear model has no width to go by"
        return [Problem(path, list(sizes), rule, f"set trial.{SIZES}, or search {DEPTH} and {WIDTH}")]
    widest = max(_largest(width), max(sizes, default=1))
    deepest = max(_largest(depth), len(sizes) if depth is None or depth.when else 1)
    if widest > MOST[WIDTH] or deepest > MOST[DEPTH]:
        return []  # Has a problem of its own.
    try:
        TrialConfig().replace({SIZES: (widest,) * deepest})
    except ValidationError as error:
        (problem,) = problems_of(error, TrialConfig)
        return [Problem(path, f"{deepest} layers of {widest}", problem.rule, "lower one of the two")]
    return []


def _largest(given: RangeSpec | ChoicesSpec | None) -> int:
    """The largest value of a range of layers; 1 if there is none, or if it is none."""
    values = () if given is None else given.choices if isinstance(given, ChoicesSpec) else (given.high,)
    return max((int(value) for value in values if isinstance(value, (int, float))), default=1)


def problems_of_point(asked: AskedRanges, path: str, point: Mapping[str, Any]) -> list[Problem]:
    """A configuration to be tried first has to be one that the search could draw."""
    ranges = asked.ranges()
    layered = {DEPTH, WIDTH} & ranges.keys()
    names = list(dict.fromkeys([*ranges, LEARNING_RATE, *([SIZES] if layered else [])]))
    problems = []
    for leaf, value in point.items():
        here = f"{path}.{leaf}"
        if leaf not in names:
            fix = nearest(leaf, names) or f"one of: {', '.join(names)}; or search it too"
            problems.append(Problem(here, leaf, "a leaf that is searched", fix))
        elif leaf not in ranges:
            problems += (
                _problems_of_sizes(asked, here, value) if leaf == SIZES else _problems_of_value(here, leaf, value)
            )
        elif isinstance(value, bool) or not can_draw(ranges[leaf], value):
            rule = f"within search_space.{leaf}: {ranges[leaf]}"
            problems.append(Problem(here, _plain(value), rule, "change it, or widen the range"))
        else:
            problems += _problems_of_place(asked, here, leaf, point)
    if SIZES in point and layered & point.keys():
        rule = f"no {SIZES} beside {' and '.join(sorted(layered & point.keys()))}: both say what the layers are"
        problems.append(Problem(f"{path}.{SIZES}", _plain(point[SIZES]), rule, "remove one of the two"))
    return problems


def _problems_of_sizes(asked: AskedRanges, path: str, sizes: Any) -> list[Problem]:
    """Hidden layers of a point, where depth and width are searched."""
    wrong = _problems_of_value(path, SIZES, sizes)
    if wrong:
        return wrong
    space, numbers = asked.space(), as_numbers(sizes)
    # What is not searched is as in the trial.
    own = in_config({leaf: value for leaf, value in numbers.items() if leaf in space}, asked.trial)
    outside = [leaf for leaf, value in numbers.items() if leaf in space and not can_draw(space[leaf], value)]
    if not outside and own.get(SIZES, asked.trial[SIZES]) == sizes:
        return []
    ranges = {leaf: range_ for leaf, range_ in asked.ranges().items() if is_of_layers(leaf)}
    rule = f"layers within {' and '.join(f'{leaf} {range_}' for leaf, range_ in ranges.items())}"
    rule += "" if len(ranges) == 2 else "; the rest is as in trial"
    return [Problem(path, list(sizes), rule, "change it, or widen the range")]


def _problems_of_place(asked: AskedRanges, path: str, leaf: str, point: Mapping[str, Any]) -> list[Problem]:
    """A leaf of a point with a condition needs what it depends on to be given, and to be right."""
    choice, having = APPLIES_TO.get(leaf, ("", frozenset()))
    needed = dict(asked.search_space[leaf].when)
    needed |= {choice: tuple(sorted(having))} if choice and choice not in needed else {}
    known = {**point, **(as_numbers(point[SIZES]) if isinstance(point.get(SIZES), tuple) else {})}
    problems = []
    for name, allowed in needed.items():
        if name in asked.search_space and not (name in known and is_one_of(known[name], allowed)):
            words = " or ".join(map(str, allowed))
            rule = f"used when {name} is {words}, " + (
                f"here {known[name]}" if name in known else "which is drawn here"
            )
            problems.append(Problem(path, _plain(point[leaf]), rule, f"give {name} too, or remove it"))
    return problems


def _problems_of_choices(path: str, leaf: str, given: ChoicesSpec) -> list[Problem]:
    problems = [
        p for i, value in enumerate(given.choices) for p in _problems_of_value(f"{path}.choices.{i}", leaf, value)
    ]
    if len(set(given.choices)) < len(given.choices):
        rule, fix = "values that differ", "remove the repeated ones"
        problems.append(Problem(f"{path}.choices", list(given.choices), rule, fix))
    return problems


def _problems_of_bounds(path: str, leaf: str, given: RangeSpec) -> list[Problem]:
    bounds = f"low {given.low:g}, high {given.high:g}"
    whole = is_whole(leaf)
    step = given.step
    # The first rule that is broken; the later ones take the earlier ones for granted.
    rules = [
        (
            is_of_layers(leaf) or is_number(leaf),
            "",
            bounds,
            f"choices, since {leaf} is no number",
            "write {choices: [...]}",
        ),
        (given.low < given.high, "", bounds, "low below high", "swap or change the bounds"),
        (
            not given.log or given.low > 0,
            ".low",
            given.low,
            "a number above 0, since log is true",
            "raise low or set log: false",
        ),
        (not given.log or step is None, ".step", step, "no step in a log range", "remove step or log"),
        (step is None or step <= given.high - given.low, ".step", step, "at most high − low", "lower or remove it"),
        (
            not whole or all(float(b).is_integer() for b in (given.low, given.high, step or 1)),
            "",
            bounds,
            f"whole numbers, as {leaf} is",
            "round the bounds",
        ),
    ]
    for holds, key, value, rule, fix in rules:
        if not holds:
            return [Problem(path + key, value, rule, fix)]
    return [
        problem
        for bound, value in (("low", given.low), ("high", given.high))
        for problem in _problems_of_value(f"{path}.{bound}", leaf, int(value) if whole else value)
    ]


def _problems_of_value(path: str, leaf: str, value: Any) -> list[Problem]:
    """Try a value on a trial that is otherwise valid: TrialConfig itself says whether it may stand there."""
    if is_of_layers(leaf):
        # bool is an int to Python.
        fits = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST[leaf]
        rule = f"a whole number from 1 to {MOST[leaf]}"
        return [] if fits else [Problem(path, value, rule, f"give {rule}")]
    choice, having = APPLIES_TO.get(leaf, ("", frozenset()))
    values = {leaf: value} | ({choice: sorted(having)[0]} if choice else {})
    if isinstance(value, (bool, str)) and accepts_fractions(leaf):
        return [Problem(path, value, "a number", "write a number")]
    if isinstance(value, (bool, float)) and is_number(leaf) and not accepts_fractions(leaf):
        return [Problem(path, value, "a whole number", "write a whole number")]
    try:
        TrialConfig().replace(values)
    except ValidationError as error:
        return [Problem(path, value, p.rule, p.fix) for p in problems_of(error, TrialConfig)[:1]]
    return []


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
