"""The command line, ``search-service COMMAND``: run, plan, inspect, validate, doctor, export, predict, and so on.

The commands are in modules of their own: those that run studies, that look at a config or this machine, that use a
model, and that speak to a service. Here they are joined, and errors become messages.

Exit codes: 0 done, 2 bad config, table or model, 3 a check failed (or a replay
differs), 4 something outside failed, 130 interrupted.
"""

from __future__ import annotations

import atexit
import gc
import itertools
import logging
import re
import shlex
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from search_service import __version__
from search_service.cli import (
    admin_commands,
    checking_commands,
    model_commands,
    report_command,
    service_commands,
    study_commands,
    ui_command,
)
from search_service.cli.installed import what_is_missing
from search_service.cli.terminal import note_begin, say
from search_service.errors import (
    EXIT_INTERRUPTED,
    DataError,
    InvalidSpecError,
    OutsideError,
    Problem,
    SearchServiceError,
)
from search_service.runners.interrupts import catch_interrupts
from trainables.redaction import guard_process

# New objects after which Python looks for garbage. Imports make a million that stay: looked through after every 700, as
# by default, that is a quarter of their time, and when the process ends it is two seconds.
COLLECT_AFTER = 100_000

app = typer.Typer(
    name="search-service",
    help="Hyperparameter search for PyTorch MLPs by the six-step recipe of a careful engineer.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
for commands in (
    study_commands,
    checking_commands,
    model_commands,
    report_command,
    ui_command,
    service_commands,
    admin_commands,
):
    app.add_typer(commands.app)


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


# A value in quotes, as YAML has it.
_QUOTED = re.compile(r"""'[^']*'|"(?:[^"\\]|\\.)*\"""")


def _key_to_set(fix: str) -> str | None:
    """The first key with its value that a message says to write into the config."""
    found = re.search(r"\b(?:data|trial|search|search_space|objective|checks|finalists|model)(?:\.\w+)+: ", fix)
    if found is None:
        return None
    rest = fix[found.end() :]
    if rest[:1] in ("{", "["):
        # What stands in quotes may be a bracket.
        bare = _QUOTED.sub(lambda quoted: "_" * len(quoted[0]), rest)
        depths = itertools.accumulate({"{": 1, "[": 1, "}": -1, "]": -1}.get(letter, 0) for letter in bare)
        ends = next((at for at, depth in enumerate(depths) if depth == 0), None)
        return None if ends is None else found[0] + rest[: ends + 1]
    value = re.match(r"[\w.-]+", rest)
    return None if value is None else found[0] + value[0]


# Commands that a message names with a study, of a home that may be another than the usual one.
_OF_A_STUDY = re.compile(
    r"(search-service (?:run --study|extend|report|show|stop|cancel|replay|predict|sync) [\w.-]+)(?! --home)"
)


def _values_of(option: str, arguments: Sequence[str]) -> list[str]:
    """What an option was given, as ``--home H`` or ``--home=H``."""
    apart = [given for name, given in itertools.pairwise(arguments) if name == option]
    return apart + [name.partition("=")[2] for name in arguments if name.startswith(f"{option}=")]


def _with_home(text: str) -> str:
    """What a message says to do, in the home that this command was given."""
    homes = _values_of("--home", sys.argv)
    return _OF_A_STUDY.sub(lambda found: f"{found[0]} --home {shlex.quote(homes[-1])}", text) if homes else text


# Options of which the last would count, without a word about the others.
_ONCE = ("--target", "--metric", "--minutes", "--runner", "--home")


def _require_once(arguments: Sequence[str]) -> None:
    """See to it that what can have one value is given one.

    Raises:
        DataError: It is given several.
    """
    for option in _ONCE:
        values = _values_of(option, arguments)
        if len(values) > 1:
            fix = "keep one of them" + ("; a model predicts one column" if option == "--target" else "")
            raise DataError([Problem(option, ", ".join(values), "an option that is given once", fix)])


def main() -> None:
    """Entry point: every error that we raise on purpose becomes one clear message and an exit code."""
    note_begin()
    gc.set_threshold(COLLECT_AFTER, 10, 10)
    atexit.register(gc.freeze)  # What is left goes with the process.
    errors = Console(stderr=True)
    guard_process()
    # Libraries' own log lines would run through the progress display.
    logging.getLogger().setLevel(logging.ERROR)
    logging.getLogger("search_service").setLevel(logging.WARNING)
    try:
        _require_once(sys.argv[1:])
        with catch_interrupts() as interrupts:
            try:
                app(standalone_mode=True)
            except SystemExit as end:
                # Typer ends a KeyboardInterrupt so, before or after a study had it; ``serve`` ends well by a signal.
                if interrupts.count and end.code == 1:
                    sys.exit(EXIT_INTERRUPTED)
                raise
    except (InvalidSpecError, DataError) as error:
        n = len(error.problems)
        what = "The config cannot be used" if isinstance(error, InvalidSpecError) else "This cannot be done"
        say(f"[bold red]{what}: {n} {'mistake' if n == 1 else 'mistakes'}[/]", errors)
        for problem in error.problems:
            say(escape(_with_home(str(problem))), errors)
        key = next(filter(None, (_key_to_set(problem.fix) for problem in error.problems)), None)
        if key is not None:
            say(f"On the command line, a key of the config is --set {escape(shlex.quote(key))}", errors)
        sys.exit(InvalidSpecError.exit_code)
    except ModuleNotFoundError as error:
        missing = what_is_missing(error)
        if missing is None:
            raise
        say("[bold red]This cannot be done here:[/]", errors)
        say(escape(str(missing)), errors)
        sys.exit(InvalidSpecError.exit_code)
    except OutsideError as error:
        say(f"[bold red]Stopped by something outside:[/] {escape(_with_home(str(error)))}", errors)
        sys.exit(error.exit_code)
    except SearchServiceError as error:
        say(f"[bold red]Refused:[/] {escape(str(error))}", errors)
        sys.exit(error.exit_code)
