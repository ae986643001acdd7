"""A process that reads a table for the service is forked with everything imported that it needs."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
import search_service.service.reading, search_service.service.preloaded
before = set(sys.modules)
import search_service
for source, target in (("digits", None), ("t.csv", "y"), ("t.parquet", "y")):
    spec = search_service.parse({"name": "t", "data": {"source": source} | ({"target": target} if target else {})})
    search_service.prepare(spec)
slow = ("torch", "ray", "sklearn", "scipy", "pandas", "pyarrow", "search_service", "trainables")
# A data set's own folders are packages, too.
new = [name for name in set(sys.modules) - before if name.split(".")[0] in slow and "sklearn.datasets" not in name]
print(sorted(new))
"""


def test_d4_a_process_that_reads_a_table_has_nothing_to_import_first(tmp_path):
    import pyarrow.csv
    import pyarrow.parquet

    rows = "".join(
        f"{i % 7}.5,{'Bonn' if i % 3 else 'Kiel'},2024-01-{i % 28 + 1:02d},${i},{i % 2}\n" for i in range(90)
    )
    (tmp_path / "t.csv").write_text(f"a,town,when,price,y\n{rows}")
    pyarrow.parquet.write_table(pyarrow.csv.read_csv(tmp_path / "t.csv"), tmp_path / "t.parquet")
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[]\n"
