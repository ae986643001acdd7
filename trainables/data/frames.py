"""Tables that are in memory already: pandas, Polars, Arrow, NumPy; and as files, so that a study can read them again.

Whatever speaks Arrow's protocol (``__arrow_c_stream__``: Polars, DuckDB, Arrow's own readers) is taken as it is.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from trainables.data.columns import category_names
from trainables.data.types import few, plain
from trainables.errors import DataError, Problem

# Of a target that comes beside its table and has no name of its own.
TARGET = "target"


def as_table(data: Any, target: Any = None) -> tuple[pa.Table, str | None]:
    """A table in memory as an Arrow table, and the name of its target column.

    Args:
        data: A data frame of pandas or Polars, an Arrow table, anything that speaks Arrow's protocol, or a NumPy array
            ``[N, D]``, whose columns are called x0, x1, ...
        target: The target column's name, or its N values; they become a column.

    Raises:
        DataError: It is nothing of these, or a column holds values of several types; with all such columns.
    """
    table = _table_of(data)
    if target is None or isinstance(target, str):
        return table, target
    if isinstance(target, tuple) and isinstance(data, pd.DataFrame) and target in data.columns:
        # Of a frame whose names have several levels.
        return table, str(target)
    single = target[0] if isinstance(target, list | tuple) and len(target) == 1 else target
    if np.ndim(single) == 0 and len(table) != np.size(target):
        if single is target and str(target) in table.column_names:
            # Of a frame whose columns are numbered.
            return table, str(target)
        rule, fix = "a column's name, or a value for each row", f"one of: {few([*map(repr, table.column_names)])}"
        fix = f"give {single!r}" if single in table.column_names else fix
        raise DataError([Problem("target", str(target), rule, fix)])
    name = str(getattr(target, "name", None) or TARGET)
    while name in table.column_names:
        name += "_"
    if isinstance(target, pd.DataFrame) or np.ndim(target) > 1:
        found = f"a table of shape {np.shape(target)}"
        is_single = isinstance(target, np.ndarray) and target.size == len(target)
        fix = "give one column, such as df['y']" + (", or target.ravel()" if is_single else "")
        raise DataError([Problem("target", found, "one value for each row", fix)])
    _require_same_order(data, target)
    values = _column_of(target if hasattr(target, "__arrow_array__") else np.asarray(target), name)
    if len(values) != table.num_rows:
        rule, fix = f"as many values as the table has rows, which are {table.num_rows:,}", "give both of the same rows"
        raise DataError([Problem("target", f"{len(values):,} values", rule, fix)])
    return table.append_column(name, values), name


def _require_same_order(data: Any, target: Any) -> None:
    """Rows and targets are paired by their places; labels in another order say that this is not meant.

    Raises:
        DataError: They are.
    """
    if not (isinstance(data, pd.DataFrame) and isinstance(target, pd.Series)) or len(data) != len(target):
        return
    if not data.index.equals(target.index) and data.index.is_unique and set(data.index) == set(target.index):
        rule, fix = "rows in the order of the table's; its labels are in another", "give target.loc[table.index]"
        raise DataError([Problem("target", f"labels {few([*map(str, target.index[:3])])} ...", rule, fix)])


def labels_of(table: pa.Table, target: str | None) -> dict[str, float | bool]:
    """The values of a target of numbers, or of true and false, by the names that they have as classes.

    Args:
        table: A table that was in memory.
        target: Its target column; of any other target, and of none, there are no labels.
    """
    if target not in table.column_names:
        return {}
    values = pc.unique(plain(table.column(target))).drop_null()
    if not any(of(values.type) for of in (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)):
        return {}
    names = category_names(pa.chunked_array([values]))
    return dict(zip(names.to_pylist(), values.to_pylist(), strict=True))


def write(table: pa.Table, folder: Path, name: str) -> Path:
    """Write a table into a folder, by its name and content: the same table is the same file.

    Args:
        table: Is written as Parquet.
        folder: Is made if need be.
        name: What the file's name begins with.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor, unfinished = tempfile.mkstemp(prefix=".unfinished-", dir=folder)
    os.close(descriptor)
    try:
        pyarrow.parquet.write_table(table, unfinished)
        with Path(unfinished).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        path = folder / f"{name}-{digest[:12]}.parquet"
        # Jobs may read it as another user.
        Path(unfinished).chmod(0o644)
        Path(unfinished).replace(path)
    finally:
        Path(unfinished).unlink(missing_ok=True)
    return path


def _table_of(data: Any) -> pa.Table:
    if isinstance(data, pa.Table):
        return data
    if isinstance(data, np.ma.MaskedArray):
        # What is masked is missing.
        is_number = data.dtype.kind in "iufb"
        data = np.ma.filled(data.astype(np.float64 if is_number else object), np.nan if is_number else None)
    if isinstance(data, np.ndarray):
        if data.ndim < 2 or not data.size:
            found = f"an array of shape {data.shape}"
            fix = "reshape it" if data.dtype.names is None else "give pandas.DataFrame(array), which names its columns"
            raise DataError([Problem("data", found, "an array of shape [rows, columns], neither 0", fix)])
        # Rows of a matrix are matrices.
        rows = np.asarray(data).reshape(len(data), -1)
        return pa.table({f"x{i}": _column_of(rows[:, i], f"x{i}") for i in range(rows.shape[1])})
    if isinstance(data, pd.DataFrame):
        return _table_of_frame(data)
    if isinstance(data, pd.Series):
        found, rule = "a single column", "a table: a target, and at least one column to predict it by"
        raise DataError([Problem("data", found, rule, "give the whole data frame")])
    if hasattr(data, "__arrow_c_stream__"):
        return pa.table(data)
    rule = "a data frame of pandas or Polars, an Arrow table, a NumPy array, or the path of a file"
    fix = "convert it"
    if isinstance(data, dict | list):
        fix = "give pandas.DataFrame(data)"
    elif hasattr(data, "toarray"):
        fix = "give data.toarray(), if it is small enough to lie in memory with its zeros"
    raise DataError([Problem("data", type(data).__name__, rule, fix)])


def _table_of_frame(frame: pd.DataFrame) -> pa.Table:
    names = [str(name) for name in frame.columns]
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise DataError([Problem("data", few(repeated), "column names that differ", "rename the columns")])
    columns, problems = {}, list[Problem]()
    for at, name in enumerate(names):
        try:
            columns[name] = _column_of(frame.iloc[:, at], name)
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(problems)
    return pa.table(columns)


def _column_of(values: Any, name: str) -> pa.Array:
    if isinstance(values, pd.Series):
        kinds = (values.dtype, getattr(getattr(values.dtype, "categories", None), "dtype", None))
        if any(isinstance(kind, pd.IntervalDtype) for kind in kinds):
            # As pandas.cut and qcut make them: (0, 10].
            values = values.astype(object).map(str, na_action="ignore")
        elif isinstance(values.dtype, pd.PeriodDtype):
            values = values.dt.to_timestamp()
        elif isinstance(values.dtype, pd.SparseDtype):
            # As pandas.get_dummies(sparse=True) makes them.
            values = values.sparse.to_dense()
        elif values.dtype == np.longdouble:
            # Which Arrow does not know.
            values = values.astype(np.float64)
    try:
        return pa.array(np.ascontiguousarray(values) if isinstance(values, np.ndarray) else values, from_pandas=True)
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        rule, fix = "values of one type in a column", f"convert it, to text for example ({str(error).splitlines()[0]})"
        raise DataError([Problem("data", f"column {name}", rule, fix)]) from error
