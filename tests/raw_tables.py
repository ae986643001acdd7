"""A made-up table as people have them: numbers with gaps, whole numbers, text, dates, truths, codes; and its models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

# Small enough that a whole study takes seconds.
STUDY = {
    "trial": {"network": {"hidden_sizes": [8]}, "optimizer": {"lr": 0.01}, "batch_size": 32},
    "search": {
        "coarse": {"max_trials": 2, "max_epochs": 4},
        "refined": {"max_trials": 2, "max_epochs": 5},
        "max_cycles": 1,
    },
    "finalists": {"top": 1, "seeds": 2},
    "checks": {"on_fail": "warn"},
}


def people(rows: int = 240, seed: int = 0) -> pd.DataFrame:
    """Customers, with the class ``bought`` and the number ``spent`` that follow from the other columns."""
    random = np.random.default_rng(seed)
    age = random.integers(18, 80, rows)
    income = np.round(random.lognormal(10, 0.5, rows), 2)
    city = random.choice(["Lyon", "Berlin", "São Paulo", "Oslo"], rows)
    member = random.random(rows) < 0.4
    since = pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 1500, rows), unit="D")
    signal = (age - 48) / 18 + (city == "Oslo") * 1.5 + member - 0.5 + random.normal(0, 0.3, rows)
    frame = pd.DataFrame(
        {
            "age": age,
            "income": income,
            "city": city,
            "member": member,
            "since": since.strftime("%Y-%m-%d"),
            "zip": [f"0{code}" for code in random.integers(1000, 1010, rows)],
            "bought": np.where(signal > 0.3, "yes", "no"),
            "spent": np.round(50 + 30 * signal, 3),
        }
    )
    frame.loc[random.random(rows) < 0.1, "income"] = np.nan
    frame.loc[random.random(rows) < 0.1, "city"] = None
    return frame


def write(folder: Path, frame: pd.DataFrame | None = None) -> Path:
    """The table as a CSV file."""
    file = folder / "people.csv"
    (people() if frame is None else frame).to_csv(file, index=False)
    return file


def spec(source: Path, task: str = "classification", **changes: Any) -> dict[str, Any]:
    """A study of the table."""
    target, other = ("bought", "spent") if task == "classification" else ("spent", "bought")
    return {"name": "people", "data": {"source": str(source), "target": target, "drop": [other]}, **STUDY, **changes}
