"""The tables that a config names: read, their columns checked against the config, their features known."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from trainables import redaction
from trainables.data import kinds, locations, sources, targets
from trainables.data.columns import missing, without_nulls
from trainables.data.config import ColumnConfig, CsvConfig, DataConfig
from trainables.data.preparation import RULES
from trainables.data.reading import Reading, Wanted
from trainables.data.schema import Schema
from trainables.data.targets import Task
from trainables.data.types import as_key, few, plain
from trainables.errors import DataError, Problem


@dataclass(frozen=True)
class Files:
    """The tables of a config.

    Attributes:
        tables: The tables by their place in the config: source, or train, validation and test.
        target: Name of the target column.
        notes: What should be said of how they were read.
        reading: How the training file was, and any later one is.
        problems: Rows without a target where these may not be left out, as they are here.
    """

    tables: Mapping[str, pa.Table]
    target: str
    notes: tuple[str, ...]
    reading: Reading
    problems: tuple[Problem, ...]

    @property
    def whole(self) -> pa.Table:
        """The table that training rows come from."""
        return next(iter(self.tables.values()))

    @classmethod
    def read(
        cls, config: DataConfig, allowed: Sequence[str] | None, task: Task | None = None, *, rules: int = RULES
    ) -> Files:
        """Read them.

        Args:
            config: Says which files, and how they are read.
            allowed: Folders and URL prefixes that may be read; None for all.
            task: Kind of target, where it is known.
            rules: Edition of the rules by which what is open is decided.

        Raises:
            DataError: One cannot be read.
        """
        given = {place: getattr(config, place) for place in ("source", "train", "validation", "test")}
        given = {place: source for place, source in given.items() if source}
        if allowed is not None:
            locations.require_allowed({f"data.{place}": source for place, source in given.items()}, allowed)
        roles = tuple(name for name in (config.group, config.time, config.weight) if name)
        # A code such as 01009 loses its zero where it is read as a number.
        texts = tuple(name for name, column in config.columns.items() if _is_read_as_text(column))
        named = (*config.drop, *config.columns, *config.preparation.log)
        wanted = Wanted(_written(config, rules), config.target, roles, named, texts=texts, finds_codes=rules > 3)
        tables: dict[str, pa.Table] = {}
        target, notes, reading, reader = "", list[str](), None, None
        problems: list[Problem] = []
        for place, source in given.items():
            public_only = allowed is not None and locations.is_public_only(source, allowed)
            found = sources.read(source, wanted._replace(public_only=public_only), f"data.{place}")
            if reading is None:
                # The other files are read as this one, the training file, was.
                reading = Reading.of(found.table, config.csv, found.csv, texts)
                wanted = wanted._replace(before=reading)
            target = found.target or target
            shown = redaction.shown(source)
            notes += [f"{shown}: {note}" for note in found.notes]
            asked = config.columns.get(target, ColumnConfig())
            column = without_nulls(plain(found.table.column(target)), asked.null_values)
            if reader is None:
                point = (found.csv and found.csv.decimal_point) or "."
                reader = targets.Reader.of(column, target, asked, config.task or task, point)
                notes += reader.notes
            column = reader.read(column, f"data.{place}")
            whole = found.table.set_column(found.table.column_names.index(target), target, column)
            table, left_out = _with_targets(whole, target, f"data.{place}")
            if left_out and config.missing_target == "refuse":
                problems.append(targets.gaps_in(whole.column(target), target, f"data.{place}"))
            elif left_out:
                notes.append(f"{shown}: {left_out} rows without a target left out")
            tables[place] = table
        assert reading is not None
        return cls(tables, target, tuple(notes), reading, tuple(problems))

    def infer(self, config: DataConfig) -> Schema:
        """The schema of the feature columns.

        Raises:
            DataError: Rows have no target and may not be left out; a name of the config is no column; a column cannot
                be a feature; another file lacks one. All of these at once.
        """
        try:
            inferred = self._infer(config)
        except DataError as error:
            raise DataError([*self.problems, *error.problems]) from error
        if self.problems:
            raise DataError(self.problems)
        return inferred

    def _infer(self, config: DataConfig) -> Schema:
        whole, path = self.whole, f"data.{next(iter(self.tables))}"
        no_features = {name for name in (self.target, config.group, config.time, config.weight) if name}
        no_features |= set(config.drop)
        _require_columns(config, whole.column_names)
        features = [name for name in whole.column_names if name not in no_features]
        # A column without a single value has nothing to be prepared from.
        empty = dict.fromkeys(name for name in features if whole.column(name).null_count == whole.num_rows)
        features = [name for name in features if name not in empty]
        if not features:
            rule, fix = "at least one column with values beside the target", "add feature columns"
            raise DataError([Problem(path, few(whole.column_names), rule, fix)])
        inferred = kinds.infer(whole.select(features), config.columns, path, self.reading, whole)
        said = tuple(f"column {name}: no row has a value: left out" for name in empty)
        inferred = replace(inferred, notes=(*inferred.notes, *said))
        _require_kinds(config, inferred, self.target)
        for place, table in self.tables.items():
            if config.weight is not None and config.weight not in table.column_names:
                found, rule = few(table.column_names), f"a column {config.weight}"
                raise DataError([Problem(f"data.{place}", found, rule, "add it")])
            inferred.check(table, f"data.{place}")
        return inferred


def _written(config: DataConfig, rules: int) -> CsvConfig:
    """How CSV files are written, as far as it is given or an edition of the rules says so."""
    given: dict[str, object] = {}
    if rules < 4 and config.csv.skip_initial_space is None:
        # Editions before the fourth kept blanks behind delimiters.
        given["skip_initial_space"] = False
    if rules < 5 and config.csv.skip_last_rows is None:
        # Editions before the fifth took totals for rows.
        given["skip_last_rows"] = 0
    return config.csv.model_copy(update=given) if given else config.csv


def _is_read_as_text(column: ColumnConfig) -> bool:
    """Whether a reader must not take values for numbers: codes, words, and what is written in a way of its own."""
    own_way = column.decimal is not None or column.thousands is not None or column.format is not None
    return column.meant in ("categorical", "text") or own_way


def _with_targets(table: pa.Table, target: str, path: str) -> tuple[pa.Table, int]:
    """The rows that have a target, and how many have none."""
    gaps = missing(plain(table.column(target)))
    if gaps.all():
        rule, fix = "at least one row with a target", "choose another target"
        raise DataError([Problem(path, f"column {target}: no values", rule, fix)])
    return (table.filter(pa.array(~gaps)) if gaps.any() else table), int(gaps.sum())


def _require_columns(config: DataConfig, names: Sequence[str]) -> None:
    asked = {"data.group": [config.group], "data.time": [config.time], "data.weight": [config.weight]}
    asked |= {"data.drop": list(config.drop), "data.columns": list(config.columns)}
    asked["data.preparation.log"] = list(config.preparation.log)
    known = set(names)
    shown = f"one of: {', '.join(repr(n) for n in names[:20])}"
    problems = [
        Problem(path, name, "a column of the table", _several(name, known) or shown)
        for path, given in asked.items()
        for name in given
        if name is not None and name not in known
    ]
    if problems:
        raise DataError(problems)


def _several(name: str, known: Collection[str]) -> str:
    """What to write instead of several names that were given as one."""
    parts = [part.strip() for part in name.split(",")]
    is_list = len(parts) > 1 and all(part in known for part in parts)
    return f"write each by itself: [{', '.join(map(as_key, parts))}]" if is_list else ""


def _require_kinds(config: DataConfig, inferred: Schema, target: str) -> None:
    numeric, names = set(inferred.names("numeric")), set(inferred.names())
    problems = [
        Problem("data.preparation.log", name, "a numeric feature column", "remove it, or see data.columns")
        for name in config.preparation.log
        if name not in numeric
    ]
    problems += [
        Problem(f"data.columns.{name}", column.meant, "a feature column", "remove it: the column is no feature")
        for name, column in config.columns.items()
        # How the target's numbers are written may be said, too, and how the times are by which rows are divided.
        if name not in names
        and (name != target or column.meant not in ("numeric", "categorical", "boolean", None))
        and (name != config.time or column.meant not in ("numeric", "date", None))
    ]
    if problems:
        raise DataError(problems)


def roles(config: DataConfig, target: str, inferred: Schema) -> dict[str, str]:
    """Columns that are no features."""
    given = {config.group: "group", config.time: "time", config.weight: "weight", target: "target"}
    return dict.fromkeys((*config.drop, *inferred.left_out), "left out") | {
        name: role for name, role in given.items() if name is not None
    }
