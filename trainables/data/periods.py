"""Periods as pandas writes them into Parquet and Arrow files: counted from 1970, in months, quarters or another step.

Arrow knows them as whole numbers, and only a field's metadata says that 646 is November 2023.
"""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyarrow as pa

_NAME = "pandas.period"


def is_of_periods(field: pa.Field) -> bool:
    """Whether a column holds periods; its type says so only where pandas has been asked for it before."""
    return getattr(field.type, "extension_name", "") == _NAME or (
        (field.metadata or {}).get(b"ARROW:extension:name") == _NAME.encode()
    )


def as_dates(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    """Each period's first moment.

    Args:
        column: Of such a field.
        field: Says what is counted.
    """
    if isinstance(field.type, pa.BaseExtensionType):
        said, kind = field.type.__arrow_ext_serialize__(), field.type.storage_type
        column = pa.chunked_array([chunk.storage for chunk in column.chunks], kind)
    else:
        said = (field.metadata or {})[b"ARROW:extension:metadata"]
    counted = column.to_pandas().astype("Int64").fillna(np.iinfo(np.int64).min).to_numpy(np.int64)
    firsts = pd.PeriodIndex.from_ordinals(counted, freq=json.loads(said)["freq"]).to_timestamp()
    return pa.chunked_array([pa.array(firsts, pa.timestamp("us"), from_pandas=True)])
