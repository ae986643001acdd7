"""What is wrong with something a person gave us, said so that they can mend it.

A ``Problem`` is one mistake: where it is, what stands there, the rule it breaks and what to do instead. All
mistakes that can be found at once travel together in one exception, so nobody mends a file line by line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from trainables.redaction import redact, shown
from trainables.visible import visible, visible_lines

# Before a column's name, in the path of what is to be said of it in a config.
_OF_A_COLUMN = "data.columns."


@dataclass(frozen=True)
class Problem:
    """One mistake in a config or a table.

    Attributes:
        path: Dotted path of the config key, such as ``data.target``.
        value: What stands there, as the reader wrote it; of addresses only what others may see.
        rule: What is expected of it.
        fix: What to do next, in the imperative.
    """

    path: str
    value: object
    rule: str
    fix: str

    def __post_init__(self) -> None:
        # Whatever is said about an address, and whoever hears it, nothing secret of it is said.
        for name in ("rule", "fix"):
            object.__setattr__(self, name, redact(getattr(self, name)))
        object.__setattr__(self, "value", _presentable(self.value))

    def __str__(self) -> str:
        value = repr(self.value)
        # A value longer than a screen line helps nobody; its beginning identifies it.
        shown = value if len(value) <= 120 else value[:117] + "..."
        # Names of columns and labels are in all of them; a file may have any characters there.
        rule, fix = visible_lines(self.rule), visible_lines(self.fix)
        return f"{visible(self.path)}: {shown}\n    rule: {rule}\n    fix:  {fix}"


def _presentable(value: object) -> object:
    if isinstance(value, str):
        # As a whole, if it is one: blanks do not end it.
        return shown(value) if re.match(r"[A-Za-z][A-Za-z0-9+.\-]*://", value) else redact(value)
    if isinstance(value, list | tuple | dict) and "://" in (text := repr(value)):
        return redact(text)
    return value


def one_line(problem: Problem) -> str:
    """A finding as one sentence, for a list of them; a column is called one."""
    where = "columns" if problem.path == "data.drop" else problem.path
    if where.startswith(_OF_A_COLUMN):
        where = f"column {where.removeprefix(_OF_A_COLUMN)}"
    return visible(f"{where}: {problem.value}; expected: {problem.rule}; to do: {problem.fix}")


class InvalidInputError(Exception):
    """Something the user gave cannot be used: a config key or the table it names.

    Attributes:
        problems: Every mistake found, in the order of the config.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type[InvalidInputError], tuple[tuple[Problem, ...]]]:
        # The default would rebuild from the message; errors cross process borders in Ray.
        return type(self), (self.problems,)


class DataError(InvalidInputError):
    """The table cannot be used as it is: unreadable, empty, text, missing values, too few rows."""
