"""Do 90 % of new rows lie within the interval that a model gives for 90 % of them?

Of each table 30 % of the rows are kept away, 20 times, another 30 % each time. A small study of the rest, on its own
division, hands over a model with intervals, by which the rows kept away are then judged. Printed are the share of these
that lie within, and what the studies themselves had said of it, mean and range over the divisions, and the width beside
the target's standard deviation.

    python bench/prediction_intervals.py ../shared/data/tables/{abalone,wine_quality}.parquet
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

from search_service import search

SHARE, KEPT_AWAY = 0.9, 0.3
# A study of some seconds: what an interval holds does not depend on how good the model is.
SMALL = {
    "trial.network": {"hidden_sizes": [64]},
    "search_space": {"network.dropout": {"low": 0.0, "high": 0.2}},
    "search.coarse": {"max_trials": 4, "max_epochs": 3},
    "search.refined": {"max_trials": 4, "max_epochs": 9},
    "search.max_cycles": 1,
    "finalists": {"top": 1, "seeds": 2, "folds": None, "baselines": False},
    "model": {"register": False, "prediction_interval": SHARE},
}


def held(frame: pd.DataFrame, target: str, seed: int, home: Path) -> tuple[float, float, float]:
    """Share of the rows kept away within their intervals, share told by the study, and half the width."""
    kept_away = np.random.default_rng(seed).uniform(size=len(frame)) < KEPT_AWAY
    found = search(
        frame[~kept_away],
        target,
        metric="rmse",
        changes=SMALL | {"seed": seed},
        name=f"split-{seed}",
        home=home,
        runner="inline",
        record=False,
        show=False,
    )
    assert found.result.finalists is not None
    told = found.result.finalists.prediction_interval
    assert told is not None
    ends, truth = found.predict_interval(frame[kept_away]), frame[target][kept_away].to_numpy()
    inside = (ends["lower"].to_numpy() <= truth) & (truth <= ends["upper"].to_numpy())
    return float(inside.mean()), told.covered, told.half_width


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", type=Path, help="Parquet files whose last column is a number to predict")
    parser.add_argument("--splits", type=int, default=20)
    asked = parser.parse_args()
    print(f"{'table':<22} {'rows held, of 90 %':>26} {'told by the study':>26}  half width / std", flush=True)
    for path in asked.tables:
        frame = pq.read_table(path).to_pandas()
        target = str(frame.columns[-1])
        with tempfile.TemporaryDirectory() as home:
            rows = np.array([held(frame, target, seed, Path(home)) for seed in range(asked.splits)])
        width = rows[:, 2].mean() / frame[target].std()
        print(f"{path.stem:<22} {shown(rows[:, 0]):>26} {shown(rows[:, 1]):>26}  {width:.2f}", flush=True)


def shown(shares: NDArray[np.float64]) -> str:
    """Mean and range, in per cent."""
    return f"{100 * shares.mean():.1f} ({100 * shares.min():.1f} to {100 * shares.max():.1f})"


if __name__ == "__main__":
    main()
