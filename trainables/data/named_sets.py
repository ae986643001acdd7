"""Tables by name: scikit-learn's bundled sets, and OpenML's by name, name@version or id.

scikit-learn does the loading; OpenML's tables are kept in its cache (``SCIKIT_LEARN_DATA``, else
``~/scikit_learn_data``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from trainables.data.locations import OPENML
from trainables.errors import DataError, Problem

# The column that a bundled set's target gets.
TARGET = "target"


def read_bundled(name: str) -> tuple[pa.Table, str]:
    """A bundled set and the name of its target column."""
    import sklearn.datasets

    bunch = getattr(sklearn.datasets, f"load_{name}")()
    columns = {str(column): pa.array(values) for column, values in zip(bunch.feature_names, bunch.data.T, strict=True)}
    return pa.table({**columns, TARGET: pa.array(np.asarray(bunch.target))}), TARGET


def read_openml(source: str, target: str | None, path: str) -> tuple[pa.Table, str]:
    """A table of OpenML.

    Args:
        source: ``openml:NAME``, ``openml:NAME@VERSION`` or ``openml:ID``.
        target: Column to predict; None for OpenML's own choice.
        path: Config key, for messages.

    Returns:
        The table and the name of its target column.

    Raises:
        DataError: It cannot be had.
    """
    from sklearn.datasets import fetch_openml

    which = _which(source.removeprefix(OPENML), path, source)
    try:
        # The target is a column like any other: which one it is, the config may say.
        bunch = fetch_openml(**which, target_column=target or "default-target", as_frame=True, parser="auto")
        frame = bunch.frame
        targets = list(getattr(bunch, "target_names", []) or [])
    except KeyError as error:
        rule = "a column of the table"
        raise DataError([Problem("data.target", target, rule, f"check the name: {error.args[0]}")]) from error
    # urllib's, OpenML's own and the parsers' errors have no common base.
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        rule = "a table that OpenML answers with (openml:NAME, openml:NAME@VERSION or openml:ID)"
        fix = f"check the name and the network: {type(error).__name__}: {reason}"
        raise DataError([Problem(path, source, rule, fix)]) from error
    if len(targets) != 1:
        rule = "one column to predict; this table names " + (", ".join(targets) if targets else "none")
        fix = f"one of: {', '.join(map(str, frame.columns[:20]))}"
        raise DataError([Problem("data.target", target, rule, fix)])
    return pa.Table.from_pandas(frame, preserve_index=False), str(targets[0])


def _which(name: str, path: str, source: str) -> dict[str, Any]:
    if name.isdigit():
        return {"data_id": int(name)}
    name, at, version = name.partition("@")
    if not name or (at and not version.isdigit()):
        rule = "openml:NAME, openml:NAME@VERSION or openml:ID"
        raise DataError([Problem(path, source, rule, "for example openml:adult@2 or openml:1590")])
    return {"name": name, "version": int(version) if at else "active"}
