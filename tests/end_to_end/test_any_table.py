"""Any table either trains or is refused with one clear error: made-up tables of every kind, through all steps."""

from __future__ import annotations

import datetime
import json
import math
import random
import tempfile
import warnings
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from hypothesis import given, settings
from hypothesis import strategies as st

from search_service import wiring
from search_service.errors import InvalidSpecError
from search_service.recorders.memory import MemoryRecorder
from search_service.records.results import StudyStatus
from search_service.runners.inline import InlineRunner
from search_service.spec.study_spec import parse
from search_service.study import run_study

# What a cell of a column can be, by the kind of column; drawn from a small or a large pool.
KINDS = {
    "numbers": lambda r: r.gauss(0, 3),
    "skewed": lambda r: math.exp(r.gauss(0, 5)),
    "odd numbers": lambda r: r.choice([0.0, -0.0, 1e-300, 1e30, 3e38, 2.0**60, r.random(), math.nan]),
    "too large": lambda r: r.choice([1.0, 2.0, 1e39, math.inf, -math.inf]),
    "whole": lambda r: r.randint(-3, 3),
    "amounts": lambda r: r.randint(0, 10**9),
    "large": lambda r: r.randint(2**53, 2**62),
    "truth": lambda r: r.random() < 0.5,
    "few words": lambda r: r.choice(["a", "b", "c c"]),
    "two words": lambda r: r.choice(["no", "yes"]),
    "any text": lambda r: "".join(
        chr(r.choice([r.randint(32, 126), r.randint(160, 0x2FFF)])) for _ in range(r.randint(0, 6))
    ),
    "codes": lambda r: f"{r.randint(0, 300):03d}",
    "number-like": lambda r: r.choice(["1", "2", "3.5", "x", "", "1e5", " 7"]),
    "days": lambda r: datetime.date(1700, 1, 1) + datetime.timedelta(days=r.randint(0, 180_000)),
    "day texts": lambda r: str(datetime.date(2020, 1, 1) + datetime.timedelta(days=r.randint(0, 900))),
    "lists": lambda r: [r.randint(0, 9)],
    "nothing": lambda r: None,
}
RARE = ("lists", "nothing", "too large", "number-like", "any text")
NAMES = ("a", "b", "y", "x 1", "größe", "a.b", "mlflow", "f0", "1.5", "missing_a", "A" * 70, "\u200b", "a_b", "[x]", "")


def column(r: random.Random, n: int) -> list:
    kind = KINDS[r.choice([*(kind for kind in KINDS if kind not in RARE)] * 3 + list(RARE))]
    # Often a few values that come again, as in real tables.
    pool = [kind(r) for _ in range(r.choice([1, 2, 3, 10, n + 1]))]
    gaps = r.choice([0, 0, 0, 0, 0.1, 0.6])
    return [None if r.random() < gaps else r.choice(pool) for _ in range(n)]


def table_of(r: random.Random) -> tuple[dict, str]:
    n = r.choice([0, 1, 3, 6, 12, 30, 60, 60, 100])
    names = r.sample(NAMES[:-1] if r.random() < 0.95 else NAMES, r.randint(1, 6))
    table = {name: column(r, n) for name in names}
    if r.random() < 0.6:
        # A target that has to do with something.
        table[names[-1]] = [r.choice(["p", "q"]) if r.random() < 0.2 else ["p", "q"][i % 2] for i in range(n)]
    return table, names[-1]


def config_of(r: random.Random, names: list[str]) -> dict:
    config: dict = {role: r.choice(names) for role in ("group", "time", "weight") if r.random() < 0.08}
    if r.random() < 0.15:
        config["drop"] = [r.choice(names)]
    if r.random() < 0.15:
        config["columns"] = {r.choice(names): r.choice(["numeric", "boolean", "categorical", "date"])}
    if r.random() < 0.1:
        config["split"] = r.choice(["random", "stratified", "grouped", "time"])
    config["missing_target"] = r.choice(["refuse", "drop", "drop"])
    config["preparation"] = {
        "numeric": r.choice(["auto", "standard", "quantile", "none"]),
        "one_hot_limit": r.choice([1, 5, 32]),
        "high_cardinality": r.choice(["target", "hash"]),
    }
    return config | ({"strict": True} if r.random() < 0.1 else {})


def write(folder: Path, table: dict, form: str) -> Path:
    path = folder / f"table.{form}"
    if form == "jsonl":
        rows = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
        path.write_text("\n".join(json.dumps(row, default=str) for row in rows))
        return path
    made = pa.table({name: pa.array(values) for name, values in table.items()})
    if form == "csv":
        flat = [c.cast(pa.string()) if not pa.types.is_nested(c.type) else pa.array(map(str, c)) for c in made.columns]
        pyarrow.csv.write_csv(pa.table(dict(zip(table, flat, strict=True))), path)
    else:
        pyarrow.parquet.write_table(made, path)
    return path


def study(folder: Path, table: dict, target: str, form: str, config: dict, epochs: int = 1) -> str:
    """Run it; what became of it: refused, failed (a check said no) or completed."""
    raw = {
        "name": "any",
        "data": {"source": str(write(folder, table, form)), "target": target, **config},
        "trial": {"network": {"hidden_sizes": [4]}},
        "checks": {"on_fail": "warn", "overfit_small_sample": {"max_steps": 5}, "learning_rates": {"starts": 1}},
        "search": {
            "coarse": {"max_trials": 1, "max_epochs": epochs},
            "refined": {"max_trials": 1, "max_epochs": epochs},
            "max_cycles": 1,
        },
        "finalists": {"top": 1, "seeds": 1},
    }
    try:
        prepared = wiring.prepare(parse(raw))
    except InvalidSpecError as error:
        assert error.problems
        for problem in error.problems:
            assert problem.path
            assert problem.rule
            assert problem.fix
        return "refused"
    result = run_study(
        prepared.spec, prepared.table, InlineRunner(), MemoryRecorder().record, study_id="s", folder=folder, versions={}
    )
    assert result.reason
    return str(result.status)


def attempt(seed: int, folder: Path) -> str:
    """The made-up table number ``seed``, through everything."""
    r = random.Random(seed)
    table, target = table_of(r)
    form, config = r.choice(["csv", "parquet", "jsonl"]), config_of(r, list(table))
    with warnings.catch_warnings():
        # A library's warning is no message for a user either.
        warnings.simplefilter("error", UserWarning)
        try:
            write(folder, table, form)
        except (pa.ArrowException, OverflowError, TypeError, ValueError):
            return "unwritable"  # No file of this format can hold such a table.
        return study(folder, table, target, form, config)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(0, 2**32))
def test_d2_any_table_trains_or_is_refused_with_one_clear_error(seed):
    with tempfile.TemporaryDirectory() as folder:
        # Whatever else could come of it is an exception; ``study`` looks at the words of a refusal and of a result.
        assert attempt(seed, Path(folder)) in ("unwritable", "refused", StudyStatus.FAILED, StudyStatus.COMPLETED)


def test_d2_ordinary_tables_are_among_those_that_train(tmp_path):
    """So that the test above cannot pass by refusing everything."""
    table = {
        "a": [0.5, 1.5, None, 3.5] * 20,
        "town": ["Bonn", "Kiel", None, "Ulm"] * 20,
        "day": [datetime.date(2026, 1, 1) + datetime.timedelta(days=7 * i) for i in range(80)],
        "y": ["no", "yes"] * 40,
    }
    for form in ("csv", "parquet", "jsonl"):
        # Long enough to learn something: a study whose trials are no better than the trivial predictor has failed.
        assert study(tmp_path, table, "y", form, {}, epochs=40) == StudyStatus.COMPLETED
