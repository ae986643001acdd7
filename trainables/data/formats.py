"""Files into Arrow tables, one reader per format: CSV, Parquet, Feather/Arrow, JSON lines, NPZ.

pyarrow does the reading. What is ours is what a person wants to hear when it cannot: the line, the column, the fix;
and finding out how a CSV file is written. Nothing here opens a pickle.
"""

from __future__ import annotations

import csv
import math
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.dataset
import pyarrow.feather
import pyarrow.json
import pyarrow.parquet

from trainables.data.config import CsvConfig
from trainables.data.reading import Reading, null_values_of, without
from trainables.data.types import few, plain_table
from trainables.errors import DataError, Problem

# Enough lines to see how a CSV file is written; encodings differ in rare letters, so not too few.
SAMPLE_BYTES = 256 * 1024
DELIMITERS = ",;\t|"
# A small NPZ can expand a thousandfold; beyond this a table does not fit beside its float32 copies in 24 GiB.
MAX_NPZ_BYTES = 8 * 2**30
# Deflate, which NPZ files are compressed by, makes at most 1032 bytes of one.
MOST_DEFLATED = 1_032
# A comma between digits that may separate thousands as well as a fraction, and one that can only do the latter.
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")
_WITH_COMMA = re.compile(r"[+-]?\d+(,\d+)+")


class Wanted(NamedTuple):
    """What a config says that a reader needs: how CSV is written, and the columns named by their roles."""

    csv: CsvConfig = CsvConfig()
    target: str | None = None
    others: tuple[str, ...] = ()
    # Of rows to predict, nobody knows it yet.
    needs_target: bool = True
    # CSV columns whose values are codes: 01009 is no number.
    texts: tuple[str, ...] = ()
    # Whether an address that only this network reaches is refused.
    public_only: bool = False
    # How the training file was read; none while it is being read.
    before: Reading | None = None


class Read(NamedTuple):
    """A table, the name of its target column where the format has one, and what was found out on the way."""

    table: pa.Table
    target: str | None
    notes: tuple[str, ...] = ()
    # How a CSV file is written, as given and found out.
    csv: CsvConfig | None = None


def read_file(file: Path, wanted: Wanted, path: str, shown: str) -> Read:
    """Read a file, or a folder of Parquet files.

    Args:
        file: On this machine.
        wanted: By the config.
        path: Config key, for messages.
        shown: As the user wrote it, for messages.

    Raises:
        DataError: It cannot be read; says why.
    """
    suffix = ".parquet" if file.is_dir() else file.suffix.lower()
    if suffix not in _READERS:
        rule = f"a file ending in {', '.join(_READERS)}, or a folder of Parquet files"
        raise DataError([Problem(path, shown, rule, "save the table in one of these formats")])
    if file.is_dir() and not any(file.rglob("*.parquet")):
        rule = "a file, or a folder with Parquet files"
        raise DataError([Problem(path, shown, rule, "the folder holds no .parquet file: check the path")])
    if file.is_file() and file.stat().st_size == 0:
        raise DataError([Problem(path, shown, "a file with content", "the file is empty (0 bytes): write it again")])
    try:
        return _READERS[suffix](file, wanted, path, shown)
    except DataError:
        raise
    # What libraries say to bytes that are no such file is an exception of nearly any kind.
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0].replace(str(file), shown) or type(error).__name__
        rule, fix = f"a readable {suffix[1:].upper()} file", _remedy(suffix, reason)
        raise DataError([Problem(path, shown, rule, fix)]) from error


def _remedy(suffix: str, reason: str) -> str:
    """What to do about a reader's complaint."""
    if "encrypted" in reason.lower() or "decrypt" in reason.lower():
        return "the file is protected by a key: save it without encryption"
    if suffix == ".parquet" and ("magic bytes" in reason or "footer" in reason.lower()):
        return f"the file is cut off or no Parquet file: write or copy it again ({reason})"
    if found := re.search(r"Row #(\d+): (.*)", reason):
        return f"mend line {found[1]}: {found[2]}"
    if found := re.search(r"(.*) in row (\d+)$", reason):
        return f"mend line {int(found[2]) + 1}: {found[1]}"
    return f"mend the file: {reason}"


# ---- CSV ---------------------------------------------------------------------------------------------------------


def _read_csv(file: Path, wanted: Wanted, path: str, shown: str) -> Read:
    given = wanted.csv
    sample = _sample(file)
    before = wanted.before or Reading()
    usual = before.found or CsvConfig()
    encoding = given.encoding or _encoding_of(sample, file, path, shown, usual.encoding)
    text = _decode(sample, encoding, path, shown)
    if not text.strip():
        raise DataError([Problem(path, shown, "a file with content", "the file has only empty lines")])
    delimiter = given.delimiter or _delimiter_as_before(text, before) or _delimiter_of(text)
    header = given.header if given.header is not None else _has_header(text, delimiter, before)
    point: str | None = given.decimal_point
    if point is None and usual.decimal_point != delimiter:
        point = usual.decimal_point
    point = point or _decimal_point_of(text, delimiter, path)
    notes = []
    if encoding not in ("utf-8", "utf-8-sig", "ascii"):
        notes.append(f"read as {encoding}")
    if delimiter != ",":
        notes.append(f"columns separated by {'tabs' if delimiter == chr(9) else repr(delimiter)}")
    if point != ".":
        notes.append("numbers with a decimal comma")
    if not header:
        notes.append("no line of names: columns are called f0, f1, ...")
    found = given.model_copy(
        update={"encoding": encoding, "delimiter": delimiter, "header": header, "decimal_point": point}
    )
    types = {name: pa.float64() if kind == "number" else pa.string() for name, kind in before.types.items()}
    try:
        table = _parse_csv(file, found, types | dict.fromkeys(wanted.texts, pa.string()), decided=bool(types))
    except pa.ArrowInvalid:
        if not types:
            raise
        # Some value is no number: as text, so that whoever knows the column's kind can say which.
        table = _parse_csv(file, found, dict.fromkeys([*types, *wanted.texts], pa.string()), decided=True)
        table = _with_decimal_points(table, [name for name, kind in before.types.items() if kind == "number"], point)
    if types:
        table = without(table, null_values_of(given), before.words)
    _refuse_open_quote(table, path, shown)
    return Read(table, None, tuple(notes), found)


def _parse_csv(file: Path, written: CsvConfig, types: Mapping[str, pa.DataType], *, decided: bool) -> pa.Table:
    """Let Arrow read a CSV file.

    Args:
        file: Which.
        written: How it is written; everything is set.
        types: Of columns whose type Arrow need not find out.
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
            encoding=written.encoding, autogenerate_column_names=not written.header, use_threads=use_threads
        )
        return pyarrow.csv.read_csv(file, read_options=how, **options)

    try:
        return read(use_threads=True)
    except pa.ArrowInvalid:
        # Only one thread knows which line it is at.
        return read(use_threads=False)


def _with_decimal_points(table: pa.Table, names: Sequence[str], point: str) -> pa.Table:
    """Texts of number columns as they are written with a point."""
    if point == ".":
        return table
    for name in set(names) & set(table.column_names):
        at = table.column_names.index(name)
        table = table.set_column(at, name, pc.replace_substring(table.column(at), pattern=point, replacement="."))
    return table


def _refuse_open_quote(table: pa.Table, path: str, shown: str) -> None:
    """A quotation mark that is never closed makes one value of the rest of the file: many lines in the last row."""
    last = table.slice(max(0, table.num_rows - 1)).to_pylist()
    for name, value in (last[0] if last else {}).items():
        # Addresses and remarks have a few lines; the rest of a file ends with the file's own line break.
        if isinstance(value, str) and value.endswith(("\n", "\r")):
            rule = f"a closing quotation mark for each opening one; column {name} of the last row is never closed"
            value_begins = value.splitlines()[0][:40]
            raise DataError([Problem(path, shown, rule, f"close the quotation mark before {value_begins!r}")])


def _sample(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(SAMPLE_BYTES)


def _encoding_of(sample: bytes, file: Path, path: str, shown: str, usual: str | None) -> str:
    """The encoding of a file; the first bytes that are not plain English decide.

    What is not UTF-8 is in the encoding ``usual`` of the training file, where there is one: a few rows say too little.
    """
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if sample.startswith(mark):
            return encoding
    if sample.isascii():
        sample = _first_beyond_ascii(file) or sample
    for cut in range(4):
        # The sample may end within a letter.
        try:
            sample[: len(sample) - cut].decode("utf-8")
        except UnicodeDecodeError:
            continue
        else:
            return "utf-8"
    if usual not in (None, "utf-8", "utf-8-sig"):
        return str(usual)
    import charset_normalizer

    best = charset_normalizer.from_bytes(sample).best()
    if best is None or "\x00" in str(best):
        rule = "text in an encoding that can be recognised"
        raise DataError([Problem(path, shown, rule, "save it as UTF-8, or name its encoding in data.csv.encoding")])
    # Windows' variant holds all of Latin-1's letters and is what is usually meant.
    return "cp1252" if best.encoding in ("latin_1", "cp1250", "cp1252") else str(best.encoding)


def _first_beyond_ascii(file: Path) -> bytes | None:
    """Bytes around the first one that is not ASCII."""
    with file.open("rb") as opened:
        while block := opened.read(16 * SAMPLE_BYTES):
            if not block.isascii():
                at = int(np.flatnonzero(np.frombuffer(block, np.uint8) > 127)[0])
                return block[max(0, at - SAMPLE_BYTES) : at + SAMPLE_BYTES]
    return None


def _decode(sample: bytes, encoding: str, path: str, shown: str) -> str:
    try:
        return sample.decode(encoding, errors="ignore")
    except LookupError as error:
        rule, fix = "the name of an encoding", "for example utf-8, latin-1 or cp1252"
        raise DataError([Problem("data.csv.encoding", encoding, rule, fix)]) from error


def _first_line(text: str) -> str:
    return next((line for line in text.splitlines() if line.strip()), "")


def _delimiter_as_before(text: str, before: Reading) -> str | None:
    """The training file's delimiter, if the first line has columns of that table when it is cut there."""
    if before.found is None or before.found.delimiter is None:
        return None
    cells = _cells(_first_line(text), before.found.delimiter)
    named = bool(set(cells) & set(before.types))
    return before.found.delimiter if named or (not before.found.header and len(cells) > 1) else None


def _cells(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter), [])


def _delimiter_of(text: str) -> str:
    """The character that cuts the first lines into the most pieces, equally many in each."""
    lines = [line for line in text.splitlines()[:50] if line.strip()]
    # The sample may end within a line.
    lines = lines[:-1] if len(lines) > 2 else lines

    def pieces(mark: str) -> tuple[bool, int]:
        counts = [_count_outside_quotes(line, mark) for line in lines]
        return len(set(counts)) == 1, min(counts, default=0)

    best = max(DELIMITERS, key=lambda mark: (pieces(mark)[1] > 0, pieces(mark)))
    return best if pieces(best)[1] > 0 else ","


def _count_outside_quotes(line: str, mark: str) -> int:
    return re.sub(r'"[^"]*"', "", line).count(mark)


def _decimal_point_of(text: str, delimiter: str, path: str) -> str:
    """A comma where commas do not separate, stand between digits, and no point does.

    Raises:
        DataError: They may separate thousands.
    """
    if delimiter == "," or not re.search(r"\d,\d", text) or re.search(r"\d\.\d", text):
        return "."
    # The sample may end within a number.
    lines = text.splitlines()[:-1] or text.splitlines()
    cells = {cell.strip() for line in lines for cell in line.replace('"', "").split(delimiter)}
    with_comma = sorted(cell for cell in cells if _WITH_COMMA.fullmatch(cell))
    if with_comma and all(_GROUPED.fullmatch(cell) for cell in with_comma):
        rule = "numbers that can be read in one way only; this comma may separate thousands or a fraction"
        fix = 'if it separates a fraction, data.csv.decimal_point: ","; if thousands, write numbers without it'
        raise DataError([Problem(path, with_comma[0], rule, fix)])
    return ","


def _has_header(text: str, delimiter: str, before: Reading) -> bool:
    """Unless every cell of the first line is a number; of a later file, as in the training file."""
    cells = [cell.strip() for cell in _cells(_first_line(text), delimiter)]
    if before.found is not None:
        return bool(before.found.header) or bool(cells and set(before.types) <= set(cells))
    return not all(_is_number(cell) for cell in cells)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


# ---- Parquet, Arrow, JSON lines ------------------------------------------------------------------------------------


def _read_parquet(file: Path, wanted: Wanted, path: str, shown: str) -> Read:
    if not file.is_dir():
        return Read(pyarrow.parquet.read_table(file), None)
    whole = pyarrow.dataset.dataset(file, format="parquet", partitioning="hive", exclude_invalid_files=True)
    files = [(str(Path(part.path).relative_to(file)), part) for part in whole.get_fragments()]
    tables = {name: _fragment(part, whole.schema) for name, part in files}
    return Read(_joined(tables, path), None, tuple(_lacking(tables)))


def _fragment(part: Any, schema: pa.Schema) -> pa.Table:
    """A file of a folder, by its own types, with the columns that its folders' names give (``year=2020``)."""
    table = plain_table(part.to_table(schema=part.physical_schema))
    for name, value in pyarrow.dataset.get_partition_keys(part.partition_expression).items():
        if name not in table.column_names:
            kind = schema.field(name).type
            kind = kind.value_type if pa.types.is_dictionary(kind) else kind
            table = table.append_column(name, pa.repeat(pa.scalar(value, kind), table.num_rows))
    return table


def _joined(tables: Mapping[str, pa.Table], path: str) -> pa.Table:
    """The rows of all files: whole numbers and fractions are numbers, an empty column has the others' type."""
    try:
        return pa.concat_tables(tables.values(), promote_options="permissive")
    except pa.ArrowException as error:
        raise DataError(_clashes(tables, path)) from error


def _clashes(tables: Mapping[str, pa.Table], path: str) -> list[Problem]:
    """Columns whose types in two files cannot be joined."""
    first: dict[str, tuple[str, pa.Field]] = {}
    problems: dict[str, Problem] = {}
    for file, table in tables.items():
        for field in table.schema:
            known, before = first.setdefault(field.name, (file, field))
            try:
                pa.unify_schemas([pa.schema([before]), pa.schema([field])], promote_options="permissive")
            except pa.ArrowException:
                found = f"column {field.name}: {before.type} in {known}, {field.type} in {file}"
                rule, fix = "one type of value in all files of a folder", "write the column alike in all files"
                problems.setdefault(field.name, Problem(path, found, rule, fix))
            else:
                if pa.types.is_null(before.type):
                    first[field.name] = (file, field)
    return list(problems.values())


def _lacking(tables: Mapping[str, pa.Table]) -> Iterator[str]:
    """What is to be said of columns that not every file has."""
    names = dict.fromkeys(name for table in tables.values() for name in table.column_names)
    had = {file: set(table.column_names) for file, table in tables.items()}
    for name in names:
        files = [file for file in tables if name not in had[file]]
        if files:
            yield f"column {name} is not in {few(files)}: missing in these rows"


def _read_feather(file: Path, wanted: Wanted, path: str, shown: str) -> Read:
    try:
        return Read(pyarrow.feather.read_table(file), None)
    except pa.ArrowInvalid:
        # An Arrow stream instead of an Arrow file.
        with file.open("rb") as opened, pa.ipc.open_stream(opened) as stream:
            return Read(stream.read_all(), None)


def _read_json(file: Path, wanted: Wanted, path: str, shown: str) -> Read:
    return Read(pyarrow.json.read_json(file), None)


# ---- NPZ ---------------------------------------------------------------------------------------------------------


def _read_npz(file: Path, wanted: Wanted, path: str, shown: str) -> Read:
    target = wanted.target or "y"
    with zipfile.ZipFile(file) as archive:
        _require_honest(archive, file.stat().st_size)
        expanded = sum(entry.file_size for entry in archive.infolist())
    if expanded > MAX_NPZ_BYTES:
        rule = f"at most {MAX_NPZ_BYTES / 2**30:.0f} GiB when unpacked"
        raise DataError([Problem(path, shown, rule, f"it unpacks to {expanded / 2**30:.1f} GiB: take fewer rows")])
    with np.load(file, allow_pickle=False) as arrays:
        if "X" not in arrays:
            rule = "an array named X of shape [rows, features]"
            raise DataError([Problem(path, shown, rule, f"it holds {sorted(arrays)}: save it with X=...")])
        if wanted.needs_target and target not in arrays:
            others = sorted(set(arrays) - {"X"})
            fix = f"one of: {', '.join(others)}" if others else f"save it with {target}=..."
            raise DataError([Problem("data.target", target, "an array of the file", fix)])
        features = arrays["X"]
        columns = {name: arrays[name] for name in (target, *wanted.others) if name in arrays}
    # Images [N, height, width] become rows of pixels.
    shapes = {name: values.shape for name, values in columns.items()}
    if features.ndim < 2 or features.shape[0] == 0 or any(shape != features.shape[:1] for shape in shapes.values()):
        rule = f"X of shape [rows, features] and {target} of shape [rows], at least one row"
        found = f"X {features.shape}, " + ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise DataError([Problem(path, found, rule, "reshape the arrays")])
    kind = columns[target].dtype if target in columns else np.dtype(float)
    if features.dtype.kind not in "biuf" or kind.kind not in "biufU":
        rule = "numbers in X; numbers or text in the target"
        raise DataError([Problem(path, f"X {features.dtype}, {target} {kind}", rule, "convert the arrays")])
    features = features.reshape(len(features), -1)
    # A column of its own for each, contiguous: Arrow takes it as it is.
    table = {f"x{i}": pa.array(np.ascontiguousarray(column)) for i, column in enumerate(features.T)}
    return Read(pa.table(table | {name: pa.array(column) for name, column in columns.items()}), target)


def _require_honest(archive: zipfile.ZipFile, file_size: int) -> None:
    """Refuse arrays that announce more than the file holds, before memory is taken for them.

    Raises:
        ValueError: Says which.
    """
    for entry in archive.infolist():
        # Both the archive's list and the array's own header may lie.
        if entry.file_size > MOST_DEFLATED * min(entry.compress_size, file_size) + MOST_DEFLATED:
            raise ValueError(f"{entry.filename} is said to have {entry.file_size} bytes, which the file cannot hold")
        with archive.open(entry) as opened:
            version = np.lib.format.read_magic(opened)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(opened)
        announced = math.prod(shape) * dtype.itemsize
        if announced > entry.file_size:
            raise ValueError(f"{entry.filename} announces shape {shape}, {announced} bytes, and has {entry.file_size}")


_READERS: Mapping[str, Callable[[Path, Wanted, str, str], Read]] = {
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".parquet": _read_parquet,
    ".feather": _read_feather,
    ".arrow": _read_feather,
    ".jsonl": _read_json,
    ".ndjson": _read_json,
    ".npz": _read_npz,
}
SUFFIXES = tuple(_READERS)
