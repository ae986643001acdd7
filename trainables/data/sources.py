"""Reading a table: scikit-learn's bundled sets by name; CSV, Parquet and NPZ by path.

Whatever the source, the result is a ``Table`` of finite float64 features and one target column. Tables that hold
something else (text, gaps, infinities) are refused with the names of the columns.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from trainables.errors import DataError, Problem

BUNDLED = ("breast_cancer", "diabetes", "digits", "wine")
SUFFIXES = (".csv", ".npz", ".parquet")
# A small NPZ can expand a thousandfold; beyond this a table does not fit beside its float32 copies in 24 GiB.
MAX_NPZ_BYTES = 8 * 2**30
# Columns named in one message; a table with thousands of text columns needs no list of them all.
NAMED_COLUMNS = 8


@dataclass(frozen=True)
class Table:
    """A table as read.

    Attributes:
        features: ``[N, D]`` float64, finite.
        target: ``[N]`` numbers, booleans or text.
        feature_names: D names.
    """

    features: NDArray[np.float64]
    target: NDArray[Any]
    feature_names: tuple[str, ...]


def read(source: str, target: str | None, path: str) -> Table:
    """Read a table.

    Args:
        source: A bundled set's name or a file.
        target: Name of the target column or array.
        path: Config key of the source, for messages.

    Raises:
        DataError: It cannot be used; says why.
    """
    if source in BUNDLED:
        return _read_bundled(source, target)
    file = Path(source)
    if file.suffix.lower() not in SUFFIXES:
        raise DataError(
            [
                Problem(
                    path,
                    source,
                    f"a bundled set ({', '.join(BUNDLED)}) or a file ending in {', '.join(SUFFIXES)}",
                    "name one of these sets, or save the table as CSV, Parquet or NPZ",
                )
            ]
        )
    if not file.is_file():
        rule = "a file, not a folder" if file.is_dir() else "an existing file"
        raise DataError([Problem(path, source, rule, f"check the path; it was looked for at {file.absolute()}")])
    try:
        if file.stat().st_size == 0:
            raise DataError(
                [Problem(path, source, "a file with content", "the file is empty (0 bytes): write it again")]
            )
        return _READERS[file.suffix.lower()](file, target, path)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, pa.ArrowException) as error:
        # ArrowInvalid is a ValueError whose first line says what is wrong and where.
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            [Problem(path, source, f"a readable {file.suffix[1:].upper()} file", f"mend the file: {reason}")]
        ) from error


def _read_bundled(name: str, target: str | None) -> Table:
    if target is not None:
        raise DataError(
            [Problem("data.target", target, f"no target for the bundled set {name}, which has its own", "remove it")]
        )
    import sklearn.datasets

    bunch = getattr(sklearn.datasets, f"load_{name}")()
    return Table(
        np.asarray(bunch.data, dtype=np.float64), np.asarray(bunch.target), tuple(str(n) for n in bunch.feature_names)
    )


def _read_csv(file: Path, target: str | None, path: str) -> Table:
    # An empty cell is a missing value in a text column too.
    options = pyarrow.csv.ConvertOptions(strings_can_be_null=True)
    return _from_arrow(pyarrow.csv.read_csv(file, convert_options=options), target, path, file)


def _read_parquet(file: Path, target: str | None, path: str) -> Table:
    return _from_arrow(pyarrow.parquet.read_table(file), target, path, file)


def _from_arrow(table: pa.Table, target: str | None, path: str, file: Path) -> Table:
    names = list(table.column_names)
    # Quoted, since "label " and "label" look alike.
    shown = ", ".join(repr(name) for name in names[-NAMED_COLUMNS:])
    if table.num_rows == 0:
        raise DataError(
            [Problem(path, str(file), "at least one row", "the file has a header but no rows: write it again")]
        )
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise DataError([Problem(path, str(file), "column names that differ", f"rename the repeated columns {twice}")])
    if len(names) == 1 and (found := next((mark for mark in ";\t|" if mark in names[0]), None)):
        rule, fix = "columns separated by commas", f"save it with commas; it seems to be separated by {found!r}"
        raise DataError([Problem(path, names[0], rule, fix)])
    if "" in names:
        fix = "name the column, or remove the comma at the end of each line"
        raise DataError([Problem(path, "a column without a name", "a name for each column", fix)])
    if target is None:
        raise DataError([Problem("data.target", None, "the name of the column to predict", f"one of: {shown}")])
    if target not in names:
        raise DataError([Problem("data.target", target, "a column of the table", f"one of: {shown}")])
    features = table.drop_columns([target])
    if not features.column_names:
        raise DataError([Problem(path, str(file), "at least one column beside the target", "add feature columns")])
    _refuse_unusable(table, target, path)
    columns = [np.asarray(column.to_numpy(), dtype=np.float64) for column in features.columns]
    _refuse_infinite(dict(zip(features.column_names, columns, strict=True)), path)
    return Table(np.column_stack(columns), table.column(target).to_numpy(), tuple(features.column_names))


def _refuse_unusable(table: pa.Table, target: str, path: str) -> None:
    """Refuse text and missing values: every column concerned, in one error."""

    def numeric(kind: pa.DataType) -> bool:
        return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))

    text = [f.name for f in table.schema if f.name != target and not numeric(f.type)]
    # NaN written into a Parquet file is a number to Arrow and a missing value to everyone else.
    missing = [name for name, column in zip(table.column_names, table.columns, strict=True) if _has_missing(column)]
    problems = []
    # A column without a single value has no type of its own: missing says it better than text.
    text = [name for name in text if table.column(name).null_count < table.num_rows]
    kind = table.schema.field(target).type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_nested(kind):
        rule, fix = "numbers, true/false or text in UTF-8", "save the file as UTF-8"
        problems.append(Problem("data.target", target, rule, fix))
    if text:
        rule, fix = "numeric columns only (numbers or true/false)", "drop these columns or encode them as numbers"
        problems.append(Problem(path, _few(text), rule, fix))
    if missing:
        rule, fix = "no missing values", "fill in or drop the missing values in these columns"
        problems.append(Problem(path, _few(missing), rule, fix))
    if problems:
        raise DataError(problems)


def _has_missing(column: pa.ChunkedArray) -> bool:
    return bool(
        column.null_count > 0
        or (pa.types.is_floating(column.type) and bool(np.isnan(column.to_numpy().astype(np.float64)).any()))
    )


def _refuse_infinite(columns: Mapping[str, NDArray[np.float64]], path: str) -> None:
    # float32 ends at 3.4e38: what is larger would become infinite on the way into a tensor.
    limit = float(np.finfo(np.float32).max)
    infinite = [name for name, column in columns.items() if not (np.abs(column) < limit).all()]
    if infinite:
        fix = "replace infinite values, and numbers beyond 3.4e38, in these columns"
        raise DataError([Problem(path, _few(infinite), "finite numbers", fix)])


def _few(names: list[str]) -> str:
    more = len(names) - NAMED_COLUMNS
    return ", ".join(names[:NAMED_COLUMNS]) + (f" and {more} more" if more > 0 else "")


def _read_npz(file: Path, target: str | None, path: str) -> Table:
    target = target or "y"
    with zipfile.ZipFile(file) as archive:
        expanded = sum(entry.file_size for entry in archive.infolist())
    if expanded > MAX_NPZ_BYTES:
        rule = f"at most {MAX_NPZ_BYTES / 2**30:.0f} GiB when unpacked"
        raise DataError([Problem(path, str(file), rule, f"it unpacks to {expanded / 2**30:.1f} GiB: take fewer rows")])
    with np.load(file, allow_pickle=False) as arrays:
        if "X" not in arrays:
            rule = "an array named X of shape [rows, features]"
            raise DataError([Problem(path, str(file), rule, f"it holds {sorted(arrays)}: save it with X=...")])
        if target not in arrays:
            others = sorted(set(arrays) - {"X"})
            fix = f"one of: {', '.join(others)}" if others else f"save it with {target}=..."
            raise DataError([Problem("data.target", target, "an array of the file", fix)])
        features, values = arrays["X"], arrays[target]
    if features.ndim < 2 or features.shape[0] == 0 or values.shape != features.shape[:1]:
        rule = f"X of shape [rows, features] and {target} of shape [rows], at least one row"
        raise DataError([Problem(path, f"X {features.shape}, {target} {values.shape}", rule, "reshape the arrays")])
    if features.dtype.kind not in "biuf" or values.dtype.kind not in "biufU":
        rule = "numbers in X; numbers or text in the target"
        raise DataError([Problem(path, f"X {features.dtype}, {target} {values.dtype}", rule, "convert the arrays")])
    # Images [N, height, width] become rows of pixels.
    features = features.reshape(len(features), -1).astype(np.float64)
    names = tuple(f"x{i}" for i in range(features.shape[1]))
    missing = [name for name, bad in zip(names, np.isnan(features).any(axis=0), strict=True) if bad]
    if missing or (values.dtype.kind == "f" and np.isnan(values).any()):
        rule, fix = "no missing values", "fill in or drop the NaN in these columns"
        raise DataError([Problem(path, _few(missing or [target]), rule, fix)])
    _refuse_infinite(dict(zip(names, features.T, strict=True)), path)
    return Table(features, values, names)


_READERS: Mapping[str, Callable[[Path, str | None, str], Table]] = {
    ".csv": _read_csv,
    ".npz": _read_npz,
    ".parquet": _read_parquet,
}
