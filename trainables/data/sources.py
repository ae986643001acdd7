"""Reading a table, whatever it is: a bundled set, an OpenML table, a file or folder by path or URL.

The result is an Arrow table with columns of any kind and the name of its target column.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Collection
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from trainables import redaction
from trainables.data import formats, locations, named_sets, stray_rows
from trainables.data.config import CsvConfig
from trainables.data.reading import Read, Reading, Wanted, null_values_of, without
from trainables.data.types import few, names_as_asked, plain, plain_table
from trainables.errors import DataError, Problem

# Of a CSV file whose names look like values.
# Columns that a message names, at most.
_NAMED = 20
_NO_NAMES = "; if the first line of the file has values and no names, data.csv.header: false"


def read(source: str, wanted: Wanted, path: str) -> Read:
    """Read a table.

    Args:
        source: A path, an address or a name, as ``DataConfig.source``.
        wanted: What the config says about how to read it.
        path: Config key of the source, for messages.

    Returns:
        The table with its columns named and at least one row, and the name of its target column.

    Raises:
        DataError: It cannot be used; says why.
    """
    found = _read_named(source, wanted, path)
    table, target = found.table, wanted.target or found.target
    names = table.column_names
    shown = ", ".join(repr(name) for name in names[:_NAMED])
    shown += f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    if target is None:
        raise DataError([Problem("data.target", None, "the name of the column to predict", f"one of: {shown}")])
    if target not in names:
        # Letters that are off are more often the reason than another table.
        close = difflib.get_close_matches(target.casefold(), [name.casefold() for name in names], n=1)
        meant = [name for name in names if name.casefold() in close]
        fix = f"did you mean {meant[0]!r}? It is one of: {shown}" if meant else f"one of: {shown}"
        if found.csv is not None and any(re.fullmatch(r"-?[\d.,]+", name) for name in names):
            fix += _NO_NAMES
        if found.csv is not None and len(names) == 1:
            fix += "; if the file has several columns, data.csv.delimiter names what stands between them"
        if wanted.before is not None and target in wanted.before.types:
            rule = f"a column {target}, the target, as the training rows have"
            raise DataError([Problem(path, source, rule, "name a file that has it, or leave this one out")])
        raise DataError([Problem("data.target", target, "a column of the table", fix)])
    return found._replace(target=target)


def read_rows(
    source: str,
    path: str,
    before: Reading | None = None,
    names: Collection[str] | None = None,
    *,
    as_written: Collection[str] = (),
) -> pa.Table:
    """Read rows to predict: a table that need not have a target.

    Args:
        source: A path, an address or a name, as ``DataConfig.source``.
        path: What it is called in messages.
        before: How the training file was read.
        names: Columns that are needed; others are left out. None for all.
        as_written: Columns whose values a CSV file's letters are, whatever they look like.

    Raises:
        DataError: It cannot be read; says why.
    """
    if before and as_written:
        # Also NA and the like.
        before = replace(before, words={**before.words, **dict.fromkeys(as_written, before.null_values)})
    given = before.given if before else CsvConfig()
    texts = tuple(name for name, kind in before.types.items() if kind == "text") if before else ()
    wanted = Wanted(given, needs_target=False, texts=(*texts, *as_written), before=before)
    return _read_named(source, wanted, path, names).table


def _read_named(source: str, wanted: Wanted, path: str, needed: Collection[str] | None = None) -> Read:
    """A table whose columns have plain types and names that differ, and at least one row."""
    found = _read(source, wanted, path)
    # Blanks around a name are how somebody typed it, and no part of it.
    asked = [
        *wanted.others,
        *wanted.named,
        *(needed or ()),
        *(wanted.before.types if wanted.before is not None else ()),
    ]
    asked += [] if wanted.target is None else [wanted.target]
    table = found.table
    table = table.rename_columns(names_as_asked([name.strip() for name in table.column_names], asked))
    found = found._replace(table=table)
    if needed is not None:
        # What nobody asks for may be anything: an index without a name, as pandas writes it, or a column given twice.
        known = set(needed)
        table = table.select([at for at, name in enumerate(table.column_names) if name in known])
        # A file without a single column that is known is more likely another file.
        table = table if table.num_columns else found.table
    elif _begins_with_an_index(table):
        table = table.remove_column(0)
        names_rows = "names" if pa.types.is_string(plain(found.table.column(0)).type) else "numbers"
        note = f"the first column has no name and {names_rows} the rows, as pandas writes its index: left out"
        found = found._replace(notes=(*found.notes, note))
    # A delimiter at the end of each line makes columns of nothing.
    kept = [at for at, name in enumerate(table.column_names) if name or table.column(at).null_count < len(table)]
    table = table.select(kept) if kept else table
    found = found._replace(table=table)
    names = table.column_names
    repeated = sorted(name for name, count in Counter(names).items() if count > 1)
    if repeated == [""]:
        rule = "a name for each column"
        fix = "if the names stand further down, data.csv.skip_rows says how many lines come before them"
        raise DataError([Problem(path, f"{names.count('')} of {len(names)} columns without a name", rule, fix)])
    if repeated:
        fix = "rename the columns so that each has its own name"
        if found.csv is not None and all(re.fullmatch(r"-?[\d.,]+", name) for name in repeated):
            fix += _NO_NAMES
        raise DataError([Problem(path, few(repeated), "column names that differ", fix)])
    if "" in names:
        fix = "name the column, or remove the delimiter at the end of each line"
        if len(names) == 2 and path.startswith("data."):
            # The first of two names may be a title above the table.
            fix += "; if the names stand further down, data.csv.skip_rows says how many lines come before them"
        raise DataError([Problem(path, "a column without a name", "a name for each column", fix)])
    if table.num_rows == 0:
        raise DataError([Problem(path, source, "at least one row", "it has no rows: write it again")])
    found = _as_meant(found._replace(table=plain_table(table)), wanted)
    table, repeated_names = stray_rows.without_repeated_names(found.table)
    if repeated_names:
        rows = "1 row repeats" if repeated_names == 1 else f"{repeated_names:,} rows repeat"
        found = found._replace(notes=(*found.notes, f"{rows} the names of the columns, as joined files do: left out"))
    if wanted.needs_target and wanted.before is None:
        stray_rows.require_no_second_names(table, wanted.texts, path, redaction.shown(source))
    if wanted.needs_target:
        table = stray_rows.without(table, wanted.csv, path, redaction.shown(source))
    return found._replace(table=table)


def _as_meant(found: Read, wanted: Wanted) -> Read:
    """What means missing is missing, and codes of text files are without what guards them in sheets."""
    is_of_text = (found.csv if wanted.before is None else wanted.before.found) is not None
    if wanted.before is not None and is_of_text:
        # What means missing in a training file of text means it in a later sheet or Parquet file, too.
        table = without(found.table, null_values_of(wanted.csv), wanted.before.words)
    else:
        table = without(found.table, wanted.csv.null_values)
    if not is_of_text:
        return found._replace(table=table)
    table, unguarded = _without_guards(table)
    note = f"{few(unguarded)}: what keeps a sheet from taking codes for numbers is no part of them"
    return found._replace(table=table, notes=(*found.notes, *([note] if unguarded else [])))


# Rows in which a guard has to be seen.
_GLANCE = 1_000
_GUARDS = (r'^="(?P<code>[^"]*)"$', r"^'(?P<code>[^']+)$")


def _without_guards(table: pa.Table) -> tuple[pa.Table, list[str]]:
    """Codes without what keeps a sheet from taking them for numbers: ``="0871"``, and ``'0871``; and their columns."""
    unguarded = []
    for at, (name, column) in enumerate(zip(table.column_names, table.columns, strict=True)):
        if not pa.types.is_string(column.type):
            continue
        # All have it or none, so that a glance tells of nearly every column that it has none.
        glance = column.slice(0, _GLANCE).drop_null()
        if not len(glance) or not str(glance[0].as_py()).startswith(("=", "'")):
            continue
        for guarded in _GUARDS:
            if pc.all(pc.match_substring_regex(column, guarded.replace("?P<code>", ""))).as_py():
                table = table.set_column(at, name, pc.struct_field(pc.extract_regex(column, guarded), "code"))
                unguarded.append(name)
    return table, unguarded


def _begins_with_an_index(table: pa.Table) -> bool:
    """Whether the first column alone has no name, and holds whole numbers or words of which none comes twice."""
    if table.num_columns < 2 or [name for name in table.column_names if not name] != table.column_names[:1]:
        return False
    column = plain(table.column(0))
    # Days and fractions that nobody has named may be what the target goes by.
    are_names = pa.types.is_string(column.type) and not stray_rows.are_values(column)
    if not (pa.types.is_integer(column.type) or are_names) or column.null_count:
        return False
    return bool(pc.count_distinct(column).as_py() == table.num_rows > 0)


def _read(source: str, wanted: Wanted, path: str) -> Read:
    if source in locations.BUNDLED:
        if wanted.target is not None:
            rule = f"no target for the bundled set {source}, which has its own"
            raise DataError([Problem("data.target", wanted.target, rule, "remove it")])
        return Read(*named_sets.read_bundled(source))
    if source.startswith(locations.OPENML):
        return Read(*named_sets.read_openml(source, wanted.target, path))
    if locations.is_unknown_word(source):
        raise DataError([Problem(path, source, *_NOT_A_SET)])
    with locations.local(source, path, public_only=wanted.public_only) as file:
        return formats.read_file(file, wanted, path, redaction.shown(source))


_NOT_A_SET = (
    f"a bundled set ({', '.join(locations.BUNDLED)}), openml:NAME, or a file ending in {', '.join(formats.SUFFIXES)}",
    "name one of these sets, or give the path of a file",
)
