"""Groups and times that should lie on one side, where validation or test rows are a file of their own.

What is divided here keeps them apart; a file of somebody's own is taken as it is, and looked at.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from trainables.data.config import ColumnConfig, DataConfig
from trainables.data.kinds import infer
from trainables.data.types import canonical_names, plain
from trainables.errors import DataError, Problem


def find(config: DataConfig, given: Collection[str], tables: Mapping[str, pa.Table]) -> tuple[Problem, ...]:
    """Files whose rows are of groups, or of times, that are trained on as well.

    Args:
        config: Names the column of groups or times.
        given: Which of validation and test are files of their own.
        tables: Rows of train, validation and test.
    """
    name, problems = config.group or config.time, list[Problem]()
    for part, earlier in (("validation", ("train",)), ("test", ("train", "validation"))):
        # A file of its own need not say it.
        if name is None or part not in given or name not in tables[part].column_names:
            continue
        known = [plain(tables[other].column(name)) for other in earlier if name in tables[other].column_names]
        rows = plain(tables[part].column(name))
        if config.group is not None:
            path, within = "data.group", _of_their_groups(rows, known)
            rule = "groups that are not trained on; these rows are of groups that are"
        else:
            path, within = "data.time", _not_later(rows, known, name, config.columns.get(name, ColumnConfig()))
            rule = "rows later than those that are trained on; these are not"
        if within:
            fix = f"leave these rows out of the file, or leave out data.{part}, so that rows are divided by {name}"
            problems.append(Problem(path, f"{within:,} of {len(rows):,} {part} rows", rule, fix))
    return tuple(problems)


def _of_their_groups(rows: pa.ChunkedArray, known: Sequence[pa.ChunkedArray]) -> int:
    """How many rows are of groups of others."""
    names = pa.concat_arrays([canonical_names(column).unique() for column in known]).drop_null()
    return int(pc.sum(pc.is_in(canonical_names(rows), value_set=names)).as_py() or 0)


def _not_later(rows: pa.ChunkedArray, known: Sequence[pa.ChunkedArray], name: str, asked: ColumnConfig) -> int:
    """How many rows are no later than the latest of others; none where a time cannot be read as theirs are."""
    single = infer(pa.table({name: known[0]}), {name: asked}, "data")
    try:
        times = [single.typed(pa.table({name: column}), "data")[name].dropna() for column in (rows, *known)]
    except DataError:
        return 0
    latest = max(others.max() for others in times[1:] if len(others))
    return int((times[0] <= latest).sum())
