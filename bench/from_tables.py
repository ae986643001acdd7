"""What a table gets that nobody has written a config for: ``search-service run FILE --target COLUMN`` alone.

Runs the study that each table stands for and prints, on the same test rows, the model that it hands over, the winner's
network alone (what ``model.average: none`` would give), linear model and boosting, the verdict, and the minutes.

    python bench/from_tables.py ../shared/data/cpu_act.parquet:usr ../shared/data/tables/*.parquet
    python bench/from_tables.py --set data.preparation.numeric=tails TABLE ...       # the same without one part

Where no target is named it is the table's last column. ``--seeds`` repeats each study from other seeds and prints the
mean of each score.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def last_column(source: str) -> str:
    """Name of a table's last column."""
    if source.endswith(".parquet"):
        import pyarrow.parquet as pq

        return str(pq.read_schema(source).names[-1])
    with Path(source).open(encoding="utf-8") as file:
        return file.readline().strip().split(",")[-1].strip('"')


def study(source: str, target: str, changes: list[str], runner: str) -> tuple[dict[str, Any], float]:
    """The document of a study of the table, and its minutes."""
    options = [part for change in changes for part in ("--set", change)]
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, "-m", "search_service", "run", source, "--target", target, "--home", home]
        done = subprocess.run(
            [*command, "--runner", runner, "--json", *options], capture_output=True, text=True, check=False
        )
    if done.returncode not in (0, 1) or not done.stdout.strip():
        raise SystemExit(f"{source}: {done.stderr[-2_000:]}")
    document: dict[str, Any] = json.loads(done.stdout)
    return document, (time.perf_counter() - started) / 60


def row(source: str, target: str, changes: list[str], runner: str, seeds: int) -> str:
    """A line of the table."""
    found: dict[str, list[float]] = {}
    verdict, metric = "", ""
    for seed in range(seeds):
        document, minutes = study(source, target, [*changes, f"seed={seed}"], runner)
        best = document["best"]
        if best is None:
            return f"{Path(source).stem:<22} no model: {document['reason']}"
        metric, model = best["metric"], best["model"]
        average = model["average"]
        scores = {"model": model["test_score"], "minutes": minutes}
        scores["alone"] = model["test_score"] if average is None else average["alone_test_score"]
        scores |= {b["name"]: b["test_metrics"].get(metric) for b in best["baselines"]}
        for name, score in scores.items():
            if score is not None:
                found.setdefault(name, []).append(score)
        verdict = best["verdict"] or "not compared"
    cells = {name: f"{statistics.fmean(scores):.5g}" for name, scores in found.items()}
    columns = (cells.get(name, "—") for name in ("model", "alone", "linear", "boosting"))
    return (
        f"{Path(source).stem:<22} {metric:>8}  "
        + "  ".join(f"{cell:>9}" for cell in columns)
        + f"  {cells['minutes']:>7}  {verdict}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", metavar="FILE[:TARGET]")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as for search-service run")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--runner", default="ray", choices=["ray", "inline"])
    asked = parser.parse_args()
    names = ("model", "alone", "linear", "boosting")
    print(f"{'table':<22} {'metric':>8}  {'  '.join(f'{name:>9}' for name in names)}  minutes  worth it?", flush=True)
    for table in asked.tables:
        source, _, target = table.partition(":")
        print(row(source, target or last_column(source), asked.set, asked.runner, asked.seeds), flush=True)


if __name__ == "__main__":
    main()
