"""Small files that unpack to gigabytes, lie about their size, or keep a CPU busy; for tests and benchmarks."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet


def parquet() -> bytes:
    """50 million rows of two columns in less than a megabyte."""
    out, rows = io.BytesIO(), 2_000_000
    part = pa.table({"x": pa.array(np.zeros(rows)), "y": pa.array(np.zeros(rows, np.int64))})
    with pyarrow.parquet.ParquetWriter(out, part.schema, compression="zstd") as writer:
        for _ in range(25):
            writer.write_table(part)
    return out.getvalue()


def npz(rows: int = 400_000) -> bytes:
    """Zeros, 800 bytes a row, in a thousandth of that: 330 MB in a third of a megabyte.

    Args:
        rows: A multiple of 40.
    """
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, shape in (("X", (rows, 100)), ("y", (rows,))):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                header = {"descr": "<f8", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, header)
                width = int(np.prod(shape[1:]))
                for _ in range(40):
                    file.write(bytes(8 * width * rows // 40))
    return out.getvalue()


def lying_npz() -> bytes:
    """A few bytes whose header asks for terabytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, shape in (("X", (10**9, 1000)), ("y", (10**9,))):
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return out.getvalue()


def wide_csv() -> bytes:
    """20 000 columns, a minute of looking at each by itself."""
    lines = [",".join([*(f"c{i}" for i in range(20_000)), "y"])]
    lines += [",".join([*(["0"] * 20_000), "ab"[row % 2]]) for row in range(30)]
    return "\n".join(lines).encode()


def hidden_in_a_dictionary() -> bytes:
    """One long text, a hundred thousand times: few rows and columns by the header, 10 GB in memory."""
    out = io.BytesIO()
    texts = pa.DictionaryArray.from_arrays(pa.array(np.zeros(100_000, np.int32)), pa.array(["x" * 100_000]))
    table = pa.table({"x": texts, "y": pa.array(np.arange(100_000) % 2)})
    # Without Arrow's own schema the column is plain text to a reader.
    pyarrow.parquet.write_table(table, out, store_schema=False, compression="zstd")
    return out.getvalue()
