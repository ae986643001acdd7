"""CSV files into Arrow tables: pyarrow parses, and how they are written is found out or known already."""

from __future__ import annotations

import csv
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv

from trainables.data import csv_blanks, csv_quotes, limits, lines, text_encoding
from trainables.data.config import CsvConfig
from trainables.data.csv_samples import (
    SAMPLE_BYTES,
    THOUSANDS,
    cells_of,
    codes_in,
    not_numbers_in,
    rows_of,
    with_rows_further_on,
)
from trainables.data.number_marks import with_a_point
from trainables.data.reading import (
    Read,
    Reading,
    Wanted,
    how_to_skip,
    null_values_of,
    require_names_first,
    without,
)
from trainables.data.types import few
from trainables.data.written_numbers import parts_of
from trainables.errors import DataError, Problem

DELIMITERS = ",;\t|"
# Tried where none of these divides anything, of files that have to have two columns at least: Hive's, and blanks.
RARE_DELIMITERS = "\x01~^: "
# Share of words behind delimiters that begin with a blank, from which on blanks are no part of values.
SPACED_SHARE = 0.95
# A comma between digits that may separate thousands as well as a fraction, and one that can only do the latter.
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")
# Points between thousands, with or without a decimal comma behind; days are written with points, too.
_WITH_POINT, _DAY = re.compile(r"[+-]?\d+(\.\d+)+(,\d+)?"), re.compile(r"\d{1,2}\.\d{1,2}\.(\d{4}|\d{2})")
_NAMES_DELIMITER = re.compile(r"sep=([,;\t|])\r?\n")
_WITH_COMMA = re.compile(r"[+-]?\d+(,\d+)+")


def read_csv(file: Path, wanted: Wanted, path: str, shown: str) -> Read:
    """Read a CSV file; arguments and errors are those of ``formats.read_file``."""
    delimiter = wanted.csv.delimiter or (wanted.before and wanted.before.found and wanted.before.found.delimiter)
    with csv_quotes.doubled(file, _sample(file)) as plain:
        if delimiter != " " and (delimiter or not wanted.needs_target):
            return _read_csv(plain, wanted, path, shown)
        with csv_blanks.narrowed(plain, _sample(plain), b",;|" if delimiter is None else b"") as narrow:
            return _read_csv(narrow, wanted, path, shown)


def _read_csv(file: Path, wanted: Wanted, path: str, shown: str) -> Read:
    given = wanted.csv
    sample = _sample(file)
    before = wanted.before or Reading()
    usual = before.found or CsvConfig()
    encoding = given.encoding or text_encoding.find(sample, file, path, shown, usual.encoding)
    text = text_encoding.decode(sample, encoding)
    skipped = before.skipped(cells_of(_first_line(text), usual.delimiter or ","), given)
    # Excel's own first line, which names the delimiter.
    named = _NAMES_DELIMITER.match(text) if not skipped else None
    skipped += named is not None
    text = "".join(text.splitlines(keepends=True)[skipped:])
    if not text.strip():
        raise DataError([Problem(path, shown, "a file with content", "the file has only empty lines")])
    delimiter = given.delimiter or (named and named[1]) or _delimiter_as_before(text, before)
    delimiter = delimiter or _delimiter_of(text, rare=wanted.needs_target and wanted.before is None)
    limits.require(path, shown, columns=len(cells_of(_first_line(text), delimiter)))
    rows = rows_of(text, delimiter, blanks=given.skip_initial_space or False)
    _refuse_title(rows, delimiter, path, shown)
    header = given.header if given.header is not None else _has_header(text, delimiter, before, wanted.target)
    point: str | None = given.decimal_point
    if point is None and usual.decimal_point != delimiter:
        point = usual.decimal_point
    point = point or _decimal_point_of(text, delimiter, path)
    blanks = given.skip_initial_space
    if blanks is None:
        blanks = usual.skip_initial_space if before.found is not None else _has_blanks_before_words(text, delimiter)
    found = given.model_copy(
        update={
            "encoding": encoding,
            "delimiter": delimiter,
            "header": header,
            "decimal_point": point,
            "skip_rows": skipped,
            "skip_initial_space": blanks,
        }
    )
    is_found_out = wanted.finds_codes and wanted.before is None and header
    looked_at = with_rows_further_on(rows, file, found) if is_found_out else rows
    codes = codes_in(looked_at) if is_found_out else []
    letters = not_numbers_in(looked_at) if is_found_out and point == "." and not given.decimal_point else []
    texts = dict.fromkeys([*wanted.texts, *codes, *letters], pa.string())
    types = {name: pa.float64() if kind == "number" else pa.string() for name, kind in before.types.items()}
    with _without_blanks(file, found) if blanks else nullcontext((file, found)) as (plain, written):
        try:
            table = _parse_csv(plain, written, types | texts, decided=bool(types))
        except pa.ArrowInvalid:
            if not types:
                raise
            # Some value is no number: as text, so that whoever knows the column's kind can say which.
            table = _parse_csv(plain, written, dict.fromkeys([*types, *wanted.texts], pa.string()), decided=True)
            numbers = [name for name, kind in before.types.items() if kind == "number"]
            table = _with_decimal_points(table, numbers, point)
    if types:
        table = without(table, null_values_of(given), before.words)
    _refuse_open_quote(table, path, shown)
    words = "" if given.encoding else text_encoding.words_beyond(text)
    return Read(table, None, tuple(_notes(found, codes, words, is_first=before.found is None)), found)


def _notes(found: CsvConfig, codes: list[str], words: str, *, is_first: bool) -> Iterator[str]:
    """What is to be said of how a file is written, the training file or a later one."""
    if is_first and found.skip_initial_space:
        yield "blanks behind delimiters are no part of values"
    if found.encoding not in ("utf-8", "utf-8-sig", "ascii"):
        yield f"read as {found.encoding}"
        if words:
            yield f"letters beyond English are read so: {words}; data.csv.encoding names another alphabet"
    if found.delimiter != ",":
        yield f"columns separated by {'tabs' if found.delimiter == chr(9) else repr(found.delimiter)}"
    if found.decimal_point != ".":
        yield "numbers with a decimal comma"
    if not found.header:
        yield "no line of names: columns are called f0, f1, ..."
    if codes:
        yield f"{few(codes)}: digits that begin with zeros are codes, and kept as they are"


def _parse_csv(file: Path, written: CsvConfig, types: Mapping[str, pa.DataType], *, decided: bool) -> pa.Table:
    """Let Arrow read a CSV file.

    Args:
        file: The file.
        written: How it is written; everything is set.
        types: Types of columns that Arrow need not find out.
        decided: Whether texts that mean missing stand as they are in text columns.
    """
    options: dict[str, Any] = {
        # A value in quotes may hold a line break.
        "parse_options": pyarrow.csv.ParseOptions(delimiter=written.delimiter, newlines_in_values=True),
        # An empty cell is a missing value in a text column too.
        "convert_options": pyarrow.csv.ConvertOptions(
            strings_can_be_null=not decided,
            null_values=list(null_values_of(written)),
            decimal_point=written.decimal_point,
            column_types=dict(types),
        ),
    }

    def read(use_threads: bool) -> pa.Table:
        how = pyarrow.csv.ReadOptions(
            encoding=written.encoding,
            autogenerate_column_names=not written.header,
            skip_rows=written.skip_rows,
            use_threads=use_threads,
        )
        return pyarrow.csv.read_csv(file, read_options=how, **options)

    try:
        return read(use_threads=True)
    except pa.ArrowInvalid:
        # Only one thread knows which row it is at.
        try:
            return read(use_threads=False)
        except pa.ArrowInvalid as error:
            told = str(written.encoding), str(written.delimiter), written.skip_rows
            raise pa.ArrowInvalid(lines.of_csv(str(error), file, *told)) from error


def _has_blanks_before_words(text: str, delimiter: str) -> bool:
    """Whether words behind a delimiter begin with a blank, as in ``39, State-gov, <=50K``; of numbers none matters."""
    # The sample may end within a line.
    lines = text.splitlines()[:-1] or text.splitlines()
    cells = [cell for line in lines for cell in cells_of(line, delimiter)[1:] if cell.strip()]
    words = [cell for cell in cells if not _is_number(cell)]
    # In a file that was typed, a blank is forgotten here and there.
    return bool(words) and sum(word.startswith(" ") for word in words) >= SPACED_SHARE * len(words)


@contextmanager
def _without_blanks(file: Path, written: CsvConfig) -> Iterator[tuple[Path, CsvConfig]]:
    """A file without blanks behind delimiters, which Arrow knows no option for, as long as it is needed."""
    with tempfile.TemporaryDirectory(prefix="search-service-") as folder:
        plain = Path(folder) / "table.csv"
        with (
            file.open(encoding=written.encoding, newline="") as spaced,
            plain.open("w", encoding="utf-8", newline="") as to,
        ):
            rows = csv.reader(spaced, delimiter=written.delimiter or ",", skipinitialspace=True)
            csv.writer(to, delimiter=written.delimiter or ",").writerows(rows)
        yield plain, written.model_copy(update={"encoding": "utf-8"})


def _with_decimal_points(table: pa.Table, names: Sequence[str], point: str) -> pa.Table:
    """Texts of number columns as they are written with a point and nothing between thousands."""
    if point == ".":
        return table
    for name in set(names) & set(table.column_names):
        at = table.column_names.index(name)
        texts = [None if text is None else _with_decimal_point(text) for text in table.column(at).to_pylist()]
        table = table.set_column(at, name, pa.chunked_array([pa.array(texts, pa.string())]))
    return table


def _with_decimal_point(text: str) -> str:
    """A number with a decimal comma as programs write it; what is none stays as it is."""
    sign, digits = re.fullmatch(r"\s*([-+]?)(.*?)\s*", text, re.DOTALL).groups()  # type: ignore[union-attr]
    plain = with_a_point(digits, ",", ("", ".", " ", "'"))
    return text if plain is None else sign + plain


def _refuse_open_quote(table: pa.Table, path: str, shown: str) -> None:
    """A quotation mark that is never closed makes one value of the rest of the file: many lines in the last row."""
    last = table.slice(max(0, table.num_rows - 1)).to_pylist()
    for name, value in (last[0] if last else {}).items():
        # Addresses and remarks have a few lines; the rest of a file ends with the file's own line break.
        if isinstance(value, str) and value.endswith(("\n", "\r")):
            rule = f"a closing quotation mark for each opening one; column {name} of the last row is never closed"
            value_begins = value.splitlines()[0][:40]
            raise DataError([Problem(path, shown, rule, f"close the quotation mark before {value_begins!r}")])


def _refuse_title(rows: Sequence[list[str]], delimiter: str, path: str, shown: str) -> None:
    """Lines before the one that names the columns have fewer cells than it and all that follow."""
    rows = rows[:50]
    counts = [len(row) for row in (rows[:-1] if len(rows) > 2 else rows)]
    # An open quotation mark, or cells that were forgotten here and there, are another matter.
    width = counts[-1] if counts else 0
    title = next((at for at, count in enumerate(counts) if count == width), 0)
    if counts and counts[0] == width:
        # A title may be followed by as many empty cells as the others have full ones.
        require_names_first([sum(bool(cell.strip()) for cell in row) for row in rows], path, shown)
    if (
        title
        and width > 1
        and len(counts) > title + 1
        and set(counts[title:]) == {width}
        and max(counts[:title]) < width
    ):
        if title == 1 and counts[0] == width - 1:
            rule = f"a name for each column; the first line has {width - 1} names, and others have {width} cells"
            raise DataError([Problem(path, shown, rule, _how_to_name(rows[1:], delimiter))])
        rule = f"a first line that names the columns; before the first line of {width} cells there are {title} of fewer"
        raise DataError([Problem(path, shown, rule, how_to_skip(title, path))])


def _how_to_name(rows: Sequence[list[str]], delimiter: str) -> str:
    """What to do about a first line with one name fewer than the rows below it have cells."""
    quote = f"quote cells that hold a {delimiter!r}"
    if not any(row[-1].strip() for row in rows[:-1] if row):
        return f"end the first line with a {delimiter!r}, as the others do"
    if len(rows) > 1 and len({row[0] for row in rows if row}) == len(rows):
        first = f"if the first cells name the rows, as R's do, begin the first line with a {delimiter!r}"
        return f"add the name that is missing; {first}; or {quote}"
    return f"add the name that is missing, or {quote}"


def _sample(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(SAMPLE_BYTES)


def _first_line(text: str) -> str:
    return next((line for line in text.splitlines() if line.strip()), "")


def _delimiter_as_before(text: str, before: Reading) -> str | None:
    """The training file's delimiter, if the first line has columns of that table when it is cut there."""
    if before.found is None or before.found.delimiter is None:
        return None
    cells = cells_of(_first_line(text), before.found.delimiter)
    named = bool(set(cells) & set(before.types))
    return before.found.delimiter if named or (not before.found.header and len(cells) > 1) else None


def _delimiter_of(text: str, *, rare: bool = False) -> str:
    """The character that cuts the first lines into the most pieces, equally many in each.

    Args:
        text: The file's first lines.
        rare: Whether others are tried where none of the usual ones cuts anything.
    """
    lines = [line for line in _lines(text)[:50] if line.strip()]
    # The sample may end within a line.
    lines = lines[:-1] if len(lines) > 2 else lines

    def pieces(mark: str) -> tuple[bool, int]:
        counts = [_count_outside_quotes(line, mark) for line in lines]
        return len(set(counts)) == 1, min(counts, default=0)

    best = max(DELIMITERS, key=lambda mark: (pieces(mark)[1] > 0, pieces(mark)))
    if rare and pieces(best)[1] == 0:
        best = next((mark for mark in RARE_DELIMITERS if all(pieces(mark)) or _names_rows(lines, mark)), best)
    return best if pieces(best)[1] > 0 else ","


def _names_rows(lines: Sequence[str], mark: str) -> bool:
    """Whether a character cuts all lines alike, but the first into one piece fewer: R gives names of rows no name."""
    first, *others = [_count_outside_quotes(line, mark) for line in lines]
    return len(set(others)) == 1 and 0 < first == others[0] - 1


def _lines(text: str) -> list[str]:
    """Lines, those in quotes as one; where a quotation mark stands for inches or the like, as they are."""
    physical = text.splitlines()[:200]
    lines, opened = [], ""
    for line in physical:
        opened = f"{opened} {line}" if opened else line
        if opened.count('"') % 2 == 0:
            lines.append(opened)
            opened = ""
    return lines if len(lines) >= len(physical) / 2 else physical


def _count_outside_quotes(line: str, mark: str) -> int:
    return re.sub(r'"[^"]*"', "", line).count(mark)


def _decimal_point_of(text: str, delimiter: str, path: str) -> str:
    """A comma where commas do not separate and stand between digits, and points at most between thousands.

    Raises:
        DataError: They may separate thousands.
    """
    if delimiter == "," or not re.search(r"\d,\d", text):
        return "."
    # The sample may end within a number.
    lines = text.splitlines()[:-1] or text.splitlines()
    cells = _cells_without_lists(lines, delimiter)
    # A currency or a unit, a sign and brackets say nothing of a number's marks.
    read = [parts_of(cell) for cell in cells if re.search(r"\d[.,]\d", cell)]
    cells = {found[0] for found in read if found is not None} | {cell for cell in cells if _WITH_POINT.fullmatch(cell)}
    with_comma = sorted(cell for cell in cells if _WITH_COMMA.fullmatch(cell))
    if re.search(r"\d\.\d", text):
        with_point = [cell for cell in cells if _WITH_POINT.fullmatch(cell) and not _DAY.fullmatch(cell)]
        are_thousands = with_point and all(THOUSANDS.fullmatch(cell) for cell in with_point)
        has_fraction = any(not _GROUPED.fullmatch(cell) for cell in with_comma)
        return "," if are_thousands and has_fraction else "."
    if with_comma and all(_GROUPED.fullmatch(cell) for cell in with_comma):
        if any(cell.count(",") > 1 for cell in with_comma):
            # Thousands, which are found column by column (kinds.py).
            return "."
        rule = "numbers that can be read in one way only; this comma may separate thousands or a fraction"
        fix = 'if it separates a fraction, data.csv.decimal_point: ","; if thousands, data.csv.decimal_point: "."'
        raise DataError([Problem(path, with_comma[0], rule, fix)])
    return "," if with_comma else "."


def _cells_without_lists(lines: Sequence[str], delimiter: str) -> set[str]:
    """Different cells, but for those of columns in which commas divide lists: several, not between thousands."""
    columns = defaultdict[int, set[str]](set)
    for line in lines:
        for at, cell in enumerate(line.replace('"', "").split(delimiter)):
            columns[at].add(cell.strip())

    def is_list(cell: str) -> bool:
        return cell.count(",") > 1 and bool(_WITH_COMMA.fullmatch(cell)) and not _GROUPED.fullmatch(cell)

    return {cell for cells in columns.values() if not any(map(is_list, cells)) for cell in cells}


def _has_header(text: str, delimiter: str, before: Reading, target: str | None) -> bool:
    """Unless every cell of the first line is a number, and none the target; of a later file, as it was before."""
    cells = [cell.strip() for cell in cells_of(_first_line(text), delimiter)]
    if before.found is not None:
        return bool(before.found.header) or bool(cells and set(before.types) <= set(cells))
    return target in cells or not all(_is_number(cell) for cell in cells)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
