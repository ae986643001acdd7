"""From a file to a tested model with one config each: how good, how long, and was it worth it.

Runs the studies of ``bench/tables/`` on Ray Tune, exactly as ``search-service run`` does, and prints a table: the test
score of the winner (mean ± standard deviation over fresh seeds), that of the two simpler models on the same rows, what
is asked for, and the minutes. The tables are real and public and are not part of this project: they are looked for
where the configs say.

    python bench/search_quality.py                 # all five, about 20 minutes on two cores
    python bench/search_quality.py letter adult    # some
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from search_service import config_file, wiring
from search_service.settings import Settings
from trainables.metrics import METRICS

TABLES = Path(__file__).parent / "tables"
# Test score that each must reach, in the target's own units, and what tuned networks of this kind reach elsewhere.
ASKED = {
    "adult": (0.850, "0.854"),
    "california_housing": (50_000.0, "49 500"),
    "cpu_act": (2.8, "2.60"),
    "letter": (0.965, "0.97"),
    "mnist10k": (0.945, "0.95"),
}
# Minutes that each may take on two cores.
MOST_MINUTES = 15


def run(name: str, home: Path) -> tuple[bool, str]:
    """Whether what is asked for was reached, and the row of the table."""
    started = time.perf_counter()
    study = wiring.prepare(config_file.load(TABLES / f"{name}.yaml"))
    final = wiring.run(study, settings=Settings(home=home), runner="ray").result.finalists
    minutes = (time.perf_counter() - started) / 60
    asked, elsewhere = ASKED[name]
    if final is None:
        return False, f"{name:<20} failed"
    metric = METRICS[final.metric]
    fine = minutes <= MOST_MINUTES and (final.test_mean == asked or metric.better(final.test_mean, asked))
    simpler = "  ".join(f"{b.test.get(final.metric, float('nan')):>9.5g}" for b in final.baselines)
    score = f"{final.test_mean:.5g} ± {final.test_std:.2g}"
    return fine, (
        f"{name:<20} {final.metric:>8}  {score:>18}  {simpler}  {asked:>8g}  {elsewhere:>9}  {minutes:>7.1f}  "
        f"{'yes' if fine else 'NO'}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", choices=[[], *ASKED], help="default: all")
    chosen = parser.parse_args().tables or list(ASKED)
    print(
        f"{'table':<20} {'metric':>8}  {'test, mean ± std':>18}  {'linear':>9}  {'boosting':>9}  {'asked':>8}  "
        f"{'elsewhere':>9}  {'minutes':>7}  reached",
        flush=True,
    )
    reached = []
    with tempfile.TemporaryDirectory() as home:
        for name in chosen:
            fine, row = run(name, Path(home))
            reached.append(fine)
            print(row, flush=True)
    raise SystemExit(not all(reached))


if __name__ == "__main__":
    main()
