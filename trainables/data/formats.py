"""Files into Arrow tables, one reader per format: CSV, Parquet, Feather/Arrow, JSON, NPZ, Excel; or compressed.

pyarrow does the reading. What is ours is what a person wants to hear when it cannot: the line, the column, the fix.
Nothing here opens a pickle.
"""

from __future__ import annotations

import math
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.feather
import pyarrow.parquet

from trainables.data import limits
from trainables.data.csv_files import read_csv
from trainables.data.json_documents import read_json, read_records
from trainables.data.reading import Read, Wanted
from trainables.data.spreadsheets import read_spreadsheet
from trainables.data.types import few, plain_table
from trainables.errors import DataError, Problem

# A small NPZ can expand a thousandfold; beyond this a table does not fit beside its float32 copies in 24 GiB.
MAX_NPZ_BYTES = 8 * 2**30
# What files may be compressed by, by the ending of their names, as pyarrow calls it.
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
# The same by the first bytes of a file, which no table that is not compressed begins with.
_COMPRESSED = {b"\x1f\x8b\x08": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh91AY&SY": "bz2"}
# Bytes unpacked before it is looked whether they are too many.
UNPACKED_AT_ONCE = 4 * 2**20
_HTML = re.compile(rb"\s*(\xef\xbb\xbf)?\s*<(!doctype|html|head|table|meta|script)", re.IGNORECASE)
# Deflate, which NPZ files are compressed by, makes at most 1032 bytes of one.
MOST_DEFLATED = 1_032


def read_file(file: Path, wanted: Wanted, path: str, shown: str) -> Read:
    """Read a file, or a folder of Parquet files.

    Args:
        file: A file on this machine.
        wanted: The format that the config names.
        path: Config key, for messages.
        shown: The place as the user wrote it, for messages.

    Raises:
        DataError: It cannot be read; says why.
    """
    suffix = ".parquet" if file.is_dir() else suffix_of(file.name)
    packed, _, inner = suffix[1:].rpartition(".")
    compression = COMPRESSIONS[f".{inner}"] if packed else _compression_of(file)
    if compression and (packed or suffix in _READERS):
        with _unpacked_file(file, f".{packed}" if packed else suffix, compression, path, shown) as unpacked:
            return _read_plain(unpacked, unpacked.suffix, wanted, path, shown)
    return _read_plain(file, suffix, wanted, path, shown)


def _compression_of(file: Path) -> str | None:
    """By what a file is compressed, by its first bytes: whoever saves a download may lose the ending of its name."""
    if not file.is_file():
        return None
    with file.open("rb") as opened:
        begins = opened.read(max(map(len, _COMPRESSED)))
    return next((name for mark, name in _COMPRESSED.items() if begins.startswith(mark)), None)


def _read_plain(file: Path, suffix: str, wanted: Wanted, path: str, shown: str) -> Read:
    """A file that is not compressed, or a folder; arguments and errors are those of ``read_file``."""
    if suffix not in _READERS:
        rule = (
            f"a file ending in {', '.join(_READERS)} (or with .gz, .zst or .bz2 behind), or a folder of Parquet files"
        )
        raise DataError([Problem(path, shown, rule, "save the table in one of these formats")])
    if file.is_dir() and not any(file.rglob("*.parquet")):
        rule = "a file, or a folder with Parquet files"
        raise DataError([Problem(path, shown, rule, "the folder holds no .parquet file: check the path")])
    if file.is_file() and file.stat().st_size == 0:
        raise DataError([Problem(path, shown, "a file with content", "the file is empty (0 bytes): write it again")])
    if file.is_file():
        _require_its_kind(file, suffix, path, shown)
    try:
        found = _READERS[suffix](file, wanted, path, shown)
        _require_text(found.table)
    except DataError:
        raise
    except MemoryError as error:
        rule, fix = "a table that fits into the memory there is", "take fewer rows or columns"
        raise DataError([Problem(path, shown, rule, fix)]) from error
    # What libraries say to bytes that are no such file is an exception of nearly any kind.
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0].replace(str(file), shown) or type(error).__name__
        rule, fix = f"a readable {suffix[1:].upper()} file", _remedy(suffix, reason)
        raise DataError([Problem(path, shown, rule, fix)]) from error
    limits.require(path, shown, rows=found.table.num_rows, columns=found.table.num_columns)
    return found


def _require_its_kind(file: Path, suffix: str, path: str, shown: str) -> None:
    """Refuse a file whose first bytes are those of another format than its name says.

    Raises:
        DataError: Says what it is.
    """
    with file.open("rb") as opened:
        begins = opened.read(512)
    is_text, is_sheet = _READERS[suffix] is read_csv, _READERS[suffix] is read_spreadsheet
    if (is_text or is_sheet) and _HTML.match(begins):
        kind, fix = "a page of HTML", "open it in a browser or in Excel and save the table as CSV"
    elif begins.startswith(b"PAR1") and suffix != ".parquet":
        kind, fix = "a Parquet file", "let its name end in .parquet"
    elif is_text and begins.startswith(b"PK\x03\x04"):
        kind = "an Excel file, or another that is zipped"
        fix = "let its name end in .xlsx; if it is a zip archive, unpack it"
    elif is_text and begins.startswith(b"\xd0\xcf\x11\xe0"):
        kind, fix = "an old Excel file", "let its name end in .xls"
    elif is_sheet and begins.isascii() and b"\0" not in begins and not begins.startswith(b"PK"):
        kind, fix = "text, as CSV is", "let its name end in .csv"
    else:
        return
    raise DataError([Problem(path, shown, f"a readable {suffix[1:].upper()} file; this is {kind}", fix)])


def suffix_of(name: str) -> str:
    """The ending of a file's name that tells its format: ``.csv``, or ``.csv.gz`` of a compressed one.

    >>> suffix_of("2024.sales.CSV.gz"), suffix_of("a.tar.gz"), suffix_of("t.parquet")
    ('.csv.gz', '.gz', '.parquet')
    """
    *_, before, last = ["", "", *(f".{part}" for part in name.lower().split(".")[1:])]
    return before + last if last in COMPRESSIONS and before in _READERS else last


@contextmanager
def _unpacked_file(file: Path, suffix: str, compression: str, path: str, shown: str) -> Iterator[Path]:
    """A compressed file as a file that is not, as long as it is needed.

    Raises:
        DataError: It is no such file, or too large.
    """
    with tempfile.TemporaryDirectory(prefix="search-service-") as folder:
        unpacked = Path(folder) / f"table{suffix}"
        try:
            with pa.input_stream(str(file), compression=compression) as packed, unpacked.open("wb") as plain:
                while block := packed.read(UNPACKED_AT_ONCE):
                    plain.write(block)
                    # Texts take no less memory than the file.
                    limits.require(path, shown, unpacked_bytes=plain.tell())
        except OSError as error:
            reason = (str(error).splitlines() or [""])[0]
            rule, fix = f"a {compression} file", f"compress it again, or give it uncompressed: {reason}"
            raise DataError([Problem(path, shown, rule, fix)]) from error
        yield unpacked


def _require_text(table: pa.Table) -> None:
    """Fail where names or texts hold bytes that are no UTF-8: readers of JSON and Parquet hand on what is there.

    Raises:
        ValueError: They do; UnicodeDecodeError and pyarrow's ArrowInvalid are of this kind.
    """
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            try:
                column.validate(full=True)
            except pa.ArrowInvalid as error:
                raise ValueError(f"column {name!r} holds bytes that are no UTF-8") from error


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


# ---- Parquet, Arrow, JSON lines ------------------------------------------------------------------------------------


def _read_parquet(file: Path, wanted: Wanted, path: str, shown: str) -> Read:
    if not file.is_dir():
        _require_small([pyarrow.parquet.read_metadata(file)], path, shown)
        return Read(pyarrow.parquet.read_table(file), None)
    whole = pyarrow.dataset.dataset(file, format="parquet", partitioning="hive", exclude_invalid_files=True)
    files = [(str(Path(part.path).relative_to(file)), part) for part in whole.get_fragments()]
    _require_small([part.metadata for _, part in files], path, shown)
    tables = {name: _fragment(part, whole.schema) for name, part in files}
    return Read(_joined(tables, path), None, tuple(_lacking(tables)))


def _require_small(parts: Sequence[pyarrow.parquet.FileMetaData], path: str, shown: str) -> None:
    """Refuse files that are too large together, by what their footers say."""
    rows, columns = sum(part.num_rows for part in parts), max((part.num_columns for part in parts), default=0)
    unpacked = sum(part.row_group(i).total_byte_size for part in parts for i in range(part.num_row_groups))
    limits.require(path, shown, rows=rows, columns=columns, unpacked_bytes=unpacked)


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
        with pa.memory_map(str(file)) as opened, pa.ipc.open_file(opened) as batches:
            numbers = range(batches.num_record_batches)
            return Read(_unpacked(map(batches.get_batch, numbers), batches.schema, path, shown), None)
    except pa.ArrowInvalid:
        # An Arrow stream instead of an Arrow file, or a file in Feather's first version.
        with file.open("rb") as opened:
            is_first_version = opened.read(4) == b"FEA1"
        if is_first_version:
            return Read(pyarrow.feather.read_table(file), None)
        with file.open("rb") as opened, pa.ipc.open_stream(opened) as stream:
            return Read(_unpacked(stream, stream.schema, path, shown), None)


def _unpacked(batches: Iterable[pa.RecordBatch], schema: pa.Schema, path: str, shown: str) -> pa.Table:
    """A table of batches, which are unpacked one after another: what is too large is refused on the way."""
    limits.require(path, shown, columns=len(schema))
    kept, rows, unpacked = [], 0, 0
    for batch in batches:
        kept.append(batch)
        rows, unpacked = rows + batch.num_rows, unpacked + batch.nbytes
        limits.require(path, shown, rows=rows, columns=len(schema), unpacked_bytes=unpacked)
    return pa.Table.from_batches(kept, schema)


# ---- NPZ ---------------------------------------------------------------------------------------------------------


def _read_npz(file: Path, wanted: Wanted, path: str, shown: str) -> Read:
    target = wanted.target or "y"
    with zipfile.ZipFile(file) as archive:
        _require_honest(archive, file.stat().st_size, path, shown)
        expanded = sum(entry.file_size for entry in archive.infolist())
    limits.require(path, shown, unpacked_bytes=expanded)
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


def _require_honest(archive: zipfile.ZipFile, file_size: int, path: str, shown: str) -> None:
    """Refuse arrays that announce more than the file holds, or too much, before memory is taken for them.

    Raises:
        ValueError: Says which announces more than there is.
        DataError: One is too large.
    """
    for entry in archive.infolist():
        # Both the archive's list and the array's own header may lie.
        if entry.file_size > MOST_DEFLATED * min(entry.compress_size, file_size) + MOST_DEFLATED:
            raise ValueError(f"{entry.filename} is said to have {entry.file_size} bytes, which the file cannot hold")
        with archive.open(entry) as opened:
            version = np.lib.format.read_magic(opened)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(opened)
        limits.require(path, shown, rows=shape[0] if shape else 0, columns=math.prod(shape[1:]))
        announced = math.prod(shape) * dtype.itemsize
        if announced > entry.file_size:
            raise ValueError(f"{entry.filename} announces shape {shape}, {announced} bytes, and has {entry.file_size}")


_READERS: Mapping[str, Callable[[Path, Wanted, str, str], Read]] = {
    ".csv": read_csv,
    ".tsv": read_csv,
    ".parquet": _read_parquet,
    ".feather": _read_feather,
    ".arrow": _read_feather,
    ".json": read_json,
    ".jsonl": read_records,
    ".ndjson": read_records,
    ".npz": _read_npz,
    ".xlsx": read_spreadsheet,
    ".xls": read_spreadsheet,
    ".ods": read_spreadsheet,
    ".tab": read_csv,
    ".txt": read_csv,
    ".data": read_csv,
    ".psv": read_csv,
}
SUFFIXES = tuple(_READERS)
